"""Recurrences over many steps, with gradients written by hand.

XLA's own gradient of a loop is much slower on a CPU than these: what does not
depend on the later steps is computed for all steps at once or kept from the
forward pass, and the backward loop does the rest alone. First order gradients
only.

Shape letters: T or L steps, B batch, K units, N positions times batch.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf


@tf.custom_gradient
def lstm_scan(inputs: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
    """Runs an LSTM over T steps from a zero state.

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

    def forward(t, now, h, c, hs, cs):
        (step,) = now
        h, c = lstm_cell(step + h @ recurrent_kernel, c)
        hs, cs = hs.write(t, h), cs.write(t, c)
        return t + 1, _read([steps], t + 1), h, c, hs, cs

    zeros = tf.zeros([batch, units])
    *_, hs, cs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, _read([steps], 0), zeros, zeros)
        + (_array(num_steps), _array(num_steps)),
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
        arrays = [_unstack(values) for values in (slope, f, dc_dh, d_hs)]
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, now, dh, dc, d_gates):
            slope_t, f_t, dc_dh_t, d_h = now
            dh = dh + d_h
            dc = dc + dh * dc_dh_t
            d_gate = tf.concat([dc, dc, dc, dh], axis=-1) * slope_t
            return (
                t - 1,
                _read(arrays, t - 1),
                d_gate @ kernel_t,
                dc * f_t,
                d_gates.write(t, d_gate),
            )

        *_, d_gates = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, _read(arrays, num_steps - 1), zeros, zeros)
            + (_array(num_steps),),
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

    def forward(t, now, h, hs):
        (step,) = now
        h = gru_cell(step, h @ recurrent_kernel + recurrent_bias, h)
        return t + 1, _read([steps], t + 1), h, hs.write(t, h)

    zeros = tf.zeros([batch, units])
    *_, hs = tf.while_loop(
        lambda t, *_: t < num_steps,
        forward,
        (0, _read([steps], 0), zeros, _array(num_steps)),
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
        slope = tf.concat([d_z, d_r, d_n * r], axis=-1)
        arrays = [_unstack(values) for values in (slope, z, d_hs)]
        kernel_t = tf.transpose(recurrent_kernel)

        def backward(t, now, dh, dhs):
            slope_t, z_t, d_h = now
            dh = dh + d_h
            d_recurrent = tf.concat([dh, dh, dh], axis=-1) * slope_t
            before = dh * z_t + d_recurrent @ kernel_t
            return t - 1, _read(arrays, t - 1), before, dhs.write(t, dh)

        *_, dhs = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (num_steps - 1, _read(arrays, num_steps - 1), zeros)
            + (_array(num_steps),),
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


def line_lstm_scan(
    x: tf.Tensor,
    inputs: tf.Tensor,
    bias: tf.Tensor,
    states: tf.Tensor,
    outputs: tf.Tensor,
    shifts: Sequence[int],
    stride: int | tf.Tensor,
    keep: tf.Tensor | None = None,
) -> tf.Tensor:
    """Runs a convolutional LSTM over L lines of positions from a zero state.

    The state-to-state convolution reads the hidden states of the line before;
    the cell state stays at its position. A line is a row of an image (Row
    LSTM) or a diagonal (Diagonal BiLSTM).

    The products with `inputs` and `outputs` could stand outside the loop.
    Inside, x and y, [N, F], are turned into the [K, N] of the states while
    they are in the cache: there, gates are split and stacked as blocks of
    memory, and one product serves x and the states before.

    Source: van den Oord et al. 2016, equation 3.

    Args:
      x: float32 [L, D, N, F]; N is positions times `stride`. D networks with
        weights of their own run side by side.
      inputs: float32 [D, F, 4K], gates in the order of `line_lstm_cell`.
      bias: float32 [D, 4K].
      states: float32 [D, taps, K, 4K].
      outputs: float32 [D, K, F'].
      shifts: of each tap: position p reads position p - shift, or 0 beyond the
        border.
      stride: examples per position.
      keep: float32 [L, 1, N], 0 where a position starts afresh: there the cell
        state and the tap of shift 0 read 0. None: nowhere.

    Returns:
      float32 [L, D, N, F'], the hidden states times `outputs`.
    """

    if keep is None:
        keep = tf.ones([x.shape[0], 1, 1])

    def taps(h, keep_t):
        """[D, K, N] -> [D, taps * K, N]."""
        return tf.concat(
            [_shift(h, s, stride) if s else h * keep_t for s in shifts], axis=1
        )

    def taps_transposed(d_taps, keep_t):
        d_shifted = tf.split(d_taps, len(shifts), axis=1)
        # Two at a time: see training.loop.
        return functools.reduce(
            tf.add,
            [
                _shift(d, -s, stride) if s else d * keep_t
                for s, d in zip(shifts, d_shifted, strict=True)
            ],
        )

    @tf.custom_gradient
    def scan(x, inputs, bias, states, outputs):
        num_lines, (count, units) = x.shape[0], outputs.shape[:2]
        from_taps = tf.reshape(states, [count, -1, 4 * units])
        weights = tf.concat([inputs, from_taps], axis=1)
        lines = _unstack(x)
        size = tf.shape(x)[2]
        zeros = tf.zeros([count, units, size])
        ones = tf.ones([count, size, 1])

        def forward(t, h, c, reads, cs, gates, ys):
            # (To read x and `keep` ahead is no faster here.)
            x_t = tf.linalg.matrix_transpose(lines.read(t))
            read = tf.concat([x_t, taps(h, keep[t])], axis=1)
            c = c * keep[t]
            activations = _line_activations(
                tf.matmul(weights, read, transpose_a=True) + bias[:, :, None],
                axis=1,
            )
            reads, cs = reads.write(t, read), cs.write(t, c)
            h, c = _line_outputs(activations, c, axis=1)
            y = tf.matmul(h, outputs, transpose_a=True)
            gates = gates.write(t, activations)
            return t + 1, h, c, reads, cs, gates, ys.write(t, y)

        *_, reads, cs, gates, ys = tf.while_loop(
            lambda t, *_: t < num_lines,
            forward,
            (0, zeros, zeros, *(_array(num_lines) for _ in range(4))),
            maximum_iterations=num_lines,
        )
        # By line: what its gates read, the cell state before it, its gates.
        reads, cs, gates = reads.stack(), cs.stack(), gates.stack()

        def gradient(d_ys):
            # Arrays of its own: a SavedModel cannot hold a gradient that reads
            # those of the forward function.
            all_reads, d_lines = _unstack(reads), _unstack(d_ys)
            arrays = [_unstack(values) for values in (gates, cs, keep)]

            def backward(t, now, dh, dc, d_weights, d_bias, d_outputs, d_xs):
                activations, c_before, keep_t = now
                i, f, o, g = tf.split(activations, 4, axis=1)
                tanh_c = tf.tanh(f * c_before + i * g)
                d_y = d_lines.read(t)
                dh = dh + tf.matmul(outputs, d_y, transpose_b=True)
                dc = dc + dh * o * (1.0 - tanh_c**2)
                d_gates = tf.concat(
                    [
                        dc * g * i * (1.0 - i),
                        dc * c_before * f * (1.0 - f),
                        dh * tanh_c * o * (1.0 - o),
                        dc * i * (1.0 - g**2),
                    ],
                    axis=1,
                )
                read = all_reads.read(t)
                d_read = weights @ d_gates
                d_x, d_taps = tf.split(d_read, [inputs.shape[1], -1], axis=1)
                return (
                    t - 1,
                    _read(arrays, t - 1),
                    taps_transposed(d_taps, keep_t),
                    dc * f * keep_t,
                    d_weights + tf.matmul(read, d_gates, transpose_b=True),
                    # (A product, for XLA's sums along rows are slow.)
                    d_bias + d_gates @ ones,
                    d_outputs + tf.matmul(o * tanh_c, d_y),
                    d_xs.write(t, tf.linalg.matrix_transpose(d_x)),
                )

            sums = [
                tf.zeros_like(w) for w in (weights, bias[:, :, None], outputs)
            ]
            *_, d_weights, d_bias, d_outputs, d_xs = tf.while_loop(
                lambda t, *_: t >= 0,
                backward,
                (num_lines - 1, _read(arrays, num_lines - 1), zeros, zeros)
                + (*sums, _array(num_lines)),
                maximum_iterations=num_lines,
            )
            d_inputs, d_states = tf.split(
                d_weights, [inputs.shape[1], -1], axis=1
            )
            d_states = tf.reshape(d_states, states.shape)
            return d_xs.stack(), d_inputs, d_bias[:, :, 0], d_states, d_outputs

        return ys.stack(), gradient

    return scan(x, inputs, bias, states, outputs)


def line_lstm_cell(
    gates: tf.Tensor, c: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """One position of `line_lstm_scan`: [B, 4K], [B, K] -> h, c.

    Gates in the order input, forget, output, candidate.
    """
    return _line_outputs(_line_activations(gates, axis=-1), c, axis=-1)


def _line_activations(gates, axis):
    sigmoids, candidate = tf.split(
        gates, [gates.shape[axis] // 4 * 3, gates.shape[axis] // 4], axis
    )
    return tf.concat([tf.sigmoid(sigmoids), tf.tanh(candidate)], axis)


def _line_outputs(activations, c, axis):
    i, f, o, g = tf.split(activations, 4, axis)
    c = f * c + i * g
    return o * tf.tanh(c), c


def _shift(h, positions, stride):
    """[D, K, N]: position p takes position p - `positions`, or 0 beyond."""
    count, size = abs(positions) * stride, tf.shape(h)[2]
    if positions > 0:
        return tf.pad(h[:, :, : size - count], [[0, 0], [0, 0], [count, 0]])
    return tf.pad(h[:, :, count:], [[0, 0], [0, 0], [0, count]])


def lstm_cell(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One step of `lstm_scan`: [B, 4K], [B, K] -> h, c."""
    i, f, g, o = tf.split(gates, 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _gru_gates(inputs, recurrent):
    input_z, input_r, input_n = tf.split(inputs, 3, axis=-1)
    recurrent_z, recurrent_r, recurrent_n = tf.split(recurrent, 3, axis=-1)
    z = tf.sigmoid(input_z + recurrent_z)
    r = tf.sigmoid(input_r + recurrent_r)
    return z, r, tf.tanh(input_n + r * recurrent_n), recurrent_n


def gru_cell(
    inputs: tf.Tensor, recurrent: tf.Tensor, h: tf.Tensor
) -> tf.Tensor:
    """One step of `gru_scan`: [B, 3K], [B, 3K], [B, K] -> h."""
    z, _, n, _ = _gru_gates(inputs, recurrent)
    return z * h + (1.0 - z) * n


def _scan_sizes(inputs, recurrent_kernel):
    num_steps = inputs.shape[0]
    return num_steps, tf.shape(inputs)[1], recurrent_kernel.shape[0]


def _array(size):
    return tf.TensorArray(tf.float32, size, clear_after_read=False)


def _unstack(values):
    return _array(values.shape[0]).unstack(values)


def _read(arrays, t):
    """Entry t of each array, or the nearest one.

    For loops that carry what the arithmetic of their next step reads. Were it
    read where it is used, XLA would fuse the two, and on a CPU work out the
    place of every single number, without vector instructions. (A product or a
    copy is never fused; its operand can be read where it is used.)
    """
    return [a.read(tf.clip_by_value(t, 0, a.size() - 1)) for a in arrays]


def _shifted(states):
    """The states before each step: zero first, the last left out."""
    return tf.concat([tf.zeros_like(states[:1]), states[:-1]], axis=0)
