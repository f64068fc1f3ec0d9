"""PixelRNN as the notes draw it: an LSTM that reads the pixels in raster order.

p(x) = product over t of p(x_t | x_1 .. x_(t-1)), exact. Training runs the
LSTM over a whole image at once; sampling and completion are one in-graph loop
that carries the cell states, one cell step a pixel.

Source: van den Oord et al. 2016 for the factorisation over pixels and colour
channels and the softmax over grey levels; the notes for the plain LSTM.
Departure: besides the previous pixel the first layer sees the three nearest
pixels of the row above and its own position, which a plain LSTM would have to
remember and to count over a whole row.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen import layers
from tfgen.errors import UserError
from tfgen.models import base
from tfgen.noise import Noise

CELLS = {'lstm': layers.LSTM, 'gru': layers.GRU}


class PixelRNN(base.GenerativeModel):
    """Stacked LSTM or GRU layers over the pixels, exact log-likelihood.

    Pixels are steps t = 0 .. T-1, T = H * W. Within a pixel, R is predicted
    from the earlier pixels, G from these and R, B from these, R and G.

    Args:
      image_shape: (H, W, C).
      levels: N, grey values per channel. A value v in [0, 1] means level
        round(v * (N - 1)); images with more levels are rounded to these.
      cell: 'lstm' or 'gru'.
      units: width of each recurrent layer.
      num_layers: recurrent layers.
      dropout: rate on each recurrent layer's output in training; one mask per
        image, the same at every step (Gal and Ghahramani 2016).
      num_classes: see GenerativeModel.
    """

    recurrent = True

    def __init__(
        self,
        image_shape: Sequence[int],
        levels: int = 2,
        cell: str = 'lstm',
        units: int = 128,
        num_layers: int = 2,
        dropout: float = 0.0,
        num_classes: int = 0,
    ):
        super().__init__(image_shape, num_classes)
        if cell not in CELLS:
            raise UserError(f'unknown cell {cell!r}: use {" or ".join(CELLS)}')
        if not 2 <= levels <= 256:
            raise UserError(f'levels is {levels}: use 2 to 256')
        if not 0.0 <= dropout < 1.0:
            raise UserError(f'dropout is {dropout}: use 0 up to below 1')
        self.levels = levels
        self.dropout = dropout
        height, width, channels = self.image_shape
        self.num_steps = height * width
        # How far back in raster order the first layer looks: the previous
        # pixel and those above right, above, above left. Across the image's
        # border these are other pixels, all the same earlier ones; the
        # position tells the network.
        self.lags = sorted({1, max(width - 1, 1), width, width + 1})
        self.embed = keras.layers.Dense(units, dtype='float32')
        self.embed.build([None, len(self.lags) * channels])
        self.rows = self.add_weight(
            shape=[height, 1, 1, units], name='rows', dtype='float32'
        )
        self.columns = self.add_weight(
            shape=[1, width, 1, units], name='columns', dtype='float32'
        )
        if num_classes:
            self.embed_label = keras.layers.Dense(
                units, use_bias=False, dtype='float32'
            )
            self.embed_label.build([None, num_classes])
        self.cells = [CELLS[cell](units) for _ in range(num_layers)]
        for recurrent in self.cells:
            recurrent.build([None, None, units])
        self.readout = Readout(channels, units, levels)
        self.readout.build([None, units])

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
        logits = self._logits(self._scaled(self._to_levels(image)), label)
        return tf.reshape(
            tf.transpose(logits, [1, 0, 2, 3]),
            [-1, *self.image_shape, self.levels],
        )

    def loss_terms(self, batch: base.Batch, noise: Noise) -> base.Terms:
        """-log p(x) in nats: [B]."""
        log_prob = self._log_prob(batch['image'], batch.get('label'), noise)
        return {'negative_log_likelihood': -log_prob}

    def _log_prob(self, image, label, noise):
        level = self._to_levels(image)  # [T, B, C]
        logits = self._logits(self._scaled(level), label, noise)
        return -tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(level, logits),
            axis=[0, 2],
        )

    def _logits(self, values, label, noise=None):
        """Values in [-1, 1] [T, B, C] -> [T, B, C, N], all steps at once.

        With `noise`, under dropout.
        """
        past = tf.pad(values, [[self.lags[-1], 0], [0, 0], [0, 0]])
        neighbours = tf.concat(
            [
                past[self.lags[-1] - lag :][: self.num_steps]
                for lag in self.lags
            ],
            axis=-1,
        )
        h = self.embed(neighbours) + self._context(label)
        for number, cell in enumerate(self.cells):
            h = cell(h)
            if noise is not None and self.dropout:
                mask = tf.ones([1, cell.units])
                h *= layers.dropout(mask, self.dropout, noise, f'h{number}')
        return self.readout(h, values)

    def _context(self, label):
        """What does not depend on pixels: [T, 1 or B, units]."""
        context = tf.reshape(self.rows + self.columns, [self.num_steps, 1, -1])
        one_hot = self.one_hot(label)
        if one_hot is None:
            return context
        return context + self.embed_label(one_hot)

    # Sampling.

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """One draw per row, each channel value at one of the levels."""
        uniforms = self._uniforms(noise)
        drawn = self._generate(uniforms, label, None, None)
        return self._to_image(drawn)

    def complete(
        self,
        image: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws the pixels that `mask` hides, one after the other.

        Each is drawn given all earlier ones, known or drawn. A known pixel
        behind it in raster order cannot influence it: the model offers no
        tractable p(x_t | future).

        Args:
          image: [B, H, W, C] in [0, 1].
          mask: [B, H, W, 1], 1 where the pixel is known, 0 where it is drawn.
          noise: one row per image; equal to that of `sample`, so that an
            empty mask gives `sample`.
          label: [B] if the model is conditional.

        Returns:
          [B, H, W, C]; known pixels are those of `image`, bit for bit.
        """
        drawn = self._generate(
            self._uniforms(noise),
            label,
            self._to_levels(image),
            tf.cast(self._to_steps(mask) > 0.5, tf.bool),
        )
        return tf.where(mask > 0.5, image, self._to_image(drawn))

    def _uniforms(self, noise):
        uniforms = noise.uniform(
            'pixels', [self.num_steps, self.image_shape[-1]]
        )
        return tf.transpose(uniforms, [1, 0, 2])

    def _generate(self, uniforms, label, given, known):
        """The loop: uniforms [T, B, C] -> levels int32 [T, B, C]."""
        batch, channels = tf.shape(uniforms)[1], self.image_shape[-1]
        context = self._context(label)
        past = tf.zeros([self.lags[-1], batch, channels])
        states = [cell.zero_state(batch) for cell in self.cells]
        drawn = tf.TensorArray(tf.int32, self.num_steps)

        def step(t, past, states, drawn):
            # past[-lag] is the pixel `lag` steps ago.
            neighbours = tf.concat([past[-lag] for lag in self.lags], axis=-1)
            h = self.embed(neighbours) + context[t]
            after = []
            for cell, state in zip(self.cells, states, strict=True):
                h, state = cell.step(h, state)
                after.append(state)
            level = self.readout.draw(h, uniforms[t], self._scaled)
            if given is not None:
                level = tf.where(known[t], given[t], level)
            past = tf.concat([past[1:], self._scaled(level)[None]], axis=0)
            return t + 1, past, after, drawn.write(t, level)

        *_, drawn = tf.while_loop(
            lambda t, *_: t < self.num_steps,
            step,
            (0, past, states, drawn),
            maximum_iterations=self.num_steps,
        )
        return drawn.stack()

    # Between images [B, H, W, C] and steps [T, B, C].

    def _to_steps(self, image):
        steps = tf.reshape(image, [-1, self.num_steps, image.shape[-1]])
        return tf.transpose(steps, [1, 0, 2])

    def _to_levels(self, image):
        level = tf.round(self._to_steps(image) * (self.levels - 1))
        return tf.cast(level, tf.int32)

    def _scaled(self, level):
        """Levels -> what the network sees, in [-1, 1]; 0 is 'no pixel'."""
        return tf.cast(level, tf.float32) * (2.0 / (self.levels - 1)) - 1.0

    def _to_image(self, level):
        image = tf.cast(level, tf.float32) / (self.levels - 1)
        return tf.reshape(
            tf.transpose(image, [1, 0, 2]), [-1, *self.image_shape]
        )

    # The contract.

    def objectives(self) -> tuple[base.Objective, ...]:
        return (
            base.Objective('model', self.loss_terms, self.trainable_variables),
        )

    def signatures(self) -> dict[str, base.Signature]:
        return {
            'sample': base.Signature(
                self._serve_sample, self.with_label('seed'), True
            ),
            'log_prob': base.Signature(
                self._serve_log_prob, self.with_label('image')
            ),
            'complete': base.Signature(
                self._serve_complete,
                self.with_label('image', 'mask', 'seed'),
                True,
            ),
        }

    def _serve_sample(self, noise, label=None):
        return {'image': self.sample(noise, label)}

    def _serve_log_prob(self, image, label=None):
        return {'log_prob': self.log_prob(image, label)}

    def _serve_complete(self, image, mask, noise, label=None):
        return {'image': self.complete(image, mask, noise, label)}


