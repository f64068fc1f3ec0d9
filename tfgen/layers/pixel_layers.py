"""Layers over pixels: they process a whole image, or one pixel at a time.

Every layer is one branch of a residual network: it maps features [B, H, W, F]
to the features that are added to them. Pixel (y, x) depends on the rows above,
on the pixels to its left and on itself. Within a pixel, the features of a
colour channel depend only on the same and earlier channels (mask B).

For sampling, a layer works pixel by pixel and computes only what is new. It
keeps the past in three places:

  memory  the results of finished rows; made by `memory`, then by `finish`.
  above   what the rows above contribute to each pixel of a row, for the whole
          row; computed by `row` at its start.
  left    what the pixels to the left in the same row contribute; each `step`
          returns it for the next pixel.

`step_weights` masks and joins the weights once, before the loops.

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
    """The mask from input to output features: [inputs, outputs] of 0 and 1.

    The C colour channels get equal shares of the features, R first. Mask B lets
    a channel see itself and earlier channels. Mask A (`strict`) lets it see
    earlier channels only. The mask is None where nothing is masked.
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
    """Mask B for gates side by side, or None: [inputs, gates * units]."""
    mask = earlier_channels(inputs, units, channels)
    return None if mask is None else tf.tile(mask, [1, gates])


def windows(row: tf.Tensor, radius: int) -> tf.Tensor:
    """The 2r + 1 pixels around each pixel of a row, 0 beyond its ends.

    [W, B, F] -> [W, B, (2r + 1) F], r the radius. Samplers use this for their
    convolutions: a row is too short for tf.nn.conv2d and its two transpositions
    to pay off.
    """
    width = row.shape[0]
    row = tf.pad(row, [[radius, radius], [0, 0], [0, 0]])
    shifted = [row[n : n + width] for n in range(2 * radius + 1)]
    return tf.concat(shifted, axis=-1)


class PixelLayer(keras.layers.Layer, abc.ABC):
    """The layers that `PixelRNN` stacks; see the docstring of this file."""

    # How many tensors [B, ...] each pixel records for `finish`.
    num_records = 0

    def __init__(self):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape

    @abc.abstractmethod
    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Processes a whole image: [B, H, W, F] -> [B, H, W, F]."""

    @abc.abstractmethod
    def memory(self, weights, width: int, batch: int | tf.Tensor):
        """The memory before the first row: the result of empty rows above."""

    @abc.abstractmethod
    def step_weights(self, batch: int | tf.Tensor):
        """The weights that the following methods use, as plain tensors."""

    @abc.abstractmethod
    def row(self, weights, memory):
        """Starts a row: memory -> (above [W, B, ...], left [B, ...])."""

    @abc.abstractmethod
    def step(self, weights, x: tf.Tensor, above, left):
        """One pixel: [B, F] -> ([B, F], the next pixel's left, records)."""

    @abc.abstractmethod
    def finish(self, weights, memory, records, left):
        """Ends a row: records of its pixels, each [W, B, ...] -> memory."""


class InputConv(keras.layers.Layer):
    """The first layer, mask A: pixel values [B, H, W, C * E] -> [B, H, W, F].

    E numbers represent the value of each channel. Pixel (y, x) sees the earlier
    pixels in a k x k window and the earlier channels of its own pixel. In
    sampling it works like a PixelLayer, but `step` may run before all channels
    are known; `move` ends the pixel.

    Args:
      channels: C.
      value_size: E.
      features: F.
      size: k.
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
        # `above` reads the rows above, `beside` the pixels to the left and the
        # pixel itself.
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
        """Values [B, C * E] -> [B, F]; a channel sees only earlier channels."""
        _, beside, _ = weights
        return above + tf.concat([left, x], axis=1) @ beside

    def move(self, x, left):
        """Ends a pixel of values [B, C * E]: the `left` of the next pixel."""
        return tf.concat([left[:, x.shape[1] :], x], axis=1)

    def finish(self, weights, memory, records, left):
        values = records[0]
        return tf.concat([memory[..., values.shape[-1] :], values], axis=-1)
