"""Mono sounds."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfgen import plots, probability
from tfgen.data.specs.base import Spec
from tfgen.noise import Noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundSpec(Spec):
    """Sounds: 'audio', float32 [B, T] in [-1, 1], mono.

    Attributes:
      length: T, number of samples; a shorter sound is padded with silence.
      sample_rate: samples per second.
    """

    length: int
    sample_rate: int

    noun: ClassVar[str] = 'sounds'
    key: ClassVar[str] = 'audio'
    ending: ClassVar[str] = 'wav'
    shown: ClassVar[int] = 16
    one_file_each: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int]:
        return (self.length,)

    def words(self) -> str:
        return f'sounds of {self.length} samples at {self.sample_rate} Hz'

    def rates(self, nats: float) -> dict[str, float]:
        return {
            'bits_per_sample': probability.bits_per_dim(nats, self.shape),
            'nats_per_second': nats * self.sample_rate / self.length,
        }

    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        """Sample k of 16 bits becomes k / 2^15, exactly."""
        return tf.cast(stored, tf.float32) * (2.0 / levels)

    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        # A comparison with NaN is false, so NaN fails as well.
        inside = (example >= -1.0) & (example <= 1.0)
        return tf.reduce_all(inside), 'must have samples in [-1, 1]'

    def encode(self, examples: tf.Tensor) -> tf.Tensor:
        """16-bit WAV files: v becomes round(2^15 v), at most 2^15 - 1."""
        return tf.map_fn(
            lambda sound: tf.audio.encode_wav(sound[:, None], self.sample_rate),
            examples,
            fn_output_signature=tf.TensorSpec([], tf.string),
        )

    def draw(
        self,
        examples: np.ndarray,
        columns: int,
        titles: Sequence[str] | None = None,
        density: Callable | None = None,
        score: Callable | None = None,
    ) -> np.ndarray:
        """A grid of spectrograms."""
        shades = plots.spectrograms(examples)
        pixels = np.round(shades * 255.0).astype(np.uint8)
        return plots.grid(pixels, columns, titles)
