"""The layers of PixelRNN: a whole image at once, or one pixel at a time.

Every layer is one branch of a residual network: it maps features [B, H, W, F]
to what is added to them. Pixel (y, x) depends on the rows above, on the pixels
to its left and on itself, and within a pixel, features of a colour channel on
those of the same and of earlier channels alone (mask B).

For sampling a layer works pixel by pixel and computes only what is new. What
it needs of the past lies in three places:

  memory  what the finished rows leave; made by `memory`, then by `finish`.
  above   what the rows above give to each pixel of a row, made for the whole
          row at its start by `row`.
  left    what the pixels to the left in the same row give; `step` hands it on.

Its weights, masked and put together, are made once, before the loops, by
`frozen`.

Source: van den Oord et al. 2016, sections 2 and 3; 2016b ("Conditional image
generation with PixelCNN decoders") for the gated unit.

Shape letters: F features of a map, K units inside a layer.
"""

import abc
import math

import keras
import numpy as np
import tensorflow as tf

from tfgen import scans
from tfgen.layers import Linear

# Diagonal BiLSTM: so many images side by side share the skewed map's ends.
_IMAGES_PER_STREAM = 4


def channel_mask(
    inputs: int, outputs: int, channels: int, strict: bool = False
) -> tf.Tensor | None:
    """Which input feature may reach which output: [inputs, outputs] of 0, 1.

    Features are dealt to the C colour channels in equal shares, R first. Mask
    B lets a channel see itself and the earlier ones, mask A (`strict`) the
    earlier ones alone. None where nothing is masked.
    """
    if channels == 1 and not strict:
        return None
    before = tf.range(inputs) * channels // inputs
    after = tf.range(outputs) * channels // outputs
    seen = before[:, None] < after if strict else before[:, None] <= after
    return tf.cast(seen, tf.float32)


class PixelLayer(keras.layers.Layer, abc.ABC):
    """What `PixelRNN` stacks; see the head of this file."""

    # Tensors [B, ...] that each pixel leaves for `finish`.
    num_records = 0

    def __init__(self):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape

    @abc.abstractmethod
    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The whole map: [B, H, W, F] -> [B, H, W, F]."""

    @abc.abstractmethod
    def memory(self, width: int, batch: int | tf.Tensor):
        """What the rows above the first leave: nothing."""

    @abc.abstractmethod
    def frozen(self):
        """The weights of the following functions, as plain tensors."""

    @abc.abstractmethod
    def row(self, frozen, memory):
        """Starts a row: memory -> (above [W, B, ...], left [B, ...])."""

    @abc.abstractmethod
    def step(self, frozen, x: tf.Tensor, above, left):
        """One pixel: [B, F] -> [B, F], the next pixel's left, records."""

    @abc.abstractmethod
    def finish(self, frozen, memory, records, left):
        """Ends a row: the pixels' records, each [W, B, ...] -> memory."""


class InputConv(keras.layers.Layer):
    """The first layer, mask A: pixel values [B, H, W, C * E] -> [B, H, W, F].

    E numbers stand for the value of each channel. Pixel (y, x) sees the values
    of earlier pixels in a k x k window and the earlier channels of its own.
    Pixel by pixel it works as a PixelLayer, but its `step` may run before all
    channels are known; `move` ends the pixel.
    """

    num_records = 1

    def __init__(
        self, channels: int, value_size: int, features: int, size: int
    ):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape
        self.radius = size // 2
        inputs = channels * value_size
        mask = np.ones([self.radius + 1, size, inputs, features], np.float32)
        mask[-1, self.radius] = channel_mask(inputs, features, channels, True)
        mask[-1, self.radius + 1 :] = 0.0
        self.window = Linear(
            inputs, features, mask, leading=[self.radius + 1, size]
        )

    def call(self, x):
        r = self.radius
        x = tf.pad(x, [[0, 0], [r, 0], [r, r], [0, 0]])
        y = tf.nn.conv2d(x, self.window.kernel, 1, 'VALID')
        return y + self.window.bias

    def memory(self, width, batch):
        inputs = self.window.kernel.shape[2]
        return tf.zeros([self.radius, width, batch, inputs])

    def frozen(self):
        kernel = self.window.kernel
        r = self.radius
        # Rows above; pixels to the left and the pixel itself.
        beside = tf.reshape(kernel[r, : r + 1], [-1, kernel.shape[-1]])
        return kernel[:r], beside, tf.convert_to_tensor(self.window.bias)

    def row(self, frozen, memory):
        kernel, _, bias = frozen
        r = self.radius
        rows = tf.pad(memory, [[0, 0], [r, r], [0, 0], [0, 0]])
        rows = tf.transpose(rows, [2, 0, 1, 3])  # [B, r, W + 2r, C * E]
        above = tf.nn.conv2d(rows, kernel, 1, 'VALID') + bias
        left = tf.zeros([tf.shape(memory)[2], r * memory.shape[-1]])
        return tf.transpose(above[:, 0], [1, 0, 2]), left

    def step(self, frozen, x, above, left):
        """Values [B, C * E], of which the earlier channels count: [B, F]."""
        _, beside, _ = frozen
        return above + tf.concat([left, x], axis=1) @ beside

    def move(self, x, left):
        """The pixel's values [B, C * E] -> left of the next one."""
        return tf.concat([left[:, x.shape[1] :], x], axis=1)

    def finish(self, frozen, memory, records, left):
        return tf.concat([memory[1:], records[0][None]], axis=0)


