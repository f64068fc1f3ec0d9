"""The embedded set of rendered moons, from new to full: the notes' example.

The true images between two phases are known. They can be compared with the
images that a model decodes from points between the codes of the two phases.
"""

import math

import numpy as np
import tensorflow_datasets as tfds

from tfgen.data.truth import Rendered

SIDE = 16
NUM_TRAIN, NUM_TEST = 900, 100
_FINE = 4  # samples along a pixel's side
_RADIUS = 0.85  # radius of the moon; half the side of an image is 1


class MoonPhases(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of `moon_phases`: uint8 [16, 16, 1] with a label.

    Phases are uniform over (0, pi), from new to full. The label says whether
    the phase is above pi / 2.
    """

    VERSION = tfds.core.Version('1.0.0')
    truth = Rendered(lambda phases: moon(phases), math.pi)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description='Rendered moons between new and full.',
            features=tfds.features.FeaturesDict(
                {
                    'image': tfds.features.Image(shape=(SIDE, SIDE, 1)),
                    'label': tfds.features.ClassLabel(
                        names=['crescent', 'gibbous']
                    ),
                }
            ),
            supervised_keys=('image', 'label'),
            license='CC0 1.0',
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing to fetch
        return {
            'train': self._generate_examples(0, NUM_TRAIN),
            'test': self._generate_examples(1, NUM_TEST),
        }

    def _generate_examples(self, seed, count):
        random = np.random.default_rng([0x300, seed])
        phases = math.pi * random.random(count)
        for index, phase in enumerate(phases):
            image = np.round(255 * moon(phase)).astype(np.uint8)
            label = int(phase > math.pi / 2)
            yield index, {'image': image[0], 'label': label}


def moon(phase: float | np.ndarray) -> np.ndarray:
    """Renders a sunlit sphere at N phases: [N] -> float32 [N, 16, 16, 1].

    A single number is one phase. Phase 0 is the new moon, pi / 2 the half moon,
    pi the full moon. The light comes from the right. The value of a pixel is
    its lit share, in [0, 1].
    """
    phase = np.atleast_1d(phase)[:, None, None]
    line = (np.arange(SIDE * _FINE) + 0.5) / (SIDE * _FINE) * 2 - 1
    x, y = np.meshgrid(line / _RADIUS, line / _RADIUS)
    half = np.sqrt(np.maximum(1.0 - y**2, 0.0))
    # The terminator is half an ellipse.
    lit = (x**2 + y**2 < 1.0) & (x > np.cos(phase) * half)
    fine = lit.reshape(-1, SIDE, _FINE, SIDE, _FINE)
    return fine.mean((2, 4))[..., None].astype(np.float32)
