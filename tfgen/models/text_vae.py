"""A VAE of lines of text, with convolutions along the line.

Source: the notes' link to a VAE that writes poems with a CNN; Semeniuta et al.
2017 (A Hybrid Convolutional Variational Autoencoder for Text Generation).
Departure: their recurrent layer is an LSTM and has an auxiliary loss.
"""

from collections.abc import Callable
from typing import Literal

import keras
import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Count, Network, NotNegative, Size
from tfgen.data.specs import SymbolSpec
from tfgen.layers import coders, own, scans
from tfgen.layers.linear import Linear
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.model import concat_features
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.noise import Noise


class TextVAE(VariationalAutoEncoder):
    """p(x) = integral of p(z) prod over t of p(x_t | z, x_1 .. x_(t-1)).

    x_t is the letter at place t. By default it depends on z alone. Samples,
    reconstructions and interpolations then have the likeliest letter at each
    place.

    With `recurrent_units` a GRU reads the line from left to right, and x_t
    depends on the letters before it as well. Samples draw each letter;
    reconstructions and interpolations take the likeliest letter, given those
    taken before. Such a decoder may do without z, whose rate then falls to 0:
    the posterior collapses (Bowman et al. 2016). `free_bits` prevents it.

    Args:
      spec: of rows of symbols; N different symbols, T in a row.
      latent_size: K.
      filters: channels of the encoder's convolutions of width 5 and stride 2;
        the decoder mirrors them.
      recurrent_units: of the GRU; 0 for none.
      kl, beta, importance_samples, free_bits, kl_warmup: see
        VariationalAutoEncoder.
      conditional: see Model.
      encoder: your own network, one-hot symbols [B, T, N] -> [B, 2 K]: mean and
        logvar. The label is appended to each symbol.
      decoder: your own network, [B, K] -> logits [B, T, N]. The label is
        appended to z.
    """

    spec_types = (SymbolSpec,)

    def __init__(
        self,
        spec: SymbolSpec,
        latent_size: Size = 32,
        filters: tuple[Size, ...] = (64, 128),
        recurrent_units: Count = 0,
        kl: Literal['analytic', 'monte_carlo'] = 'analytic',
        beta: NotNegative = 1.0,
        importance_samples: Size = 1,
        free_bits: NotNegative = 0.0,
        kl_warmup: Count = 0,
        conditional: bool = False,
        encoder: Network = None,
        decoder: Network = None,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        length, count = spec.length, spec.levels
        seen, codes = [length, count + self.num_classes], 2 * latent_size
        self.encoder = own.build(
            encoder,
            'encoder',
            seen,
            [codes],
            'one-hot symbols -> mean and logvar of q(z|x)',
            lambda: _encoder(seen, filters, codes),
        )
        size = latent_size + self.num_classes
        self.decoder = own.build(
            decoder,
            'decoder',
            [size],
            [length, count],
            'z -> logits of symbols',
            lambda: _decoder(size, filters, length, count),
        )
        self.reader = None
        if recurrent_units:
            self.reader = Reader(size, count, recurrent_units)

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): int32 [B, T] -> mean, logvar, each float32 [B, K]."""
        letters = tf.one_hot(example, self.spec.levels)
        one_hot = self.one_hot(label)
        if one_hot is not None:
            one_hot = tf.tile(one_hot[:, None], [1, self.spec.length, 1])
        seen = concat_features(letters, one_hot)
        return coders.normal(self.encoder, seen)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """p(x|z): [B, K] -> logits [B, T, N].

        With a GRU, the logits of a letter are those after the likeliest
        letters.
        """
        z = concat_features(z, self.one_hot(label))
        logits = self.decoder(z)
        if self.reader is None:
            return logits
        return self.reader.write(logits, z, _likeliest)[1]

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The likeliest symbols: int32 [B, T]."""
        return _likeliest(decoded)

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws z from its prior, then the line: int32 [B, T]."""
        if self.reader is None:
            return super().sample(noise, label)
        z = concat_features(self.draw_prior(noise), self.one_hot(label))
        uniforms = tf.transpose(noise.uniform('letters', [self.spec.length]))
        line, _ = self.reader.write(
            self.decoder(z),
            z,
            lambda logits, t: probability.categorical(logits, uniforms[t]),
        )
        return line

    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log P(x|z) in nats, <= 0: [B]."""
        z = concat_features(z, self.one_hot(label))
        logits = self.decoder(z)
        if self.reader is not None:
            logits += self.reader(z, example)
        return probability.log_categorical(example, logits)

    @property
    def is_density(self) -> bool:
        return False


