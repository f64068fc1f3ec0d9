"""Recurrences against Keras, step by step, and automatic differentiation."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers import line_scans, scans

T, B, F, K = 7, 3, 4, 5
RNG = np.random.default_rng(2)
X = tf.constant(RNG.normal(size=[T, B, F]), tf.float32)


def _random(*shape):
    return tf.constant(RNG.normal(size=shape) * 0.5, tf.float32)


@pytest.mark.parametrize('gates', [4, 3])
def test_step_by_step_equals_keras(gates):
    kernel, recurrent = _random(F, gates * K), _random(K, gates * K)
    if gates == 4:
        bias = _random(gates * K)
        reference = keras.layers.LSTM(K, return_sequences=True)
        h = scans.lstm_scan(tf.tensordot(X, kernel, 1) + bias, recurrent)
    else:
        bias = _random(2, gates * K)
        reference = keras.layers.GRU(K, return_sequences=True)
        h = scans.gru_scan(
            tf.tensordot(X, kernel, 1) + bias[0], recurrent, bias[1]
        )
    reference.build([None, T, F])
    reference.set_weights([kernel, recurrent, bias])
    expected = tf.transpose(reference(tf.transpose(X, [1, 0, 2])), [1, 0, 2])
    np.testing.assert_allclose(h, expected, atol=1e-5)


def _lstm_by_steps(inputs, recurrent):
    h = c = tf.zeros([B, K])
    hs = []
    for x in tf.unstack(inputs):
        h, c = scans.lstm_cell(x + h @ recurrent, c)
        hs.append(h)
    return tf.stack(hs)


def _gru_by_steps(inputs, recurrent, bias):
    h, hs = tf.zeros([B, K]), []
    for x in tf.unstack(inputs):
        h = scans.gru_cell(x, h @ recurrent + bias, h)
        hs.append(h)
    return tf.stack(hs)


L, P, S = 4, 6, 2  # lines, positions, examples per position


def _line_by_positions(shifts, keep, x, *weights):
    """Defines line_lstm_scan, one position after the other."""
    if len(x.shape) == 4:  # networks side by side
        networks = [
            _line_by_positions(shifts, keep, x[:, d], *(w[d] for w in weights))
            for d in range(x.shape[1])
        ]
        return tf.stack(networks, axis=1)
    inputs, bias, states, outputs = weights
    zeros = tf.zeros([S, K])
    h, c, ys = [zeros] * P, [zeros] * P, []
    for t in range(L):
        new_h, new_c = [], []
        for p in range(P):
            own = slice(p * S, (p + 1) * S)
            gates = x[t, own] @ inputs + bias
            mask = tf.ones([S, 1]) if keep is None else keep[t, 0, own, None]
            for tap, shift in enumerate(shifts):
                if 0 <= p - shift < P:
                    read = h[p - shift] if shift else h[p] * mask
                    gates += read @ states[tap]
            h_p, c_p = line_scans.line_lstm_cell(gates, c[p] * mask)
            new_h.append(h_p)
            new_c.append(c_p)
        h, c = new_h, new_c
        ys.append(tf.concat(h, axis=0) @ outputs)
    return tf.stack(ys)


KEEP = tf.constant(RNG.random([L, 1, P * S]) > 0.3, tf.float32)
LINE_WEIGHTS = [
    _random(L, 2, P * S, F),
    _random(2, F, 4 * K),
    _random(2, 4 * K),
    _random(2, 3, K, 4 * K),
    _random(2, K, F),
]


def _line_case(shifts, keep):
    weights = list(LINE_WEIGHTS)
    weights[3] = weights[3][:, : len(shifts)]
    return (
        lambda *w: line_scans.line_lstm_scan(*w, shifts, S, keep),
        functools.partial(_line_by_positions, shifts, keep),
        weights,
    )


CASES = {
    'lstm': (
        scans.lstm_scan,
        _lstm_by_steps,
        [_random(T, B, 4 * K), _random(K, 4 * K)],
    ),
    'gru': (
        scans.gru_scan,
        _gru_by_steps,
        [_random(T, B, 3 * K), _random(K, 3 * K), _random(3 * K)],
    ),
    'rows': _line_case((1, 0, -1), None),
    'diagonals': _line_case((0, 1), KEEP),
}


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('name', CASES)
def test_value_and_hand_written_gradient_equal_the_definitions(name, jit):
    scan, by_steps, weights = CASES[name]
    shape = by_steps(*weights).shape
    direction = _random(*shape)

    def value_and_gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = function(*weights)
            total = tf.reduce_sum(value * direction)
        return value, *tape.gradient(total, weights)

    automatic = value_and_gradients(by_steps)
    by_hand = tf.function(lambda: value_and_gradients(scan), jit_compile=jit)()
    for a, b in zip(automatic, by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
