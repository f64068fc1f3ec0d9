# %% [markdown]
# # PixelRNN and WaveNet: value by value
#
# Any distribution of pictures is a product,
#
# $$p(x) = \prod_i p(x_i \,|\, x_1, \ldots, x_{i-1}),$$
#
# and a recurrent network can learn its factors. The likelihood is exact, and
# the model can complete a picture from its first rows.

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tempfile

import numpy as np
from sklearn.datasets import load_digits

import tfgen

quick = 'TFGEN_QUICK' in os.environ
folder = tempfile.mkdtemp()
images = load_digits().images > 8  # black and white
images.shape, images.dtype

# %%
run = tfgen.train(
    'pixelrnn',
    images,
    workdir=f'{folder}/run',
    units=32,
    kernel_size=3,
    steps=5 if quick else 1500,
)
run.show('samples', count=40)

# %% [markdown]
# ## Exact likelihood
#
# log p(x) in nats, for each picture. A random picture is far less likely.

# %%
noise = np.random.default_rng(0).random([100, 8, 8]) > 0.5
run.log_prob(images[:100]).mean(), run.log_prob(noise).mean()

# %% [markdown]
# ## Completion
#
# Each row has a test picture, its upper half, and eight completions.

# %%
run.show('completion', count=5)

# %% [markdown]
# ## Sounds
#
# WaveNet is the same product over the samples of a sound, with dilated
# convolutions in place of the recurrence. This model comes with tfgen. It was
# trained on tones of ten pitches, and each tone has 2,048 samples.

# %%
tfgen.load('wavenet_tones').show('samples', count=2 if quick else 4)
