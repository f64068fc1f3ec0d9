"""Mixture of Gaussians, fitted by expectation maximisation (EM).

Source: Dempster, Laird and Rubin 1977; Bishop 2006, section 9.2; the notes'
mixture, whose discrete code becomes a distributed one in the VAE.
"""

import math
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfgen.arguments import Positive, Size
from tfgen.data.specs import ImageSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Signature
from tfgen.models.contracts.updates import Batch, EpochUpdate, Update
from tfgen.noise import Noise

Covariance = Literal['full', 'tied', 'diagonal', 'spherical']


class GMM(LikelihoodModel):
    """p(x) = sum over m of mixing_m N(x; mean_m, covariance_m).

    An epoch is one iteration of EM, in batches of any size. It averages the
    sums of the M step over all examples, in float64, and never lowers the
    likelihood of the training set. The first iteration starts from k-means++
    centres (Arthur and Vassilvitskii 2007) among the first batch, and from the
    covariance within their clusters.

    Args:
      spec: of images or points; D is the number of values of an example. The
        density of images is over real values on [0, 1]; samples are clipped to
        this range.
      num_components: M, at most the number of training examples. If the first
        batch has fewer different examples, some components start equal and
        stay equal.
      covariance: of each component: 'full'; 'tied', full and the same for all;
        'diagonal'; 'spherical', one variance for all numbers.
      variance_floor: least variance, in any direction. The M step is the
        optimum under this constraint.
    """

    spec_types = (ImageSpec, PointSpec)
    whole_epochs = True

    def __init__(
        self,
        spec: Spec,
        num_components: Size = 10,
        covariance: Covariance = 'full',
        variance_floor: Positive = 1e-6,
    ):
        super().__init__(spec)
        self.num_components, self.covariance = num_components, covariance
        self.variance_floor = variance_floor
        size = spec.dimensions
        shapes = {
            'full': [num_components, size, size],
            'tied': [1, size, size],
            'diagonal': [num_components, size],
            'spherical': [num_components, 1],
        }
        self.mixing = self._weight([num_components], 'mixing')
        self.means = self._weight([num_components, size], 'means')
        # The Cholesky factor of each covariance, or standard deviations.
        self.scales = self._weight(shapes[covariance], 'scales')
        self.mixing.assign(tf.ones_like(self.mixing) / num_components)
        ones = tf.ones(shapes[covariance], tf.float64)
        self.scales.assign(
            tf.linalg.band_part(ones, 0, 0) if self._matrices else ones
        )

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        count = spec.split_sizes.get('train')
        if count and settings['num_components'] > count:
            raise UserError(
                f'num_components is {settings["num_components"]}, and the '
                f'number of training examples is {count}: use at most {count}, '
                'or add examples'
            )

    def _weight(self, shape, name):
        """A float64 weight that starts at zero."""
        return self.add_weight(shape, 'zeros', 'float64', name=name)

    @property
    def _matrices(self):
        """Whether covariances are matrices."""
        return self.covariance in ('full', 'tied')

    @property
    def is_density(self) -> bool:
        return True

    def log_joint(self, example: tf.Tensor) -> tf.Tensor:
        """log p(x, m) in nats: [B, *spec.shape] -> float64 [B, M]."""
        x, means = self._flat(example), tf.convert_to_tensor(self.means)
        scales = tf.convert_to_tensor(self.scales)
        lengths = tf.linalg.diag_part(scales) if self._matrices else scales
        if self.covariance == 'tied':
            # Whitened coordinates, in which all deviations are 1.
            x, means = (_whitened(scales[0], rows) for rows in (x, means))
            scales = tf.ones_like(means)

        def distance(component):
            """Squared Mahalanobis distances to one component's mean: [B]."""
            mean, scale = component
            if self.covariance == 'full':
                off = _whitened(scale, x - mean)
            else:
                off = (x - mean) / scale
            return tf.reduce_sum(tf.square(off), axis=1)

        # One component at a time: all at once may not fit into memory.
        squares = tf.map_fn(
            distance, (means, scales), fn_output_signature=x.dtype
        )  # [M, B]
        lengths = tf.broadcast_to(lengths, means.shape)
        log_norm = tf.reduce_sum(tf.math.log(lengths), axis=1)
        log_norm += 0.5 * self.spec.dimensions * math.log(2.0 * math.pi)
        log_weights = tf.math.log(tf.convert_to_tensor(self.mixing))
        return tf.transpose(-0.5 * squares) - log_norm + log_weights

    def log_prob(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        log_prob = tf.reduce_logsumexp(self.log_joint(example), axis=1)
        return tf.cast(log_prob, tf.float32)

    def responsibilities(self, example: tf.Tensor) -> tf.Tensor:
        """p(m | x): [B, *spec.shape] -> float32 [B, M]."""
        return tf.cast(tf.nn.softmax(self.log_joint(example)), tf.float32)

    def components(self) -> dict[str, np.ndarray]:
        """The components, as arrays of float64.

        Returns:
          weights: [M], the mixing proportions.
          means: [M, D].
          scales: [M, D, D], or [1, D, D] if all are equal: a component's
            covariance is scale scale^T.
        """
        scales = self.scales.numpy()
        if not self._matrices:
            scales = scales[:, :, None] * np.eye(self.spec.dimensions)
        return {
            'weights': self.mixing.numpy(),
            'means': self.means.numpy(),
            'scales': scales,
        }

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws a component by its weight, then an example from it."""
        ends = tf.cumsum(tf.convert_to_tensor(self.mixing))
        u = tf.cast(noise.uniform('component', []), tf.float64) * ends[-1]
        chosen = tf.searchsorted(ends, u, side='right')
        z = noise.normal('z', [self.spec.dimensions])
        scales = tf.cast(tf.convert_to_tensor(self.scales), tf.float32)
        if self._matrices:
            moved = tf.einsum('bd,med->bme', z, scales)
            if self.covariance == 'tied':
                moved = moved[:, 0]
            else:
                moved = tf.gather(moved, chosen, batch_dims=1)
        else:
            moved = z * tf.gather(scales, chosen)
        means = tf.cast(tf.convert_to_tensor(self.means), tf.float32)
        x = tf.gather(means, chosen) + moved
        return self.spec.clip(tf.reshape(x, [-1, *self.spec.shape]))

    def num_free(self) -> int:
        """Number of free parameters, for the Bayesian information criterion."""
        count, size = self.num_components, self.spec.dimensions
        pairs = size * (size + 1) // 2
        shapes = {
            'full': count * pairs,
            'tied': pairs,
            'diagonal': count * size,
            'spherical': count,
        }
        return count - 1 + count * size + shapes[self.covariance]

    # The fit.

    def initialize_from(self, batch: Batch, noise: Noise) -> None:
        """Starts from k-means++ centres, each with its nearest examples."""
        x = self._flat(batch[self.spec.key])
        u = tf.cast(noise.uniform('centre', [self.num_components])[0], x.dtype)
        centres = plus_plus(x, u)
        nearest = tf.argmin(_squares(x, centres), axis=1)
        shares = tf.one_hot(nearest, self.num_components, dtype=x.dtype)
        count = tf.reduce_sum(shares, axis=0)
        means = tf.matmul(shares, x, transpose_a=True) / count[:, None]
        # If two centres are equal, the second one has no examples.
        means = tf.where(count[:, None] > 0, means, centres)
        off = x - tf.gather(means, nearest)
        rows = tf.cast(tf.shape(x)[0], x.dtype)
        if self._matrices:
            within = tf.matmul(off, off, transpose_a=True) / rows
        else:
            within = tf.reduce_mean(tf.square(off), axis=0)
            if self.covariance == 'spherical':
                within = tf.reduce_mean(within, keepdims=True)
        self.means.assign(means)
        self.scales.assign(
            tf.broadcast_to(self._scale(within[None]), self.scales.shape)
        )

    def updates(self) -> tuple[Update, ...]:
        size, count = self.spec.dimensions, self.num_components
        shapes = {'weight': [count], 'first': [count, size]}
        shapes['second'] = {
            'full': [count, size, size],
            'tied': [1, size, size],
        }.get(self.covariance, [count, size])
        return (
            EpochUpdate(
                'em',
                self.spec.split_sizes.get('train', 1),
                shapes,
                self._statistics,
                (self.mixing, self.means, self.scales),
                self._solve,
            ),
        )

    def _statistics(self, batch, noise):
        """The E step; see EpochUpdate."""
        x, weight = self._flat(batch[self.spec.key]), batch['weight']
        joint = self.log_joint(x)
        log_prob = tf.cast(tf.reduce_logsumexp(joint, axis=1), tf.float32)
        shares = tf.nn.softmax(joint) * tf.cast(weight, tf.float64)[:, None]
        shown = {'negative_log_likelihood': -log_prob * weight}
        return shown, self._sums(x, shares)

    def _sums(self, x, shares):
        """Sums for the M step, from rows x [B, D] and weights [B, M]."""
        if self.covariance == 'full':
            second = tf.map_fn(
                lambda share: tf.matmul(
                    x * share[:, None], x, transpose_a=True
                ),
                tf.transpose(shares),
            )
        elif self.covariance == 'tied':
            share = tf.reduce_sum(shares, axis=1, keepdims=True)
            second = tf.matmul(x * share, x, transpose_a=True)[None]
        else:
            second = tf.matmul(shares, tf.square(x), transpose_a=True)
        return {
            'weight': tf.reduce_sum(shares, axis=0),
            'first': tf.matmul(shares, x, transpose_a=True),
            'second': second,
        }

    def _solve(self, sums):
        """The M step: mixing, means and scales."""
        weight, second = sums['weight'], sums['second']
        # A component that has lost all examples keeps its parameters.
        alive = weight > _LOST
        share = tf.where(alive, weight, 1.0)[:, None]
        means = tf.where(alive[:, None], sums['first'] / share, self.means)
        if self.covariance == 'full':
            outer = means[:, :, None] * means[:, None]
            covariance = second / share[..., None] - outer
        elif self.covariance == 'tied':
            outer = tf.matmul(means * weight[:, None], means, transpose_a=True)
            covariance = second - outer
        else:
            covariance = second / share - tf.square(means)
            if self.covariance == 'spherical':
                covariance = tf.reduce_mean(covariance, axis=1, keepdims=True)
        scales = self._scale(covariance)
        if self.covariance != 'tied':
            own = tf.reshape(alive, [-1] + [1] * (scales.shape.rank - 1))
            scales = tf.where(own, scales, self.scales)
        return [weight / tf.reduce_sum(weight), means, scales]

    def _scale(self, covariance):
        """Cholesky factors or deviations of covariances, after the floor."""
        if not self._matrices:
            return tf.sqrt(tf.maximum(covariance, self.variance_floor))
        values, vectors = tf.linalg.eigh(covariance)
        values = tf.maximum(values, self.variance_floor)
        return tf.linalg.cholesky(
            tf.matmul(vectors * values[:, None], vectors, transpose_b=True)
        )

    def _flat(self, example):
        """[B, *spec.shape] -> float64 [B, D]."""
        x = tf.reshape(example, [-1, self.spec.dimensions])
        return tf.cast(x, tf.float64)

    def signatures(self) -> dict[str, Signature]:
        """Adds `responsibilities`."""
        return super().signatures() | {
            'responsibilities': Signature(self._serve_shares, (self.spec.key,))
        }

    def _serve_shares(self, example):
        """The signature 'responsibilities'."""
        return {'responsibilities': self.responsibilities(example)}


# A component whose share of all examples is not above this has lost them all.
_LOST = 1e-12


def _whitened(scale, rows):
    """scale^-1 x for each row x of `rows`: [D, D], [B, D] -> [B, D].

    `scale` is a Cholesky factor.
    """
    return tf.transpose(tf.linalg.triangular_solve(scale, tf.transpose(rows)))


def plus_plus(points: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Chooses M of N points as centres, by k-means++.

    The probability of a point is proportional to its squared distance to the
    nearest centre so far; the first centre is uniform.

    Source: Arthur and Vassilvitskii 2007 (k-means++), section 2.2.

    Args:
      points: float64 [N, D].
      uniform: float64 [M] in (0, 1); decides the draws.

    Returns:
      float64 [M, D]. If all points are equal, so are the centres.
    """
    count = tf.shape(points)[0]
    likely = tf.ones([count], points.dtype)
    centres = []
    for u in tf.unstack(uniform):
        ends = tf.cumsum(likely)
        row = tf.searchsorted(ends, u[None] * ends[-1], side='right')[0]
        centres.append(points[tf.minimum(row, count - 1)])
        off = tf.reduce_sum(tf.square(points - centres[-1]), axis=1)
        likely = off if len(centres) == 1 else tf.minimum(likely, off)
    return tf.stack(centres)


def _squares(x, centres):
    """Squared distances: [N, D], [M, D] -> [N, M]."""
    return tf.stack(
        [tf.reduce_sum(tf.square(x - c), axis=1) for c in tf.unstack(centres)],
        1,
    )
