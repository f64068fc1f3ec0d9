"""Mixtures of Gaussians. A step is an iteration of EM."""

from tfgen.models.gmm import GMM
from tfgen.presets import settings

_GMM = settings.of(GMM)

PRESETS = {
    'gmm_digits': _GMM(
        num_components=20,
        covariance='tied',
        variance_floor=1e-3,
        batch_size=1500,
        steps=100,
    ),
}
