"""The normal distribution."""

from tfgen.models.gaussian import Gaussian
from tfgen.presets import settings

PRESETS = {
    'gaussian_two_moons': settings.of(Gaussian)(
        dataset='two_moons', batch_size=500, steps=200
    )
}
