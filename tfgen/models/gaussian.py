"""A normal distribution, fitted by its moments."""

import math

import tensorflow as tf

from tfgen.data.specs import PointSpec
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.updates import BatchUpdate, Update
from tfgen.noise import Noise

# Added to the variances: a few points on a line have no variance across it.
_FLOOR = 1e-6


class Gaussian(LikelihoodModel):
    """N(mean, covariance) of points, fitted by maximum likelihood.

    The moments are averages over all batches so far. One pass over a set is
    therefore the whole training, and the order of the batches has no influence.

    Args:
      spec: of points with D numbers.
    """

    spec_types = (PointSpec,)

    def __init__(self, spec: PointSpec):
        super().__init__(spec)
        self.first = self.add_weight([spec.size], 'zeros', name='first')
        self.second = self.add_weight(
            [spec.size, spec.size], 'identity', name='second'
        )

    def scale(self) -> tf.Tensor:
        """L with L L^T = covariance = E[x x^T] - E[x] E[x]^T: [D, D]."""
        mean = tf.convert_to_tensor(self.first)
        floor = _FLOOR * tf.eye(self.spec.size)
        return tf.linalg.cholesky(self.second - mean[:, None] * mean + floor)

    def log_prob(self, example, label=None):
        scale = self.scale()
        offset = tf.transpose(example - self.first)
        z = tf.linalg.triangular_solve(scale, offset)  # [D, B]
        log_norm = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(scale)))
        log_norm += 0.5 * self.spec.size * math.log(2.0 * math.pi)
        return -0.5 * tf.reduce_sum(tf.square(z), axis=0) - log_norm

    @takes_a_count
    def sample(self, noise: Noise, label=None):
        z = noise.normal('z', self.spec.shape)
        return self.first + tf.matmul(z, self.scale(), transpose_b=True)

    def updates(self) -> tuple[Update, ...]:
        return (BatchUpdate('moments', self._statistics, self._assign),)

    def _statistics(self, batch, noise):
        """The loss term [B], and the moments x [B, D] and x x^T [B, D, D]."""
        x = batch['point']
        shown = self.loss_terms(batch, noise)
        return shown | {'first': x, 'second': x[:, :, None] * x[:, None]}

    def _assign(self, means, step):
        """Averages the moments over all batches so far."""
        share = 1.0 / (tf.cast(step, tf.float32) + 1.0)
        for moment in (self.first, self.second):
            mean = means[moment.name]
            moment.assign(moment + share * (mean - moment))
