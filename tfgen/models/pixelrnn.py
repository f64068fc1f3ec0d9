"""PixelRNN and PixelCNN: exact autoregressive models of images.

p(x) = product over t of p(x_t | x_1 .. x_(t-1)). Pixels are in raster order;
within a pixel the order is R, G, B. One network has five variants:

  lstm, gru         the notes' recurrence over the pixels in raster order
  row_lstm          a convolutional LSTM from row to row
  diagonal_bilstm   two LSTMs along the diagonals, which see all rows above
  pixelcnn          masked convolutions; `gated` for the gated PixelCNN

Training sees whole images at once. Sampling and completion are one in-graph
loop, which computes only the new values for each pixel (see pixel_layers.py).

Source: van den Oord et al. 2016, "Pixel recurrent neural networks"; 2016b,
"Conditional image generation with PixelCNN decoders", for the gated PixelCNN.
Departures: every variant knows the position of a pixel, because a learned
vector for its row and one for its column are added after the first layer. The
label, if there is one, enters only there. Grey values enter as numbers.
"""

from collections.abc import Mapping
from typing import Any, Literal

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Share, Size
from tfgen.data.specs import ImageSpec, PaletteSpec
from tfgen.errors import UserError
from tfgen.layers import (
    pixel_convolutions,
    pixel_layers,
    pixel_recurrences,
)
from tfgen.layers.linear import LabelEmbedding, Linear, dropout
from tfgen.models.contracts.likelihood import Autoregressive

CELLS = {
    'lstm': pixel_recurrences.RasterLSTM,
    'gru': pixel_recurrences.RasterGRU,
    'row_lstm': pixel_recurrences.RowLSTM,
    'diagonal_bilstm': pixel_recurrences.DiagonalBiLSTM,
    'pixelcnn': pixel_convolutions.ResidualConv,
}
Cell = Literal['lstm', 'gru', 'row_lstm', 'diagonal_bilstm', 'pixelcnn']


