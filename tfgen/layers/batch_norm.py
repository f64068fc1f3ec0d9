"""Batch normalisation that means the same on one replica and on many."""

import keras
import tensorflow as tf

from tfgen import replicas


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
        x = tf.identity(x)  # sums in the order of earlier runs
        moments = tf.stack(
            [tf.reduce_mean(x, axes), tf.reduce_mean(tf.square(x), axes)]
        )
        moments = replicas.mean(moments)
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
