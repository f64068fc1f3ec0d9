"""A GAN with an encoder: the discriminator judges pairs of x and z.

Source: Donahue et al. 2017 (BiGAN) and Dumoulin et al. 2017 (ALI). As in ALI,
the encoder gives a distribution.
"""

import tensorflow as tf

from tfgen.arguments import Network
from tfgen.data.specs import Spec
from tfgen.layers import networks
from tfgen.models.contracts.updates import Terms
from tfgen.models.gan import GAN


class BiGAN(GAN):
    """A generator G(z), an encoder q(z|x) and a discriminator d(x, z).

    d distinguishes pairs (x, z ~ q(z|x)) from pairs (G(z), z ~ p(z)). If it
    cannot, the two joint distributions are equal, and q(z|x) is the posterior
    of G. The encoder is the notes' auxiliary network that predicts z from x;
    without it, some modes of the data may have no z. G and the encoder share
    one update. The encoder's loss is G's with the labels exchanged. The encoder
    has the widths of d.

    Args:
      spec: of images or points.
      encoder: your own network, [B, *spec.shape] -> [B, 2 K]: mean and logvar.
        It gets images in [-1, 1]; the label is appended to each pixel, or to a
        point.
      settings: see GAN.
    """

    def __init__(self, spec: Spec, *, encoder: Network = None, **settings):
        super().__init__(spec, **settings)

    def _variant_networks(self, units):
        self.encoder = networks.encoder(
            self.settings['encoder'],
            self.settings['network'],
            self.spec.shape,
            units,
            self.latent_size,
            self.num_classes,
        )

    def _judged(self):
        return self.spec.shape, self.latent_size

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, *spec.shape] -> mean, logvar, each float32 [B, K]."""
        return self.encoder(self._seen(example), self.one_hot(label))

    def _real(self, batch, noise):
        """x and a draw of q(z|x); without noise, the mean of q(z|x)."""
        example = batch[self.spec.key]
        z, logvar = self.encode(example, batch.get('label'))
        if noise is not None:
            eps = noise.normal('eps', [self.latent_size])
            z = z + eps * tf.exp(0.5 * logvar)
        return [self._seen(example), z]

    def _fake(self, batch, noise, given, training=True):
        z = self.draw_prior(noise)
        label = batch.get('label')
        return [self._seen(self.generate(z, label, training=training)), z]

    def _generator_data_terms(self, judge, batch, noise) -> Terms:
        """The encoder's loss: [B].

        With unrolling it is also the loss of G on data; see GAN.
        """
        scores = judge(self._packed(self._real(batch, noise)), 'real')
        return {'encode': self._objective.encoder(scores)}

    def _generator_variables(self):
        return [
            *super()._generator_variables(),
            *self.encoder.trainable_variables,
        ]
