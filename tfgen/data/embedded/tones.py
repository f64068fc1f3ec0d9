"""The embedded set of sounds: tones with harmonics.

The ten classes are ten pitches. Loudness, timbre, phase and decay differ from
sound to sound. The sounds are computed from a fixed seed, so a model of sounds
can be trained anywhere.
"""

import numpy as np
import tensorflow_datasets as tfds

SAMPLE_RATE = 8000
LENGTH = 2048
NUM_TRAIN, NUM_TEST = 900, 100
# C major from middle C up to E, in equal temperament, in Hz.
_SEMITONES = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)
_PITCHES = tuple(261.63 * 2 ** (n / 12) for n in _SEMITONES)
_HARMONICS = 5


class Tones(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of `tones`: 2,048 samples at 8 kHz, label 0..9."""

    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description='Decaying tones of ten pitches with five harmonics.',
            features=tfds.features.FeaturesDict(
                {
                    'audio': tfds.features.Audio(
                        shape=(LENGTH,), sample_rate=SAMPLE_RATE
                    ),
                    'label': tfds.features.ClassLabel(num_classes=10),
                }
            ),
            license='CC0 1.0',
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing to fetch
        return {
            'train': self._generate_examples(0, NUM_TRAIN),
            'test': self._generate_examples(NUM_TRAIN, NUM_TEST),
        }

    def _generate_examples(self, first, count):
        for index in range(first, first + count):
            label = index % len(_PITCHES)
            yield index, {'audio': tone(label, index), 'label': label}


def tone(label: int, seed: int) -> np.ndarray:
    """Computes one sound: int64 [LENGTH] within 16 bits."""
    random = np.random.default_rng([0x70E5, seed])
    time = np.arange(LENGTH) / SAMPLE_RATE
    harmonics = np.arange(1, _HARMONICS + 1)
    amplitudes = random.uniform(0.2, 1.0, _HARMONICS) / harmonics
    phases = random.uniform(0, 2 * np.pi, _HARMONICS)
    angles = 2 * np.pi * _PITCHES[label] * np.outer(time, harmonics) + phases
    sound = np.sin(angles) @ amplitudes / amplitudes.sum()
    attack = np.minimum(1.0, time / 0.01)
    decay = np.exp(-time * random.uniform(2.0, 8.0))
    loudness = random.uniform(0.3, 0.9)
    return np.round(32767 * loudness * attack * decay * sound).astype(np.int64)
