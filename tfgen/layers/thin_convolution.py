"""A convolution to few channels that is fast on a CPU."""

import functools

import keras
import tensorflow as tf


class ThinConv2D(keras.layers.Conv2D):
    """A convolution to few channels: odd kernel, stride 1, same size.

    Weights and values are those of keras.layers.Conv2D. TensorFlow's CPU
    kernels are made for many channels: with them, the last layer of a VAE, of
    one channel, takes a third of the training step. Here one matrix product
    computes a map for each tap and channel; the maps are then shifted and
    added. Each gradient is one product as well.

    Args:
      filters: C, a small number.
      kernel_size: odd.
      options: arguments of keras.layers.Conv2D.
    """

    def __init__(self, filters: int, kernel_size: int, **options):
        super().__init__(filters, kernel_size, padding='same', **options)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves [B, H, W, F] -> [B, H, W, C]."""
        return _thin_convolution(x, tf.convert_to_tensor(self.kernel)) + (
            tf.convert_to_tensor(self.bias)
        )


@tf.custom_gradient
def _thin_convolution(x, kernel):
    """Convolves without a bias: [B, H, W, F], [k, k, F, C] -> [B, H, W, C]."""
    height, width = x.shape[1:3]
    size, _, features, channels = kernel.shape
    taps = [(i, j) for i in range(size) for j in range(size)]
    rows = tf.reshape(
        tf.transpose(kernel, [0, 1, 3, 2]), [size * size * channels, features]
    )
    flat = tf.reshape(x, [-1, features])
    edge = [[size // 2] * 2] * 2

    def shifted(y, i, j):
        return y[..., i : i + height, j : j + width]

    # Channels come first, [taps, C, B, H, W], so that each shifted block is
    # contiguous.
    shares = tf.reshape(
        tf.matmul(rows, flat, transpose_b=True),
        [len(taps), channels, -1, height, width],
    )
    shares = tf.unstack(tf.pad(shares, [[0, 0]] * 3 + edge))
    # Pairs are added, because tf.add_n adds in no fixed order.
    y = functools.reduce(
        tf.add, [shifted(s, *tap) for s, tap in zip(shares, taps, strict=True)]
    )

    def gradient(dy):
        dy = tf.pad(tf.transpose(dy, [3, 0, 1, 2]), [[0, 0]] * 2 + edge)
        last = size - 1
        gathered = tf.reshape(
            tf.stack([shifted(dy, last - i, last - j) for i, j in taps]),
            [len(taps) * channels, -1],
        )
        dx = tf.matmul(gathered, rows, transpose_a=True)
        dkernel = tf.reshape(
            tf.matmul(gathered, flat), [size, size, channels, features]
        )
        return (
            tf.reshape(dx, tf.shape(x)),
            tf.transpose(dkernel, [0, 1, 3, 2]),
        )

    return tf.transpose(y, [1, 2, 3, 0]), gradient