class RasterLSTM(PixelLayer):
    """The notes' LSTM, over the pixels in raster order.

    The state goes on from the end of a row to the beginning of the next.
    """

    gates = 4

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        self.inputs = Linear(
            features,
            self.gates * units,
            _gate_mask(features, units, channels, self.gates),
        )
        self.inputs.bias.assign(self._initial_bias())
        self.recurrent_kernel = self.add_weight(
            shape=[units, self.gates * units],
            name='recurrent_kernel',
            initializer='orthogonal',
        )
        self.outputs = Linear(
            units, features, channel_mask(units, features, channels)
        )

    def _initial_bias(self):
        # A forget gate that starts open (Jozefowicz et al. 2015).
        return np.repeat([0.0, 1.0, 0.0, 0.0], self.units)

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

    def memory(self, width, batch):
        return (tf.zeros([batch, self.units]),) * 2

    def frozen(self):
        return (
            tf.concat([self.inputs.kernel, self.recurrent_kernel], axis=0),
            tf.convert_to_tensor(self.inputs.bias),
            *self.outputs.frozen(),
        )

    def row(self, frozen, memory):
        return (), memory

    def step(self, frozen, x, above, left):
        kernel, bias, outputs, outputs_bias = frozen
        h, c = left
        gates = tf.nn.bias_add(tf.concat([x, h], axis=1) @ kernel, bias)
        h, c = scans.lstm_cell(gates, c)
        return tf.nn.bias_add(h @ outputs, outputs_bias), (h, c), ()

    def finish(self, frozen, memory, records, left):
        return left


class RasterGRU(RasterLSTM):
    """`RasterLSTM` with a GRU in place of the LSTM."""

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

    def memory(self, width, batch):
        return (tf.zeros([batch, self.units]),)

    def frozen(self):
        return (
            *self.inputs.frozen(),
            tf.convert_to_tensor(self.recurrent_kernel),
            tf.convert_to_tensor(self.recurrent_bias),
            *self.outputs.frozen(),
        )

    def step(self, frozen, x, above, left):
        inputs, bias, kernel, recurrent_bias, outputs, outputs_bias = frozen
        (h,) = left
        h = scans.gru_cell(x @ inputs + bias, h @ kernel + recurrent_bias, h)
        return tf.nn.bias_add(h @ outputs, outputs_bias), (h,), ()


