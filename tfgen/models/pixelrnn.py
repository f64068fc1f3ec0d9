"""PixelRNN and PixelCNN: an image as a sequence of pixels, exactly.

p(x) = product over t of p(x_t | x_1 .. x_(t-1)), pixels in raster order and
within a pixel R, then G, then B. One network in five variants:

  lstm, gru         the notes' recurrence over the pixels in raster order
  row_lstm          a convolutional LSTM from row to row
  diagonal_bilstm   two LSTMs along the diagonals, which see all rows above
  pixelcnn          masked convolutions; `gated` for the gated PixelCNN

Training sees whole images at once; sampling and completion are one in-graph
loop that computes for each pixel only what is new (see pixel_layers.py).

Source: van den Oord et al. 2016, "Pixel recurrent neural networks"; 2016b,
"Conditional image generation with PixelCNN decoders", for the gated PixelCNN.
Departures: every variant knows the position of a pixel (a learned vector for
its row and its column is added after the first layer); the label, if any,
enters there as well. Grey values enter as numbers.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen import probability
from tfgen.errors import UserError
from tfgen.layers import (
    linear,
    pixel_convolutions,
    pixel_layers,
    pixel_recurrences,
)
from tfgen.models import base
from tfgen.noise import Noise

CELLS = {
    'lstm': pixel_recurrences.RasterLSTM,
    'gru': pixel_recurrences.RasterGRU,
    'row_lstm': pixel_recurrences.RowLSTM,
    'diagonal_bilstm': pixel_recurrences.DiagonalBiLSTM,
    'pixelcnn': pixel_convolutions.ResidualConv,
}


class PixelRNN(base.ExactModel):
    """An autoregressive model of images with an exact log-likelihood.

    A masked convolution, residual layers of one kind, then two 1x1
    convolutions to a softmax over the levels of each channel (Table 1 of the
    paper; for two levels the softmax is its sigmoid).

    Args:
      image_shape: (H, W, C).
      levels: N, values per channel. A value v in [0, 1] means level
        round(v * (N - 1)); images with more levels are rounded to these.
      cell: one of CELLS, the kind of the residual layers.
      units: K, width of each layer; the maps between layers have 2 K features
        (the paper's h and 2h).
      num_layers: residual layers.
      kernel_size: of the first convolution, odd.
      gated: the gated PixelCNN in two stacks (2016b); pixelcnn only.
      dropout: rate on what each layer adds (`gated`: on what all add together)
        and on the features before the last two convolutions, in training; one
        mask per image, the same at every pixel (Gal and Ghahramani 2016).
      num_classes: see GenerativeModel.
      palette: RGB bytes of each level if levels are names of colours. They
        then enter as learned vectors, and pictures are drawn in colour.
      embedding_size: of these vectors.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        levels: int = 2,
        cell: str = 'lstm',
        units: int = 128,
        num_layers: int = 2,
        kernel_size: int = 7,
        gated: bool = False,
        dropout: float = 0.0,
        num_classes: int = 0,
        palette: Sequence[Sequence[int]] | None = None,
        embedding_size: int = 16,
    ):
        super().__init__(image_shape, num_classes)
        height, width, channels = self.example_shape
        _check(channels, levels, cell, units, kernel_size, gated, dropout)
        self.levels = levels
        self.dropout = dropout
        self.jit_on_cpu = cell != 'pixelcnn'
        self.palette = palette
        if palette and len(palette) != levels:
            raise UserError(
                f'levels is {levels} and the palette has {len(palette)} '
                'colours: use --set levels=0'
            )
        value_size = embedding_size if palette else 1
        if palette:
            self.embedding = self.add_weight(
                shape=[levels, embedding_size],
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
        if num_classes:
            self.embed_label = keras.layers.Dense(
                features, use_bias=False, dtype='float32'
            )
            self.embed_label.build([None, num_classes])
        if gated:
            self.blocks = [
                pixel_convolutions.GatedStacks(
                    features, units, channels, num_layers
                )
            ]
        else:
            self.blocks = [
                CELLS[cell](features, units, channels)
                for _ in range(num_layers)
            ]
        self.hidden = linear.Linear(
            features,
            features,
            pixel_layers.channel_mask(features, features, channels),
        )
        self.readout = linear.Linear(
            features,
            channels * levels,
            pixel_layers.channel_mask(features, channels * levels, channels),
        )

    # Exact likelihood.

    def log_prob(
        self, image: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p(image | label) in nats, exact: [B, H, W, C] -> [B], <= 0."""
        return self._log_prob(image, label, None)

    def logits(
        self, image: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p of each level given the earlier values, up to a constant.

        [B, H, W, C] -> float32 [B, H, W, C, N].
        """
        return self._logits(self._values(self._to_levels(image)), label)

    def loss_terms(self, batch: base.Batch, noise: Noise) -> base.Terms:
        """-log p(x) in nats: [B]."""
        log_prob = self._log_prob(batch['image'], batch.get('label'), noise)
        return {'negative_log_likelihood': -log_prob}

    def _log_prob(self, image, label, noise):
        level = self._to_levels(image)
        logits = self._logits(self._values(level), label, noise)
        return -tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(level, logits),
            axis=[1, 2, 3],
        )

    def _logits(self, values, label, noise=None):
        """Values [B, H, W, C * E] -> [B, H, W, C, N].

        With `noise`, under dropout.
        """
        x = self.input_conv(values) + self._context(label)
        for number, block in enumerate(self.blocks):
            x += self._dropped(block(x), noise, f'h{number}')
        logits = self.readout(self._hidden(self._dropped(x, noise, 'x')))
        return tf.reshape(logits, [-1, *self.example_shape, self.levels])

    def _dropped(self, x, noise, name):
        """Dropout, with one mask for the whole image."""
        if noise is None:
            return x
        ones = tf.ones([1, 1, 1, x.shape[-1]])
        return x * linear.dropout(ones, self.dropout, noise, name)

    def _hidden(self, x):
        return tf.nn.relu(self.hidden(tf.nn.relu(x)))

    def _context(self, label):
        """What does not depend on pixels: [1 or B, H, W, F]."""
        context = (self.rows + self.columns)[None]
        one_hot = self.one_hot(label)
        if one_hot is None:
            return context
        return context + self.embed_label(one_hot)[:, None, None, :]

    # Sampling.

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """One draw per row, each channel value at one of the levels."""
        return self._to_image(self._generate(noise, label))

    def complete(
        self,
        image: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """[B, H, W, C] in [0, 1], mask [B, H, W, 1]; see ExactModel."""
        given = tf.where(mask > 0.5, self._to_levels(image), -1)
        drawn = self._generate(noise, label, given)
        return tf.where(mask > 0.5, image, self._to_image(drawn))

    def _generate(self, noise, label, given=None):
        """The loop over rows: int32 [B, H, W, C].

        `given`, of the same type, holds the known levels and -1 elsewhere.
        """
        height, width, channels = self.example_shape
        uniforms = noise.uniform('pixels', [height * width, channels])
        batch = tf.shape(uniforms)[0]
        pixels = [tf.reshape(uniforms, [-1, height, width, channels])]
        pixels += [] if given is None else [given]
        # [H, W, B, ...]: indexed by pixel.
        pixels = [tf.transpose(x, [1, 2, 0, 3]) for x in pixels]
        pixels.append(tf.transpose(self._context(label), [1, 2, 0, 3]))
        stack = [self.input_conv, *self.blocks]
        frozen = [layer.frozen(batch) for layer in stack]
        memories = [
            layer.memory(weights, width, batch)
            for layer, weights in zip(stack, frozen, strict=True)
        ]
        head = self._frozen_head(batch)

        def next_row(y, memories, rows):
            row, memories = self._draw_row(
                frozen, head, [p[y] for p in pixels], memories
            )
            return y + 1, memories, rows.write(y, row)

        *_, rows = tf.while_loop(
            lambda y, *_: y < height,
            next_row,
            (0, memories, tf.TensorArray(tf.int32, height)),
            maximum_iterations=height,
        )
        return tf.transpose(rows.stack(), [2, 0, 1, 3])

    def _draw_row(self, frozen, head, pixels, memories):
        """The loop over a row's pixels: int32 [W, B, C], and the memories."""
        stack = [self.input_conv, *self.blocks]
        width = self.example_shape[1]
        aboves, lefts = zip(
            *(
                layer.row(*of_layer)
                for layer, *of_layer in zip(
                    stack, frozen, memories, strict=True
                )
            ),
            strict=True,
        )
        arrays = _arrays((aboves, pixels))

        def next_pixel(x, lefts, records, levels):
            above, pixel = tf.nest.map_structure(
                lambda array: array.read(x), arrays
            )
            level, lefts, made = self._draw_pixel(
                frozen, head, pixel, above, lefts
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
                stack, frozen, memories, records, lefts, strict=True
            )
        ]
        return levels.stack(), memories

    def _frozen_head(self, batch):
        """Weights of the 1x1 convolutions, the last one's by channel."""
        readouts = (
            tf.split(weights, self.example_shape[-1], axis=1)
            for weights in self.readout.frozen(batch)
        )
        return self.hidden.frozen(batch), list(zip(*readouts, strict=True))

    def _draw_pixel(self, frozen, head, pixel, aboves, lefts):
        """One pixel, channel after channel: int32 [B, C], lefts, records."""
        uniforms, *given, context = pixel
        hidden, readouts = head
        # What has not been drawn yet reaches nothing that is used.
        levels = [tf.zeros_like(uniforms[:, 0], tf.int32)] * len(readouts)
        for c, (kernel, bias) in enumerate(readouts):
            values = self._values(tf.stack(levels, axis=-1))
            x = self.input_conv.step(frozen[0], values, aboves[0], lefts[0])
            x += context
            after = []
            for block, *of_block in zip(
                self.blocks, frozen[1:], aboves[1:], lefts[1:], strict=True
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

    # Between images and levels.

    def _to_levels(self, image):
        return tf.cast(tf.round(image * (self.levels - 1)), tf.int32)

    def _values(self, level):
        """Levels [..., C] -> what the network sees, [..., C * E].

        Numbers in [-1, 1], or learned vectors; 0 beyond the border.
        """
        if not self.palette:
            return tf.cast(level, tf.float32) * (2.0 / (self.levels - 1)) - 1.0
        # Not a gather: its gradient adds rows in no fixed order.
        vectors = tf.one_hot(level, self.levels)
        vectors = tf.tensordot(vectors, self.embedding, 1)
        channels, size = vectors.shape[-2:]
        shape = tf.concat([tf.shape(vectors)[:-2], [channels * size]], axis=0)
        return tf.reshape(vectors, shape)

    def _to_image(self, level):
        return tf.cast(level, tf.float32) / (self.levels - 1)


def _check(channels, levels, cell, units, kernel_size, gated, dropout):
    """Raises UserError where an argument of PixelRNN cannot be."""
    if cell not in CELLS:
        raise UserError(f'unknown cell {cell!r}: use {", ".join(CELLS)}')
    if not 2 <= levels <= 256:
        raise UserError(f'levels is {levels}: use 2 to 256')
    if not 0.0 <= dropout < 1.0:
        raise UserError(f'dropout is {dropout}: use 0 up to below 1')
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
    """A nest of tensors [W, ...] -> of arrays, read by their first index."""
    return tf.nest.map_structure(
        lambda v: tf.TensorArray(
            v.dtype, v.shape[0], clear_after_read=False
        ).unstack(v),
        values,
    )
