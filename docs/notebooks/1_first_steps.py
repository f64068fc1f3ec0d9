# %% [markdown]
# # First steps with your own pictures
#
# You have an array of pictures and their labels. This notebook trains a
# conditional variational auto-encoder on them, evaluates it, draws samples and
# exports it. Replace the digits below with your own array: uint8, or floats in
# [0, 1], of shape [N, H, W] or [N, H, W, 3]. (Without labels the model is a
# plain VAE: leave out `labels` and `styles`.)

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tempfile

from sklearn.datasets import load_digits

import tfgen

quick = 'TFGEN_QUICK' in os.environ  # set by the tests
folder = tempfile.mkdtemp()
digits = load_digits()
images, labels = digits.images / 16, digits.target
images.shape, images.dtype, images.min(), images.max()

# %% [markdown]
# ## Train
#
# `cvae` is a generic preset: its sizes follow from the data. The first line of
# the output describes the data. A tenth of the pictures is held out as the test
# split. Run the cell again to resume an interrupted training; a finished run is
# returned at once.

# %%
run = tfgen.train(
    'cvae', images, labels, workdir=f'{folder}/run', steps=20 if quick else 3000
)
run

# %% [markdown]
# ## Look
#
# Each sample is a function of its own seed and label. A notebook shows the
# picture that `show` returns.

# %%
run.show('samples')

# %% [markdown]
# Below each row of test pictures is the row of their reconstructions. `styles`
# keeps the style of a digit and changes its label.

# %%
run.show('reconstruction')

# %%
run.show('styles')

# %% [markdown]
# ## Measure
#
# Two bounds on -log p(x), in nats: means and standard errors over the test
# split.

# %%
run.evaluate(metrics=['bounds'], num_samples=5 if quick else 500)

# %% [markdown]
# The curves of the training are arrays.

# %%
history = run.history
history['step'][-3:], history['model/distortion'][-3:]

# %% [markdown]
# ## Export
#
# An export is a SavedModel that TensorFlow Serving reads. `tfgen.load` opens an
# export, a run, or a model that comes with tfgen.

# %%
run.export(f'{folder}/export')
tfgen.load(f'{folder}/export').sample(3, seed=7, labels=[1, 2, 3]).shape

# %%
tfgen.load('pixelrnn_digits').show('completion', given='samples')
