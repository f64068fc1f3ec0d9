"""Variational auto-encoder, plain and conditional, with convolutions.

Source: Kingma and Welling 2014; the notes' CVAE code; Sohn et al. 2015 for
the conditional form. Names follow the notes: encode, reparameterize, decode,
mean, logvar, logits.
"""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Size
from tfgen.data.kinds import ImageSpec
from tfgen.layers import coders
from tfgen.models.base import SinglePlayer, concat_features
from tfgen.models.latent import Bounded
from tfgen.models.players import Batch, Terms
from tfgen.noise import Noise

# A Gaussian density grows without bound as its width shrinks onto the grey
# levels; it may not become narrower than one level of a byte.
_MIN_LOGVAR = -2.0 * 5.545  # log (1/256)^2


class CVAE(Bounded, SinglePlayer):
    """p(x) = integral of p(z) p(x|z), with q(z|x) to bound it.

    The same class is the notes' convolutional VAE and, if `conditional`,
    their conditional VAE: the label enters the encoder as constant feature
    maps and the decoder beside z, so that z is left to say the style.

    Args:
      spec: of images, any size.
      latent_size: K.
      filters: channels of the encoder's stride-2 convolutions; the decoder
        mirrors them.
      likelihood: 'bernoulli' for binary images: P(x = 1) = sigmoid(logits);
        'gaussian' for real values: x ~ N(logits, s^2) with one learned s (the
        decoder's output is then the mean, and the likelihood a density).
      kl: 'analytic' uses the closed form of KL(q(z|x) || p(z)),
        'monte_carlo' the notes' estimate log q(z|x) - log p(z) at the drawn
        z; both have the same expectation.
      conditional: see Model.
    """

    kinds = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        latent_size: Size = 16,
        filters: tuple[Size, ...] = (32, 64),
        likelihood: Literal['bernoulli', 'gaussian'] = 'bernoulli',
        kl: Literal['analytic', 'monte_carlo'] = 'analytic',
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        self.likelihood = likelihood
        self.kl = kl
        height, width, channels = spec.shape
        self.encoder = coders.encoder(
            'convolutional',
            (height, width, channels + self.num_classes),
            filters,
            2 * latent_size,
        )
        self.decoder = coders.decoder(
            'convolutional',
            latent_size + self.num_classes,
            filters,
            spec.shape,
        )
        if likelihood == 'gaussian':
            self.image_logvar = self.add_weight(
                shape=[],
                initializer=keras.initializers.Constant(-2.0),
                name='image_logvar',
            )

    @classmethod
    def refusal(cls, spec: ImageSpec, **settings: Any) -> str:
        refusal = super().refusal(spec, **settings)
        if not refusal and settings['likelihood'] == 'bernoulli':
            if spec.levels == 2:
                return ''
            return (
                f'likelihood=bernoulli needs binary images, {spec.name!r} has '
                f'{spec.levels} levels: use --set binarization=dynamic or '
                '--set likelihood=gaussian'
            )
        return refusal

    # The notes' functions.

    def encode(
        self, image: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, H, W, C] -> mean, logvar, each float32 [B, K]."""
        one_hot = self.one_hot(label)
        if one_hot is not None:
            height, width, _ = self.spec.shape
            maps = tf.tile(one_hot[:, None, None, :], [1, height, width, 1])
            image = tf.concat([image, maps], axis=-1)
        return tf.split(self.encoder(image), 2, axis=1)

    def reparameterize(
        self, mean: tf.Tensor, logvar: tf.Tensor, noise: Noise
    ) -> tf.Tensor:
        """z = eps * exp(logvar / 2) + mean: [B, K]."""
        eps = noise.normal('eps', [self.latent_size])
        return eps * tf.exp(logvar * 0.5) + mean

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """p(x|z): [B, K] -> logits (Bernoulli) or means: [B, H, W, C]."""
        return self.decoder(concat_features(z, self.one_hot(label)))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z): [B, H, W, C]."""
        return (
            tf.sigmoid(decoded) if self.likelihood == 'bernoulli' else decoded
        )

    # The bound.

    def log_likelihood(
        self,
        image: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]. A density if Gaussian, else <= 0."""
        logits = self.decode(z, label)
        if self.likelihood == 'bernoulli':
            return probability.log_bernoulli(image, logits)
        logvar = tf.maximum(
            tf.convert_to_tensor(self.image_logvar), _MIN_LOGVAR
        )
        return probability.log_normal_pdf(
            image, logits, tf.cast(logvar, tf.float32)
        )

    def rate(
        self, mean: tf.Tensor, logvar: tf.Tensor, z: tf.Tensor
    ) -> tf.Tensor:
        """KL(q(z|x) || p(z)) in nats, exact or estimated at z: [B]."""
        if self.kl == 'analytic':
            return probability.kl_normal(mean, logvar)
        log_prior = probability.log_normal_pdf(z, 0.0, 0.0)
        return probability.log_normal_pdf(z, mean, logvar) - log_prior

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-ELBO = distortion + rate, each in nats: [B]."""
        image, label = batch['image'], batch.get('label')
        mean, logvar = self.encode(image, label)
        z = self.reparameterize(mean, logvar, noise)
        return {
            'distortion': -self.log_likelihood(image, z, label),
            'rate': self.rate(mean, logvar, z),
        }

    def elbo(
        self, image: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """E log p(x|z) - KL(q(z|x) || p(z)) <= log p(x), one draw: [B]."""
        batch = {'image': image, 'label': label}
        terms = self.loss_terms(batch, noise)
        return -terms['distortion'] - terms['rate']

    def log_weights(
        self,
        image: tf.Tensor,
        label: tf.Tensor | None,
        noise: Noise,
        num_samples: int,
    ) -> tf.Tensor:
        """log p(x, z_s) - log q(z_s|x) for S draws of q: [S, B].

        Their mean estimates the ELBO, their log-mean-exp the tighter
        importance weighted bound (Burda et al. 2016, equation 8).
        """
        mean, logvar = self.encode(image, label)
        eps = noise.normal('eps', [num_samples, self.latent_size])

        def repeated(x):
            return None if x is None else tf.repeat(x, num_samples, axis=0)

        def flat(x):
            return tf.reshape(x, [-1, self.latent_size])

        z = flat(eps * tf.exp(logvar * 0.5)[:, None] + mean[:, None])
        log_joint = self.log_likelihood(
            repeated(image), z, repeated(label)
        ) + probability.log_normal_pdf(z, 0.0, 0.0)
        log_q = probability.log_normal_pdf(z, repeated(mean), repeated(logvar))
        return tf.transpose(tf.reshape(log_joint - log_q, [-1, num_samples]))

    @property
    def is_density(self) -> bool:
        return self.likelihood == 'gaussian'

    def _serve_decode(self, z, label=None):
        logits = self.decode(z, label)
        return {'logits': logits, 'image': self.to_example(logits)}
