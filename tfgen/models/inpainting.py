"""A conditional GAN whose condition is any visible part of the image.

Source: the notes' shared model, which is given any sub-condition; Mirza and
Osindero 2014 (conditional GAN), Pathak et al. 2016 (Context Encoder, section
3.2, for the adversarial part; we have no other).
"""

import tensorflow as tf

from tfgen.data.kinds import ImageSpec
from tfgen.layers.networks import Limits
from tfgen.models.base import Completing
from tfgen.models.gan import GAN
from tfgen.noise import Noise


class InpaintingGAN(Completing, GAN):
    """Two players: G(z, what is visible), and d(x, what is visible).

    Mask and visible pixels go into both; what G paints over visible pixels is
    thrown away. In training each image has a mask of its own: all is hidden,
    or a rectangle is, or all but a rectangle, or single pixels are, each with
    probability 1/4. Completing an image of which nothing is visible is
    sampling. G reads what is visible through a network of the widths of d.

    All settings are those of GAN.
    """

    kinds = (ImageSpec,)

    def _variant_networks(self, units):
        height, width, channels = self.spec.shape
        shape = (height, width, channels + 1)
        self.reader = self._features(shape, 0, units, Limits())

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
            height, width, channels = self.spec.shape
            shape = [tf.shape(z)[0], height, width, channels + 1]
            context = tf.zeros(shape)
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

    # The game. Where there is no noise nothing is visible.

    def _context(self, example, mask):
        return tf.concat([self._seen(example) * mask, mask], axis=-1)

    def _visible(self, batch, noise):
        """The context of a batch, and the mask."""
        example = batch[self.spec.key]
        if noise is None:
            mask = tf.zeros_like(example[..., :1])
        else:
            mask = random_mask(self.spec.height, self.spec.width, noise)
        return self._context(example, mask), mask

    def _fake(self, batch, noise, training=True):
        context, mask = self._visible(batch, noise)
        z = self.draw_prior(noise)
        made = self.generate(z, batch.get('label'), context, training)
        return [self._seen(tf.where(mask > 0.5, batch['image'], made))]

    def _inputs(self, tensors, batch, noise):
        context, _ = self._visible(batch, noise)
        (x,) = tensors
        return tf.concat([x, context], axis=-1), None


def random_mask(height: int, width: int, noise: Noise) -> tf.Tensor:
    """Masks as InpaintingGAN is trained on: float32 [B, H, W, 1], 1 visible."""
    u = noise.uniform('mask', [6])

    def within(size, a, b):
        middle = (tf.range(size, dtype=tf.float32) + 0.5) / size
        first, last = tf.minimum(a, b), tf.maximum(a, b)
        inside = (middle >= first[:, None]) & (middle <= last[:, None])
        return tf.cast(inside, tf.float32)

    rows = within(height, u[:, 0], u[:, 1])
    columns = within(width, u[:, 2], u[:, 3])
    inside = (rows[:, :, None] * columns[:, None, :])[..., None]
    single = noise.uniform('pixels', [height, width, 1])
    share = u[:, 4, None, None, None]
    kinds = tf.stack(
        [
            tf.zeros_like(inside),
            inside,
            1.0 - inside,
            tf.cast(single < share, tf.float32),
        ]
    )
    chosen = tf.one_hot(tf.cast(u[:, 5] * 4.0, tf.int32), 4, axis=0)
    return tf.reduce_sum(kinds * chosen[..., None, None, None], axis=0)
