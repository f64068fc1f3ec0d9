"""A conditional GAN whose condition is any visible part of the image.

Source: the notes' shared model, which accepts any part of a condition; Mirza
and Osindero 2014 (conditional GAN); Pathak et al. 2016 (Context Encoder), of
which only the adversarial part, section 3.2, is used.
"""

from typing import ClassVar

import tensorflow as tf

from tfgen.data.specs import ImageSpec, Spec
from tfgen.layers.networks import feature_network
from tfgen.models.gan import GAN
from tfgen.models.masks import random_mask
from tfgen.noise import Noise


class InpaintingGAN(GAN):
    """A generator G(z, visible part) and a discriminator d(x, visible part).

    Both networks take the mask and the visible pixels. The output of G at
    visible pixels is discarded. In training each image has its own mask. With
    probability 1/2 the mask hides everything; otherwise it hides a rectangle,
    all but a rectangle, or single pixels. Sampling is the completion of an
    image with nothing visible. G reads the visible part through a network with
    the widths of d. G has no batch norm.

    All settings are those of GAN, but d judges no packs.
    """

    spec_types: ClassVar[tuple[type[Spec], ...]] = (ImageSpec,)
    labels_last = False  # the context of G comes after labels
    # With batch norm, all samples would be equal: z would have too little
    # influence beside the context. The context of an image with nothing visible
    # is the same in all rows, but differs between places of the first map, and
    # batch norm takes its statistics over both.
    _batch_norm = False
    _one_by_one = 'd judges each image with its visible part'

    def _variant_networks(self, units):
        height, width, channels = self.spec.shape
        shape = (height, width, channels + 1)
        kind = self.settings['network']
        self.reader = feature_network(kind, shape, 0, units)

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
        """G(z, context): [B, K] -> [B, H, W, C].

        Args:
          context: visible pixels and mask, [B, H, W, C + 1]; None if nothing
            is visible.
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
        """Draws all hidden pixels at once; see Completing."""
        context = self._context(example, mask)
        made = self.generate(self.draw_prior(noise), label, context)
        return tf.where(mask > 0.5, example, made)

    # The game.

    def _context(self, example, mask):
        """The visible pixels and the mask: [B, H, W, C + 1]."""
        return tf.concat([self._seen(example) * mask, mask], axis=-1)

    def _nothing(self, rows):
        """The context with nothing visible: [B, H, W, C + 1]."""
        height, width, channels = self.spec.shape
        return tf.zeros([tf.shape(rows)[0], height, width, channels + 1])

    def _given(self, batch, noise):
        """A mask for each image, [B, H, W, 1], and its context.

        The mask is random. Without noise, nothing is visible.
        """
        image = batch['image']
        if noise is None:
            return tf.zeros_like(image[..., :1]), self._nothing(image)
        mask = random_mask(self.spec.height, self.spec.width, noise)
        return mask, self._context(image, mask)

    def _fake(self, batch, noise, given, training=True):
        mask, context = given
        z, label = self.draw_prior(noise), batch.get('label')
        made = self.generate(z, label, context, training)
        return [self._seen(tf.where(mask > 0.5, batch['image'], made))]

    def _inputs(self, tensors, given):
        (x,), (_, context) = tensors, given
        return tf.concat([x, context], axis=-1), None
