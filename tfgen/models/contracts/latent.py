"""Models with a latent vector z: decoding, encoding and interpolation."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.models.contracts.capabilities import Encoding, takes_a_count
from tfgen.models.contracts.model import Model, Signature
from tfgen.noise import Noise


class LatentModel(Model):
    """A model that decodes an example from a latent vector z of size K.

    A subclass defines `decode`. It also defines `values` if the decoder's
    output is not the example itself. It can reconstruct examples if it also
    defines `encode`.
    """

    # K, the size of z.
    latent_size: int

    @abc.abstractmethod
    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The decoder's output for a latent vector: [B, K] -> [B, ...]."""

    @classmethod
    def code_size(cls, settings: Mapping[str, Any]) -> int:
        """K for a model with these settings."""
        return settings['latent_size']

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The decoder's output on the data's scale: [B, *spec.shape]."""
        return decoded

    def to_example(self, decoded: tf.Tensor) -> tf.Tensor:
        """The decoder's output as an example: [B, *spec.shape].

        Values are clipped to the data's range.
        """
        return self.spec.clip(self.values(decoded))

    def code(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The code z of an example: [B, *spec.shape] -> float32 [B, K].

        If `encode` gives a distribution q(z|x), the code is its mean.
        """
        found = self.encode(example, label)
        return found[0] if isinstance(found, tuple) else found

    def reconstruct(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Encodes and decodes: [B, *spec.shape] -> the same shape."""
        z = self.code(example, label)
        return self.to_example(self.decode(z, label))

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """Adds the inputs that hold latent vectors.

        z, z_to    latent vectors.
        weight     in [0, 1]: the position on the way from z to z_to.
        spherical  1 for the arc, 0 for the straight line.
        """
        shape = [None, self.latent_size]
        return super().request_specs() | {
            'z': tf.TensorSpec(shape, tf.float32, 'z'),
            'z_to': tf.TensorSpec(shape, tf.float32, 'z_to'),
            'weight': tf.TensorSpec([None], tf.float32, 'weight'),
            'spherical': tf.TensorSpec([None], tf.int32, 'spherical'),
        }

    def signatures(self) -> dict[str, Signature]:
        way = self.with_label('z', 'z_to', 'weight', 'spherical')
        found = super().signatures() | {
            'decode': Signature(
                self._serve_decode, self.with_label('z'), makes=True
            ),
            'interpolate': Signature(self._serve_between, way, makes=True),
        }
        if isinstance(self, Encoding):
            inputs = self.with_label(self.spec.key)
            found['encode'] = Signature(self._serve_encode, inputs)
            found['reconstruct'] = Signature(
                self._serve_reconstruct, inputs, makes=True
            )
        return found

    def _serve_decode(self, z, label=None):
        return {self.spec.key: self.to_example(self.decode(z, label))}

    def _serve_between(self, z, z_to, weight, spherical, label=None):
        """The signature 'interpolate'."""
        way = between(z, z_to, weight, spherical)
        return {self.spec.key: self.to_example(self.decode(way, label))}

    def _serve_encode(self, example, label=None):
        return {'z': self.code(example, label)}

    def _serve_reconstruct(self, example, label=None):
        return {self.spec.key: self.reconstruct(example, label)}


class LatentVariableModel(LatentModel):
    """A latent model whose z has a prior, N(0, 1) by default.

    If a subclass defines `encode`, it returns mean and logvar of q(z|x).
    """

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws z from its prior and decodes it."""
        return self.to_example(self.decode(self.draw_prior(noise), label))

    def draw_prior(self, noise: Noise) -> tf.Tensor:
        """Draws z from its prior: float32 [B, K]."""
        return noise.normal('z', [self.latent_size])

    @classmethod
    def prior_quantiles(
        cls, uniform: np.ndarray, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Maps uniform numbers to quantiles of the prior of z.

        If the numbers of z are independent under the prior, each number is
        mapped separately by an increasing function.

        Args:
          uniform: [..., K] in (0, 1).
          settings: of the model.

        Returns:
          z, [..., K].
        """
        return tf.math.ndtri(uniform).numpy()

    def posterior_means(
        self, example: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """Means of the latent variables under q(z|x): float32 [B, K].

        `noise` is for models with several latent layers, which must draw
        samples to estimate a mean.
        """
        return self.code(example, label)

    def _serve_encode(self, example, label=None):
        mean, logvar = self.encode(example, label)
        return {'mean': mean, 'logvar': logvar}


def between(
    first: tf.Tensor, last: tf.Tensor, weight: tf.Tensor, spherical: tf.Tensor
) -> tf.Tensor:
    """Interpolates between two codes: [B, K].

    On the arc, the direction turns and the length changes at a constant rate
    (White 2016, section 2.1). The midpoint of two draws of a normal prior is
    then as long as the draws. The straight line replaces the arc if the codes
    are collinear or one of them is 0.

    Args:
      first, last: [B, K].
      weight: [B], 0 at `first`, 1 at `last`.
      spherical: integers [B], 0 for the straight line.
    """
    weight = weight[:, None]
    straight = (1.0 - weight) * first + weight * last
    lengths = [tf.norm(v, axis=1, keepdims=True) for v in (first, last)]
    units = [
        tf.math.divide_no_nan(v, length)
        for v, length in zip((first, last), lengths, strict=True)
    ]
    cosine = tf.reduce_sum(units[0] * units[1], axis=1, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    turned = tf.sin((1.0 - weight) * angle) * units[0]
    turned += tf.sin(weight * angle) * units[1]
    length = (1.0 - weight) * lengths[0] + weight * lengths[1]
    arc = tf.math.divide_no_nan(turned * length, tf.sin(angle))
    curved = (spherical[:, None] != 0) & (tf.abs(tf.sin(angle)) > _FLAT)
    curved &= lengths[0] * lengths[1] > 0.0
    return tf.where(curved, arc, straight)


# If the sine of the angle is not above this, the arc is a straight line.
_FLAT = 1e-4
