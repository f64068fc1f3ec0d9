"""Layers that Keras does not have: scans, synchronised batch norm, dropout.

Shape letters: B batch, T steps, K units.
"""

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


@tf.custom_gradient
def lstm_scan(
    inputs: tf.Tensor, recurrent_kernel: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    """Runs an LSTM over T steps from a zero state.

    The gradient is written by hand: everything that does not depend on the
    later steps (gates, their derivatives, the weights' gradient) is computed
    for all steps at once, and the backward loop carries only (dh, dc). XLA's
    own gradient of such a loop is 6 to 15 times slower on a CPU.

    Source: Hochreiter and Schmidhuber 1997 with the forget gate of Gers 2000;
    gates in the order input, forget, candidate, output.

    Args:
      inputs: float32 [T, B, 4K], the input's share of the gates, with bias.
      recurrent_kernel: float32 [K, 4K].

    Returns:
      float32 [T, B, K], the hidden states. First order gradients only.
    """
    num_steps, batch, units = _scan_sizes(inputs, recurrent_kernel)
    steps = _unstack(inputs)

    def forward(t, h, c, hs, cs):
        h, c = _lstm_cell(steps.read(t) + h @ recurrent_kernel, c)
        return t + 1, h, c, hs.write(t, h), cs.write(t, c)

    zeros = tf.zeros([batch, units])
    *_, hs, cs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, zeros, zeros, _array(num_steps), _array(num_steps)),
        maximum_iterations=num_steps,
    )
    hs, cs = hs.stack(), cs.stack()

    def gradient(d_hs):
        h_before, c_before = _shifted(hs), _shifted(cs)
        gates = inputs + tf.einsum('tbk,kg->tbg', h_before, recurrent_kernel)
        i, f, g, o = tf.split(gates, 4, axis=-1)
        i, f, o = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o)
        g, tanh_c = tf.tanh(g), tf.tanh(cs)
        # d gate = (dc, dc, dc, dh) * slope
        slope = tf.concat(
            [
                g * i * (1.0 - i),
                c_before * f * (1.0 - f),
                i * (1.0 - g**2),
                tanh_c * o * (1.0 - o),
            ],
            axis=-1,
        )
        dc_dh = o * (1.0 - tanh_c**2)
        slopes, forgets = _unstack(slope), _unstack(f)
        dc_dhs, d_outs = _unstack(dc_dh), _unstack(d_hs)
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, dh, dc, d_gates):
            dh = dh + d_outs.read(t)
            dc = dc + dh * dc_dhs.read(t)
            d_gate = tf.concat([dc, dc, dc, dh], axis=-1) * slopes.read(t)
            return (
                t - 1,
                d_gate @ kernel_t,
                dc * forgets.read(t),
                d_gates.write(t, d_gate),
            )

        *_, d_gates = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, zeros, zeros, _array(num_steps)),
            maximum_iterations=num_steps,
        )
        d_gates = d_gates.stack()
        return d_gates, tf.einsum('tbk,tbg->kg', h_before, d_gates)

    return hs, gradient


@tf.custom_gradient
def gru_scan(
    inputs: tf.Tensor, recurrent_kernel: tf.Tensor, recurrent_bias: tf.Tensor
) -> tf.Tensor:
    """Runs a GRU over T steps from a zero state; gradient as in `lstm_scan`.

    Source: Cho et al. 2014 with the reset gate applied after the recurrent
    product, as cuDNN and Keras do; gates in the order update, reset,
    candidate.

    Args:
      inputs: float32 [T, B, 3K], the input's share of the gates, with bias.
      recurrent_kernel: float32 [K, 3K].
      recurrent_bias: float32 [3K].

    Returns:
      float32 [T, B, K], the hidden states. First order gradients only.
    """
    num_steps, batch, units = _scan_sizes(inputs, recurrent_kernel)
    steps = _unstack(inputs)

    def forward(t, h, hs):
        h = _gru_cell(steps.read(t), h @ recurrent_kernel + recurrent_bias, h)
        return t + 1, h, hs.write(t, h)

    zeros = tf.zeros([batch, units])
    *_, hs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, zeros, _array(num_steps)),
        maximum_iterations=num_steps,
    )
    hs = hs.stack()

    def gradient(d_hs):
        h_before = _shifted(hs)
        recurrent = (
            tf.einsum('tbk,kg->tbg', h_before, recurrent_kernel)
            + recurrent_bias
        )
        z, r, n, n_recurrent = _gru_gates(inputs, recurrent)
        d_n = (1.0 - z) * (1.0 - n**2)
        d_z = (h_before - n) * z * (1.0 - z)
        d_r = d_n * n_recurrent * r * (1.0 - r)
        slopes = _unstack(tf.concat([d_z, d_r, d_n * r], axis=-1))
        updates, d_outs = _unstack(z), _unstack(d_hs)
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, dh, dhs):
            dh = dh + d_outs.read(t)
            d_recurrent = tf.concat([dh, dh, dh], axis=-1) * slopes.read(t)
            before = dh * updates.read(t) + d_recurrent @ kernel_t
            return t - 1, before, dhs.write(t, dh)

        *_, dhs = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, zeros, _array(num_steps)),
            maximum_iterations=num_steps,
        )
        dhs = dhs.stack()
        d_inputs = tf.concat([dhs * d_z, dhs * d_r, dhs * d_n], axis=-1)
        d_recurrent = tf.concat([dhs * d_z, dhs * d_r, dhs * d_n * r], axis=-1)
        return (
            d_inputs,
            tf.einsum('tbk,tbg->kg', h_before, d_recurrent),
            tf.reduce_sum(d_recurrent, axis=[0, 1]),
        )

    return hs, gradient


