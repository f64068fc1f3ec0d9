"""Unrolled GANs: a game of two parameters, and the gradient in GAN."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import PointSpec
from tfgen.gradients import with_gradients
from tfgen.models.contracts.unrolling import unrolled
from tfgen.models.contracts.updates import GradientUpdate
from tfgen.models.gan import GAN
from tfgen.noise import BatchNoise

RUN = types.SimpleNamespace(
    learning_rate=0.05,
    schedule='constant',
    beta_1=0.5,
    steps=10,
    optimizer='adam',
)
STEPS, PLAYED, G = 3, 2, 0.7


def _value(g, d):
    """The value that g minimises and d maximises."""
    return g * d - 0.5 * d**2 + 0.1 * d**3 * g**2


class _Game:
    """The game with Keras variables g and d, after some steps of d."""

    def __init__(self):
        self.g, self.d = keras.Variable(0.3), keras.Variable(0.4)
        self.other = GradientUpdate(
            'd', lambda batch, noise: {'v': -self._rows()}, [self.d]
        )
        self.other.build(RUN)
        for _ in range(PLAYED):
            _, moves = self.other.compute({}, None, tf.reduce_mean)
            self.other.apply(moves, tf.constant(0, tf.int64))
        self.g.assign(G)

    def _rows(self):
        return tf.fill([4], 1.0) * _value(self.g.value, self.d.value)

    def gradient(self, steps):
        terms = unrolled(
            lambda batch, noise: {'v': self._rows()}, self.other, steps
        )

        def total():
            (rows,) = terms({}, None).values()
            return tf.reduce_mean(rows), rows

        return tf.function(lambda: with_gradients(total, [self.g]))()


def _reference(g, steps, stopped=None):
    """Returns V after steps of Adam on d, in float64.

    With `stopped`, the steps of d are taken for g = stopped. This is unrolling
    with a stopped gradient.
    """
    d, m, v = np.float64(0.4), 0.0, 0.0
    for number in range(1, PLAYED + steps + 1):
        own = 0.3 if number <= PLAYED else (g if stopped is None else stopped)
        slope = -(own - d + 0.3 * d**2 * own**2)
        m, v = 0.5 * m + 0.5 * slope, 0.999 * v + 0.001 * slope**2
        rate = 0.05 * np.sqrt(1 - 0.999**number) / (1 - 0.5**number)
        d = d - rate * m / (np.sqrt(v) + 1e-7)
    return _value(g, d)


def _slope(function):
    return (function(G + 1e-6) - function(G - 1e-6)) / 2e-6


def test_look_ahead_is_differentiated_through_every_step():
    game = _Game()
    rows, (found,) = game.gradient(STEPS)
    assert rows.shape == (4,)
    np.testing.assert_allclose(rows, _reference(G, STEPS), rtol=1e-5)
    expected = _slope(lambda g: _reference(g, STEPS))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    # Unrolling with a stopped gradient gives another value.
    fake = _slope(lambda g: _reference(g, STEPS, stopped=G))
    assert abs(expected - fake) > 0.01


def test_nothing_is_assigned_and_no_step_is_no_look_ahead():
    game = _Game()
    before = float(game.d)
    _, (found,) = game.gradient(0)
    np.testing.assert_allclose(found, before + 0.2 * before**3 * G, rtol=1e-5)
    game.gradient(STEPS)
    assert float(game.d) == before
    assert int(game.other.optimizer.iterations) == PLAYED


# The gradient of the GAN class against its definition in float64.


def _networks(model):
    """Returns the weights of G and of d, each [kernel, bias, ...]."""
    return [
        [tf.constant(v.numpy(), tf.float64) for v in part.trainable_variables]
        for part in (model.generator, model.discriminator)
    ]


def _mlp(weights, x, activation):
    """Returns the output of a network with one hidden layer."""
    kernel, bias, last_kernel, last_bias = weights
    return activation(x @ kernel + bias) @ last_kernel + last_bias


def _value_after(updates, generator, discriminator, adam, data, z, loss):
    """Returns f(G, d after steps of Adam), by equations 5 to 7."""

    def scores(x, weights):
        return _mlp(weights, x, lambda h: tf.nn.leaky_relu(h, 0.2))[:, 0]

    fake = _mlp(generator, z, tf.nn.relu)
    first, second, done, rate, beta_1, epsilon = adam
    weights = list(discriminator)
    for number in range(1, updates + 1):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            d_loss = tf.reduce_mean(tf.nn.softplus(-scores(data, weights)))
            d_loss += tf.reduce_mean(tf.nn.softplus(scores(fake, weights)))
        slopes = tape.gradient(d_loss, weights)
        time = done + number
        first = [
            beta_1 * m + (1 - beta_1) * s
            for m, s in zip(first, slopes, strict=True)
        ]
        second = [
            0.999 * v + 0.001 * s**2
            for v, s in zip(second, slopes, strict=True)
        ]
        scale = rate * np.sqrt(1 - 0.999**time) / (1 - beta_1**time)
        # 1e-30, because the slope of a square root at 0 is infinite.
        weights = [
            w - scale * m / (tf.sqrt(v + 1e-30) + epsilon)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
    on_data = -tf.reduce_mean(tf.nn.softplus(-scores(data, weights)))
    on_fakes = scores(fake, weights)
    if loss == 'minimax':
        own = -tf.reduce_mean(tf.nn.softplus(on_fakes))
    else:
        own = tf.reduce_mean(tf.nn.softplus(-on_fakes))
    return own + on_data, own


@pytest.mark.parametrize(
    'loss',
    [pytest.param('minimax', marks=pytest.mark.wide), 'non_saturating'],
)
@pytest.mark.parametrize(
    'updates', [pytest.param(1, marks=pytest.mark.wide), 5]
)
@pytest.mark.parametrize(
    'played', [pytest.param(3, marks=pytest.mark.wide), 400]
)
def test_an_unrolled_gans_gradient_is_that_of_the_whole_value(
    loss, updates, played
):
    keras.utils.set_random_seed(5)
    model = GAN(
        PointSpec(size=2),
        network='mlp',
        generator_units=(5,),
        discriminator_units=(6,),
        latent_size=2,
        loss=loss,
        unrolled_steps=updates,
    )
    discriminator, generator = model.updates()
    settings = vars(RUN) | {'learning_rate': 0.02}
    for update in (discriminator, generator):
        update.build(types.SimpleNamespace(**settings))
    noise = BatchNoise(tf.constant([0, 1]), 16)
    data = np.random.default_rng(3).normal([1.0, -0.5], 0.7, [16, 2])
    batch = {'point': tf.constant(data, tf.float32)}

    def statistics(update):
        return tf.function(
            lambda: update.compute(
                batch, noise, lambda v: tf.reduce_mean(v, axis=0)
            )
        )

    moves = statistics(discriminator)
    for step in range(played):
        discriminator.apply(moves()[1], tf.constant(step, tf.int64))
    _, found = statistics(generator)()

    adam = discriminator.optimizer
    as_float64 = [
        [tf.constant(m.numpy(), tf.float64) for m in moments]
        for moments in (adam._momentums, adam._velocities)
    ]
    state = (*as_float64, played, 0.02, 0.5, adam.epsilon)
    z = tf.cast(model.draw_prior(noise), tf.float64)
    weights, others = _networks(model)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        whole, own = _value_after(
            updates, weights, others, state, tf.constant(data), z, loss
        )
    expected = _flat(tape.gradient(whole, weights))
    np.testing.assert_allclose(
        _flat(found), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )
    # Unrolling G's own term alone gives another gradient.
    part = _flat(tape.gradient(own, weights))
    assert np.linalg.norm(part - expected) > 2e-3 * np.linalg.norm(expected)


def _flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])
