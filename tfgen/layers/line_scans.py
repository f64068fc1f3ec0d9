"""Recurrences from line to line of an image, with gradients written by hand.

A line is a row or a diagonal. scans.py explains why the gradients are written
by hand.

Shape letters: L lines, D networks side by side, F features, K units, N
positions times batch.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf

from tfgen.layers.scans import array, entries, unstack


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

    The products with `inputs` and `outputs` could be computed outside the loop.
    They are computed inside it, because x and y, [N, F], are then in the cache
    when they are transposed to and from the layout of the states, [K, N]. In
    this layout, gates are split and stacked as blocks of memory, and one matrix
    product serves x and the previous states.

    Source: van den Oord et al. 2016, equation 3.

    Args:
      x: float32 [L, D, N, F]; N is positions times `stride`. The D networks run
        side by side, each with its own weights.
      inputs: float32 [D, F, 4K], gates in the order of `line_lstm_cell`.
      bias: float32 [D, 4K].
      states: float32 [D, taps, K, 4K].
      outputs: float32 [D, K, F'].
      shifts: one per tap. Position p reads position p - shift, or 0 beyond the
        border.
      stride: examples per position.
      keep: float32 [L, 1, N] of 0 and 1. Where it is 0, the previous cell state
        and the tap of shift 0 are replaced by 0. None is 1 everywhere.

    Returns:
      float32 [L, D, N, F'], the hidden states times `outputs`.
    """
    if keep is None:
        keep = tf.ones([x.shape[0], 1, 1])
    # `stride` is an int in training and a tensor in exports, whose batches may
    # have any size.
    scan = _scan if isinstance(stride, int) else _shared_scan
    return scan(x, inputs, bias, states, outputs, shifts, stride, keep)


def _scan(x, inputs, bias, states, outputs, shifts, stride, keep):
    """Computes `line_lstm_scan`, which describes the arguments."""

    def taps(h, keep_t):
        """The states that each tap reads: [D, K, N] -> [D, taps * K, N]."""
        return tf.concat(
            [_shift(h, s, stride) if s else h * keep_t for s in shifts], axis=1
        )

    def taps_transposed(d_taps, keep_t):
        """The gradient of `taps`: [D, taps * K, N] -> [D, K, N]."""
        d_shifted = tf.split(d_taps, len(shifts), axis=1)
        # Pairs are added, because tf.add_n adds in no fixed order.
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
        lines = unstack(x)
        size = tf.shape(x)[2]
        zeros = tf.zeros([count, units, size])
        ones = tf.ones([count, size, 1])

        def forward(t, h, c, reads, cs, gates, ys):
            # Reading x and `keep` ahead, as scans.py does, is no faster here.
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
            (0, zeros, zeros, *(array(num_lines) for _ in range(4))),
            maximum_iterations=num_lines,
        )
        # For each line: the inputs of its gates, the cell state before it, and
        # its gates.
        reads, cs, gates = reads.stack(), cs.stack(), gates.stack()

        def gradient(d_ys):
            # The gradient has its own arrays: a SavedModel cannot hold a
            # gradient that reads the arrays of the forward function.
            all_reads, d_lines = unstack(reads), unstack(d_ys)
            arrays = [unstack(values) for values in (gates, cs, keep)]

            def backward(t, now, dh, dc, d_weights, d_bias, d_outputs, d_xs):
                activations, c_before, keep_t = now
                i, f, o, g = tf.split(activations, 4, axis=1)
                tanh_c = tf.tanh(f * c_before + i * g)
                d_y = d_lines.read(t)
                dh = dh + tf.matmul(outputs, d_y, transpose_b=True)
                dc = dc + dh * o * (1.0 - tf.square(tanh_c))
                d_gates = tf.concat(
                    [
                        dc * g * i * (1.0 - i),
                        dc * c_before * f * (1.0 - f),
                        dh * tanh_c * o * (1.0 - o),
                        dc * i * (1.0 - tf.square(g)),
                    ],
                    axis=1,
                )
                read = all_reads.read(t)
                d_read = weights @ d_gates
                d_x, d_taps = tf.split(d_read, [inputs.shape[1], -1], axis=1)
                return (
                    t - 1,
                    entries(arrays, t - 1),
                    taps_transposed(d_taps, keep_t),
                    dc * f * keep_t,
                    d_weights + tf.matmul(read, d_gates, transpose_b=True),
                    # A product with ones, because XLA's row sums are slow.
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
                (num_lines - 1, entries(arrays, num_lines - 1), zeros, zeros)
                + (*sums, array(num_lines)),
                maximum_iterations=num_lines,
            )
            d_inputs, d_states = tf.split(
                d_weights, [inputs.shape[1], -1], axis=1
            )
            d_states = tf.reshape(d_states, states.shape)
            return d_xs.stack(), d_inputs, d_bias[:, :, 0], d_states, d_outputs

        return ys.stack(), gradient

    return scan(x, inputs, bias, states, outputs)


# In an export, layers of the same shape share one graph of this function and
# its gradient. Training must not share it: XLA would receive `stride` as an
# argument that must be constant, and would compile every batch anew.
_shared_scan = tf.function(_scan, autograph=False)


def line_lstm_cell(
    gates: tf.Tensor, c: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes one position of `line_lstm_scan`: [B, 4K], [B, K] -> h, c.

    The gates are in the order input, forget, output, candidate.
    """
    return _line_outputs(_line_activations(gates, axis=-1), c, axis=-1)


def _line_activations(gates, axis):
    """Sigmoids of the first three gates, tanh of the candidate."""
    sigmoids, candidate = tf.split(
        gates, [gates.shape[axis] // 4 * 3, gates.shape[axis] // 4], axis
    )
    return tf.concat([tf.sigmoid(sigmoids), tf.tanh(candidate)], axis)


def _line_outputs(activations, c, axis):
    """The next h and c, from activated gates and the previous c."""
    i, f, o, g = tf.split(activations, 4, axis)
    c = f * c + i * g
    return o * tf.tanh(c), c


def _shift(h, positions, stride):
    """Shifts [D, K, N] along N by `positions`; 0 enters at the border.

    Position p takes the values of position p - `positions`. A position has
    `stride` columns.
    """
    count, size = abs(positions) * stride, tf.shape(h)[2]
    if positions > 0:
        return tf.pad(h[:, :, : size - count], [[0, 0], [0, 0], [count, 0]])
    return tf.pad(h[:, :, count:], [[0, 0], [0, 0], [0, count]])
