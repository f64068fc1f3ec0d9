"""Restricted Boltzmann machines."""

from tfgen.models.rbm import RBM
from tfgen.presets import settings

_RBM = settings.of(RBM)

PRESETS = {
    'rbm_digits': _RBM(
        dataset='digits',
        binarization='dynamic',
        hidden_size=16,
        steps=20_000,
        learning_rate=3e-3,
        schedule='cosine',
        log_every=1000,
        checkpoint_every=5000,
    ),
}
