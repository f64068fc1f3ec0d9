"""A conditional VAE whose condition is any visible part of the image.

Source: Sohn et al. 2015 (Learning Structured Output Representation using Deep
Conditional Generative Models), equation 4. Their model draws quadrants of a
digit given the others.
"""

from typing import Any, Literal

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Network, Size
from tfgen.data.specs import ImageSpec
from tfgen.layers import coders, own
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.model import (
    Model,
    require_binary,
)
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.models.masks import random_mask, random_quadrants
from tfgen.noise import Noise


class InpaintingVAE(Model):
    """p(y | x) = integral of p(z | x) p(y | x, z): y is hidden, x visible.

    Each network takes x and the mask; q(z | x, y) also takes the whole image.
    Departure: the decoder takes z, the mask and the visible pixels. In Sohn et
    al. the decoder takes z and the prediction of a network without z.

    Args:
      spec: of binary images, any size.
      latent_size: K.
      units: widths of the dense layers of each of the three networks.
      activation: of these layers.
      masks: of training. 'quadrants' shows one to three random quadrants
        (departure: Sohn et al. train one model for each of three masks). 'any'
        uses masks.random_mask, which hides everything in more than half of the
        images.
      prior: your own network p(z | x), from the visible pixels and the mask,
        [B, H, W, C + 1] -> [B, 2 K]: mean and logvar.
      encoder: your own network q(z | x, y), from the image, the visible pixels
        and the mask, [B, H, W, 2 C + 1] -> [B, 2 K].
      decoder: your own network, from z followed by all visible pixels and the
        mask, [B, K + H W (C + 1)] -> logits [B, H, W, C].
    """

    spec_types = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        latent_size: Size = 50,
        units: tuple[Size, ...] = (500, 500),
        activation: coders.Activation = 'relu',
        masks: Literal['any', 'quadrants'] = 'any',
        prior: Network = None,
        encoder: Network = None,
        decoder: Network = None,
    ):
        super().__init__(spec)
        self.latent_size, self.masks = latent_size, masks
        height, width, channels = spec.shape
        seen, whole = channels + 1, 2 * channels + 1

        def network(given, name, channels):
            """An encoder that gives mean and logvar of z."""
            shape, size = (height, width, channels), 2 * latent_size
            return own.build(
                given,
                name,
                shape,
                [size],
                'images and mask -> mean and logvar of z',
                lambda: coders.encoder('dense', shape, units, size, activation),
            )

        self.prior = network(prior, 'prior', seen)
        self.encoder = network(encoder, 'encoder', whole)
        size = latent_size + height * width * seen
        self.decoder = own.build(
            decoder,
            'decoder',
            [size],
            spec.shape,
            'z, visible pixels and mask -> logits',
            lambda: coders.decoder(
                'dense', size, units, spec.shape, activation
            ),
        )

    @classmethod
    def check(cls, spec: ImageSpec, **settings: Any) -> None:
        super().check(spec, **settings)
        require_binary(cls, spec)

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws z of p(z | x), and returns the mean of p(y | x, z).

        Visible values stay as they are; see Completing.
        """
        seen = _seen(example, mask)
        mean, logvar = coders.normal(self.prior, seen)
        z = mean + noise.normal('z', [self.latent_size]) * tf.exp(0.5 * logvar)
        made = tf.sigmoid(self._decode(z, seen))
        return tf.where(mask > 0.5, example, made)

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Completes images with nothing visible: [B, H, W, C]."""
        rows = tf.shape(noise.uniform('rows', []))[0]
        nothing = tf.zeros([rows, *self.spec.shape])
        return self.complete(nothing, nothing[..., :1], noise)

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(y | x, z) and KL(q(z | x, y) || p(z | x)) in nats: [B]."""
        image = batch['image']
        mask = self._mask(noise)
        seen, prior, posterior = self._inferred(image, mask)
        mean, logvar = posterior
        z = mean + noise.normal('z', [self.latent_size]) * tf.exp(0.5 * logvar)
        return {
            'distortion': -self._log_hidden(image, mask, z, seen),
            'rate': probability.kl_normals(*posterior, *prior),
        }

    def log_weights(
        self,
        image: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        num_samples: int,
    ) -> tf.Tensor:
        """log p(y, z_s | x) - log q(z_s | x, y) for S draws: [S, B].

        Their log-mean-exp bounds log p(y | x); see
        VariationalAutoEncoder.log_weights.
        """
        image, mask = (tf.repeat(v, num_samples, axis=0) for v in (image, mask))
        seen, prior, posterior = self._inferred(image, mask)
        mean, logvar = posterior
        eps = noise.normal('eps', [num_samples, self.latent_size])
        eps = tf.reshape(eps, [-1, self.latent_size])
        z = mean + eps * tf.exp(0.5 * logvar)
        weights = (
            self._log_hidden(image, mask, z, seen)
            + probability.log_normal_pdf(z, *prior)
            - probability.log_normal_pdf(z, *posterior)
        )
        return tf.transpose(tf.reshape(weights, [-1, num_samples]))

    def _inferred(self, image, mask):
        """The visible part, and mean and logvar of p(z | x) and q(z | x, y)."""
        seen = _seen(image, mask)
        prior = coders.normal(self.prior, seen)
        posterior = coders.normal(
            self.encoder, tf.concat([image, seen], axis=-1)
        )
        return seen, prior, posterior

    def _mask(self, noise):
        """Random masks: [B, H, W, 1]."""
        height, width = self.spec.height, self.spec.width
        if self.masks == 'any':
            return random_mask(height, width, noise)
        return random_quadrants(height, width, noise)

    def _decode(self, z, seen):
        """The logits of p(y | x, z): [B, H, W, C]."""
        flat = tf.reshape(seen, [-1, seen.shape[1:].num_elements()])
        return self.decoder(tf.concat([z, flat], axis=1))

    def _log_hidden(self, image, mask, z, seen):
        """log p(y | x, z) in nats, over the hidden pixels: [B]."""
        logits = self._decode(z, seen)
        each = image * logits - tf.nn.softplus(logits)
        return probability.sum_event((1.0 - mask) * each)


def _seen(image, mask):
    """The visible pixels and the mask: [B, H, W, C + 1]."""
    return tf.concat([image * mask, mask], axis=-1)
