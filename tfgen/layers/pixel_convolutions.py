"""Convolutional layers of PixelRNN; pixel_layers.py has their interface.

Source: van den Oord et al. 2016 (table 1) for the PixelCNN; 2016b, "Conditional
image generation with PixelCNN decoders", for the gated one.
"""

import numpy as np
import tensorflow as tf

from tfgen.layers.linear import Linear, gated
from tfgen.layers.pixel_layers import (
    PixelLayer,
    earlier_channels,
    gate_mask,
    windows,
)


class ResidualConv(PixelLayer):
    """PixelCNN's residual block: 1x1, masked 3x3 and 1x1 convolutions.

    Pixels to the upper right, beyond the reach of the windows, are never seen
    (the blind spot).
    """

    num_records = 1

    def __init__(self, features: int, units: int, channels: int):
        super().__init__()
        self.units = units
        own = earlier_channels(units, units, channels)
        self.inputs = Linear(
            features, units, earlier_channels(features, units, channels)
        )
        mask = np.ones([2, 3, units, units], np.float32)
        if own is not None:
            mask[1, 1] = own
        mask[1, 2] = 0.0
        self.window = Linear(units, units, mask, leading=[2, 3])
        self.outputs = Linear(
            units, features, earlier_channels(units, features, channels)
        )

    def call(self, x):
        a = tf.nn.relu(self.inputs(tf.nn.relu(x)))
        a = tf.pad(a, [[0, 0], [1, 0], [1, 1], [0, 0]])
        z = tf.nn.conv2d(a, self.window.kernel, 1, 'VALID')
        return self.outputs(tf.nn.relu(z + self.window.bias))

    def memory(self, weights, width, batch):
        return tf.zeros([width, batch, self.units])

    def step_weights(self, batch):
        kernel, bias = self.window.step_weights(batch)
        above, beside = (
            tf.reshape(k, [-1, kernel.shape[-1]])
            for k in (kernel[0], kernel[1, :2])
        )
        return (
            self.inputs.step_weights(batch),
            (above, beside, bias),
            self.outputs.step_weights(batch),
        )

    def row(self, weights, memory):
        _, (kernel, _, bias), _ = weights
        above = tf.tensordot(windows(memory, 1), kernel, 1) + bias
        return above, tf.zeros_like(memory[0])

    def step(self, weights, x, above, left):
        (inputs, bias), (_, beside, _), (outputs, outputs_bias) = weights
        a = tf.nn.relu(tf.nn.relu(x) @ inputs + bias)
        h = tf.nn.relu(above + tf.concat([left, a], axis=1) @ beside)
        return h @ outputs + outputs_bias, a, (a,)

    def finish(self, weights, memory, records, left):
        return records[0]


class GatedStacks(PixelLayer):
    """All layers of the gated PixelCNN (2016b, figure 2).

    The vertical stack reads the rows above; each layer widens its view by one
    column on either side. Each layer passes its result to the horizontal
    stack, which reads the pixel's own row. Pixels to the upper right are
    therefore seen: there is no blind spot. Units are tanh(a) * sigmoid(b)
    (equation 2).

    Departures: The windows have 2x3 and 1x2 pixels. The vertical stack starts
    from the features of the row above, not from its values. Therefore, as in
    the other layers, the next row sees the last pixel of a row only through the
    first convolution. The label enters once (see PixelRNN).
    """

    num_records = 1

    def __init__(
        self, features: int, units: int, channels: int, num_layers: int
    ):
        super().__init__()
        mask = gate_mask(features, units, channels, 2)
        if mask is not None:
            mask = tf.stack([tf.ones_like(mask), mask])
        self.vertical, self.links = [], []
        self.horizontal, self.outputs = [], []
        self.sizes = [features] + [units] * (num_layers - 1)
        for size in self.sizes:
            self.vertical.append(Linear(size, 2 * units, leading=[2, 3]))
            self.links.append(Linear(2 * units, 2 * units, bias=False))
            self.horizontal.append(
                Linear(features, 2 * units, mask, leading=[2])
            )
            self.outputs.append(
                Linear(
                    units, features, earlier_channels(units, features, channels)
                )
            )

    def call(self, x):
        v = tf.pad(x[:, :-1], [[0, 0], [1, 0], [0, 0], [0, 0]])
        h, added = x, 0.0
        for vertical, link, horizontal, outputs in self._parts():
            z = tf.pad(v, [[0, 0], [1, 0], [1, 1], [0, 0]])
            z = tf.nn.conv2d(z, vertical.kernel, 1, 'VALID') + vertical.bias
            gates = tf.pad(h, [[0, 0], [0, 0], [1, 0], [0, 0]])
            gates = tf.nn.conv2d(gates, horizontal.kernel[None], 1, 'VALID')
            y = outputs(gated(gates + horizontal.bias + link(z)))
            h += y
            added += y
            v = gated(z)
        return added

    def _parts(self):
        """The four linear maps of each layer."""
        return zip(
            self.vertical,
            self.links,
            self.horizontal,
            self.outputs,
            strict=True,
        )

    def memory(self, weights, width, batch):
        nothing = [tf.zeros([width, batch, size]) for size in self.sizes]
        return self._next_row(weights, nothing, nothing[0])

    def step_weights(self, batch):
        def flat(kernel):
            """[..., inputs, outputs] -> [taps * inputs, outputs]."""
            return tf.reshape(kernel, [-1, kernel.shape[-1]])

        of_rows, of_pixels = [], []
        for vertical, link, horizontal, outputs in self._parts():
            kernel, bias = vertical.step_weights(batch)
            beside, gates_bias = horizontal.step_weights(batch)
            of_rows.append((flat(kernel), bias, link.kernel, gates_bias))
            of_pixels.append((flat(beside), *outputs.step_weights(batch)))
        return of_rows, of_pixels

    def row(self, weights, memory):
        above, inputs = memory
        return above, (tf.zeros_like(inputs[0][0]),) * len(self.sizes)

    def step(self, weights, x, above, left):
        _, of_pixels = weights
        above = tf.split(above, len(self.sizes), axis=-1)
        h, added, inputs = x, 0.0, []
        for (kernel, outputs, bias), gates, beside in zip(
            of_pixels, above, left, strict=True
        ):
            inputs.append(h)
            gates += tf.concat([beside, h], axis=1) @ kernel
            y = gated(gates) @ outputs + bias
            h += y
            added += y
        return added, tuple(inputs), (x,)

    def finish(self, weights, memory, records, left):
        _, inputs = memory
        return self._next_row(weights, inputs, records[0])

    def _next_row(self, weights, inputs, v):
        """Runs the vertical stack for the next row.

        Args:
          weights: of `step_weights`.
          inputs: the input of each layer of the stack at the finished row.
          v: the features of the finished row, [W, B, F].

        Returns:
          above: the stack's terms of the gates of all layers at the next row,
            [W, B, layers * 2K].
          next_inputs: the input of each layer of the stack at the next row.
        """
        of_rows, _ = weights
        above, next_inputs = [], []
        for (kernel, bias, link, gates_bias), top in zip(
            of_rows, inputs, strict=True
        ):
            next_inputs.append(v)
            z = tf.concat([windows(top, 1), windows(v, 1)], axis=-1)
            z = tf.tensordot(z, kernel, 1) + bias
            above.append(tf.tensordot(z, link, 1) + gates_bias)
            v = gated(z)
        return tf.concat(above, axis=-1), tuple(next_inputs)
