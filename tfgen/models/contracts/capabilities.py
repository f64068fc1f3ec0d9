"""Capabilities: protocols for what a model can do.

A model has a capability if it has the method; it need not inherit the
protocol. `isinstance(model, GenerativeModel)` tells whether it has `sample`.
Signatures, metrics and pictures use this test. Shape letters: see model.py.
"""

import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfgen.noise import Noise, RowNoise


def takes_a_count(sample: Callable) -> Callable:
    """Decorates `sample`: it takes a count and a seed in place of noise, too.

    `model.sample(8, seed=0)` draws 8 examples. Example i depends on the seed
    0 + i and its label alone, as when the model is served. Labels may be one
    for all; without them a conditional model takes all classes in turn.
    """

    @functools.wraps(sample)
    def draw(self, noise, label=None, *, seed: int = 0):
        if isinstance(noise, Noise):
            return sample(self, noise, label)
        count = int(noise)
        if self.num_classes:
            labels = range(self.num_classes) if label is None else label
            label = np.resize(labels, count).astype(np.int32)
        seeds = seed + tf.range(count, dtype=tf.int64)
        return sample(self, RowNoise(seeds), label)

    return draw


@runtime_checkable
class GenerativeModel(Protocol):
    """A model that draws examples."""

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws examples: [B, *spec.shape] in the data's range.

        B is the number of rows of `noise`.
        """


@runtime_checkable
class Completing(Protocol):
    """A model that draws hidden values of an example given the visible ones."""

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws the values that `mask` hides.

        Args:
          example: [B, *spec.shape].
          mask: [B, *spec.mask_shape], 1 for a known value, 0 for a value to
            draw.
          noise: one row per example. `sample` uses the noise in the same way,
            so a mask of zeros gives the result of `sample`.
          label: [B] if the model is conditional.

        Returns:
          [B, *spec.shape]. Known values equal those of `example` bit for bit.
        """


@runtime_checkable
class Encoding(Protocol):
    """A model that encodes an example as a code, or as q(z|x)."""

    def encode(self, example: tf.Tensor, label: tf.Tensor | None = None):
        """[B, *spec.shape] -> code [B, K], or mean and logvar of q(z|x)."""


@runtime_checkable
class Classifying(Protocol):
    """A model that classifies examples."""

    def class_logits(self, example: tf.Tensor) -> tf.Tensor:
        """log p(class | example) up to a constant: float32 [B, classes]."""
