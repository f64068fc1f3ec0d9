"""Penalties of a GAN: for smooth discriminators, and for diverse samples.

They are pure functions of a network and of noise. The discriminator is passed
as a function of a list of tensors, because the discriminator of a BiGAN takes
two. Each penalty gives one number per example, without its weight. `PENALTIES`
is the table of all penalties; a new penalty is a new entry.

A penalty of your own is a function (game) -> [B]; see `Game`. It is called for
the update of each network, and returns None where it does not act. This keeps
the discriminator's scores small:

    def drift(game):
        if game.network == 'discriminator':
            return 0.001 * tf.square(game.score(game.real))
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen import replicas
from tfgen.gradients import with_gradients
from tfgen.losses import own
from tfgen.noise import Noise

# Tensors [B, ...] -> scores [B].
Score = Callable[[Sequence[tf.Tensor]], tf.Tensor]
# Added under a square root, whose slope at 0 is infinite. Without it, a row
# whose gradient is 0 would give the penalty a gradient of NaN.
_SAFE = 1e-12


class ClipWeights(keras.constraints.Constraint):
    """Keeps every weight within [-c, c] after every update.

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

    A row's score must depend on that row alone. The result can be
    differentiated again.
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
    """(||d score / d x|| - 1)^2 between data and samples: [B].

    Each row has one point, drawn uniformly from the line between a real and a
    fake example.

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

    Source: Kodali et al. 2017, equation 1, weight 10. The slope is taken at
    x + delta, where delta is normal. Departure: the standard deviation of delta
    is half of that of all numbers in the batch; the paper uses a constant.
    (Widely copied code adds half of the deviation times a uniform number.)
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

    For independent standard normal v and w, E (v^T A w)^2 = ||A||^2. With
    A = J^T J - I this needs J v and J w alone, by forward mode. The columns of
    J are tangent vectors of the manifold of samples. The penalty makes them
    orthonormal, so that no direction of z is lost and none counts twice.

    Source: Qi 2018 (Global versus Localized GAN), equation 8. Departures: the
    paper computes all of J, at the codes of data; here the penalty is
    estimated, at draws of the prior. The paper's second term, which keeps G
    near the data, is absent.

    Args:
      generate: [B, K] -> [B, ...]; each row depends on its own z alone.
      z: the points at which J is taken, [B, K].
      noise: one row per point.
    """
    v, w = noise.normal('v', z.shape[1:]), noise.normal('w', z.shape[1:])
    across = _along(generate, z, v) * _along(generate, z, w)
    return tf.square(_row_sums(across) - tf.reduce_sum(v * w, axis=1))


def pulling_away(features: tf.Tensor) -> tf.Tensor:
    """Mean squared cosine between a row's features and other rows': [B].

    The mean is over the OTHER rows of the global batch. It needs no loop over
    pairs: sum_j (s_i . s_j)^2 = s_i^T S s_i with S = sum_j s_j s_j^T, where s_i
    are the features of row i, scaled to length 1.

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
    # A single row has no others, and the divisor must not be 0.
    return (pairs - 1.0) / tf.maximum(total - 1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Game:
    """What a penalty may use of a GAN and of a batch.

    Attributes:
      network: whose update this is: 'discriminator' or 'generator'.
      score: the discriminator.
      real, fake: the tensors that it judges; `real` is empty in the loss of the
        generator.
      features: the last hidden layer of the discriminator, tensors -> [B, F].
      generate: [B, K] -> samples [B, ...], as the discriminator sees them.
      draw_z: draws z from the prior, [B, K].
      noise: one row per example.
    """

    network: str
    score: Score
    real: Sequence[tf.Tensor]
    fake: Sequence[tf.Tensor]
    features: Callable[[Sequence[tf.Tensor]], tf.Tensor]
    generate: Callable[[tf.Tensor], tf.Tensor]
    draw_z: Callable[[], tf.Tensor]
    noise: Noise


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A penalty in the loss of one network.

    Attributes:
      weight: the default.
      networks: 'discriminator', 'generator' or both.
      compute: Game -> [B], or None where it does not act; None for a constraint
        on the weights.
      cross_replica: whether the penalty of a row depends on the other rows of
        the global batch.
    """

    weight: float
    networks: tuple[str, ...]
    compute: Callable[[Game], tf.Tensor | None] | None
    cross_replica: bool = False


_DISCRIMINATOR, _GENERATOR = ('discriminator',), ('generator',)
# The weights are those of the papers that propose the penalties; the weight of
# 'orthonormal' is ours.
PENALTIES = {
    'weight_clipping': Penalty(0.01, _DISCRIMINATOR, None),
    'gradient_penalty': Penalty(
        10.0,
        _DISCRIMINATOR,
        lambda g: gradient_penalty(g.score, g.real, g.fake, g.noise),
    ),
    'r1': Penalty(10.0, _DISCRIMINATOR, lambda g: r1(g.score, g.real)),
    'dragan': Penalty(
        10.0,
        _DISCRIMINATOR,
        lambda g: dragan(g.score, g.real, g.noise),
        cross_replica=True,
    ),
    'orthonormal': Penalty(
        1.0,
        _GENERATOR,
        lambda g: orthonormal(g.generate, g.draw_z(), g.noise.scope('tangent')),
    ),
    'pulling_away': Penalty(
        0.1,
        _GENERATOR,
        lambda g: pulling_away(g.features(g.fake)),
        cross_replica=True,
    ),
}


def penalty(chosen: str | Callable) -> Penalty | None:
    """A penalty by its name in PENALTIES, or of your own; None for 'none'."""
    if chosen == 'none' or chosen in PENALTIES:
        return PENALTIES.get(chosen)
    function = own.per_example(chosen, 'penalty', ('game',), True)
    # Whether its rows depend on each other is not known.
    both = _DISCRIMINATOR + _GENERATOR
    return Penalty(1.0, both, function, cross_replica=True)


def _at(a, b, share):
    """a + share (b - a), with share [B] for each row."""
    share = tf.reshape(share, [-1] + [1] * (a.shape.rank - 1))
    return a + share * (b - a)


def _from_one(squares):
    """(||slope|| - 1)^2 from squared norms: [B] -> [B]."""
    return tf.square(tf.sqrt(squares + _SAFE) - 1.0)


def _row_sums(x):
    """Sums over all axes but the first: [B, ...] -> [B]."""
    return tf.reduce_sum(x, axis=list(range(1, x.shape.rank)))


def _along(function, z, direction):
    """J v: the derivative of function(z) along v, which is `direction`."""
    with tf.autodiff.ForwardAccumulator(z, direction) as accumulator:
        made = function(z)
    return accumulator.jvp(made)
