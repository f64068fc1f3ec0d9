"""Batch normalisation that does not depend on the number of replicas."""

import keras
import tensorflow as tf

from tfgen import replicas


@keras.saving.register_keras_serializable('tfgen')
class BatchNorm(keras.layers.Layer):
    """Batch normalisation over the GLOBAL batch (Ioffe and Szegedy 2015).

    One all-reduce averages the statistics over all replicas. The gradients and
    the moving averages are therefore those of one large batch.
    keras.layers.BatchNormalization(synchronized=True) computes the same with
    three all-reduces. It also sums three gradients at one tensor; TensorFlow
    does not fix the order of this sum, so its last bit can differ.

    Args:
      momentum: weight of the old value in each moving average.
      epsilon: added to the variance.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **options):
        super().__init__(**({'dtype': 'float32'} | options))
        self.momentum = momentum
        self.epsilon = epsilon

    def get_config(self) -> dict:
        own = {'momentum': self.momentum, 'epsilon': self.epsilon}
        return super().get_config() | own

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
        """Normalises each channel: [B, ..., C] -> float32 [B, ..., C]."""
        if training:
            mean, variance = self._batch_statistics(x)
        else:
            mean = tf.convert_to_tensor(self.moving_mean)
            variance = tf.convert_to_tensor(self.moving_variance)
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        return (x - mean) * scale + self.beta

    def _batch_statistics(self, x):
        """Mean and variance of the global batch, [C]; moves the averages."""
        axes = list(range(len(x.shape) - 1))
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
