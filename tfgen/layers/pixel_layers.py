"""Layers over pixels: a whole image at once, or one pixel at a time.

Every layer is one branch of a residual network: it maps features [B, H, W, F]
to what is added to them. Pixel (y, x) depends on the rows above, on the pixels
to its left and on itself, and within a pixel, features of a colour channel on
those of the same and of earlier channels alone (mask B).

For sampling a layer works pixel by pixel and computes only what is new. What
it needs of the past lies in three places:

  memory  what the finished rows leave; made by `memory`, then by `finish`.
  above   what the rows above give to each pixel of a row, for the whole row;
          given by `row` at its start.
  left    what the pixels to the left in the same row give; `step` hands it on.

Its weights, masked and put together, are made once, before the loops, by
`step_weights`.

Source: van den Oord et al. 2016, sections 2 and 3.

Shape letters: F features of a map, K units inside a layer.
"""

import abc

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.linear import Linear


def earlier_channels(
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


def gate_mask(
    inputs: int, units: int, channels: int, gates: int
) -> tf.Tensor | None:
    """Mask B for several gates of `units` side by side."""
    mask = earlier_channels(inputs, units, channels)
    return None if mask is None else tf.tile(mask, [1, gates])


def windows(row: tf.Tensor, radius: int) -> tf.Tensor:
    """The 2 r + 1 pixels about each of a row, side by side, 0 beyond its ends.

    [W, B, F] -> [W, B, (2 r + 1) F]. For the convolutions of samplers, whose
    rows are too short for tf.nn.conv2d and two transpositions to pay.
    """
    width = row.shape[0]
    row = tf.pad(row, [[radius, radius], [0, 0], [0, 0]])
    shifted = [row[n : n + width] for n in range(2 * radius + 1)]
    return tf.concat(shifted, axis=-1)


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
    def memory(self, weights, width: int, batch: int | tf.Tensor):
        """What rows of nothing, above the first one, leave."""

    @abc.abstractmethod
    def step_weights(self, batch: int | tf.Tensor):
        """The weights of the following functions, as plain tensors."""

    @abc.abstractmethod
    def row(self, weights, memory):
        """Starts a row: memory -> (above [W, B, ...], left [B, ...])."""

    @abc.abstractmethod
    def step(self, weights, x: tf.Tensor, above, left):
        """One pixel: [B, F] -> [B, F], the next pixel's left, records."""

    @abc.abstractmethod
    def finish(self, weights, memory, records, left):
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
        mask[-1, self.radius] = earlier_channels(
            inputs, features, channels, True
        )
        mask[-1, self.radius + 1 :] = 0.0
        self.window = Linear(
            inputs, features, mask, leading=[self.radius + 1, size]
        )

    def call(self, x):
        r = self.radius
        x = tf.pad(x, [[0, 0], [r, 0], [r, r], [0, 0]])
        y = tf.nn.conv2d(x, self.window.kernel, 1, 'VALID')
        return y + self.window.bias

    def memory(self, weights, width, batch):
        inputs = self.window.kernel.shape[2]
        return tf.zeros([width, batch, self.radius * inputs])

    def step_weights(self, batch):
        kernel, bias = self.window.step_weights(batch)
        r = self.radius
        # Rows above; pixels to the left and the pixel itself.
        above = tf.transpose(kernel[:r], [1, 0, 2, 3])
        beside = kernel[r, : r + 1]
        above, beside = (
            tf.reshape(k, [-1, kernel.shape[-1]]) for k in (above, beside)
        )
        return above, beside, bias

    def row(self, weights, memory):
        kernel, _, bias = weights
        above = tf.tensordot(windows(memory, self.radius), kernel, 1) + bias
        return above, tf.zeros_like(memory[0])

    def step(self, weights, x, above, left):
        """Values [B, C * E], of which the earlier channels count: [B, F]."""
        _, beside, _ = weights
        return above + tf.concat([left, x], axis=1) @ beside

    def move(self, x, left):
        """The pixel's values [B, C * E] -> left of the next one."""
        return tf.concat([left[:, x.shape[1] :], x], axis=1)

    def finish(self, weights, memory, records, left):
        values = records[0]
        return tf.concat([memory[..., values.shape[-1] :], values], axis=-1)
