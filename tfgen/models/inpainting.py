"""A conditional GAN whose condition is any visible part of the image.

Source: the notes' shared model, which is given any sub-condition; Mirza and
Osindero 2014 (conditional GAN), Pathak et al. 2016 (Context Encoder, section
3.2, for the adversarial part; we have no other).
"""

import tensorflow as tf

from tfgen.data.specs import ImageSpec
from tfgen.layers.networks import Regularization
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.models.gan import GAN
from tfgen.models.masks import random_mask
from tfgen.noise import Noise


class InpaintingGAN(GAN):
    """Two players: G(z, what is visible), and d(x, what is visible).

    Mask and visible pixels go into both; what G paints over visible pixels is
    thrown away. In training each image has a mask of its own: all is hidden
    with probability 1/2; else a rectangle is, or all but a rectangle, or single
    pixels are. Completing an image of which nothing is visible is sampling.
    G reads what is visible through a network of the widths of d, and has no
    batch norm.

    All settings are those of GAN.
    """

    spec_types = (ImageSpec,)
    labels_last = False  # what G reads stands behind them
    # It would scale z to nothing beside what G reads, which is the same for all
    # rows that show nothing, and other in each place of the first map: all
    # samples were one picture.
    _batch_norm = False

    def _variant_networks(self, units):
        height, width, channels = self.spec.shape
        shape = (height, width, channels + 1)
        self.reader = self._features(shape, 0, units, Regularization())

    def _generator_variables(self):
        return [
            *super()._generator_variables(),
            *self.reader.trainable_variables,
        ]

    def _context_size(self):
        return self.reader.size

    def _judged(self):
        height, width, channels = self.spec.shape
        return (height, width, 2 * channels + 1), 0

    def generate(
        self,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
        context: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """What G paints: [B, K] -> [B, H, W, C].

        Args:
          context: visible pixels and mask, [B, H, W, C + 1]; None where
            nothing is visible.
        """
        if context is None:
            context = self._nothing(z)
        read = tf.cast(self.reader(context), tf.float32)
        return super().generate(z, label, read, training)

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws all that `mask` hides at once; see Completing."""
        context = self._context(example, mask)
        made = self.generate(self.draw_prior(noise), label, context)
        return tf.where(mask > 0.5, example, made)

    def discriminator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """See GAN; each image has a mask of its own."""
        return super().discriminator_loss_terms(
            self._masked(batch, noise), noise
        )

    def generator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """See GAN; each image has a mask of its own."""
        return super().generator_loss_terms(self._masked(batch, noise), noise)

    def diagnostics(self, batch: Batch, noise: Noise) -> Terms:
        """See GAN; each image has a mask of its own."""
        return super().diagnostics(self._masked(batch, noise), noise)

    # The game.

    def _context(self, example, mask):
        return tf.concat([self._seen(example) * mask, mask], axis=-1)

    def _nothing(self, rows):
        height, width, channels = self.spec.shape
        return tf.zeros([tf.shape(rows)[0], height, width, channels + 1])

    def _masked(self, batch, noise):
        mask = random_mask(self.spec.height, self.spec.width, noise)
        context = self._context(batch['image'], mask)
        return batch | {'mask': mask, 'context': context}

    def _fake(self, batch, noise, training=True):
        z, label = self.draw_prior(noise), batch.get('label')
        made = self.generate(z, label, batch['context'], training)
        return [self._seen(tf.where(batch['mask'] > 0.5, batch['image'], made))]

    def _inputs(self, tensors, batch, noise):
        (x,) = tensors
        # (Who asks about an example alone was given nothing of it.)
        context = batch['context'] if 'context' in batch else self._nothing(x)
        return tf.concat([x, context], axis=-1), None
