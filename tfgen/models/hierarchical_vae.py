"""A VAE with two layers of latent variables.

Source: Burda et al. 2016 (Importance Weighted Autoencoders), section 5 and
appendix C.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Network, Size
from tfgen.data.specs import ImageSpec
from tfgen.layers import coders, own
from tfgen.models.contracts.model import require_binary
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.noise import Noise

# Draws of the lower latent layer that estimate the mean of the upper one.
_DRAWS = 64


class HierarchicalVAE(VariationalAutoEncoder):
    """A VAE with p(x) = integral of p(top) p(low | top) p(x | low).

    Inference goes up: q(low, top | x) = q(low | x) q(top | low). All these
    distributions are normal, except p(x | low), which is of binary pixels. Each
    conditional is a network with two dense hidden layers.

    Other modules see a single z of K numbers with the prior N(0, 1). Its first
    part is `top`. Its second part, e, gives low = mean + deviation * e with the
    mean and the deviation of p(low | top). So decoding is deterministic.

    Args:
      spec: of binary images, any size.
      low_size, top_size: sizes of the latent variables; K is their sum.
      low_units, top_units: widths of the dense layers between image and `low`,
        and between `low` and `top`.
      activation: of these layers.
      importance_samples: see VariationalAutoEncoder.
      to_low, to_top, from_top: your own networks of q(low | x), q(top | low)
        and p(low | top). Each gives mean and logvar: [B, ...] -> [B, 2 size].
      from_low: your own network of p(x | low), [B, low_size] -> logits
        [B, H, W, C].
    """

    spec_types = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        low_size: Size = 100,
        top_size: Size = 50,
        low_units: Size = 200,
        top_units: Size = 100,
        activation: coders.Activation = 'tanh',
        importance_samples: Size = 1,
        to_low: Network = None,
        to_top: Network = None,
        from_top: Network = None,
        from_low: Network = None,
    ):
        super().__init__(spec)
        self.low_size, self.top_size = low_size, top_size
        self.latent_size = low_size + top_size
        self.importance_samples = importance_samples
        wide, narrow = (low_units,) * 2, (top_units,) * 2

        def network(given, name, shape, units, size):
            """An encoder that gives mean and logvar of `size` numbers."""
            return own.build(
                given,
                name,
                shape,
                [2 * size],
                'numbers -> mean and logvar',
                lambda: coders.encoder(
                    'dense', shape, units, 2 * size, activation
                ),
            )

        self.to_low = network(to_low, 'to_low', spec.shape, wide, low_size)
        self.to_top = network(to_top, 'to_top', [low_size], narrow, top_size)
        self.from_top = network(
            from_top, 'from_top', [top_size], narrow, low_size
        )
        self.from_low = own.build(
            from_low,
            'from_low',
            [low_size],
            spec.shape,
            'low -> logits',
            lambda: coders.decoder(
                'dense', low_size, wide, spec.shape, activation
            ),
        )

    @classmethod
    def check(cls, spec: ImageSpec, **settings: Any) -> None:
        super().check(spec, **settings)
        require_binary(cls, spec)

    @classmethod
    def code_size(cls, settings: Mapping[str, Any]) -> int:
        return settings['low_size'] + settings['top_size']

    def encode(
        self, image: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x) as mean and logvar, each [B, K].

        q(top | low) is taken at the mean of `low`, and p(low | top) at the mean
        of `top`.
        """
        low, low_logvar = coders.normal(self.to_low, image)
        top, top_logvar = coders.normal(self.to_top, low)
        expected, logvar = coders.normal(self.from_top, top)
        low = (low - expected) * tf.exp(-0.5 * logvar)
        return (
            tf.concat([top, low], axis=1),
            tf.concat([top_logvar, low_logvar - logvar], axis=1),
        )

    def posterior_means(
        self, image: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """Means of `top` and `low` under q: [B, H, W, C] -> [B, K].

        The mean of q(low | x) is exact. The mean of `top` is an average over
        draws of `low` (Burda et al. 2016, section 5.2).
        """
        mean, logvar = coders.normal(self.to_low, image)
        eps = noise.normal('low', [_DRAWS, self.low_size])
        low = _drawn(mean[:, None], logvar[:, None], eps)  # [B, S, low]
        top, _ = coders.normal(
            self.to_top, tf.reshape(low, [-1, self.low_size])
        )
        top = tf.reshape(top, [-1, _DRAWS, self.top_size])
        return tf.concat([tf.reduce_mean(top, axis=1), mean], axis=1)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """p(x|z): [B, K] -> logits, [B, H, W, C]."""
        top, low = tf.split(z, [self.top_size, self.low_size], axis=1)
        return self.from_low(_drawn(*coders.normal(self.from_top, top), low))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """P(x = 1): [B, H, W, C]."""
        return tf.sigmoid(decoded)

    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]."""
        return probability.log_bernoulli(example, self.decode(z))

    def _terms(self, image, noise, count=1):
        """log p(x | low), and log q(low, top | x) - log p(low, top): [B S].

        Both are taken at draws of q. Each image has S = `count` draws, in
        adjacent rows.
        """

        def normal(name, size):
            """Standard normal noise: [B S, size]."""
            return tf.reshape(noise.normal(name, [count, size]), [-1, size])

        image = tf.repeat(image, count, axis=0)
        mean, logvar = coders.normal(self.to_low, image)
        low = _drawn(mean, logvar, normal('low', self.low_size))
        rate = probability.log_normal_pdf(low, mean, logvar)
        mean, logvar = coders.normal(self.to_top, low)
        top = _drawn(mean, logvar, normal('top', self.top_size))
        rate += probability.log_normal_pdf(top, mean, logvar)
        rate -= probability.log_normal_pdf(top, 0.0, 0.0)
        rate -= probability.log_normal_pdf(
            low, *coders.normal(self.from_top, top)
        )
        return probability.log_bernoulli(image, self.from_low(low)), rate

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-ELBO = distortion + rate, in nats: [B].

        With several draws, the only term is minus the importance weighted
        bound.
        """
        image, count = batch['image'], self.importance_samples
        if count > 1:
            weights = self.log_weights(image, None, noise, count)
            return {'bound': -probability.log_mean_exp(weights)}
        log_likelihood, rate = self._terms(image, noise)
        return {'distortion': -log_likelihood, 'rate': rate}

    def elbo(
        self, image: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        log_likelihood, rate = self._terms(image, noise)
        return log_likelihood - rate

    def log_weights(
        self,
        image: tf.Tensor,
        label: tf.Tensor | None,
        noise: Noise,
        num_samples: int,
    ) -> tf.Tensor:
        log_likelihood, rate = self._terms(image, noise, num_samples)
        weights = tf.reshape(log_likelihood - rate, [-1, num_samples])
        return tf.transpose(weights)

    @property
    def is_density(self) -> bool:
        return False


def _drawn(mean, logvar, normal):
    """A draw of N(mean, exp(logvar)), made of standard normal numbers."""
    return mean + normal * tf.exp(0.5 * logvar)
