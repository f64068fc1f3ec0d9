"""Layers that Keras does not have: masked, or repeatable on many replicas."""

import functools
import math

import keras
import tensorflow as tf

from tfgen.noise import Noise


def dropout(x: tf.Tensor, rate: float, noise: Noise, name: str) -> tf.Tensor:
    """Inverted dropout with its mask from `noise`: [B, ...] -> [B, ...].

    Keras's own layer draws the same mask on every replica and keeps a state
    that a checkpoint does not save.
    """
    if rate == 0.0:
        return x
    keep = noise.uniform(name, x.shape[1:]) >= rate
    return x * tf.cast(keep, x.dtype) / (1.0 - rate)


def gated(x: tf.Tensor) -> tf.Tensor:
    """tanh(a) * sigmoid(b) of the halves a, b: [..., 2K] -> [..., K]."""
    value, gate = tf.split(x, 2, axis=-1)
    return tf.tanh(value) * tf.sigmoid(gate)


class Linear(keras.layers.Layer):
    """A dense layer, or the taps of a convolution, under a mask.

    Args:
      inputs, outputs: features.
      mask: broadcastable to the kernel, or None.
      leading: dimensions before these two, such as taps.
    """

    def __init__(self, inputs, outputs, mask=None, leading=(), bias=True):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape
        fan_in = inputs * math.prod(leading)
        if mask is not None:
            shape = [*leading, inputs, outputs]
            open_share = tf.reduce_mean(tf.broadcast_to(mask, shape))
            fan_in = max(1.0, fan_in * float(open_share))
        # Glorot and Bengio 2010, by the connections that are there.
        limit = math.sqrt(6.0 / (fan_in + outputs))
        self._kernel = self.add_weight(
            shape=[*leading, inputs, outputs],
            name='kernel',
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )
        self.bias = None
        if bias:
            self.bias = self.add_weight(
                shape=[outputs], name='bias', initializer='zeros'
            )
        self._mask = mask

    @property
    def kernel(self) -> tf.Tensor:
        """The masked kernel."""
        kernel = tf.convert_to_tensor(self._kernel)
        return kernel if self._mask is None else kernel * self._mask

    def frozen(self, batch: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The masked kernel, and the bias for each row: [batch, outputs].

        For the loops of samplers. TensorFlow fuses a product and the addition
        of a vector into one oneDNN operation, whose start takes longer than a
        small product; of a matrix it does not. (2.21 also fails to optimize
        the whole loop where a residual sum and a rectifier follow the two.)
        """
        bias = tf.convert_to_tensor(self.bias)
        return self.kernel, tf.tile(bias[None], [batch, 1])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[..., inputs] -> [..., outputs]."""
        y = tf.tensordot(x, self.kernel, 1)
        return y if self.bias is None else y + self.bias


class ThinConv2D(keras.layers.Conv2D):
    """A convolution to few channels: odd kernel, stride 1, same size.

    The same weights and values as keras.layers.Conv2D. On a CPU the library's
    kernels are made for many channels and take a third of a VAE's training
    step to make one. Here each tap is a row of one matrix product, whose rows
    are then shifted and added; the gradients are a product each as well.

    Args:
      filters: C, few.
      kernel_size: odd.
      options: of keras.layers.Conv2D.
    """

    def __init__(self, filters: int, kernel_size: int, **options):
        super().__init__(filters, kernel_size, padding='same', **options)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, F] -> [B, H, W, C]."""
        return _thin_convolution(x, tf.convert_to_tensor(self.kernel)) + (
            tf.convert_to_tensor(self.bias)
        )


@tf.custom_gradient
def _thin_convolution(x, kernel):
    """[B, H, W, F], [k, k, F, C] -> [B, H, W, C]."""
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

    # Channels lead, [taps, C, B, H, W], so that what is shifted is contiguous.
    shares = tf.reshape(
        tf.matmul(rows, flat, transpose_b=True),
        [len(taps), channels, -1, height, width],
    )
    shares = tf.unstack(tf.pad(shares, [[0, 0]] * 3 + edge))
    # One by one: tf.add_n adds in no fixed order.
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


class BatchNorm(keras.layers.Layer):
    """Batch normalisation over the GLOBAL batch (Ioffe and Szegedy 2015).

    With several replicas the statistics are averaged over all of them by one
    all-reduce, so that a replica's gradient and the moving averages are those
    of one large batch. (keras.layers.BatchNormalization(synchronized=True)
    means the same, with three all-reduces, and sums three gradients at one
    tensor, whose order, and so the last bit, TensorFlow does not fix.)

    Args:
      momentum: share of the old value in each moving average.
      epsilon: added to the variance.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3):
        super().__init__(dtype='float32')
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        def weight(name, initializer, trainable):
            return self.add_weight(
                shape=[input_shape[-1]],
                name=name,
                initializer=initializer,
                trainable=trainable,
            )

        self.gamma = weight('gamma', 'ones', True)
        self.beta = weight('beta', 'zeros', True)
        self.moving_mean = weight('moving_mean', 'zeros', False)
        self.moving_variance = weight('moving_variance', 'ones', False)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, ..., C] -> float32 [B, ..., C]."""
        if training:
            mean, variance = self._batch_statistics(x)
        else:
            mean = tf.convert_to_tensor(self.moving_mean)
            variance = tf.convert_to_tensor(self.moving_variance)
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        return (x - mean) * scale + self.beta

    def _batch_statistics(self, x):
        axes = list(range(len(x.shape) - 1))
        x = tf.identity(x)  # gradients meet in pairs: see training.py
        moments = tf.stack(
            [tf.reduce_mean(x, axes), tf.reduce_mean(tf.square(x), axes)]
        )
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            moments = replica.all_reduce(tf.distribute.ReduceOp.MEAN, moments)
        mean, mean_of_squares = tf.unstack(moments)
        variance = tf.nn.relu(mean_of_squares - tf.square(mean))
        for moving, now in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(
                moving * self.momentum
                + tf.stop_gradient(now) * (1.0 - self.momentum)
            )
        return mean, variance
