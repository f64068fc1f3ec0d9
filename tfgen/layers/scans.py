"""Recurrences over many steps, with gradients written by hand.

These gradients are much faster on a CPU than XLA's own gradient of a loop.
Everything that does not depend on later steps is computed for all steps at
once, or kept from the forward pass. The backward loop computes only the rest.
Only first-order gradients are supported.

Shape letters: T steps, B batch, K units.
"""

from collections.abc import Sequence

import tensorflow as tf


@tf.custom_gradient
def lstm_scan(inputs: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
    """Runs an LSTM over T steps from a zero state.

    Source: Hochreiter and Schmidhuber 1997 with the forget gate of Gers 2000.
    The gates are in the order input, forget, candidate, output.

    Args:
      inputs: float32 [T, B, 4K], the input's part of the gates, with bias.
      recurrent_kernel: float32 [K, 4K].

    Returns:
      float32 [T, B, K], the hidden states. First-order gradients only.
    """
    num_steps, batch, units = _scan_sizes(inputs, recurrent_kernel)
    steps = unstack(inputs)

    def forward(t, now, h, c, hs, cs):
        (step,) = now
        h, c = lstm_cell(step + h @ recurrent_kernel, c)
        hs, cs = hs.write(t, h), cs.write(t, c)
        return t + 1, entries([steps], t + 1), h, c, hs, cs

    zeros = tf.zeros([batch, units])
    *_, hs, cs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, entries([steps], 0), zeros, zeros)
        + (array(num_steps), array(num_steps)),
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
                i * (1.0 - tf.square(g)),
                tanh_c * o * (1.0 - o),
            ],
            axis=-1,
        )
        dc_dh = o * (1.0 - tf.square(tanh_c))
        arrays = [unstack(values) for values in (slope, f, dc_dh, d_hs)]
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, now, dh, dc, d_gates):
            slope_t, f_t, dc_dh_t, d_h = now
            dh = dh + d_h
            dc = dc + dh * dc_dh_t
            d_gate = tf.concat([dc, dc, dc, dh], axis=-1) * slope_t
            return (
                t - 1,
                entries(arrays, t - 1),
                d_gate @ kernel_t,
                dc * f_t,
                d_gates.write(t, d_gate),
            )

        *_, d_gates = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, entries(arrays, num_steps - 1), zeros, zeros)
            + (array(num_steps),),
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

    Source: Cho et al. 2014, but the reset gate is applied after the recurrent
    product, as in cuDNN and Keras. The gates are in the order update, reset,
    candidate.

    Args:
      inputs: float32 [T, B, 3K], the input's part of the gates, with bias.
      recurrent_kernel: float32 [K, 3K].
      recurrent_bias: float32 [3K].

    Returns:
      float32 [T, B, K], the hidden states. First-order gradients only.
    """
    num_steps, batch, units = _scan_sizes(inputs, recurrent_kernel)
    steps = unstack(inputs)

    def forward(t, now, h, hs):
        (step,) = now
        h = gru_cell(step, h @ recurrent_kernel + recurrent_bias, h)
        return t + 1, entries([steps], t + 1), h, hs.write(t, h)

    zeros = tf.zeros([batch, units])
    *_, hs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, entries([steps], 0), zeros, array(num_steps)),
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
        d_n = (1.0 - z) * (1.0 - tf.square(n))
        d_z = (h_before - n) * z * (1.0 - z)
        d_r = d_n * n_recurrent * r * (1.0 - r)
        slope = tf.concat([d_z, d_r, d_n * r], axis=-1)
        arrays = [unstack(values) for values in (slope, z, d_hs)]
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, now, dh, dhs):
            slope_t, z_t, d_h = now
            dh = dh + d_h
            d_recurrent = tf.concat([dh, dh, dh], axis=-1) * slope_t
            before = dh * z_t + d_recurrent @ kernel_t
            return t - 1, entries(arrays, t - 1), before, dhs.write(t, dh)

        *_, dhs = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, entries(arrays, num_steps - 1), zeros)
            + (array(num_steps),),
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


def lstm_cell(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes one step of `lstm_scan`: [B, 4K], [B, K] -> h, c."""
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _gru_gates(inputs, recurrent):
    """Update z, reset r, candidate n, and the recurrent part of n."""
    input_z, input_r, input_n = tf.split(inputs, 3, axis=-1)
    recurrent_z, recurrent_r, recurrent_n = tf.split(recurrent, 3, axis=-1)
    z = tf.sigmoid(input_z + recurrent_z)
    r = tf.sigmoid(input_r + recurrent_r)
    return z, r, tf.tanh(input_n + r * recurrent_n), recurrent_n


def gru_cell(
    inputs: tf.Tensor, recurrent: tf.Tensor, h: tf.Tensor
) -> tf.Tensor:
    """Computes one step of `gru_scan`: [B, 3K], [B, 3K], [B, K] -> h."""
    z, _, n, _ = _gru_gates(inputs, recurrent)
    return z * h + (1.0 - z) * n


def _scan_sizes(inputs, recurrent_kernel):
    """T, B and K."""
    num_steps = inputs.shape[0]
    return num_steps, tf.shape(inputs)[1], recurrent_kernel.shape[0]


def array(size: int) -> tf.TensorArray:
    """An array of `size` float32 tensors that can be read repeatedly."""
    return tf.TensorArray(tf.float32, size, clear_after_read=False)


def unstack(values: tf.Tensor) -> tf.TensorArray:
    """An array of the entries of `values` along the first axis."""
    return array(values.shape[0]).unstack(values)


def entries(
    arrays: Sequence[tf.TensorArray], t: int | tf.Tensor
) -> list[tf.Tensor]:
    """Entry t of each array; beyond the ends, the nearest entry.

    A loop uses it to read the operands of its next step ahead, and carries
    them. If it read them in the step that uses them, XLA would fuse the read
    and the arithmetic. On a CPU it would then compute the address of every
    single number, without vector instructions. XLA never fuses products and
    copies, so their operands can be read where they are used.
    """
    return [a.read(tf.clip_by_value(t, 0, a.size() - 1)) for a in arrays]


def _shifted(states):
    """The state before each step: zero, then all states but the last."""
    return tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)
