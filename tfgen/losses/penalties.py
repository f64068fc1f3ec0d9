"""Penalties of a GAN: what keeps a discriminator smooth, or a generator apart.

Pure functions of a network, which is given as a function of a list of tensors
(a BiGAN's discriminator sees two), and of noise; each gives one number per
example, without its weight.
"""

import functools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen import replicas
from tfgen.gradients import with_gradients
from tfgen.noise import Noise

# Tensors [B, ...] -> scores [B].
Score = Callable[[Sequence[tf.Tensor]], tf.Tensor]
# Under a square root, whose slope at 0 is infinite: of a row whose gradient is
# 0 the penalty's own gradient would be NaN.
_SAFE = 1e-12


class ClipWeights(keras.constraints.Constraint):
    """Every weight within [-c, c], after every update.

    Source: Arjovsky et al. 2017, algorithm 1 (WGAN), with c = 0.01.

    Args:
      limit: c.
    """

    def __init__(self, limit: float):
        self.limit = limit

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(
            tf.convert_to_tensor(value), -self.limit, self.limit
        )

    def get_config(self) -> dict:
        return {'limit': self.limit}


def squared_slope(score: Score, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """||d score / d x||^2 of each row: [B].

    A row's score must depend on its own row alone. It can be differentiated
    again.
    """
    tensors = [tf.identity(t) for t in tensors]
    _, slopes = with_gradients(
        lambda: (tf.reduce_sum(score(tensors)), None), tensors
    )
    return functools.reduce(
        tf.add, [_row_sums(tf.square(slope)) for slope in slopes]
    )


def gradient_penalty(
    score: Score,
    real: Sequence[tf.Tensor],
    fake: Sequence[tf.Tensor],
    noise: Noise,
) -> tf.Tensor:
    """(||d score / d x|| - 1)^2 at a point between a real and a fake: [B].

    The place on the line between the two is uniform, and each row's own.

    Source: Gulrajani et al. 2017, equation 3 (WGAN-GP), weight 10.
    """
    share = noise.uniform('mix', [])
    mixed = [_at(f, r, share) for r, f in zip(real, fake, strict=True)]
    return _from_one(squared_slope(score, mixed))


def r1(score: Score, real: Sequence[tf.Tensor]) -> tf.Tensor:
    """||d score / d x||^2 / 2 at the data: [B].

    Source: Mescheder et al. 2018, equation 9, weight gamma = 10.
    """
    return 0.5 * squared_slope(score, real)


def dragan(score: Score, real: Sequence[tf.Tensor], noise: Noise) -> tf.Tensor:
    """(||d score / d x|| - 1)^2 near the data: [B].

    Source: Kodali et al. 2017, equation 1, weight 10: at x + delta, delta
    normal. Departure: its deviation is half of the batch's own, over all
    numbers, where the paper has a constant. (Code that is widely copied adds
    half of the deviation times a uniform number.)
    """
    near = []
    for number, x in enumerate(real):
        mean, square = tf.unstack(
            replicas.mean(
                tf.stack([tf.reduce_mean(x), tf.reduce_mean(tf.square(x))])
            )
        )
        deviation = tf.sqrt(tf.nn.relu(square - tf.square(mean)) + _SAFE)
        delta = noise.normal(f'near{number}', x.shape[1:])
        near.append(x + tf.stop_gradient(0.5 * deviation) * delta)
    return _from_one(squared_slope(score, near))


def orthonormal(
    generate: Callable[[tf.Tensor], tf.Tensor], z: tf.Tensor, noise: Noise
) -> tf.Tensor:
    """An unbiased estimate of ||J^T J - I||^2 (Frobenius), J = dG/dz: [B].

    For independent standard normal v and w, E (v^T A w)^2 = ||A||^2; with
    A = J^T J - I that takes J v and J w alone, by forward mode. The columns of
    J are tangent vectors of the manifold of samples: it asks that they be
    orthonormal, so that no direction of z is lost and none counts twice.

    Source: Qi 2018 (Global versus Localized GAN), equation 8. Departures: the
    paper takes all of J, and at the codes of data with a second term that
    keeps G near each of them; here J is estimated, at draws of the prior, and
    there is no such term.

    Args:
      generate: [B, K] -> [B, ...], a row of its own row alone.
      z: where, [B, K].
    """
    v, w = noise.normal('v', z.shape[1:]), noise.normal('w', z.shape[1:])
    across = _along(generate, z, v) * _along(generate, z, w)
    return tf.square(_row_sums(across) - tf.reduce_sum(v * w, axis=1))


def pulling_away(features: tf.Tensor) -> tf.Tensor:
    """Squared cosines between a row's features and those of all others: [B].

    Their mean over the OTHER rows of the global batch, without a loop over
    pairs: sum_j (s_i . s_j)^2 = s_i^T S s_i with S = sum_j s_j s_j^T.

    Source: Zhao et al. 2017, equation 4 (EBGAN-PT), weight 0.1.

    Args:
      features: of the samples of a batch, [B, F].
    """
    squares = tf.reduce_sum(tf.square(features), axis=1, keepdims=True)
    unit = features * tf.math.rsqrt(squares + _SAFE)
    rows = tf.cast(tf.shape(unit)[0], unit.dtype)
    second = replicas.mean(tf.matmul(unit, unit, transpose_a=True) / rows)
    total = rows * replicas.count()
    pairs = total * tf.reduce_sum(tf.matmul(unit, second) * unit, axis=1)
    # (A row alone has no others.)
    return (pairs - 1.0) / tf.maximum(total - 1.0, 1.0)


def _at(a, b, share):
    """a + share (b - a), a share for each row."""
    share = tf.reshape(share, [-1] + [1] * (a.shape.rank - 1))
    return a + share * (b - a)


def _from_one(squares):
    return tf.square(tf.sqrt(squares + _SAFE) - 1.0)


def _row_sums(x):
    return tf.reduce_sum(x, axis=list(range(1, x.shape.rank)))


def _along(function, z, direction):
    """J v: the derivative of function(z) along v."""
    with tf.autodiff.ForwardAccumulator(z, direction) as accumulator:
        made = function(z)
    return accumulator.jvp(made)
