"""Samples of a model without a prior: a normal fitted to its codes."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.models.contracts.latent import LatentModel
from tfgen.noise import Noise

_CODED = 10_000  # training examples whose codes are fitted, at most


class FittedCodes:
    """Draws z of a normal distribution and decodes it.

    It makes a generative model of an auto-encoder or of PCA, so that its
    samples can be compared with those of other models.

    Args:
      model: an unconditional model with `encode` and `decode`.
      mean: of the codes, [K].
      covariance: of the codes, [K, K]; not negative.

    Attributes:
      spec, num_classes: as those of models.
    """

    num_classes = 0

    def __init__(
        self, model: LatentModel, mean: np.ndarray, covariance: np.ndarray
    ):
        self.model, self.spec = model, model.spec
        values, vectors = np.linalg.eigh(covariance)
        # The root also of a covariance with zeros.
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        self._mean = tf.constant(mean, tf.float32)
        self._root = tf.constant(root.T, tf.float32)

    @staticmethod
    def of(model: LatentModel, examples: Data) -> 'FittedCodes':
        """Fits the codes of at most 10,000 training examples."""
        codes = np.concatenate(
            [
                model.code(batch[model.spec.key])
                for batch in examples.evaluation('train', 500, _CODED)
            ]
        ).astype(np.float64)
        covariance = np.atleast_2d(np.cov(codes.T, bias=True))
        return FittedCodes(model, codes.mean(0), covariance)

    @staticmethod
    def standard(model: LatentModel) -> 'FittedCodes':
        """The prior N(0, 1), which a VAE has and an auto-encoder has not."""
        size = model.latent_size
        return FittedCodes(model, np.zeros(size), np.eye(size))

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws examples: [B, *spec.shape]."""
        normal = noise.normal('codes', [self._mean.shape[0]])
        z = self._mean + tf.matmul(normal, self._root)
        return self.model.to_example(self.model.decode(z))
