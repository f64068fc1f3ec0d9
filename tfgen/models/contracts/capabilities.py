"""Capabilities: what a model can do, known by the methods that it has.

They are protocols, so a model need not inherit them: `isinstance(model,
GenerativeModel)` asks whether it has `sample`. Signatures, metrics and
pictures ask so. Shape letters: see model.py.
"""

from typing import Protocol, runtime_checkable

import tensorflow as tf

from tfgen.noise import Noise


@runtime_checkable
class GenerativeModel(Protocol):
    """A model that draws examples."""

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """[B, *spec.shape] in the data's range; B is the noise's."""


@runtime_checkable
class Completing(Protocol):
    """A model that draws the hidden part of an example, given the rest."""

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws what `mask` hides.

        Args:
          example: [B, *spec.shape].
          mask: [B, *spec.mask_shape], 1 where known, 0 where drawn.
          noise: one row per example; equal to that of `sample`, so that an
            empty mask gives `sample`.
          label: [B] if the model is conditional.

        Returns:
          [B, *spec.shape]; known values are those of `example`, bit for bit.
        """


@runtime_checkable
class Encoding(Protocol):
    """A model that finds the z of an example: its code, or q(z|x)."""

    def encode(self, example: tf.Tensor, label: tf.Tensor | None = None):
        """[B, *spec.shape] -> code [B, K], or mean and logvar of q(z|x)."""


@runtime_checkable
class Classifying(Protocol):
    """A model that says which class an example belongs to."""

    def class_logits(self, example: tf.Tensor) -> tf.Tensor:
        """log p(class | example) up to a constant: float32 [B, classes]."""
