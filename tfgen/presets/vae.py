"""Variational auto-encoders."""

from tfgen.models.vae import CVAE
from tfgen.presets import settings

_CVAE = settings.of(CVAE)

PRESETS = {
    'cvae_digits': _CVAE(
        dataset='digits',
        conditional=True,
        likelihood='gaussian',
        latent_size=8,
        steps=4000,
        schedule='cosine',
        log_every=500,
    ),
    'cvae_mnist': _CVAE(
        dataset='binarized_mnist',
        binarization='static',
        latent_size=32,
        batch_size=128,
        steps=40_000,
        schedule='cosine',
        checkpoint_every=2000,
        log_every=500,
    ),
}
