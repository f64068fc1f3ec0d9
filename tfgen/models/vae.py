"""Variational auto-encoder, plain and conditional.

Source: Kingma and Welling 2014; the notes' CVAE code; Sohn et al. 2015 for
the conditional form; Burda et al. 2016 for several draws (IWAE). Names follow
the notes: encode, reparameterize, decode, mean, logvar, logits.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

from tfgen import probability, replicas
from tfgen.arguments import Count, NotNegative, Size
from tfgen.data.kinds import ImageSpec
from tfgen.layers import coders
from tfgen.models.base import SinglePlayer, concat_features
from tfgen.models.latent import Bounded
from tfgen.models.players import Batch, Player, Rising, Terms
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
      units: widths of the encoder's dense layers, which then are there instead
        of convolutions.
      activation: of the hidden layers.
      likelihood: 'bernoulli' for binary images: P(x = 1) = sigmoid(logits);
        'gaussian' for real values: x ~ N(logits, s^2) with one learned s (the
        decoder's output is then the mean, and the likelihood a density).
      kl: 'analytic' uses the closed form of KL(q(z|x) || p(z)),
        'monte_carlo' the notes' estimate log q(z|x) - log p(z) at the drawn
        z; both have the same expectation.
      importance_samples: k draws of z for each image. Above 1 training
        maximises the importance weighted bound log (1/k) sum of w, w = p(x, z)
        / q(z|x) (Burda et al. 2016, equation 8), and `kl` has no meaning.
      free_bits: nats that each number of z may say at no cost, which keeps it
        from falling silent: sum over z of max(free_bits, mean of KL over the
        batch) (Kingma et al. 2016, equation 15).
      kl_warmup: steps over which the weight of the rate rises from 0 to 1
        (Bowman et al. 2016, section 3.1; Sonderby et al. 2016); 0 for none.
      conditional: see Model.
    """

    kinds = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        latent_size: Size = 16,
        filters: tuple[Size, ...] = (32, 64),
        units: tuple[Size, ...] | None = None,
        activation: coders.Activation = 'relu',
        likelihood: Literal['bernoulli', 'gaussian'] = 'bernoulli',
        kl: Literal['analytic', 'monte_carlo'] = 'analytic',
        importance_samples: Size = 1,
        free_bits: NotNegative = 0.0,
        kl_warmup: Count = 0,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        self.likelihood = likelihood
        self.kl = kl
        self.importance_samples = importance_samples
        self.free_bits, self.kl_warmup = free_bits, kl_warmup
        height, width, channels = spec.shape
        network = 'dense' if units else 'convolutional'
        self.encoder = coders.encoder(
            network,
            (height, width, channels + self.num_classes),
            units or filters,
            2 * latent_size,
            activation,
        )
        self.decoder = coders.decoder(
            network,
            latent_size + self.num_classes,
            units or filters,
            spec.shape,
            activation,
        )
        if likelihood == 'gaussian':
            self.image_logvar = self.add_weight(
                shape=[],
                initializer=keras.initializers.Constant(-2.0),
                name='image_logvar',
            )
        if kl_warmup:
            self.kl_weight = self.add_weight(
                [], 'zeros', name='kl_weight', trainable=False
            )

    @classmethod
    def refusal(cls, spec: ImageSpec, **settings: Any) -> str:
        refusal = super().refusal(spec, **settings)
        if not refusal and settings['importance_samples'] > 1:
            for name in ('free_bits', 'kl_warmup'):
                if settings[name]:
                    return (
                        f'{name}={settings[name]} changes a rate that several '
                        'importance_samples do not have: use --set '
                        f'{name}=0 or --set importance_samples=1'
                    )
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
        return tf.reduce_sum(self._rates(mean, logvar, z), axis=1)

    def _rates(self, mean, logvar, z):
        """The same of each number of z: [B, K]."""

        def flat(numbers):
            return tf.reshape(numbers, [-1, 1])

        shape, mean, logvar = tf.shape(mean), flat(mean), flat(logvar)
        if self.kl == 'analytic':
            rates = probability.kl_normal(mean, logvar)
        else:
            rates = probability.log_normal_pdf(flat(z), mean, logvar)
            rates -= probability.log_normal_pdf(flat(z), 0.0, 0.0)
        return tf.reshape(rates, shape)

    def _terms(self, image, label, noise):
        """log p(x|z) in nats, [B], and the rate of each number, [B, K]."""
        mean, logvar = self.encode(image, label)
        z = self.reparameterize(mean, logvar, noise)
        rates = self._rates(mean, logvar, z)
        return self.log_likelihood(image, z, label), rates

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-ELBO = distortion + rate, each in nats: [B].

        The rate as `free_bits` and `kl_warmup` have it. With several draws
        the importance weighted bound, alone.
        """
        image, label = batch['image'], batch.get('label')
        if self.importance_samples > 1:
            weights = self.log_weights(
                image, label, noise, self.importance_samples
            )
            return {'bound': -probability.log_mean_exp(weights)}
        log_likelihood, rates = self._terms(image, label, noise)
        if self.free_bits:
            # (Where it is free its gradient is 0.)
            paid = replicas.mean(tf.reduce_mean(rates, 0)) > self.free_bits
            rates = tf.where(paid, rates, self.free_bits)
        rate = tf.reduce_sum(rates, axis=1)
        if self.kl_warmup:
            rate *= tf.convert_to_tensor(self.kl_weight)
        return {'distortion': -log_likelihood, 'rate': rate}

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """The means of `free_bits`."""
        return settings.get('free_bits', 0.0) > 0.0

    def players(self) -> tuple[Player, ...]:
        players = super().players()
        if self.kl_warmup:
            players += (Rising(self.kl_weight, self.kl_warmup),)
        return players

    def elbo(
        self, image: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """E log p(x|z) - KL(q(z|x) || p(z)) <= log p(x), one draw: [B]."""
        log_likelihood, rates = self._terms(image, label, noise)
        return log_likelihood - tf.reduce_sum(rates, axis=1)

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