class RowLSTM(PixelLayer):
    """A convolutional LSTM from row to row (section 3.1).

    A row reads the one above through a state-to-state convolution of width 3
    and, through the masked input-to-state convolution, its own pixel and the
    one to the left. The context of a pixel is a triangle above it.
    """

    num_records = 2

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        mask = _gate_mask(features, units, channels)
        if mask is not None:
            mask = tf.stack([tf.ones_like(mask), mask])
        self.inputs = Linear(features, 4 * units, mask, leading=[2])
        self.inputs.bias.assign(_open_forget_gate(units))
        self.states = Linear(units, 4 * units, leading=[3], bias=False)
        self.outputs = Linear(
            units,
            features,
            channel_mask(units, features, channels),
            bias=False,
        )

    def call(self, x):
        height, width, features = x.shape[1:]
        batch = tf.shape(x)[0]
        x = tf.identity(x)  # gradients meet in pairs: see training.py
        left = tf.pad(x[:, :, :-1], [[0, 0], [0, 0], [1, 0], [0, 0]])
        both = tf.transpose(tf.concat([left, x], axis=-1), [1, 2, 0, 3])
        y = scans.line_lstm_scan(
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

    def memory(self, width, batch):
        return (tf.zeros([width, batch, self.units]),) * 2

    def frozen(self):
        kernel, bias = self.inputs.frozen()
        return (
            tf.reshape(kernel, [-1, 4 * self.units]),
            bias,
            self.states.kernel,
            self.outputs.kernel,
        )

    def row(self, frozen, memory):
        inputs, bias, states, _ = frozen
        h, c = memory
        h = tf.transpose(tf.pad(h, [[1, 1], [0, 0], [0, 0]]), [1, 0, 2])
        above = tf.nn.conv1d(h, states, 1, 'VALID') + bias
        left = tf.zeros([tf.shape(c)[1], inputs.shape[0] // 2])
        return (tf.transpose(above, [1, 0, 2]), c), left

    def step(self, frozen, x, above, left):
        inputs, _, _, outputs = frozen
        gates, c = above
        gates += tf.concat([left, x], axis=1) @ inputs
        h, c = scans.line_lstm_cell(gates, c)
        return h @ outputs, x, (h, c)

    def finish(self, frozen, memory, records, left):
        return records


class DiagonalBiLSTM(PixelLayer):
    """Two LSTMs along the diagonals (section 3.2).

    The left-to-right LSTM reads the states of the pixels to the left and
    above; the right-to-left one those to the right and above, and its map is
    then shifted down by a row. Together they see every earlier pixel.
    """

    num_records = 2

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        mask = _gate_mask(features, units, channels)
        self.inputs, self.states = [], []
        for _ in ('rightward', 'leftward'):
            inputs = Linear(features, 4 * units, mask)
            inputs.bias.assign(_open_forget_gate(units))
            self.inputs.append(inputs)
            # Taps: the pixel beside, the pixel above.
            self.states.append(
                Linear(units, 4 * units, leading=[2], bias=False)
            )
        self.outputs = Linear(
            units,
            features,
            channel_mask(units, features, channels),
            bias=False,
        )

    def call(self, x):
        x = tf.identity(x)  # gradients meet in pairs: see training.py
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

    def memory(self, width, batch):
        return (tf.zeros([width, batch, self.units]),) * 2

    def frozen(self):
        (inputs, bias), (left_inputs, left_bias) = (
            i.frozen() for i in self.inputs
        )
        beside, above = tf.unstack(self.states[0].kernel)
        left_beside, left_above = tf.unstack(self.states[1].kernel)
        rightward = tf.concat([inputs, beside], axis=0), above, bias
        leftward = left_inputs, left_beside, left_above, left_bias
        return rightward, leftward, self.outputs.kernel

    def row(self, frozen, memory):
        (_, from_above, bias), _, _ = frozen
        h, from_right = memory
        above = tf.tensordot(h, from_above, 1) + bias
        return (above, from_right), (tf.zeros_like(h[0]),) * 2

    def step(self, frozen, x, above, left):
        (kernel, _, _), _, outputs = frozen
        h, c = left
        gates, from_right = above
        gates += tf.concat([x, h], axis=1) @ kernel
        h, c = scans.line_lstm_cell(gates, c)
        return (h + from_right) @ outputs, (h, c), (h, x)

    def finish(self, frozen, memory, records, left):
        """The right-to-left pass over the row, now that it is known."""
        _, (inputs, beside, from_above, bias), _ = frozen
        _, above = memory
        h, x = records
        gates = tf.tensordot(x, inputs, 1) + bias
        gates += tf.tensordot(above, from_above, 1)
        gates = tf.TensorArray(tf.float32, gates.shape[0]).unstack(gates)
        width = x.shape[0]

        def move(n, h, c, from_right):
            position = width - 1 - n
            h, c = scans.line_lstm_cell(gates.read(position) + h @ beside, c)
            return n + 1, h, c, from_right.write(position, h)

        zeros = tf.zeros_like(h[0])
        *_, from_right = tf.while_loop(
            lambda n, *_: n < width,
            move,
            (0, zeros, zeros, tf.TensorArray(tf.float32, width)),
            maximum_iterations=width,
        )
        return h, from_right.stack()


class ResidualConv(PixelLayer):
    """PixelCNN's residual block: 1x1, masked 3x3, 1x1 convolutions.

    Args:
      gated: the 3x3 convolution is followed by tanh(a) * sigmoid(b) (2016b,
        equation 2) in place of a rectifier. The vertical stack of that paper
        is left out: pixels to the upper right beyond the windows' reach stay
        unseen.
    """

    num_records = 1

    def __init__(
        self, features: int, units: int, channels: int, gated: bool = False
    ):
        super().__init__()
        self.units, self.gated = units, gated
        width = 2 * units if gated else units
        own = channel_mask(units, units, channels)
        self.inputs = Linear(
            features, units, channel_mask(features, units, channels)
        )
        mask = np.ones([2, 3, units, width], np.float32)
        if own is not None:
            mask[1, 1] = np.tile(own, [1, width // units])
        mask[1, 2] = 0.0
        self.window = Linear(units, width, mask, leading=[2, 3])
        self.outputs = Linear(
            units, features, channel_mask(units, features, channels)
        )

    def call(self, x):
        a = tf.nn.relu(self.inputs(tf.nn.relu(x)))
        a = tf.pad(a, [[0, 0], [1, 0], [1, 1], [0, 0]])
        z = tf.nn.conv2d(a, self.window.kernel, 1, 'VALID')
        h = self._activated(z + self.window.bias)
        return self.outputs(h)

    def _activated(self, z):
        if not self.gated:
            return tf.nn.relu(z)
        candidate, gate = tf.split(z, 2, axis=-1)
        return tf.tanh(candidate) * tf.sigmoid(gate)

    def memory(self, width, batch):
        return tf.zeros([width, batch, self.units])

    def frozen(self):
        kernel, bias = self.window.frozen()
        beside = tf.reshape(kernel[1, :2], [-1, kernel.shape[-1]])
        return (
            self.inputs.frozen(),
            (kernel[0], beside, bias),
            self.outputs.frozen(),
        )

    def row(self, frozen, memory):
        _, (kernel, _, bias), _ = frozen
        a = tf.transpose(tf.pad(memory, [[1, 1], [0, 0], [0, 0]]), [1, 0, 2])
        above = tf.nn.conv1d(a, kernel, 1, 'VALID') + bias
        return tf.transpose(above, [1, 0, 2]), tf.zeros_like(memory[0])

    def step(self, frozen, x, above, left):
        (inputs, bias), (_, beside, _), (outputs, outputs_bias) = frozen
        a = tf.nn.relu(tf.nn.bias_add(tf.nn.relu(x) @ inputs, bias))
        h = self._activated(above + tf.concat([left, a], axis=1) @ beside)
        return tf.nn.bias_add(h @ outputs, outputs_bias), a, (a,)

    def finish(self, frozen, memory, records, left):
        return records[0]


def _gate_mask(features, units, channels, gates=4):
    mask = channel_mask(features, units, channels)
    return None if mask is None else tf.tile(mask, [1, gates])


def _open_forget_gate(units):
    """The bias of a line LSTM; see RasterLSTM."""
    return np.repeat([0.0, 1.0, 0.0, 0.0], units)


def _diagonal_scan(x, inputs, bias, states, outputs):
    """[D, B, H, W, F] -> the same, from the upper left to the lower right.

    The map is skewed, row y shifted right by y, so that a column holds what
    does not depend on each other. Several images stand side by side in one
    map: the triangles at its ends, which hold no pixel, are then paid once for
    all of them.
    """
    count, batch, height, width, features = x.shape
    images = 1 if batch is None else math.gcd(batch, _IMAGES_PER_STREAM)
    streams = tf.shape(x)[1] // images if batch is None else batch // images
    columns = images * width
    lines = columns + height - 1

    x = tf.reshape(x, [count, streams, images, height, width, features])
    x = tf.transpose(x, [0, 3, 2, 4, 1, 5])
    x = tf.reshape(x, [count, height, columns, streams * features])
    # Rows of `lines` + 1, read as rows of `lines`: each one further right.
    x = tf.pad(x, [[0, 0], [0, 0], [0, height], [0, 0]])
    x = tf.reshape(x, [count, height * (lines + 1), streams * features])
    x = x[:, : height * lines]
    x = tf.reshape(x, [count, height, lines, streams * features])
    x = tf.transpose(x, [2, 0, 1, 3])
    x = tf.reshape(x, [lines, count, height * streams, features])

    # The left neighbour of an image's first pixel is another image's last.
    column = np.arange(lines)[:, None] - np.arange(height)
    keep = tf.constant(column % width != 0, tf.float32)[:, None, :, None]
    keep = tf.broadcast_to(keep, [lines, 1, height, streams])
    keep = tf.reshape(keep, [lines, 1, height * streams])
    y = scans.line_lstm_scan(
        x, inputs, bias, states, outputs, (0, 1), streams, keep
    )

    y = tf.reshape(y, [lines, count, height, streams * features])
    y = tf.transpose(y, [1, 2, 0, 3])
    y = tf.reshape(y, [count, height * lines, streams * features])
    y = tf.pad(y, [[0, 0], [0, height], [0, 0]])
    y = tf.reshape(y, [count, height, lines + 1, streams * features])
    y = y[:, :, :columns]
    y = tf.reshape(y, [count, height, images, width, streams, features])
    y = tf.transpose(y, [0, 4, 2, 1, 3, 5])
    return tf.reshape(y, [count, -1, height, width, features])
