"""A VAE that computes its reconstruction error in a discriminator's features.

Source: Larsen et al. 2016 (Autoencoding beyond pixels), algorithm 1.
"""

from typing import Any

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Network, NotNegative, Positive
from tfgen.data.specs import Spec
from tfgen.errors import UserError
from tfgen.layers import networks
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms, Update
from tfgen.models.gan import GAN
from tfgen.noise import Noise


class VAEGAN(GAN):
    """An encoder q(z|x), a decoder (and generator) G, and a discriminator d.

    The discriminator distinguishes data from reconstructions and from samples
    of the prior. The reconstruction error is computed in the last hidden layer
    of d, not in pixels. It is half the squared distance, as for a normal
    likelihood of that layer.

    Departures: the decoder's adversarial loss is -log D, not log(1 - D); the
    encoder has the widths of d.

    Args:
      spec: of images or points.
      beta: weight of the rate against the error in the encoder's update; 1 in
        the paper, whose features are larger.
      feature_weight: gamma, the weight of the error against the adversarial
        loss in the decoder's update.
      encoder: your own network, [B, *spec.shape] -> [B, 2 K]: mean and logvar.
        It gets images in [-1, 1]; the label is appended to each pixel, or to a
        point.
      settings: see GAN. The prior must be 'normal', as q(z|x) is, and d judges
        no packs.
    """

    _one_by_one = 'the error is that of one example, in the features of d'

    def __init__(
        self,
        spec: Spec,
        *,
        beta: NotNegative = 1.0,
        feature_weight: Positive = 0.01,
        encoder: Network = None,
        **settings,
    ):
        super().__init__(spec, **settings)
        self.beta, self.feature_weight = beta, feature_weight

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        if settings['prior'] != 'normal':
            raise UserError(
                f'prior={settings["prior"]} has no closed form of KL(q(z|x) || '
                'p(z)): use --set prior=normal'
            )

    def _variant_networks(self, units):
        self.encoder = networks.encoder(
            self.settings['encoder'],
            self.settings['network'],
            self.spec.shape,
            units,
            self.latent_size,
            self.num_classes,
        )

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, *spec.shape] -> mean, logvar, each float32 [B, K]."""
        return self.encoder(self._seen(example), self.one_hot(label))

    def _reconstructed(self, batch, noise):
        """The reconstruction x~ = G(z), z ~ q(z|x), and mean and logvar of q.

        x~ is scaled for d.
        """
        label = batch.get('label')
        mean, logvar = self.encode(batch[self.spec.key], label)
        eps = noise.normal('eps', [self.latent_size])
        z = mean + eps * tf.exp(0.5 * logvar)
        made = self.generate(z, label, training=True)
        return self._seen(made), mean, logvar

    def _feature_error(self, batch, reconstructed):
        """-log p(f(x)|z) up to a constant: [B]."""
        (real,) = self._real(batch, None)
        off = self.discriminator.features(
            reconstructed
        ) - self.discriminator.features(real)
        return 0.5 * tf.reduce_sum(tf.square(tf.cast(off, tf.float32)), axis=1)

    def encoder_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """KL(q(z|x) || p(z)) and the feature error: [B]."""
        reconstructed, mean, logvar = self._reconstructed(batch, noise)
        return {
            'rate': self.beta * probability.kl_normal(mean, logvar),
            'error': self._feature_error(batch, reconstructed),
        }

    def generator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """The feature error, and -log D of x~ and of samples: [B]."""
        reconstructed, _, _ = self._reconstructed(batch, noise)
        judge = self._judge(batch, noise, None)
        error = self._feature_error(batch, reconstructed)
        scores = judge([reconstructed], 'reconstructed')
        return super().generator_loss_terms(batch, noise) | {
            'fool_again': self._objective.generator(scores),
            'error': self.feature_weight * error,
        }

    def discriminator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log D(x), and -log(1 - D) of samples and reconstructions: [B]."""
        reconstructed, _, _ = self._reconstructed(batch, noise)
        judge = self._judge(batch, noise, None)
        scores = judge([reconstructed], 'reconstructed')
        return super().discriminator_loss_terms(batch, noise) | {
            'reconstructed': self._objective.fake(scores)
        }

    def updates(self) -> tuple[Update, ...]:
        encoder = GradientUpdate(
            'encoder',
            self.encoder_loss_terms,
            self.encoder.trainable_variables,
        )
        discriminator, generator, *rest = super().updates()
        # The order of Larsen et al. 2016, algorithm 1.
        return encoder, generator, discriminator, *rest
