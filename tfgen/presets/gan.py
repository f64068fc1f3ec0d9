"""Generative adversarial networks."""

from tfgen.models.gan import DCGAN
from tfgen.presets import settings

_DCGAN = settings.of(DCGAN)
# Of both players; Radford et al. 2016.
_RATES = {'learning_rate': 2e-4, 'beta_1': 0.5}

PRESETS = {
    'dcgan_digits': _DCGAN(
        **_RATES,
        dataset='digits',
        conditional=True,
        steps=5000,
        log_every=500,
    ),
    'dcgan_mnist': _DCGAN(
        **_RATES,
        dataset='mnist',
        conditional=True,
        batch_size=128,
        steps=5000,
        checkpoint_every=500,
        log_every=100,
    ),
}
