"""Recurrent layers of PixelRNN; pixel_layers.py has their interface.

Source: van den Oord et al. 2016, section 3; the notes for the plain LSTM.
"""

import math

import numpy as np
import tensorflow as tf

from tfgen.layers import line_scans, scans
from tfgen.layers.linear import Linear
from tfgen.layers.pixel_layers import (
    PixelLayer,
    earlier_channels,
    gate_mask,
    windows,
)

# Diagonal BiLSTM: number of images side by side in one skewed map.
_IMAGES_PER_STREAM = 4


class RasterLSTM(PixelLayer):
    """The notes' LSTM over the pixels in raster order.

    The state passes from the end of a row to the start of the next row, but it
    does not contain the value of the row's last pixel. A value enters the LSTM
    with the features of the pixel to its right, and the last pixel has no right
    neighbour. Later rows see its value only through the window of the first
    convolution.
    """

    gates = 4

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        self.inputs = Linear(
            features,
            self.gates * units,
            gate_mask(features, units, channels, self.gates),
        )
        self.inputs.bias.assign(self._initial_bias())
        self.recurrent_kernel = self.add_weight(
            shape=[units, self.gates * units],
            name='recurrent_kernel',
            initializer='orthogonal',
        )
        self.outputs = _outputs(units, features, channels)

    def _initial_bias(self):
        return _open_forget_gate(self.units)

    def call(self, x):
        height, width = x.shape[1:3]
        gates = self.inputs(x)
        gates = tf.reshape(gates, [-1, height * width, gates.shape[-1]])
        h = self._scan(tf.transpose(gates, [1, 0, 2]))
        h = tf.transpose(h, [1, 0, 2])
        h = tf.reshape(h, [-1, height, width, self.units])
        return self.outputs(h)

    def _scan(self, gates):
        return scans.lstm_scan(
            gates, tf.convert_to_tensor(self.recurrent_kernel)
        )

    def memory(self, weights, width, batch):
        return (tf.zeros([batch, self.units]),) * 2

    def step_weights(self, batch):
        inputs, bias = self.inputs.step_weights(batch)
        kernel = tf.concat([inputs, self.recurrent_kernel], axis=0)
        return kernel, bias, *self.outputs.step_weights(batch)

    def row(self, weights, memory):
        return (), memory

    def step(self, weights, x, above, left):
        kernel, bias, outputs, outputs_bias = weights
        h, c = left
        gates = tf.concat([x, h], axis=1) @ kernel + bias
        h, c = scans.lstm_cell(gates, c)
        return h @ outputs + outputs_bias, (h, c), ()

    def finish(self, weights, memory, records, left):
        return left


class RasterGRU(RasterLSTM):
    """`RasterLSTM` with a GRU instead of the LSTM."""

    gates = 3

    def __init__(self, features: int, units: int, channels: int):
        super().__init__(features, units, channels)
        self.recurrent_bias = self.add_weight(
            shape=[self.gates * units],
            name='recurrent_bias',
            initializer='zeros',
        )

    def _initial_bias(self):
        return np.zeros([self.gates * self.units])

    def _scan(self, gates):
        return scans.gru_scan(
            gates,
            tf.convert_to_tensor(self.recurrent_kernel),
            tf.convert_to_tensor(self.recurrent_bias),
        )

    def memory(self, weights, width, batch):
        return (tf.zeros([batch, self.units]),)

    def step_weights(self, batch):
        return (
            *self.inputs.step_weights(batch),
            tf.convert_to_tensor(self.recurrent_kernel),
            tf.tile(self.recurrent_bias[None], [batch, 1]),
            *self.outputs.step_weights(batch),
        )

    def step(self, weights, x, above, left):
        inputs, bias, kernel, recurrent_bias, outputs, outputs_bias = weights
        (h,) = left
        h = scans.gru_cell(x @ inputs + bias, h @ kernel + recurrent_bias, h)
        return h @ outputs + outputs_bias, (h,), ()


