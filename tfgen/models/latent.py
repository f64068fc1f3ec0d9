"""Models with a latent vector z: from z to an example, and back."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.models.base import GenerativeModel, Model, Signature
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

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """What was decoded, on the scale of the data: [B, *spec.shape]."""
        return decoded

    def to_example(self, decoded: tf.Tensor) -> tf.Tensor:
        """What was decoded, as an example: [B, *spec.shape]."""
        return self.spec.clip(self.values(decoded))

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """Also z: a latent vector."""
        z = tf.TensorSpec([None, self.latent_size], tf.float32, 'z')
        return super().request_specs() | {'z': z}

    def signatures(self) -> dict[str, Signature]:
        return super().signatures() | {
            'decode': Signature(
                self._serve_decode, self.with_label('z'), makes=True
            )
        }

    def _serve_decode(self, z, label=None):
        return {self.spec.key: self.to_example(self.decode(z, label))}


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

    def _serve_encode(self, example, label=None):
        mean, logvar = self.encode(example, label)
        return {'mean': mean, 'logvar': logvar}


class Bounded(Inference):
    """A model that bounds log p(x) from below, by draws of q(z|x)."""

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
