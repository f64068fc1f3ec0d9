"""Batch norm, dropout and the gated unit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.batch_norm import BatchNorm
from tfgen.layers.linear import dropout, gated
from tfgen.layers.thin_convolution import ThinConv2D
from tfgen.noise import BatchNoise

RNG = np.random.default_rng(2)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('size', [3, 5])
def test_a_thin_convolution_is_keras_convolution(channels, size):
    x = tf.constant(RNG.normal(size=[2, 6, 7, 4]), tf.float32)
    ours = ThinConv2D(channels, size)
    theirs = keras.layers.Conv2D(channels, size, padding='same')
    weight = tf.constant(RNG.normal(size=[2, 6, 7, channels]), tf.float32)
    results = []
    for layer in (ours, theirs):
        layer.build(x.shape)
        assert layer.kernel.shape == (size, size, 4, channels)
        layer.set_weights(
            [
                np.cos(np.arange(v.size)).reshape(v.shape)
                for v in ours.get_weights()
            ]
        )
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * weight)
        results.append([y, *tape.gradient(loss, [x, *layer.weights])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_batch_norm_whitens_and_remembers():
    x = tf.constant(RNG.normal(3.0, 2.0, size=[64, 5, 5, 2]), tf.float32)
    norm = BatchNorm(momentum=0.0, epsilon=0.0)
    norm.build(x.shape)
    y = norm(x, training=True)
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), 0.0, atol=1e-5)
    np.testing.assert_allclose(
        tf.math.reduce_variance(y, [0, 1, 2]), 1.0, atol=1e-4
    )
    # With momentum 0, inference uses the statistics of the last batch.
    np.testing.assert_allclose(norm(x), y, atol=1e-4)


def test_batch_norm_at_inference_treats_rows_alone():
    norm = BatchNorm()
    norm.build([None, 3])
    x = tf.constant(RNG.normal(size=[6, 3]), tf.float32)
    norm(x, training=True)
    np.testing.assert_allclose(norm(x)[2:3], norm(x[2:3]), rtol=1e-6)


def test_dropout_keeps_the_mean_and_zeroes_the_rate():
    x = tf.ones([1000, 50])
    noise = BatchNoise(tf.constant([0, 0]), 1000)
    y = dropout(x, 0.3, noise, 'd').numpy()
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1.0) < 0.02
    np.testing.assert_array_equal(dropout(x, 0.0, noise, 'd'), x)


def test_gated_unit_is_its_formula():
    x = RNG.normal(size=[5, 3, 8])
    a, b = x[..., :4], x[..., 4:]
    np.testing.assert_allclose(
        gated(tf.constant(x)), np.tanh(a) / (1 + np.exp(-b)), rtol=1e-12
    )
