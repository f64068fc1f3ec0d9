# %% [markdown]
# # Lecture 17: from PCA to the variational auto-encoder
#
# An auto-encoder learns a code $z$ of an example $x$, and a decoder that gives
# $x$ back. The question of the lecture: which decoders can also *draw*?

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tempfile

import numpy as np
from sklearn.datasets import load_digits

import tfgen

quick = 'TFGEN_QUICK' in os.environ
folder = tempfile.mkdtemp()
images = load_digits().images / 16

# %% [markdown]
# ## PCA
#
# PCA is the linear auto-encoder with the least squared error,
#
# $$\min_W \sum_x \lVert x - \mu - W^T W (x - \mu) \rVert^2 .$$
#
# It is computed in one pass over the data.

# %%
pca = tfgen.train('pca', images, workdir=f'{folder}/pca', latent_size=8)
pca.show('reconstruction')

# %% [markdown]
# ## A deep auto-encoder
#
# Hidden layers lower the squared error; the code still has eight numbers.

# %%
deep = tfgen.train(
    'autoencoder',
    images,
    workdir=f'{folder}/deep',
    latent_size=8,
    units=(128, 64),
    steps=20 if quick else 4000,
)
for run in (pca, deep):
    error = np.square(run.reconstruct(images) - images[..., None])
    print(run.config.name, error.sum(axis=(1, 2, 3)).mean())

# %% [markdown]
# ## Can it draw?
#
# A code that belongs to no example may decode to anything. These codes are
# drawn from a normal with the mean and covariance of the examples' codes. Some
# decode to digits, others do not:

# %%
codes = deep.encode(images)
random = np.random.default_rng(0)
drawn = random.multivariate_normal(codes.mean(axis=0), np.cov(codes.T), 40)
from tfgen.pictures.picture import Picture

Picture(deep.spec.draw(deep.decode(drawn), 10))

# %% [markdown]
# ## The VAE
#
# The encoder now gives a distribution q(z|x). Its divergence from the prior
# N(0, 1) is part of the loss:
#
# $$\log p(x) \ge \mathrm{E}_{q(z|x)} \log p(x|z)
# - \mathrm{KL}(q(z|x) \,\|\, p(z)).$$
#
# `model/distortion` is minus the first term; `model/rate` is the divergence.

# %%
vae = tfgen.train(
    'vae',
    images,
    workdir=f'{folder}/vae',
    latent_size=8,
    steps=20 if quick else 4000,
)
vae.show('samples', count=40)

# %% [markdown]
# The codes on the line between two codes decode to digits, too.

# %%
vae.show('interpolation')

# %% [markdown]
# The first two numbers of the code vary over this plane; the others are 0:

# %%
vae.show('manifold')
