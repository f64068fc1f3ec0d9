"""Scans against Keras and against automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import layers
from tfgen.noise import BatchNoise

T, B, F, K = 7, 3, 4, 5
RNG = np.random.default_rng(2)
X = tf.constant(RNG.normal(size=[T, B, F]), tf.float32)
PAIRS = [(layers.LSTM, keras.layers.LSTM), (layers.GRU, keras.layers.GRU)]


def _layer(kind):
    layer = kind(K)
    layer.build([None, None, F])
    for v in layer.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.5)
    return layer


def _weights(layer):
    kernel, recurrent, bias = (
        layer.kernel.numpy(),
        layer.recurrent_kernel.numpy(),
        layer.bias.numpy(),
    )
    if isinstance(layer, layers.GRU):
        bias = np.stack([bias, layer.recurrent_bias.numpy()])
    return [kernel, recurrent, bias]


@pytest.mark.parametrize('ours,theirs', PAIRS)
def test_scan_equals_keras(ours, theirs):
    layer = _layer(ours)
    reference = theirs(K, return_sequences=True)
    reference.build([None, T, F])
    reference.set_weights(_weights(layer))
    expected = tf.transpose(reference(tf.transpose(X, [1, 0, 2])), [1, 0, 2])
    np.testing.assert_allclose(layer(X), expected, atol=1e-5)


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('kind', [layers.LSTM, layers.GRU])
def test_hand_written_gradient_equals_automatic(kind, jit):
    layer = _layer(kind)
    weights = tf.constant(RNG.normal(size=[T, B, K]), tf.float32)
    variables = layer.trainable_variables

    def by_scan():
        return layer(X)

    def by_steps():
        state, outputs = layer.zero_state(B), []
        for x in tf.unstack(X):
            h, state = layer.step(x, state)
            outputs.append(h)
        return tf.stack(outputs)

    def gradients(run):
        with tf.GradientTape() as tape:
            tape.watch(X)
            loss = tf.reduce_sum(run() * weights)
        return tape.gradient(loss, [X, *variables])

    automatic = gradients(by_steps)
    by_hand = tf.function(lambda: gradients(by_scan), jit_compile=jit)()
    for a, b in zip(automatic, by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize('kind', [layers.LSTM, layers.GRU])
def test_scan_is_causal(kind):
    layer = _layer(kind)
    changed = tf.concat([X[:4], X[4:] + 1.0], axis=0)
    before, after = layer(X), layer(changed)
    np.testing.assert_array_equal(before[:4], after[:4])
    assert np.abs(before[4:] - after[4:]).min() > 0


def test_batch_norm_whitens_and_remembers():
    x = tf.constant(RNG.normal(3.0, 2.0, size=[64, 5, 5, 2]), tf.float32)
    norm = layers.BatchNorm(momentum=0.0, epsilon=0.0)
    norm.build(x.shape)
    y = norm(x, training=True)
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), 0.0, atol=1e-5)
    np.testing.assert_allclose(
        tf.math.reduce_variance(y, [0, 1, 2]), 1.0, atol=1e-4
    )
    # With no momentum, inference repeats the last batch's statistics.
    np.testing.assert_allclose(norm(x), y, atol=1e-4)


def test_batch_norm_at_inference_treats_rows_alone():
    norm = layers.BatchNorm()
    norm.build([None, 3])
    x = tf.constant(RNG.normal(size=[6, 3]), tf.float32)
    norm(x, training=True)
    np.testing.assert_allclose(norm(x)[2:3], norm(x[2:3]), rtol=1e-6)


def test_dropout_keeps_the_mean_and_zeroes_the_rate():
    x = tf.ones([1000, 50])
    noise = BatchNoise(tf.constant([0, 0]), 1000)
    y = layers.dropout(x, 0.3, noise, 'd').numpy()
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1.0) < 0.02
    np.testing.assert_array_equal(layers.dropout(x, 0.0, noise, 'd'), x)