class Reader(keras.layers.Layer):
    """A GRU that reads a line; its output is added to the logits from z.

    It also sees z at every place (Bowman et al. 2016).

    Args:
      size: of z, with the label.
      count: N, the number of symbols.
      units: U, of the GRU.
    """

    def __init__(self, size: int, count: int, units: int):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape
        self.units = units
        self.letters = Linear(count, 3 * units, bias=False)
        self.code = Linear(size, 3 * units)
        self.recurrent_kernel = self.add_weight(
            shape=[units, 3 * units],
            name='recurrent_kernel',
            initializer='orthogonal',
        )
        self.recurrent_bias = self.add_weight(
            shape=[3 * units], name='recurrent_bias', initializer='zeros'
        )
        self.outputs = Linear(units, count)

    def call(self, z: tf.Tensor, line: tf.Tensor) -> tf.Tensor:
        """Logits of each letter, given those before: [B, T, N].

        Args:
          z: float32 [B, K], with the label.
          line: int32 [B, T].
        """
        kernel, bias = self.code.step_weights(tf.shape(z)[0])
        count = self.outputs.kernel.shape[1]
        # The first letter has none before it.
        before = tf.pad(
            tf.transpose(line)[:-1], [[1, 0], [0, 0]], constant_values=-1
        )
        gates = tf.tensordot(tf.one_hot(before, count), self.letters.kernel, 1)
        states = scans.gru_scan(
            gates + (z @ kernel + bias),
            tf.convert_to_tensor(self.recurrent_kernel),
            tf.convert_to_tensor(self.recurrent_bias),
        )
        logits = tf.tensordot(states, self.outputs.kernel, 1)
        return tf.transpose(logits + self.outputs.bias, [1, 0, 2])

    def write(
        self,
        given: tf.Tensor,
        z: tf.Tensor,
        choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Writes a line letter by letter.

        Args:
          given: logits from z alone, float32 [B, T, N].
          z: float32 [B, K], with the label.
          choose: (logits [B, N], t) -> the letter at place t, int32 [B].

        Returns:
          The line, int32 [B, T], and its logits, [B, T, N].
        """
        length, batch = given.shape[1], tf.shape(given)[0]
        kernel, bias = self.code.step_weights(batch)
        code = z @ kernel + bias
        letters = self.letters.kernel
        recurrent_kernel = tf.convert_to_tensor(self.recurrent_kernel)
        recurrent_bias = tf.tile(self.recurrent_bias[None], [batch, 1])
        outputs, outputs_bias = self.outputs.step_weights(batch)
        given = scans.unstack(tf.transpose(given, [1, 0, 2]))

        def step(t, letter, h, line, found):
            """Writes letter t of all rows; `letter` is the part before's."""
            h = scans.gru_cell(
                letter + code, h @ recurrent_kernel + recurrent_bias, h
            )
            logits = given.read(t) + h @ outputs + outputs_bias
            chosen = choose(logits, t)
            return (
                t + 1,
                tf.gather(letters, chosen),
                h,
                line.write(t, chosen),
                found.write(t, logits),
            )

        *_, line, found = tf.while_loop(
            lambda t, *_: t < length,
            step,
            (
                0,
                tf.zeros_like(code),
                tf.zeros([batch, self.units]),
                tf.TensorArray(tf.int32, length),
                scans.array(length),
            ),
            maximum_iterations=length,
        )
        return (
            tf.transpose(line.stack()),
            tf.transpose(found.stack(), [1, 0, 2]),
        )


def _likeliest(logits, _=None):
    """[..., N] -> int32 [...]."""
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def _encoder(shape, filters, size):
    """Convolutions of width 5 and stride 2: [B, *shape] -> [B, size]."""
    return keras.Sequential(
        [
            keras.Input(shape),
            *(
                keras.layers.Conv1D(f, 5, 2, 'same', activation='relu')
                for f in filters
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(size, dtype='float32'),
        ]
    )


def _decoder(size, filters, length, count):
    """The mirror image of the encoder: [B, size] -> [B, length, count]."""
    scale = 2 ** len(filters)
    # Rounded up, and cropped at the end, so that any length works.
    short = -(-length // scale)
    return keras.Sequential(
        [
            keras.Input([size]),
            keras.layers.Dense(short * filters[-1], activation='relu'),
            keras.layers.Reshape([short, filters[-1]]),
            *(
                keras.layers.Conv1DTranspose(f, 5, 2, 'same', activation='relu')
                for f in reversed(filters)
            ),
            keras.layers.Conv1D(count, 5, 1, 'same', dtype='float32'),
            keras.layers.Cropping1D(
                (0, short * scale - length), dtype='float32'
            ),
        ]
    )