class RowLSTM(PixelLayer):
    """A convolutional LSTM that runs from row to row (section 3.1).

    A state-to-state convolution of width 3 reads the row above. The masked
    input-to-state convolution reads the pixel and its left neighbour. The
    context of a pixel is a triangle above it.
    """

    num_records = 2

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        mask = gate_mask(features, units, channels, 4)
        if mask is not None:
            mask = tf.stack([tf.ones_like(mask), mask])
        self.inputs = Linear(features, 4 * units, mask, leading=[2])
        self.inputs.bias.assign(_open_forget_gate(units))
        self.states = Linear(units, 4 * units, leading=[3], bias=False)
        self.outputs = _outputs(units, features, channels, bias=False)

    def call(self, x):
        batch, height, width, features = x.shape
        batch = tf.shape(x)[0] if batch is None else batch
        left = tf.pad(x[:, :, :-1], [[0, 0], [0, 0], [1, 0], [0, 0]])
        both = tf.transpose(tf.concat([left, x], axis=-1), [1, 2, 0, 3])
        y = line_scans.line_lstm_scan(
            tf.reshape(both, [height, 1, width * batch, 2 * features]),
            tf.reshape(self.inputs.kernel, [1, -1, 4 * self.units]),
            tf.convert_to_tensor(self.inputs.bias)[None],
            self.states.kernel[None],
            self.outputs.kernel[None],
            shifts=(1, 0, -1),
            stride=batch,
        )
        y = tf.reshape(y, [height, width, batch, features])
        return tf.transpose(y, [2, 0, 1, 3])

    def memory(self, weights, width, batch):
        return (tf.zeros([width, batch, self.units]),) * 2

    def step_weights(self, batch):
        kernel, bias = self.inputs.step_weights(batch)
        return (
            tf.reshape(kernel, [-1, 4 * self.units]),
            bias,
            tf.reshape(self.states.kernel, [-1, 4 * self.units]),
            self.outputs.kernel,
        )

    def row(self, weights, memory):
        inputs, bias, states, _ = weights
        h, c = memory
        above = tf.tensordot(windows(h, 1), states, 1)
        left = tf.zeros([tf.shape(c)[1], inputs.shape[0] // 2])
        return (above + bias, c), left

    def step(self, weights, x, above, left):
        inputs, _, _, outputs = weights
        gates, c = above
        gates += tf.concat([left, x], axis=1) @ inputs
        h, c = line_scans.line_lstm_cell(gates, c)
        return h @ outputs, x, (h, c)

    def finish(self, weights, memory, records, left):
        return records


class DiagonalBiLSTM(PixelLayer):
    """Two LSTMs along the diagonals (section 3.2).

    The left-to-right LSTM reads the states of the pixels to the left and above.
    The right-to-left LSTM reads those to the right and above; its map is then
    shifted down by one row. Together they see every earlier pixel. One pixel is
    an exception: the next row sees a row's last pixel only through the first
    convolution.
    """

    num_records = 2

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        mask = gate_mask(features, units, channels, 4)
        self.inputs, self.states = [], []
        for _ in ('rightward', 'leftward'):
            inputs = Linear(features, 4 * units, mask)
            inputs.bias.assign(_open_forget_gate(units))
            self.inputs.append(inputs)
            # The two taps are the neighbour in the row and the pixel above.
            self.states.append(
                Linear(units, 4 * units, leading=[2], bias=False)
            )
        self.outputs = _outputs(units, features, channels, bias=False)

    def call(self, x):
        y = _diagonal_scan(
            tf.stack([x, tf.reverse(x, [2])]),
            tf.stack([i.kernel for i in self.inputs]),
            tf.stack([tf.convert_to_tensor(i.bias) for i in self.inputs]),
            tf.stack([s.kernel for s in self.states]),
            tf.stack([self.outputs.kernel] * 2),
        )
        from_left, from_right = tf.unstack(y)
        from_right = tf.reverse(from_right, [2])[:, :-1]
        return from_left + tf.pad(from_right, [[0, 0], [1, 0], [0, 0], [0, 0]])

    def memory(self, weights, width, batch):
        return (tf.zeros([width, batch, self.units]),) * 2

    def step_weights(self, batch):
        (inputs, bias), (left_inputs, left_bias) = (
            i.step_weights(batch) for i in self.inputs
        )
        beside, above = tf.unstack(self.states[0].kernel)
        left_beside, left_above = tf.unstack(self.states[1].kernel)
        rightward = tf.concat([inputs, beside], axis=0), above, bias
        leftward = left_inputs, left_beside, left_above, left_bias
        return rightward, leftward, self.outputs.kernel

    def row(self, weights, memory):
        (_, from_above, bias), _, _ = weights
        h, from_right = memory
        above = tf.tensordot(h, from_above, 1) + bias
        return (above, from_right), (tf.zeros_like(h[0]),) * 2

    def step(self, weights, x, above, left):
        (kernel, _, _), _, outputs = weights
        h, c = left
        gates, from_right = above
        gates += tf.concat([x, h], axis=1) @ kernel
        h, c = line_scans.line_lstm_cell(gates, c)
        return (h + from_right) @ outputs, (h, c), (h, x)

    def finish(self, weights, memory, records, left):
        """Runs the right-to-left LSTM over the finished row."""
        _, (inputs, beside, from_above, bias), _ = weights
        _, above = memory
        h, x = records
        gates = tf.tensordot(x, inputs, 1) + bias
        gates += tf.tensordot(above, from_above, 1)
        gates = tf.TensorArray(tf.float32, gates.shape[0]).unstack(gates)
        width = x.shape[0]

        def move(n, h, c, from_right):
            position = width - 1 - n
            h, c = line_scans.line_lstm_cell(
                gates.read(position) + h @ beside, c
            )
            return n + 1, h, c, from_right.write(position, h)

        zeros = tf.zeros_like(h[0])
        *_, from_right = tf.while_loop(
            lambda n, *_: n < width,
            move,
            (0, zeros, zeros, tf.TensorArray(tf.float32, width)),
            maximum_iterations=width,
        )
        return h, from_right.stack()


def _outputs(units, features, channels, bias=True):
    """The linear map from units to features, under mask B."""
    mask = earlier_channels(units, features, channels)
    return Linear(units, features, mask, bias=bias)


def _open_forget_gate(units):
    """A bias, [4K], of 1 for the forget gate (Jozefowicz et al. 2015)."""
    return np.repeat([0.0, 1.0, 0.0, 0.0], units)


def _diagonal_scan(x, inputs, bias, states, outputs):
    """Runs D LSTMs from the upper left to the lower right.

    [D, B, H, W, F] -> [D, B, H, W, F]. The map is skewed, so that a column
    holds pixels that do not depend on each other. The triangles at the ends of
    a skewed map hold no pixels. Several images stand side by side in one map,
    so that they share the cost of these triangles.
    """
    count, batch, height, width, features = x.shape
    images = 1 if batch is None else math.gcd(batch, _IMAGES_PER_STREAM)
    streams = tf.shape(x)[1] // images if batch is None else batch // images
    columns = images * width
    lines = columns + height - 1
    x = tf.reshape(x, [count, streams, images, height, width, features])
    x = tf.transpose(x, [0, 3, 2, 4, 1, 5])
    x = tf.reshape(x, [count, height, columns, streams * features])
    x = tf.transpose(_skewed(x), [2, 0, 1, 3])
    x = tf.reshape(x, [lines, count, height * streams, features])

    # The LSTM must not read across images: the left neighbour of an image's
    # first column is the last column of another image.
    column = np.arange(lines)[:, None] - np.arange(height)
    keep = tf.constant(column % width != 0, tf.float32)[:, None, :, None]
    keep = tf.broadcast_to(keep, [lines, 1, height, streams])
    keep = tf.reshape(keep, [lines, 1, height * streams])
    y = line_scans.line_lstm_scan(
        x, inputs, bias, states, outputs, (0, 1), streams, keep
    )

    y = tf.reshape(y, [lines, count, height, streams * features])
    y = _unskewed(tf.transpose(y, [1, 2, 0, 3]), columns)
    y = tf.reshape(y, [count, height, images, width, streams, features])
    y = tf.transpose(y, [0, 4, 2, 1, 3, 5])
    return tf.reshape(y, [count, -1, height, width, features])


def _skewed(x):
    """Moves row y right by y pixels: [D, H, W, F] -> [D, H, W + H - 1, F].

    Each row is padded to W + H pixels. The padded rows are joined and cut into
    shorter rows, of W + H - 1 pixels. So each row starts one pixel later than
    the row before it.
    """
    count, height, width, _ = x.shape
    size = tf.shape(x)[3]
    lines = width + height - 1
    x = tf.pad(x, [[0, 0], [0, 0], [0, height], [0, 0]])
    x = tf.reshape(x, [count, height * (lines + 1), size])
    return tf.reshape(x[:, : height * lines], [count, height, lines, size])


def _unskewed(x, width):
    """The inverse of `_skewed`: [D, H, W + H - 1, F] -> [D, H, W, F]."""
    count, height, lines, _ = x.shape
    size = tf.shape(x)[3]
    x = tf.reshape(x, [count, height * lines, size])
    x = tf.pad(x, [[0, 0], [0, height], [0, 0]])
    return tf.reshape(x, [count, height, lines + 1, size])[:, :, :width]
