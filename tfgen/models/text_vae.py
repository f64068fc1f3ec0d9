"""A VAE of lines of text, with convolutions along the line.

Source: the notes' link to a VAE that writes poems with a CNN; Semeniuta et al.
2017 (A Hybrid Convolutional Variational Autoencoder for Text Generation), here
without the recurrent part. All letters are decoded at once, independently given
z, so the posterior of z cannot collapse.
"""

from typing import Literal

import keras
import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Count, Network, NotNegative, Size
from tfgen.data.specs import SymbolSpec
from tfgen.layers import coders, own
from tfgen.models.contracts.model import concat_features
from tfgen.models.contracts.variational import VariationalAutoEncoder


class TextVAE(VariationalAutoEncoder):
    """p(x) = integral of p(z) prod over t of p(x_t | z), of letters x_t.

    Samples and reconstructions have the likeliest letter at each place.

    Args:
      spec: of rows of symbols; N different symbols, T in a row.
      latent_size: K.
      filters: channels of the encoder's convolutions of width 5 and stride 2;
        the decoder mirrors them.
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
        """p(x|z): [B, K] -> logits [B, T, N]."""
        return self.decoder(concat_features(z, self.one_hot(label)))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The likeliest symbols: int32 [B, T]."""
        return tf.argmax(decoded, axis=-1, output_type=tf.int32)

    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log P(x|z) in nats, <= 0: [B]."""
        return probability.log_categorical(example, self.decode(z, label))

    @property
    def is_density(self) -> bool:
        return False


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
