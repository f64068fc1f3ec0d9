"""Weight normalisation: the length of a kernel's columns apart from their
direction.

Source: Salimans and Kingma 2016, equation 2. Departure: the lengths begin as
those of the kernel as it was initialised, not by a batch of data.
"""

import keras
import tensorflow as tf


class WeightNormDense(keras.layers.Dense):
    """A dense layer with kernel g v / ||v||, g for each output."""

    def build(self, input_shape):
        super().build(input_shape)
        self._length = self.add_weight([self.units], 'ones', name='length')
        self._length.assign(tf.norm(tf.convert_to_tensor(self._kernel), axis=0))

    @property
    def kernel(self):
        kernel = tf.convert_to_tensor(self._kernel)
        squares = tf.reduce_sum(tf.square(kernel), axis=0)
        length = tf.convert_to_tensor(self._length)
        return kernel * tf.cast(length * tf.math.rsqrt(squares), kernel.dtype)