class Readout(keras.layers.Layer):
    """Hidden state -> softmax over levels of each channel, in turn.

    Channel c has its own hidden layer, which sees the state and, through a
    masked kernel, the values of channels 0 .. c-1 of the same pixel.
    """

    def __init__(self, channels, units, levels):
        super().__init__(dtype='float32')
        self.channels, self.units, self.levels = channels, units, levels

    def build(self, input_shape):
        width = self.channels * self.units
        self.hidden = keras.layers.Dense(width, dtype='float32')
        self.hidden.build(input_shape)
        if self.channels > 1:
            self.earlier = self.add_weight(
                shape=[self.channels, width], name='earlier'
            )
            allowed = [
                [float(before < c)] * self.units
                for before in range(self.channels)
                for c in range(self.channels)
            ]
            self.mask = tf.constant(
                allowed, shape=[self.channels, width], dtype=tf.float32
            )
        self.kernel = self.add_weight(
            shape=[self.channels, self.units, self.levels], name='kernel'
        )
        self.bias = self.add_weight(
            shape=[self.channels, self.levels],
            name='bias',
            initializer='zeros',
        )

    def call(self, h, values):
        """[T, B, K] and values [T, B, C] -> logits [T, B, C, N]."""
        hidden = self.hidden(h)
        if self.channels > 1:
            hidden += tf.tensordot(values, self.earlier * self.mask, 1)
        shape = tf.concat(
            [tf.shape(h)[:-1], [self.channels, self.units]], axis=0
        )
        hidden = tf.nn.relu(tf.reshape(hidden, shape))
        return tf.einsum('tbck,ckn->tbcn', hidden, self.kernel) + self.bias

    def draw(self, h, uniforms, scaled):
        """Draws channel after channel: [B, K], [B, C] -> int32 [B, C]."""
        hidden = self.hidden(h)
        drawn = []
        for c in range(self.channels):
            own = slice(c * self.units, (c + 1) * self.units)
            active = hidden[:, own]
            for before in range(c):
                value = scaled(drawn[before])[:, None]
                active += value * self.earlier[before, own]
            logits = tf.nn.relu(active) @ self.kernel[c] + self.bias[c]
            drawn.append(categorical(logits, uniforms[:, c]))
        return tf.stack(drawn, axis=-1)


def categorical(logits: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Inverts the distribution function: [B, N], [B] in (0, 1) -> int32 [B].

    One uniform per draw, so that equal uniforms give equal images however the
    logits were computed.
    """
    cumulative = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    # The last bound is 1 but for rounding: leaving it out keeps N - 1 the
    # largest answer.
    below = cumulative[:, :-1] <= uniforms[:, None]
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