class LSTM(keras.layers.Layer):
    """An LSTM layer with a whole-sequence call and a one-step call.

    Variables and arithmetic of the recurrence are float32 under every
    precision policy: a cell state accumulates over hundreds of steps.

    Args:
      units: K.
    """

    gates = 4

    def __init__(self, units: int):
        super().__init__(dtype='float32')
        self.units = units

    def build(self, input_shape):
        width = self.gates * self.units
        self.kernel = self.add_weight(
            shape=[input_shape[-1], width], name='kernel'
        )
        self.recurrent_kernel = self.add_weight(
            shape=[self.units, width],
            name='recurrent_kernel',
            initializer='orthogonal',
        )
        self.bias = self.add_weight(
            shape=[width], name='bias', initializer=self._initial_bias
        )

    def _initial_bias(self, shape, dtype=None):
        # A forget gate that starts open (Jozefowicz et al. 2015).
        gate = tf.range(shape[0]) // self.units
        return tf.cast(gate == 1, tf.float32)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[T, B, inputs] -> [T, B, K], from a zero state."""
        return lstm_scan(
            self._project(x), tf.convert_to_tensor(self.recurrent_kernel)
        )

    def zero_state(self, batch: int | tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The state before the first step: (h, c), each [B, K] of zeros."""
        return (tf.zeros([batch, self.units]),) * 2

    def step(self, x: tf.Tensor, state: tuple) -> tuple[tf.Tensor, tuple]:
        """One step: ([B, inputs], state) -> ([B, K], next state)."""
        h, c = state
        h, c = _lstm_cell(self._project(x) + h @ self.recurrent_kernel, c)
        return h, (h, c)

    def _project(self, x):
        return tf.tensordot(x, self.kernel, 1) + self.bias


class GRU(LSTM):
    """A GRU layer with the interface of `LSTM`; its state is (h,)."""

    gates = 3

    def build(self, input_shape):
        super().build(input_shape)
        self.recurrent_bias = self.add_weight(
            shape=[self.gates * self.units],
            name='recurrent_bias',
            initializer='zeros',
        )

    def _initial_bias(self, shape, dtype=None):
        return tf.zeros(shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[T, B, inputs] -> [T, B, K], from a zero state."""
        return gru_scan(
            self._project(x),
            tf.convert_to_tensor(self.recurrent_kernel),
            tf.convert_to_tensor(self.recurrent_bias),
        )

    def zero_state(self, batch: int | tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The state before the first step: (h,), [B, K] of zeros."""
        return (tf.zeros([batch, self.units]),)

    def step(self, x: tf.Tensor, state: tuple) -> tuple[tf.Tensor, tuple]:
        """One step: ([B, inputs], state) -> ([B, K], next state)."""
        (h,) = state
        recurrent = h @ self.recurrent_kernel + self.recurrent_bias
        h = _gru_cell(self._project(x), recurrent, h)
        return h, (h,)


def _lstm_cell(gates, c):
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _gru_gates(inputs, recurrent):
    input_z, input_r, input_n = tf.split(inputs, 3, axis=-1)
    recurrent_z, recurrent_r, recurrent_n = tf.split(recurrent, 3, axis=-1)
    z = tf.sigmoid(input_z + recurrent_z)
    r = tf.sigmoid(input_r + recurrent_r)
    return z, r, tf.tanh(input_n + r * recurrent_n), recurrent_n


def _gru_cell(inputs, recurrent, h):
    z, _, n, _ = _gru_gates(inputs, recurrent)
    return z * h + (1.0 - z) * n


def _scan_sizes(inputs, recurrent_kernel):
    num_steps = inputs.shape[0]
    return num_steps, tf.shape(inputs)[1], recurrent_kernel.shape[0]


def _array(size):
    return tf.TensorArray(tf.float32, size)


def _unstack(values):
    return _array(values.shape[0]).unstack(values)


def _shifted(states):
    """The states before each step: zero first, the last left out."""
    return tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)
