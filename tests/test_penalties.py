"""Penalties against closed forms, explicit loops and float64 differences."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.gradients import with_gradients
from tfgen.losses import penalties
from tfgen.noise import BatchNoise

RNG = np.random.default_rng(3)
ROWS, SIZE = 64, 3
A, B = RNG.normal(size=[SIZE, 5]), RNG.normal(size=[5])
REAL, FAKE = RNG.normal(size=[2, ROWS, SIZE])


def _noise(rows=ROWS):
    return BatchNoise(tf.constant([7, 7]), rows)


def _score(tensors):
    """tanh(x A) . B"""
    (x,) = tensors
    return tf.linalg.matvec(tf.tanh(x @ tf.constant(A, tf.float32)), B32)


B32 = tf.constant(B, tf.float32)


def _slopes(x):
    """Returns the gradient of `_score`, in float64."""
    return ((1 - np.tanh(x @ A) ** 2) * B) @ A.T


def _tensors(*arrays):
    return [[tf.constant(a, tf.float32)] for a in arrays]


def test_gradient_penalty_is_that_of_points_between():
    share = _noise().uniform('mix', []).numpy().astype(np.float64)[:, None]
    slopes = _slopes(FAKE + share * (REAL - FAKE))
    found = penalties.gradient_penalty(_score, *_tensors(REAL, FAKE), _noise())
    expected = (np.linalg.norm(slopes, axis=1) - 1) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gradient_penalty_mixes_uniformly_and_every_row_for_itself():
    # The gradient of |x|^2 / 2 is x, which here is the interpolation weight.
    def score(tensors):
        return 0.5 * tf.reduce_sum(tensors[0] ** 2, axis=1)

    rows = 4000
    zero, one = tf.zeros([rows, 1]), tf.ones([rows, 1])
    found = penalties.gradient_penalty(score, [zero], [one], _noise(rows))
    places = np.sort(1 - np.sqrt(found))
    # Kolmogorov-Smirnov distance to the uniform distribution.
    assert np.abs(places - (np.arange(rows) + 0.5) / rows).max() < 0.03


def test_a_slope_of_zero_has_a_finite_gradient():
    w = keras.Variable(-1.0)

    def score(tensors):  # w is -1, so the slope is 0 for positive x
        return tf.reduce_sum(tf.nn.relu(tensors[0] * w.value), axis=1)

    ones = tf.ones([4, 2])
    for penalty in (
        lambda: penalties.gradient_penalty(score, [ones], [ones], _noise(4)),
        lambda: penalties.dragan(score, [ones], _noise(4)),
        lambda: penalties.r1(score, [ones]),
    ):
        value = penalty()
        assert np.all(np.isfinite(value))
        _, (slope,) = with_gradients(
            lambda penalty=penalty: (tf.reduce_sum(penalty()), None), [w]
        )
        assert np.isfinite(slope)


def test_r1_is_half_the_squared_slope_at_the_data():
    found = penalties.r1(_score, *_tensors(REAL))
    expected = 0.5 * (_slopes(REAL) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', ['gradient_penalty', 'r1', 'dragan'])
def test_the_gradient_of_a_penalty_is_its_own_in_float64(name):
    # It passes through the slope. If that were stopped, it would be 0.
    w = keras.Variable(0.7)

    def score(tensors):
        return tf.reduce_sum(tf.tanh(tensors[0] * w.value), axis=1)

    real, fake = _tensors(REAL, FAKE)
    penalty = {
        'gradient_penalty': lambda: penalties.gradient_penalty(
            score, real, fake, _noise()
        ),
        'r1': lambda: penalties.r1(score, real),
        'dragan': lambda: penalties.dragan(score, real, _noise()),
    }[name]
    _, (slope,) = tf.function(
        lambda: with_gradients(lambda: (tf.reduce_mean(penalty()), None), [w])
    )()

    def reference(w):
        share = _noise().uniform('mix', []).numpy()[:, None]
        delta = _noise().normal('near0', [SIZE]).numpy()
        x = {
            'gradient_penalty': FAKE + share * (REAL - FAKE),
            'r1': REAL,
            'dragan': REAL + 0.5 * REAL.std() * delta,
        }[name]
        squares = ((w * (1 - np.tanh(w * x) ** 2)) ** 2).sum(axis=1)
        each = squares / 2 if name == 'r1' else (np.sqrt(squares) - 1) ** 2
        return each.mean()

    np.testing.assert_allclose(
        tf.reduce_mean(penalty()), reference(0.7), rtol=1e-4
    )
    expected = (reference(0.7 + 1e-6) - reference(0.7 - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, expected, rtol=1e-3)


def test_a_discriminator_of_two_tensors_has_the_slope_of_both():
    def score(tensors):
        return _score(tensors[:1]) + tf.reduce_sum(tensors[1] ** 2, axis=1)

    (x,), (z,) = _tensors(REAL, FAKE)
    expected = (_slopes(REAL) ** 2).sum(1) + (4 * FAKE**2).sum(1)
    np.testing.assert_allclose(
        penalties.squared_slope(score, [x, z]), expected, rtol=1e-4
    )


def test_orthonormal_estimates_the_distance_of_all_tangents():
    # For G(z) = tanh(z M) the Jacobian is known.
    m = RNG.normal(size=[2, 4])
    rows = 20000
    z = np.tile(RNG.normal(size=[1, 2]), [rows, 1])
    found = penalties.orthonormal(
        lambda z: tf.tanh(z @ tf.constant(m, tf.float32)),
        tf.constant(z, tf.float32),
        _noise(rows),
    ).numpy()
    jacobian = (1 - np.tanh(z[0] @ m) ** 2)[:, None] * m.T
    off = jacobian.T @ jacobian - np.eye(2)
    error = found.std() / np.sqrt(rows)
    assert abs(found.mean() - (off**2).sum()) < 5 * error
    # For orthonormal tangents it is 0 in every pair of directions.
    turn = np.linalg.qr(RNG.normal(size=[4, 2]))[0].T
    exact = penalties.orthonormal(
        lambda z: z @ tf.constant(turn, tf.float32), tf.zeros([9, 2]), _noise(9)
    )
    np.testing.assert_allclose(exact, 0.0, atol=1e-9)


def test_orthonormal_is_differentiated_through_the_tangents():
    w = keras.Variable(1.3)
    z = tf.constant(RNG.normal(size=[8, 1]), tf.float32)

    def penalty():
        return penalties.orthonormal(lambda z: z * w.value, z, _noise(8))

    _, (slope,) = tf.function(
        lambda: with_gradients(lambda: (tf.reduce_mean(penalty()), None), [w])
    )()
    v, u = (_noise(8).normal(n, [1]).numpy()[:, 0] for n in 'vw')
    # ((w^2 - 1) v u)^2
    expected = (2 * (1.3**2 - 1) * 2 * 1.3 * (v * u) ** 2).mean()
    np.testing.assert_allclose(slope, expected, rtol=1e-4)


def test_pulling_away_is_the_mean_square_of_the_cosines_of_all_pairs():
    features = RNG.normal(size=[9, 4])
    found = penalties.pulling_away(tf.constant(features, tf.float32))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    pairs = [(a @ b) ** 2 for a, b in itertools.permutations(unit, 2)]
    np.testing.assert_allclose(np.mean(found), np.mean(pairs), rtol=1e-5)
    # The term of a row is the mean of its squared cosines with other rows.
    own = np.mean([(unit[0] @ b) ** 2 for b in unit[1:]])
    np.testing.assert_allclose(found[0], own, rtol=1e-5)


def test_clipped_weights_stay_within():
    clip = penalties.ClipWeights(0.3)
    np.testing.assert_allclose(
        clip(tf.constant([-2.0, -0.1, 0.2, 0.7])), [-0.3, -0.1, 0.2, 0.3]
    )
    again = penalties.ClipWeights(**clip.get_config())
    assert again.limit == 0.3
