"""Spectral normalisation: layers whose matrix has norm 1.

The norm is estimated by power iteration, whose vectors are weights that no
gradient moves. Within a step they are constants, so that streams, replicas and
compiled code compute the same; `iterate` moves them between steps.

Source: Miyato et al. 2018, section 2.1 and algorithm 1. Departure: algorithm 1
iterates at each update of the discriminator, which is the same where it has
one update a step.
"""

import keras
import tensorflow as tf

_FIRST = 30  # iterations before training begins
_SMALL = 1e-12


class _Spectral:
    """Divides a Keras layer's kernel by its norm, as a matrix [-1, outputs]."""

    def build(self, input_shape):
        super().build(input_shape)
        outputs = self._kernel.shape[-1]
        inputs = self._kernel.shape.num_elements() // outputs
        options = {'trainable': False, 'dtype': 'float32'}
        self._left = self.add_weight([inputs], 'zeros', name='left', **options)
        self._right = self.add_weight(
            [outputs], 'ones', name='right', **options
        )
        for _ in range(_FIRST):
            self.iterate()

    @property
    def kernel(self):
        kernel = tf.convert_to_tensor(self._kernel)
        return kernel / tf.cast(self._norm(kernel), kernel.dtype)

    def iterate(self) -> None:
        """One step of power iteration on the kernel as it is."""
        matrix = self._matrix(self._kernel)
        right = tf.convert_to_tensor(self._right)
        left = _unit(tf.linalg.matvec(matrix, right))
        self._left.assign(left)
        self._right.assign(
            _unit(tf.linalg.matvec(matrix, left, transpose_a=True))
        )

    def _norm(self, kernel):
        """left^T W right: the gradient passes through W alone."""
        along = tf.linalg.matvec(
            self._matrix(kernel), tf.convert_to_tensor(self._right)
        )
        return tf.reduce_sum(tf.convert_to_tensor(self._left) * along)

    @staticmethod
    def _matrix(kernel):
        kernel = tf.cast(tf.convert_to_tensor(kernel), tf.float32)
        return tf.reshape(kernel, [-1, kernel.shape[-1]])


class SpectralDense(_Spectral, keras.layers.Dense):
    """A dense layer of norm 1."""


class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """A convolution whose kernel, as a matrix [k k C, F], has norm 1."""


def layers_of(layer: keras.layers.Layer) -> list:
    """All spectral layers within a layer."""
    parts = layer._flatten_layers()
    return [part for part in parts if isinstance(part, _Spectral)]


def _unit(vector):
    return vector * tf.math.rsqrt(tf.reduce_sum(vector**2) + _SMALL)
