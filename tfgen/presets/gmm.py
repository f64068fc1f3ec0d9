"""Mixtures of Gaussians.

An epoch is an iteration of EM.
"""

from tfgen.models.gmm import GMM
from tfgen.presets import settings

_GMM = settings.of(GMM)

PRESETS = {
    # The set has a million points, so an iteration of EM takes 20 steps.
    'gmm_two_moons': _GMM(
        dataset='two_moons',
        num_components=20,
        batch_size=50_000,
        steps=600,
        log_every=100,
    ),
    'gmm_digits': _GMM(
        num_components=20,
        covariance='tied',
        variance_floor=1e-3,
        batch_size=1500,
        steps=100,
    ),
    # Ten iterations of EM. Pixels at the border are always black, so their
    # variance is the floor.
    'gmm_mnist': _GMM(
        dataset='mnist',
        num_components=20,
        variance_floor=1e-3,
        batch_size=4000,
        steps=150,
        log_every=15,
    ),
}
