"""Layers with spectral normalisation or weight normalisation.

Spectral normalisation divides a kernel, seen as a matrix, by its spectral norm
(Miyato et al. 2018, section 2.1 and algorithm 1). Power iteration estimates the
norm. Its vectors are weights without gradients. They are constant within a
step, so streams, replicas and compiled code give equal results; `iterate`
changes them between steps. Algorithm 1 iterates once per update of the
discriminator. Both are the same if the discriminator has one update per step.

Weight normalisation learns the length of each kernel column separately from its
direction (Salimans and Kingma 2016, equation 2). Departure: the caller, who
knows the inputs, gives the initial lengths. The paper takes them from a batch
of data.
"""

import keras
import tensorflow as tf

_FIRST = 100  # iterations before training begins
_SMALL = 1e-12
# Initial deviation of v. It is large compared with a step of Adam; otherwise
# directions would jump.
_DIRECTION = 0.1


class _Normalised:
    """Makes a Keras layer save and load the weights that are added here."""

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


class _Spectral(_Normalised):
    """Divides a layer's kernel, as a matrix [-1, outputs], by its norm."""

    def build(self, input_shape):
        super().build(input_shape)
        outputs = self._kernel.shape[-1]
        inputs = self._kernel.shape.num_elements() // outputs
        options = {
            'trainable': False,
            'dtype': 'float32',
            'autocast': False,
        }
        self._left = self.add_weight([inputs], 'zeros', name='left', **options)
        self._right = self.add_weight(
            [outputs], 'ones', name='right', **options
        )
        for _ in range(_FIRST):
            self.iterate()

    @property
    def kernel(self):
        """The kernel divided by its norm."""
        kernel = tf.convert_to_tensor(self._kernel)
        return kernel / tf.cast(self._norm(kernel), kernel.dtype)

    def iterate(self) -> None:
        """Runs one step of power iteration on the current kernel."""
        matrix = self._matrix(self._kernel)
        right = tf.convert_to_tensor(self._right)
        left = _unit(tf.linalg.matvec(matrix, right))
        self._left.assign(left)
        self._right.assign(
            _unit(tf.linalg.matvec(matrix, left, transpose_a=True))
        )

    def _norm(self, kernel):
        """The norm, left^T W right; the gradient passes through W only."""
        # Weights may be averaged over steps, and an average of unit vectors is
        # shorter than 1.
        left, right = (
            _unit(tf.convert_to_tensor(v)) for v in (self._left, self._right)
        )
        along = tf.linalg.matvec(self._matrix(kernel), right)
        return tf.reduce_sum(left * along)

    @staticmethod
    def _matrix(kernel):
        """The kernel as a matrix: float32 [-1, outputs]."""
        kernel = tf.cast(tf.convert_to_tensor(kernel), tf.float32)
        return tf.reshape(kernel, [-1, kernel.shape[-1]])


class SpectralDense(_Spectral, keras.layers.Dense):
    """A dense layer whose kernel has norm 1."""


class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """A convolution whose kernel, as a matrix [k k C, F], has norm 1."""


class WeightNormDense(_Normalised, keras.layers.Dense):
    """A dense layer with kernel g v / ||v||, one g per output.

    Args:
      units: number of outputs.
      length: initial value of every g. 1 / sqrt(mean variance of an input)
        gives outputs of variance 1.
      learned: whether g is trained; otherwise it stays constant.
    """

    def __init__(self, units, length=1.0, learned=True, **kwargs):
        # Made in the constructor, so that the run's seed decides its seed.
        direction = keras.initializers.RandomNormal(stddev=_DIRECTION)
        super().__init__(units, kernel_initializer=direction, **kwargs)
        self._first, self._learned = length, learned

    def build(self, input_shape):
        super().build(input_shape)
        self._length = self.add_weight(
            [self.units],
            keras.initializers.Constant(self._first),
            name='length',
            trainable=self._learned,
        )

    @property
    def kernel(self):
        """The kernel g v / ||v||: [inputs, units]."""
        kernel = tf.convert_to_tensor(self._kernel)
        squares = tf.reduce_sum(tf.square(kernel), axis=0)
        length = tf.convert_to_tensor(self._length)
        return kernel * tf.cast(length * tf.math.rsqrt(squares), kernel.dtype)


def spectral_layers(layer: keras.layers.Layer) -> list:
    """All layers with spectral normalisation within `layer`."""
    parts = layer._flatten_layers()
    return [part for part in parts if isinstance(part, _Spectral)]


def _unit(vector):
    """`vector` scaled to length 1."""
    return vector * tf.math.rsqrt(tf.reduce_sum(tf.square(vector)) + _SMALL)
