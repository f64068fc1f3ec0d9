"""Models with a latent vector z: from z to an example, and back."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.models.contracts.model import GenerativeModel, Model, Signature
from tfgen.noise import Noise


class Decoding(Model):
    """An example is made of z in K dimensions.

    A subclass gives `decode`, and `values` where what is decoded is not the
    example itself.
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
        return super().signatures() | {
            'decode': Signature(
                self._serve_decode, self.with_label('z'), makes=True
            ),
            'interpolate': Signature(self._serve_between, way, makes=True),
        }

    def _serve_decode(self, z, label=None):
        return {self.spec.key: self.to_example(self.decode(z, label))}

    def _serve_between(self, z, z_to, weight, spherical, label=None):
        way = between(z, z_to, weight, spherical)
        return {self.spec.key: self.to_example(self.decode(way, label))}


class Coding(Decoding):
    """A model that also says which z stands for an example: its code."""

    @abc.abstractmethod
    def code(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[B, *spec.shape] -> float32 [B, K]."""

    def reconstruct(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Decodes the code: [B, *spec.shape] -> the same."""
        z = self.code(example, label)
        return self.to_example(self.decode(z, label))

    def signatures(self) -> dict[str, Signature]:
        inputs = self.with_label(self.spec.key)
        return super().signatures() | {
            'encode': Signature(self._serve_encode, inputs),
            'reconstruct': Signature(
                self._serve_reconstruct, inputs, makes=True
            ),
        }

    def _serve_encode(self, example, label=None):
        return {'z': self.code(example, label)}

    def _serve_reconstruct(self, example, label=None):
        return {self.spec.key: self.reconstruct(example, label)}


class Latent(Decoding, GenerativeModel):
    """z is drawn: from N(0, 1), if a subclass does not say otherwise."""

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


class Inference(Coding, Latent):
    """A model that says by which z an example may have been made: q(z|x)."""

    @abc.abstractmethod
    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, *spec.shape] -> mean, logvar, each float32 [B, K]."""

    def code(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The mean of q(z|x)."""
        mean, _ = self.encode(example, label)
        return mean

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


class Bounded(Inference):
    """A model that bounds log p(x) from below, by draws of q(z|x).

    p(z) is the standard normal distribution.
    """

    @abc.abstractmethod
    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]."""

    @abc.abstractmethod
    def elbo(
        self, example: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """E log p(x|z) - KL(q(z|x) || p(z)) <= log p(x), one draw: [B]."""

    @abc.abstractmethod
    def log_weights(
        self,
        example: tf.Tensor,
        label: tf.Tensor | None,
        noise: Noise,
        num_samples: int,
    ) -> tf.Tensor:
        """log p(x, z_s) - log q(z_s|x) for S draws of q: [S, B].

        Their mean estimates the ELBO, their log-mean-exp the tighter
        importance weighted bound (Burda et al. 2016, equation 8).
        """

    @property
    @abc.abstractmethod
    def is_density(self) -> bool:
        """Whether p(x|z) is a density on the data's range, no probability."""

    def signatures(self) -> dict[str, Signature]:
        inputs = self.with_label(self.spec.key, 'seed')
        return super().signatures() | {
            'elbo': Signature(self._serve_elbo, inputs)
        }

    def _serve_elbo(self, example, noise, label=None):
        return {'elbo': self.elbo(example, label, noise)}


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
