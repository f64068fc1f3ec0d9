"""Batch norm, dropout, the gated unit."""

import numpy as np
import tensorflow as tf

from tfgen import layers
from tfgen.noise import BatchNoise

RNG = np.random.default_rng(2)


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


def test_gated_unit_is_its_formula():
    x = RNG.normal(size=[5, 3, 8])
    a, b = x[..., :4], x[..., 4:]
    np.testing.assert_allclose(
        layers.gated(tf.constant(x)), np.tanh(a) / (1 + np.exp(-b)), rtol=1e-12
    )
