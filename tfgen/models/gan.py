"""Deep convolutional GAN, plain and conditional.

Source: Goodfellow et al. 2014 (the game), Radford et al. 2016 (the networks),
Miyato and Koyama 2018 (how the label enters the discriminator).
"""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfgen import adversarial
from tfgen.arguments import Positive, Share, Size
from tfgen.data.kinds import ImageSpec
from tfgen.layers.batch_norm import BatchNorm
from tfgen.layers.linear import dropout
from tfgen.models.base import concat_features
from tfgen.models.latent import Latent
from tfgen.models.players import Batch, Descent, Player, Terms
from tfgen.noise import Noise

_GENERATOR_LOSSES = {
    'non_saturating': adversarial.generator_non_saturating,
    'minimax': adversarial.generator_minimax,
}


class DCGAN(Latent):
    """Two players: a generator G(z) and a discriminator D(x).

    Departures from Radford et al.: two up-samplings from a quarter of the
    image size, so that images from 8x8 up work; no batch norm in the
    discriminator, where it lets one example's score depend on another's.
    Conditional form: the label is concatenated to z in the generator and
    enters the discriminator as a projection, d(x, y) = w . f(x) + v_y . f(x),
    so that it reaches every score.

    Args:
      spec: of images; H and W multiples of 4.
      latent_size: K, of z ~ N(0, 1).
      generator_filters: channels at a quarter and at half the size.
      discriminator_filters: channels at half and at a quarter of the size.
      generator_loss: 'non_saturating' (-log D(G(z))) or 'minimax'
        (log(1 - D(G(z)))).
      discriminator_updates: k, updates of D for one of G, each on new data.
      discriminator_rate: learning rate of D; None for that of the run.
      dropout: rate after each convolution of the discriminator.
      conditional: see GenerativeModel.
    """

    kinds = (ImageSpec,)
    cross_replica = True  # batch norm in the generator

    def __init__(
        self,
        spec: ImageSpec,
        latent_size: Size = 64,
        generator_filters: tuple[Size, Size] = (128, 64),
        discriminator_filters: tuple[Size, Size] = (64, 128),
        generator_loss: Literal['non_saturating', 'minimax'] = 'non_saturating',
        discriminator_updates: Size = 1,
        discriminator_rate: Positive | None = None,
        dropout: Share = 0.0,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        self.discriminator_updates = discriminator_updates
        self.discriminator_rate = discriminator_rate
        self._generator_loss = _GENERATOR_LOSSES[generator_loss]
        self.generator = Generator(
            spec.shape, latent_size + self.num_classes, generator_filters
        )
        self.discriminator = Discriminator(
            spec.shape, discriminator_filters, dropout, self.num_classes
        )

    @classmethod
    def refusal(cls, spec: ImageSpec, **settings: Any) -> str:
        refusal = super().refusal(spec, **settings)
        if refusal or not (spec.height % 4 or spec.width % 4):
            return refusal
        return (
            f'a DCGAN needs image sides that are multiples of 4, not '
            f'{spec.height}x{spec.width}: set image_size, for example --set '
            f'image_size={-(-spec.height // 4) * 4},{-(-spec.width // 4) * 4}'
        )

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """G(z): [B, K] -> [B, H, W, C] in [0, 1]."""
        return self.generate(z, label)

    def generate(
        self,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """G(z): [B, K] -> [B, H, W, C] in [0, 1].

        With `training` batch norm uses the batch's statistics and updates
        its averages; without, a row depends on its own z alone.
        """
        features = concat_features(z, self.one_hot(label))
        return self.generator(features, training=training)

    def score(
        self,
        image: tf.Tensor,
        label: tf.Tensor | None = None,
        noise: Noise | None = None,
    ) -> tf.Tensor:
        """The discriminator's logit d(x): [B, H, W, C] -> float32 [B].

        Args:
          image: values in [0, 1].
          label: [B] if the model is conditional.
          noise: for dropout, in training.
        """
        return self.discriminator(image, self.one_hot(label), noise=noise)

    # The game.

    def discriminator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log D(x) and -log(1 - D(G(z))), whose sum is -V(D, G): [B]."""
        image, label = batch['image'], batch.get('label')
        fake = tf.stop_gradient(self._fake(noise, label))
        return {
            'real': adversarial.real_loss(
                self.score(image, label, noise.scope('real'))
            ),
            'fake': adversarial.fake_loss(
                self.score(fake, label, noise.scope('fake'))
            ),
        }

    def generator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log D(G(z)) or log(1 - D(G(z))): [B]."""
        label = batch.get('label')
        scores = self.score(
            self._fake(noise, label), label, noise.scope('fake')
        )
        return {'fool': self._generator_loss(scores)}

    def _fake(self, noise, label):
        z = noise.normal('z', [self.latent_size])
        return self.generate(z, label, training=True)

    def diagnostics(self, batch: Batch, noise: Noise) -> Terms:
        """D(x) and D(G(z)) in [0, 1], without dropout: [B].

        At the game's equilibrium both are 1/2. `jensen_shannon` is the share
        of each row in adversarial.jensen_shannon_estimate.
        """
        image, label = batch['image'], batch.get('label')
        real = self.score(image, label)
        fake = self.score(self.sample(noise, label), label)
        return {
            'd_real': tf.sigmoid(real),
            'd_fake': tf.sigmoid(fake),
            'jensen_shannon': adversarial.jensen_shannon_estimate(real, fake),
        }

    def players(self) -> tuple[Player, ...]:
        return (
            Descent(
                'discriminator',
                self.discriminator_loss_terms,
                self.discriminator.trainable_variables,
                self.discriminator_updates,
                self.discriminator_rate,
            ),
            Descent(
                'generator',
                self.generator_loss_terms,
                self.generator.trainable_variables,
            ),
        )


class Generator(keras.layers.Layer):
    """[B, features] -> [B, H, W, C] in [0, 1]."""

    def __init__(self, image_shape, num_features, filters):
        super().__init__()
        height, width, channels = image_shape
        self.grid = (height // 4, width // 4, filters[0])
        sizes = [
            (height // 4 * scale, width // 4 * scale, f)
            for scale, f in zip((1, 2), filters, strict=True)
        ]
        self.dense = keras.layers.Dense(
            self.grid[0] * self.grid[1] * self.grid[2], use_bias=False
        )
        self.dense.build([None, num_features])
        self.norms = [BatchNorm() for _ in filters]
        for norm, size in zip(self.norms, sizes, strict=True):
            norm.build([None, *size])
        self.grow = _transposed(filters[1], use_bias=False)
        self.grow.build([None, *sizes[0]])
        self.paint = _transposed(channels, dtype='float32')
        self.paint.build([None, *sizes[1]])

    def call(self, features, training=False):
        x = tf.reshape(self.dense(features), [-1, *self.grid])
        x = tf.nn.relu(self.norms[0](x, training=training))
        x = tf.nn.relu(self.norms[1](self.grow(x), training=training))
        return tf.sigmoid(self.paint(x))


class Discriminator(keras.layers.Layer):
    """[B, H, W, C] in [0, 1] -> logits [B]."""

    def __init__(self, image_shape, filters, dropout, num_classes):
        super().__init__()
        height, width, channels = image_shape
        self.dropout = dropout
        self.convolutions = []
        for scale, f in zip((2, 4), filters, strict=True):
            convolution = keras.layers.Conv2D(
                f, 4, 2, 'same', kernel_initializer=_initializer()
            )
            convolution.build(
                [None, height * 2 // scale, width * 2 // scale, channels]
            )
            self.convolutions.append(convolution)
            channels = f
        num_features = (height // 4) * (width // 4) * channels
        # Column 0 scores the image, column 1 + y its fit to label y.
        self.score = keras.layers.Dense(1 + num_classes, dtype='float32')
        self.score.build([None, num_features])

    def call(self, image, one_hot=None, noise=None):
        x = image * 2.0 - 1.0
        for number, convolution in enumerate(self.convolutions):
            x = tf.nn.leaky_relu(convolution(x), 0.2)
            if noise is not None:
                x = dropout(x, self.dropout, noise, f'drop{number}')
        scores = self.score(tf.reshape(x, [-1, self.score.kernel.shape[0]]))
        if one_hot is None:
            return scores[:, 0]
        fit = scores[:, 1:] * tf.cast(one_hot, scores.dtype)
        return scores[:, 0] + tf.reduce_sum(fit, axis=-1)


def _initializer():
    # Radford et al. 2016, section 4.
    return keras.initializers.RandomNormal(stddev=0.02)


def _transposed(filters, **options):
    return keras.layers.Conv2DTranspose(
        filters, 4, 2, 'same', kernel_initializer=_initializer(), **options
    )
