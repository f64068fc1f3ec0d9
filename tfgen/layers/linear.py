"""Masked linear layers, gated units, and dropout that replicas can repeat."""

import math

import keras
import tensorflow as tf

from tfgen.noise import Noise


def dropout(x: tf.Tensor, rate: float, noise: Noise, name: str) -> tf.Tensor:
    """Inverted dropout with a mask from `noise`: [B, ...] -> [B, ...].

    keras.layers.Dropout draws the same mask on every replica. It also keeps a
    state that a checkpoint does not save.
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
    """A masked dense layer, or the masked taps of a convolution.

    Args:
      inputs, outputs: numbers of features.
      mask: broadcastable to the kernel; None masks nothing.
      leading: dimensions of the kernel before [inputs, outputs], such as taps.
      bias: whether the layer has a bias.
    """

    def __init__(self, inputs, outputs, mask=None, leading=(), bias=True):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape
        fan_in = inputs * math.prod(leading)
        if mask is not None:
            shape = [*leading, inputs, outputs]
            open_share = tf.reduce_mean(tf.broadcast_to(mask, shape))
            fan_in = max(1.0, fan_in * float(open_share))
        # Glorot and Bengio 2010; the fan-in counts unmasked connections only.
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
        """The masked kernel, and the bias tiled over rows: [batch, outputs].

        The loops of samplers use both. TensorFlow fuses a product and the
        addition of a vector into one oneDNN operation, which takes longer to
        start than a small product takes to run. It does not fuse the addition
        of a matrix. TensorFlow 2.21 also fails to optimize the whole loop where
        a residual sum and a rectifier follow the product and the addition.
        """
        bias = tf.convert_to_tensor(self.bias)
        return self.kernel, tf.tile(bias[None], [batch, 1])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the masked kernel: [..., inputs] -> [..., outputs]."""
        y = tf.tensordot(x, self.kernel, 1)
        return y if self.bias is None else y + self.bias


class LabelEmbedding(Linear):
    """A learned vector for each label: one-hot [B, classes] -> [B, outputs].

    The layer multiplies instead of gathering rows, because the gradient of a
    gather adds rows in no fixed order.
    """

    def __init__(self, num_classes: int, outputs: int):
        super().__init__(num_classes, outputs, bias=False)
