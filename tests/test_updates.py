"""Updates: gradients in pairs, own rates, assignments, functional weights."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.gradients import with_gradients
from tfgen.models.contracts.updates import BatchUpdate, GradientUpdate

RUN = types.SimpleNamespace(
    learning_rate=0.1,
    schedule='constant',
    beta_1=0.9,
    steps=10,
    optimizer='adam',
)


def _mean(values):
    return tf.reduce_mean(values, axis=0)


def _wide_sums(function, *arguments):
    graph = tf.function(function).get_concrete_function(*arguments).graph
    return [
        op.name
        for op in graph.get_operations()
        if op.type == 'AddN' and len(op.inputs) > 2
    ]


def test_gradients_are_those_of_a_tape_and_meet_in_pairs():
    x = tf.constant([0.3, -0.2, 1.5])

    def total():
        return tf.reduce_sum(tf.sin(x) * tf.cos(x) + tf.exp(x) * x), None

    with tf.GradientTape() as tape:
        tape.watch(x)
        value, _ = total()
    expected = tape.gradient(value, x)
    for gradients in (
        lambda: with_gradients(total, [x])[1],
        tf.function(lambda: with_gradients(total, [x])[1]),
        tf.function(lambda: with_gradients(total, [x])[1], jit_compile=True),
    ):
        np.testing.assert_allclose(gradients()[0], expected, rtol=1e-5)
    assert not _wide_sums(lambda: with_gradients(total, [x])[1])


def test_a_gradient_penalty_is_differentiated_in_pairs_as_well():
    # The loss of WGAN-GP's critic (Gulrajani et al. 2017) contains a gradient,
    # here of a network with two layers.
    first, second = keras.layers.Dense(5), keras.layers.Dense(1)
    first.build([None, 3])
    second.build([None, 5])
    variables = first.trainable_variables + second.trainable_variables
    x = tf.constant(np.random.default_rng(0).random([4, 3]), tf.float32)

    def penalty(x):
        def score():
            h = first(x)
            return tf.reduce_sum(second(tf.tanh(h) * h + h)), None

        _, (slope,) = with_gradients(score, [x])
        norm = tf.sqrt(tf.reduce_sum(slope**2, axis=1) + 1e-12)
        return tf.reduce_sum((norm - 1.0) ** 2)

    def gradients(x):
        return with_gradients(lambda: (penalty(x), None), variables)[1]

    assert not _wide_sums(gradients, tf.TensorSpec([4, 3]))
    found = tf.function(gradients)(x)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            h = first(x)
            score = second(tf.tanh(h) * h + h)
        slope = inner.gradient(score, x)
        norm = tf.sqrt(tf.reduce_sum(slope**2, axis=1) + 1e-12)
        value = tf.reduce_sum((norm - 1.0) ** 2)
    expected = outer.gradient(value, variables[:3])
    for ours, theirs in zip(found, expected, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('rate,expected', [(None, 0.1), (0.02, 0.02)])
def test_an_update_has_its_own_rate_or_the_runs(rate, expected):
    v = keras.Variable([1.0, -2.0])
    update = GradientUpdate(
        'model', lambda batch, noise: {'x': 3.0 * v * v}, [v], 1, rate
    )
    update.build(RUN)
    _, moves = update.compute({}, None, _mean)
    update.apply(moves, tf.constant(0, tf.int64))
    # Adam's first step has the size of its rate, for any gradient.
    np.testing.assert_allclose(v, [1 - expected, -2 + expected], rtol=1e-4)
    assert list(update.saved()) == ['model_optimizer']


def test_a_cosine_schedule_counts_the_repeats_of_an_update():
    run = types.SimpleNamespace(**vars(RUN) | {'schedule': 'cosine'})
    v = keras.Variable([0.0])
    update = GradientUpdate('d', lambda *_: {}, [v], repeats=3)
    update.build(run)
    update.optimizer.iterations.assign(15)
    assert float(update.optimizer.learning_rate) == pytest.approx(0.05)


def test_an_assignment_is_given_means_by_name():
    seen = {}
    update = BatchUpdate(
        'moments',
        lambda batch, noise: {'x': batch['x'], 'loss': batch['x'][:, 0]},
        lambda means, step: seen.update(means, step=step),
    )
    x = tf.constant([[1.0, 2.0], [3.0, 6.0]])
    shown, moves = update.compute({'x': x}, None, _mean)
    update.apply(moves, 7)
    assert list(shown) == ['loss'] and float(shown['loss']) == 2.0
    np.testing.assert_array_equal(seen['x'], [2.0, 4.0])
    assert seen['step'] == 7


class Game:
    """The game min over g, max over d of V = g d - d^2 / 2 + d^3 g^2 / 10.

    Both are Keras variables, as the weights of networks are.
    """

    rate, steps = 0.3, 4

    def __init__(self, g, d):
        self.g, self.d = keras.Variable(g), keras.Variable(d)

    def value(self):
        g, d = self.g.value, self.d.value
        return g * d - 0.5 * d**2 + 0.1 * d**3 * g**2

    def looked_ahead(self):
        """Returns V after k steps of d, as a function of g (Metz et al. 2017).

        In each step a tensor replaces the variable d, so the last value
        depends on g through all steps.
        """
        d = tf.convert_to_tensor(self.d)
        for _ in range(self.steps):
            with keras.StatelessScope(state_mapping=[(self.d, d)]):
                _, (slope,) = with_gradients(lambda: (self.value(), None), [d])
            d = d + self.rate * slope
        with keras.StatelessScope(state_mapping=[(self.d, d)]):
            return self.value()


def test_weights_can_be_functional_for_steps_that_are_differentiated():
    game = Game(0.7, 0.4)
    gradient = tf.function(
        lambda: with_gradients(lambda: (game.looked_ahead(), None), [game.g])[1]
    )
    (found,) = gradient()

    def reference(g, d=0.4):  # in float64
        for _ in range(game.steps):
            d = d + game.rate * (g - d + 0.3 * d**2 * g**2)
        return g * d - 0.5 * d**2 + 0.1 * d**3 * g**2

    expected = (reference(0.7 + 1e-6) - reference(0.7 - 1e-6)) / 2e-6
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Unrolling with a stopped gradient gives V's slope in g at the last d,
    # which differs.
    d = 0.4
    for _ in range(game.steps):
        d = d + game.rate * (0.7 - d + 0.3 * d**2 * 0.49)
    assert abs(float(found) - (d + 0.2 * d**3 * 0.7)) > 0.01
    assert float(game.d) == pytest.approx(0.4)
