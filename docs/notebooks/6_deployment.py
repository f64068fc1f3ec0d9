# %% [markdown]
# # Deployment on TensorFlow Serving
#
# An export is a plain SavedModel: it needs neither tfgen nor Keras. Each row of
# a request has its own seed, so a sample does not depend on the rows that the
# server merges with it.

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import json
import pathlib
import subprocess
import sys
import urllib.request

import numpy as np
import tensorflow as tf

import tfgen
from tfgen.export import pretrained

model = tfgen.load('cvae_digits')
model

# %% [markdown]
# ## The folder
#
# `tensorflow_model_server` watches `MODEL_DIR` for folders of versions,
# `MODEL_DIR/<version>/`. A new export becomes the next version.

# %%
folder = pretrained.folder() / 'cvae_digits'
sorted(str(f.relative_to(folder)) for f in folder.rglob('*') if f.is_file())

# %% [markdown]
# ## TensorFlow alone
#
# The signatures take named tensors; the batch is the first dimension.

# %%
loaded = tf.saved_model.load(str(folder / '1'))
drawn = loaded.signatures['sample'](
    seed=tf.constant([1, 2], tf.int64), label=tf.constant([3, 7])
)
{name: value.shape for name, value in drawn.items()}

# %% [markdown]
# ## Over HTTP
#
# tfgen's local server has the REST API of TensorFlow Serving. It prints `ready`
# when all models are loaded.

# %%
command = [sys.executable, '-m', 'tfgen', 'serve', '--port=0']
server = subprocess.Popen(
    [*command, f'--model_dir={folder}'], stderr=subprocess.PIPE, text=True
)
for line in server.stderr:
    print(line, end='')
    if 'listening on' in line:
        address = line.split()[-1]
    if line == 'ready\n':
        break


def ask(seeds):
    body = {
        'signature_name': 'sample',
        'inputs': {'seed': seeds, 'label': [3] * len(seeds)},
    }
    request = urllib.request.Request(
        f'{address}/v1/models/cvae_digits:predict', json.dumps(body).encode()
    )
    answer = urllib.request.urlopen(request).read()
    return np.array(json.loads(answer)['outputs'])


alone, together = ask([5]), ask([4, 5, 6])
np.abs(alone[0] - together[1]).max()  # the same picture in another batch

# %%
server.terminate()
server.wait()

# %% [markdown]
# TensorFlow Serving reads a folder of the same form, here exports/cvae:
#
# ```bash
# docker run -p 8501:8501 -v $PWD/exports/cvae:/models/cvae \
#     -e MODEL_NAME=cvae tensorflow/serving
# ```
#
# `docs/serve.md` describes signatures, versions, batching and Kubernetes.

# %%
pathlib.Path(folder, '1', 'assets.extra').exists()
