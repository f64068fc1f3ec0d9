"""Models with a latent vector z: from z to an example, and back."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.models.contracts.capabilities import Encoding
from tfgen.models.contracts.model import Model, Signature
from tfgen.noise import Noise


class LatentModel(Model):
    """A model that makes an example of a latent vector z in K dimensions.

    A subclass gives `decode`, and `values` if the decoder's output is not the
    example itself. One that also gives `encode` can reconstruct.
    """

    # K.
    latent_size: int

    @abc.abstractmethod
    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """[B, K] -> what the network says of the example."""

    @classmethod
    def code_size(cls, settings: Mapping[str, Any]) -> int:
        """K, of a model of these settings."""
        return settings['latent_size']

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """What was decoded, on the scale of the data: [B, *spec.shape]."""
        return decoded

    def to_example(self, decoded: tf.Tensor) -> tf.Tensor:
        """What was decoded, as an example: [B, *spec.shape]."""
        return self.spec.clip(self.values(decoded))

    def code(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """z of an example: [B, *spec.shape] -> float32 [B, K].

        The mean of q(z|x) where `encode` gives a distribution.
        """
        found = self.encode(example, label)
        return found[0] if isinstance(found, tuple) else found

    def reconstruct(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Decodes the code: [B, *spec.shape] -> the same."""
        z = self.code(example, label)
        return self.to_example(self.decode(z, label))

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """Also

        z, z_to    latent vectors.
        weight     in [0, 1]: how far on the way from z to z_to.
        spherical  1 along the arc, 0 along the straight line.
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
        way = between(z, z_to, weight, spherical)
        return {self.spec.key: self.to_example(self.decode(way, label))}

    def _serve_encode(self, example, label=None):
        return {'z': self.code(example, label)}

    def _serve_reconstruct(self, example, label=None):
        return {self.spec.key: self.reconstruct(example, label)}


class LatentVariableModel(LatentModel):
    """A latent model whose z has a prior, by default N(0, 1).

    `encode`, if there is one, gives mean and logvar of q(z|x).
    """

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws z from its prior and decodes it."""
        return self.to_example(self.decode(self.draw_prior(noise), label))

    def draw_prior(self, noise: Noise) -> tf.Tensor:
        """z: float32 [B, K]."""
        return noise.normal('z', [self.latent_size])

    @classmethod
    def prior_quantiles(
        cls, uniform: np.ndarray, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """Uniform numbers in (0, 1), [..., K], as z of the prior.

        Each number by itself and rising, where the prior's are independent.

        Args:
          settings: of the model.
        """
        return tf.math.ndtri(uniform).numpy()

    def posterior_means(
        self, example: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """E of each latent variable under q(z|x): float32 [B, K].

        `noise` is for a model of several layers, which has to draw.
        """
        return self.code(example, label)

    def _serve_encode(self, example, label=None):
        mean, logvar = self.encode(example, label)
        return {'mean': mean, 'logvar': logvar}


def between(
    first: tf.Tensor, last: tf.Tensor, weight: tf.Tensor, spherical: tf.Tensor
) -> tf.Tensor:
    """A place on the way between two codes: [B, K].

    Along the arc directions turn and lengths change evenly (White 2016,
    section 2.1), so that the middle of two draws of a normal prior is as long
    as they are. Between codes in one
    line, and from 0, it is the straight line.

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


_FLAT = 1e-4  # sine of an angle at which an arc is a line