class PixelRNN(Autoregressive):
    """An autoregressive model of images with an exact log-likelihood.

    The network is a masked convolution, residual layers of one type, then two
    1x1 convolutions to a softmax over the levels of each channel (Table 1 of
    the paper; for two levels the softmax equals its sigmoid).

    The levels of a palette enter as learned vectors, and pictures show them in
    colour.

    Args:
      spec: of images, or of images whose values are indices of a palette.
      levels: N, values per channel; 0 uses as many as the data have. A value v
        in [0, 1] becomes level round(v * (N - 1)), so images with more levels
        are rounded to N.
      cell: type of the residual layers, one of CELLS.
      units: K, width of each layer; the maps between layers have 2 K features
        (the paper's h and 2h).
      num_layers: number of residual layers.
      kernel_size: of the first convolution, odd.
      gated: whether to use the gated PixelCNN with two stacks (2016b); only
        with cell 'pixelcnn'.
      embedding_size: size of the learned vector of each palette level.
      dropout: rate, in training, on the output of each residual layer
        (`gated`: on the summed output of all) and on the features before the
        last two convolutions. Each image has one mask, the same at every pixel
        (Gal and Ghahramani 2016).
      conditional: see Model.
    """

    spec_types = (ImageSpec, PaletteSpec)
    draws = 'pixels'

    def __init__(
        self,
        spec: ImageSpec,
        levels: int = 0,
        cell: Cell = 'lstm',
        units: Size = 128,
        num_layers: Size = 2,
        kernel_size: Size = 7,
        gated: bool = False,
        embedding_size: Size = 16,
        dropout: Share = 0.0,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        height, width, channels = spec.shape
        self.levels = levels or spec.levels
        _check(channels, self.levels, cell, units, kernel_size, gated)
        self.dropout = dropout
        self.palette = getattr(spec, 'palette', None)
        value_size = 1
        if self.palette:
            if len(self.palette) != self.levels:
                raise UserError(
                    f'levels is {levels} and the palette has '
                    f'{len(self.palette)} colours: use --set levels=0'
                )
            value_size = embedding_size
            self.embedding = self.add_weight(
                shape=[self.levels, embedding_size],
                name='embedding',
                initializer='random_normal',
                dtype='float32',
            )
        features = 2 * units
        self.input_conv = pixel_layers.InputConv(
            channels, value_size, features, kernel_size
        )
        self.rows = self.add_weight(
            shape=[height, 1, features], name='rows', dtype='float32'
        )
        self.columns = self.add_weight(
            shape=[1, width, features], name='columns', dtype='float32'
        )
        if self.num_classes:
            self.embed_label = LabelEmbedding(self.num_classes, features)
        self.blocks = self._residual_layers(cell, gated, units, num_layers)
        self.hidden, self.readout = (
            Linear(
                features,
                outputs,
                pixel_layers.earlier_channels(features, outputs, channels),
            )
            for outputs in (features, channels * self.levels)
        )

    def _residual_layers(self, cell, gated, units, num_layers):
        """The residual layers; gated ones form a single block."""
        sizes = 2 * units, units, self.spec.channels
        if gated:
            return [pixel_convolutions.GatedStacks(*sizes, num_layers)]
        return [CELLS[cell](*sizes) for _ in range(num_layers)]

    @classmethod
    def jit_on_cpu(cls, settings: Mapping[str, Any]) -> bool:
        return settings['cell'] != 'pixelcnn'

    # The network over whole images.

    def _values(self, level):
        """Levels [..., C] -> inputs of the network, [..., C * E].

        Inputs are numbers in [-1, 1], or learned vectors. They are 0 beyond the
        border.
        """
        if not self.palette:
            return tf.cast(level, tf.float32) * (2.0 / (self.levels - 1)) - 1.0
        # Not a gather: its gradient adds rows in no fixed order.
        vectors = tf.one_hot(level, self.levels)
        vectors = tf.tensordot(vectors, self.embedding, 1)
        channels, size = vectors.shape[-2:]
        shape = tf.concat([tf.shape(vectors)[:-2], [channels * size]], axis=0)
        return tf.reshape(vectors, shape)

    def _logits(self, levels, label, noise):
        x = self.input_conv(self._values(levels)) + self._context(label)
        for number, block in enumerate(self.blocks):
            x += self._dropped(block(x), noise, f'h{number}')
        x = tf.nn.relu(self._dropped(x, noise, 'x'))
        logits = self.readout(tf.nn.relu(self.hidden(x)))
        return tf.reshape(logits, [-1, *self.spec.shape, self.levels])

    def _dropped(self, x, noise, name):
        """Dropout with one mask for the whole image: [B, H, W, F]."""
        if noise is None:
            return x
        ones = tf.ones([1, 1, 1, x.shape[-1]])
        return x * dropout(ones, self.dropout, noise, name)

    def _context(self, label):
        """Features that do not depend on pixels: [1 or B, H, W, F]."""
        context = (self.rows + self.columns)[None]
        one_hot = self.one_hot(label)
        if one_hot is None:
            return context
        return context + self.embed_label(one_hot)[:, None, None, :]

    # The sampling loops.

    def _generate(self, noise, label, given):
        """The loop over rows: int32 [B, H, W, C]."""
        height, width, _ = self.spec.shape
        uniforms = self.uniforms(noise)
        batch = tf.shape(uniforms)[0]
        pixels = [uniforms] if given is None else [uniforms, given]
        # [H, W, B, ...]: indexed by pixel.
        pixels = [tf.transpose(x, [1, 2, 0, 3]) for x in pixels]
        pixels.append(tf.transpose(self._context(label), [1, 2, 0, 3]))
        stack = [self.input_conv, *self.blocks]
        step_weights = [layer.step_weights(batch) for layer in stack]
        memories = [
            layer.memory(weights, width, batch)
            for layer, weights in zip(stack, step_weights, strict=True)
        ]
        head = self._head_weights(batch)

        def next_row(y, memories, rows):
            """Draws row y of all images."""
            row, memories = self._draw_row(
                step_weights, head, [p[y] for p in pixels], memories
            )
            return y + 1, memories, rows.write(y, row)

        *_, rows = tf.while_loop(
            lambda y, *_: y < height,
            next_row,
            (0, memories, tf.TensorArray(tf.int32, height)),
            maximum_iterations=height,
        )
        return tf.transpose(rows.stack(), [2, 0, 1, 3])

    def _draw_row(self, step_weights, head, pixels, memories):
        """The loop over a row's pixels: int32 [W, B, C], and the memories."""
        stack = [self.input_conv, *self.blocks]
        width = self.spec.shape[1]
        aboves, lefts = zip(
            *(
                layer.row(*of_layer)
                for layer, *of_layer in zip(
                    stack, step_weights, memories, strict=True
                )
            ),
            strict=True,
        )
        arrays = _arrays((aboves, pixels))

        def next_pixel(x, lefts, records, levels):
            """Draws pixel x of the row."""
            above, pixel = tf.nest.map_structure(
                lambda array: array.read(x), arrays
            )
            level, lefts, made = self._draw_pixel(
                step_weights, head, pixel, above, lefts
            )
            records = tf.nest.map_structure(
                lambda array, record: array.write(x, record), records, made
            )
            return x + 1, lefts, records, levels.write(x, level)

        records = tuple(
            tuple(
                tf.TensorArray(tf.float32, width)
                for _ in range(layer.num_records)
            )
            for layer in stack
        )
        _, lefts, records, levels = tf.while_loop(
            lambda x, *_: x < width,
            next_pixel,
            (0, lefts, records, tf.TensorArray(tf.int32, width)),
            maximum_iterations=width,
        )
        records = tf.nest.map_structure(lambda r: r.stack(), records)
        memories = [
            layer.finish(*of_layer)
            for layer, *of_layer in zip(
                stack, step_weights, memories, records, lefts, strict=True
            )
        ]
        return levels.stack(), memories

    def _head_weights(self, batch):
        """Weights of the two 1x1 convolutions, the second split by channel."""
        readouts = (
            tf.split(weights, self.spec.shape[-1], axis=1)
            for weights in self.readout.step_weights(batch)
        )
        return self.hidden.step_weights(batch), list(
            zip(*readouts, strict=True)
        )

    def _draw_pixel(self, step_weights, head, pixel, aboves, lefts):
        """Draws a pixel channel by channel: int32 [B, C], lefts, records."""
        uniforms, *given, context = pixel
        hidden, readouts = head
        # Channels not yet drawn are 0; masks keep them out of used results.
        levels = [tf.zeros_like(uniforms[:, 0], tf.int32)] * len(readouts)
        for c, (kernel, bias) in enumerate(readouts):
            values = self._values(tf.stack(levels, axis=-1))
            x = self.input_conv.step(
                step_weights[0], values, aboves[0], lefts[0]
            )
            x += context
            after = []
            for block, *of_block in zip(
                self.blocks,
                step_weights[1:],
                aboves[1:],
                lefts[1:],
                strict=True,
            ):
                weights, above, left = of_block
                y, *made = block.step(weights, x, above, left)
                x += y
                after.append(made)
            x = tf.nn.relu(tf.nn.relu(x) @ hidden[0] + hidden[1])
            levels[c] = probability.categorical(
                x @ kernel + bias, uniforms[:, c]
            )
            if given:
                fixed = given[0][:, c]
                levels[c] = tf.where(fixed < 0, levels[c], fixed)
        level = tf.stack(levels, axis=-1)
        values = self._values(level)
        lefts = (
            self.input_conv.move(values, lefts[0]),
            *(left for left, _ in after),
        )
        return level, lefts, ((values,), *(record for _, record in after))


def _check(channels, levels, cell, units, kernel_size, gated):
    """Raises UserError for an invalid argument of PixelRNN."""
    if not 2 <= levels <= 256:
        raise UserError(f'levels is {levels}: use 2 to 256')
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise UserError(
            f'kernel_size is {kernel_size}: use an odd number from 3'
        )
    if units < channels:
        raise UserError(
            f'units is {units}: use at least one for each of the '
            f'{channels} channels'
        )
    if gated and cell != 'pixelcnn':
        raise UserError(f'gated is for cell=pixelcnn, not {cell}: leave it out')


def _arrays(values):
    """Turns each tensor [W, ...] of a nest into a TensorArray of length W."""
    return tf.nest.map_structure(
        lambda v: tf.TensorArray(
            v.dtype, v.shape[0], clear_after_read=False
        ).unstack(v),
        values,
    )
