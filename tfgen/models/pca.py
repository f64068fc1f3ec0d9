"""Principal component analysis.

Source: Pearson 1901, Hotelling 1933; the notes' first auto-encoder.
"""

from typing import Any

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Size
from tfgen.data.specs import ImageSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.models.contracts.latent import LatentModel
from tfgen.models.contracts.updates import EpochUpdate, Update


class PCA(LatentModel):
    """The linear code of K numbers with the least squared error.

    One epoch is the whole training, in batches of any size. It averages the
    moments of all examples, in float64, and computes the eigenvectors of the
    covariance.

    Args:
      spec: of images or points; D is the number of values of an example.
      latent_size: K, at most D, and at most N - 1 for N training examples: N
        points span at most N - 1 dimensions. If they span fewer than K, the
        last components are arbitrary, with variance 0.
    """

    spec_types = (ImageSpec, PointSpec)
    whole_epochs = True

    def __init__(self, spec: Spec, latent_size: Size = 2):
        super().__init__(spec)
        self.latent_size = latent_size
        size = spec.dimensions
        self.mean = self._weight([size], 'mean')
        # Rows of length 1, the one with the largest variance first. The sign of
        # a row makes its largest number positive.
        self.components = self._weight([latent_size, size], 'components')
        # Variance along each component, with N - 1 as the divisor.
        self.variances = self._weight([latent_size], 'variances')

    def _weight(self, shape, name):
        """A weight that starts at zero."""
        return self.add_weight(shape, 'zeros', name=name)

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        if settings['latent_size'] > spec.dimensions:
            raise UserError(
                f'latent_size is {settings["latent_size"]} and an example has '
                f'{spec.dimensions} numbers: use at most {spec.dimensions}'
            )
        count = spec.split_sizes.get('train')
        if count and settings['latent_size'] >= count:
            smaller = f'use at most {count - 1}, or ' if count > 1 else ''
            raise UserError(
                f'latent_size is {settings["latent_size"]}, and {count} '
                f'training examples have {count - 1} principal axes: {smaller}'
                'add examples'
            )

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[B, *spec.shape] -> code, float32 [B, K]."""
        x = tf.reshape(example, [-1, self.spec.dimensions])
        return tf.matmul(x - self.mean, self.components, transpose_b=True)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """[B, K] -> [B, *spec.shape]."""
        x = self.mean + tf.matmul(z, self.components)
        return tf.reshape(x, [-1, *self.spec.shape])

    def updates(self) -> tuple[Update, ...]:
        size = self.spec.dimensions
        return (
            EpochUpdate(
                'moments',
                self.spec.split_sizes.get('train', 1),
                {'first': [size], 'second': [size, size]},
                self._statistics,
                (self.mean, self.components, self.variances),
                self._solve,
            ),
        )

    def _statistics(self, batch, noise):
        """The error of the current code, and moments; see EpochUpdate."""
        example = batch[self.spec.key]
        off = self.decode(self.encode(example)) - example
        error = probability.sum_event(tf.square(off))
        x = tf.reshape(example, [-1, self.spec.dimensions])
        x, weight = tf.cast(x, tf.float64), tf.cast(batch['weight'], tf.float64)
        weighted = x * weight[:, None]
        sums = {
            'first': tf.reduce_sum(weighted, axis=0),
            'second': tf.matmul(weighted, x, transpose_a=True),
        }
        return {'error': error * batch['weight']}, sums

    def _solve(self, means):
        """Mean, components and variances from the moments of all examples."""
        mean, count = means['first'], self.spec.split_sizes.get('train', 1)
        covariance = means['second'] - mean[:, None] * mean
        values, vectors = tf.linalg.eigh(covariance)
        # The eigenvalues are in ascending order.
        values = values[::-1][: self.latent_size]
        rows = tf.transpose(vectors)[::-1][: self.latent_size]
        places = tf.argmax(tf.abs(rows), axis=1)
        rows *= tf.sign(tf.gather(rows, places, batch_dims=1))[:, None]
        values *= count / max(count - 1, 1)
        return [tf.cast(v, tf.float32) for v in (mean, rows, values)]
