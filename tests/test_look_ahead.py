"""Unrolled GAN's look-ahead, on a game of two parameters."""

import types

import keras
import numpy as np
import tensorflow as tf

from tfgen.gradients import with_gradients
from tfgen.models.look_ahead import foreseen
from tfgen.models.players import Descent

RUN = types.SimpleNamespace(
    learning_rate=0.05, schedule='constant', beta_1=0.5, steps=10
)
STEPS, PLAYED, G = 3, 2, 0.7


def _value(g, d):
    """What g minimises, and d maximises."""
    return g * d - 0.5 * d**2 + 0.1 * d**3 * g**2


class _Game:
    """min over g, max over d, as Keras variables; d has moved already."""

    def __init__(self):
        self.g, self.d = keras.Variable(0.3), keras.Variable(0.4)
        self.other = Descent(
            'd', lambda batch, noise: {'v': -self._rows()}, [self.d]
        )
        self.other.build(RUN)
        for _ in range(PLAYED):
            _, moves = self.other.statistics({}, None, tf.reduce_mean)
            self.other.apply(moves, tf.constant(0, tf.int64))
        self.g.assign(G)

    def _rows(self):
        return tf.fill([4], 1.0) * _value(self.g.value, self.d.value)

    def gradient(self, steps):
        terms = foreseen(
            lambda batch, noise: {'v': self._rows()}, self.other, steps
        )

        def total():
            (rows,) = terms({}, None).values()
            return tf.reduce_mean(rows), rows

        return tf.function(lambda: with_gradients(total, [self.g]))()


def _reference(g, steps, stopped=None):
    """V after steps of Adam of d, in float64.

    With `stopped` the steps of d are those for g = stopped: the unrolling
    that stops the gradient.
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
    # Not the unrolling that stops the gradient.
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
