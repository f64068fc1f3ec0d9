"""A GAN that learns to classify from few labels.

Source: Salimans et al. 2016 (Improved Techniques for Training GANs), sections
3.1 (feature matching) and 5, for MNIST.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import replicas
from tfgen.arguments import Positive, Size
from tfgen.data.specs import PartlyLabelledSpec
from tfgen.layers import networks
from tfgen.layers.normalised import WeightNormDense
from tfgen.losses import adversarial
from tfgen.models.contracts.latent import LatentVariableModel
from tfgen.models.contracts.model import Signature
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms, Update
from tfgen.noise import Noise


class SemiSupervisedGAN(LatentVariableModel):
    """A generator G, and a discriminator that also classifies.

    The discriminator has a logit l_k for each class of data. The logit of the
    class of samples is fixed at 0, so D(x) = Z / (Z + 1) with Z = sum_k
    exp(l_k), and log Z is the logit of D. Images without labels teach it to
    distinguish data from samples; the few with labels teach it the classes.

    The generator matches features: it minimises the distance between the means
    of the discriminator's last hidden layer over samples and over data.

    All hidden layers are ReLU. G's layers have batch norm. The columns of the
    discriminator's hidden kernels have fixed lengths, so the strength of its
    noise relative to its features stays the same. This noise keeps the
    discriminator from memorising the few labels.

    Departures from the authors' code (theirs in brackets): G's hidden layers
    are ReLU (softplus). G's last layer has no weight norm. Both networks see
    the same images in a step (different ones). The lengths of the columns of
    d's hidden kernels are fixed (learned).

    Args:
      spec: of images, a few of which have labels.
      generator_units, discriminator_units: widths of dense layers.
      latent_size: size of z, which is uniform in (0, 1).
      input_noise, hidden_noise: deviation of the normal noise on the image,
        whose values are in [0, 1], and on each hidden layer of the
        discriminator.
    """

    spec_types = (PartlyLabelledSpec,)

    def __init__(
        self,
        spec: PartlyLabelledSpec,
        generator_units: tuple[Size, ...] = (500, 500),
        discriminator_units: tuple[Size, ...] = (1000, 500, 250, 250, 250),
        latent_size: Size = 100,
        input_noise: Positive = 0.3,
        hidden_noise: Positive = 0.5,
    ):
        super().__init__(spec)
        self.latent_size = latent_size
        self.input_noise, self.hidden_noise = input_noise, hidden_noise
        self.generator = networks.DenseGenerator(
            latent_size, generator_units, spec.shape, batch_norm=True
        )
        self.hidden, size = [], spec.dimensions
        variance = _PIXELS + input_noise**2
        for width in discriminator_units:
            # A learned length would grow until the noise is negligible.
            layer = WeightNormDense(width, variance**-0.5, learned=False)
            layer.build([None, size])
            self.hidden.append(layer)
            size = width
            variance = _RECTIFIED + hidden_noise**2
        self.logits = WeightNormDense(
            spec.num_classes, variance**-0.5, dtype='float32'
        )
        self.logits.build([None, size])

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """Always: G has batch norm, and the loss has means of features."""
        return True

    def draw_prior(self, noise: Noise) -> tf.Tensor:
        """z: float32 [B, K], uniform in (0, 1)."""
        return noise.uniform('z', [self.latent_size])

    @classmethod
    def prior_quantiles(
        cls, uniform: np.ndarray, settings: Mapping[str, Any]
    ) -> np.ndarray:
        return uniform

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """G(z): [B, K] -> [B, H, W, C] in [0, 1]."""
        return self.generate(z)

    def generate(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """G(z): [B, K] -> [B, H, W, C] in [0, 1].

        With `training`, batch norm uses the statistics of the batch.
        """
        return tf.sigmoid(self.generator(z, training=training))

    def features(
        self, image: tf.Tensor, noise: Noise | None = None
    ) -> tf.Tensor:
        """The last hidden layer: [B, H, W, C] in [0, 1] -> float32 [B, F]."""
        x = tf.reshape(image, [-1, self.spec.dimensions])
        deviation = self.input_noise
        for number, layer in enumerate(self.hidden):
            if noise is not None:
                normal = noise.normal(f'noise{number}', x.shape[1:])
                x = x + deviation * tf.cast(normal, x.dtype)
                deviation = self.hidden_noise
            x = tf.nn.relu(layer(x))
        return tf.cast(x, tf.float32)

    def class_logits(
        self, example: tf.Tensor, noise: Noise | None = None
    ) -> tf.Tensor:
        """l_k: [B, H, W, C] -> float32 [B, classes]."""
        x = self.features(example, noise)
        if noise is not None:
            normal = noise.normal('noise', x.shape[1:])
            x = x + self.hidden_noise * normal
        return self.logits(x)

    def score(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The logit of D(x), log Z: [B, H, W, C] -> float32 [B]."""
        return _log_sum(self.class_logits(example))

    def discriminator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(label | x, data), -log(D) / 2 and -log(1 - D) / 2: [B].

        They are taken on the images with labels, on the images without labels,
        and on samples.
        """
        known = self.class_logits(batch['labelled_image'], noise.scope('known'))
        real = self.class_logits(batch['image'], noise.scope('real'))
        made = self.generate(self.draw_prior(noise), training=True)
        fake = self.class_logits(made, noise.scope('fake'))
        return {
            'labels': tf.nn.sparse_softmax_cross_entropy_with_logits(
                batch['labelled_label'], known
            ),
            'real': 0.5 * adversarial.real_loss(_log_sum(real)),
            'fake': 0.5 * adversarial.fake_loss(_log_sum(fake)),
        }

    def generator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """Mean squared difference of mean features; all rows are equal: [B]."""
        made = self.generate(self.draw_prior(noise), training=True)
        off = replicas.mean(
            tf.reduce_mean(self.features(made, noise.scope('fake')), axis=0)
            - tf.reduce_mean(
                self.features(batch['image'], noise.scope('real')), axis=0
            )
        )
        distance = tf.reduce_mean(tf.square(off))
        rows = tf.shape(batch['image'])[:1]
        return {'matching': tf.broadcast_to(distance, rows)}

    def updates(self) -> tuple[Update, ...]:
        discriminator = [
            v
            for layer in (*self.hidden, self.logits)
            for v in layer.trainable_variables
        ]
        return (
            GradientUpdate(
                'discriminator', self.discriminator_loss_terms, discriminator
            ),
            GradientUpdate(
                'generator',
                self.generator_loss_terms,
                self.generator.trainable_variables,
            ),
        )

    def signatures(self) -> dict[str, Signature]:
        """Adds `score`, the logit of D."""
        score = Signature(self._serve_score, (self.spec.key,))
        return super().signatures() | {'score': score}

    def _serve_score(self, example):
        return {'score': self.score(example)}


def _log_sum(logits):
    """log Z: [B, classes] -> [B]."""
    return tf.reduce_logsumexp(logits, axis=1)


# Variances of a pixel of a handwritten digit, and of max(0, x) for a standard
# normal x.
_PIXELS = 0.07
_RECTIFIED = 0.5 - 0.5 / math.pi
