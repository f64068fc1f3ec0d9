"""Masked products, gates, and dropout that is repeatable on many replicas."""

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

    def step_weights(
        self, batch: int | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
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


class LabelEmbedding(Linear):
    """A learned vector for each label: one-hot [B, classes] -> [B, outputs].

    A product, for the gradient of a gather adds rows in no fixed order.
    """

    def __init__(self, num_classes: int, outputs: int):
        super().__init__(num_classes, outputs, bias=False)
