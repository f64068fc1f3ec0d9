# %% [markdown]
# # Lecture 18: GANs and mode collapse
#
# A generator $G$ and a discriminator $D$ play a game,
#
# $$\min_G \max_D \; \mathrm{E} \log D(x) + \mathrm{E} \log(1 - D(G(z))).$$
#
# Nothing in this game forces $G$ to draw *everything*. On a ring of eight
# normals one can count the modes that $G$ leaves out.

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tempfile

import tfgen

quick = 'TFGEN_QUICK' in os.environ
folder = tempfile.mkdtemp()
steps = 10 if quick else 4000


def ring(name, **settings):
    return tfgen.train(
        'gan_ring',
        workdir=f'{folder}/{name}',
        steps=steps,
        log_every=max(1, steps // 4),
        **settings,
    )


# %% [markdown]
# ## Without a cure
#
# With the loss above and a discriminator that learns slowly, $G$ puts all
# samples into one spot, which wanders from mode to mode. The points are
# samples. The panel beside them shows the discriminator's score.

# %%
plain = ring(
    'plain',
    loss='minimax',
    penalty='none',
    discriminator_rate=1e-4,
    schedule='constant',
    ema=0.0,
)
plain.show('samples')

# %%
plain.evaluate(metrics=['modes'], num_draws=1)

# %% [markdown]
# ## R1
#
# A penalty on the gradient of the score $d$, the logit of $D$, at the data,
# $\frac{\gamma}{2} \mathrm{E} \lVert \nabla d(x) \rVert^2$, keeps the game near
# its equilibrium (Mescheder et al. 2018).

# %%
r1 = ring('r1')
r1.show('samples')

# %%
r1.evaluate(metrics=['modes'], num_draws=1)

# %% [markdown]
# ## Wasserstein
#
# Another cure is another loss. In a WGAN with a gradient penalty, the mean
# score of the data minus that of the samples estimates the Wasserstein distance
# (Gulrajani et al. 2017).

# %%
wgan = ring(
    'wgan',
    loss='wasserstein',
    penalty='gradient_penalty',
    penalty_weight=1.0,
    discriminator_updates=2 if quick else 5,
)
wgan.evaluate(metrics=['modes'], num_draws=1)

# %% [markdown]
# ## Pictures
#
# A conditional DCGAN of digits comes with tfgen. In the samples each column has
# one label, in the interpolations each row.

# %%
tfgen.load('dcgan_digits').show('samples')

# %%
tfgen.load('dcgan_digits').show('interpolation')
