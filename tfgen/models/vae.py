"""Variational auto-encoder, plain and conditional.

Source: Kingma and Welling 2014; the notes' CVAE code; Sohn et al. 2015 for
the conditional form. Names follow the notes: encode, reparameterize, decode,
mean, logvar, logits. The bound is in variational.py.
"""

import math
from typing import Annotated, Any, Literal

import keras
import tensorflow as tf

from tfgen.arguments import (
    Count,
    Function,
    Limit,
    Network,
    NotNegative,
    Size,
)
from tfgen.data.specs import ImageSpec, PaletteSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.layers import coders, own
from tfgen.losses.own import per_example
from tfgen.models import output_distributions as outputs
from tfgen.models.contracts.model import concat_features
from tfgen.models.contracts.variational import VariationalAutoEncoder

# A smaller one would make densities overflow.
_Deviation = Annotated[
    float,
    Limit(lambda s: 1e-4 <= s <= 1e4, 'use a number from 1e-4 to 1e4'),
]
_LIKELIHOODS = ('bernoulli', 'gaussian', 'categorical')
_CODED = 'examples -> mean and logvar of q(z|x)'
_DECODED = 'z -> parameters of p(x|z)'


class CVAE(VariationalAutoEncoder):
    """A VAE: p(x) = integral of p(z) p(x|z), with a lower bound from q(z|x).

    This is the notes' convolutional VAE and, if `conditional`, their
    conditional VAE. The label enters the encoder as constant feature maps, and
    the decoder beside z. So z need only describe the style.

    Args:
      spec: of images (any size), images with a palette, or points.
      latent_size: K.
      filters: channels of the encoder's stride-2 convolutions; the decoder
        mirrors them.
      units: widths of the encoder's dense layers. They replace the
        convolutions; points require them.
      activation: of the hidden layers.
      likelihood: p(x|z). 'bernoulli' for binary images: P(x = 1) =
        sigmoid(logits). 'gaussian' for real values: x ~ N(mu(z), s^2), a
        density. 'categorical' for images: a distribution over the grey levels
        of each channel, or over the colours of a palette. A function of your
        own takes (x, decoder's output) and gives log p(x|z) in nats, [B]. Its
        p must be a density whose mean is the decoder's output.
      deviation: s of the Gaussian likelihood. 'learned': one s for all z and
        all values. 'decoded': the decoder gives an s for each value, as in the
        notes. A learned or decoded s stays above 1/256, the width of a level of
        a byte. A number fixes s: the distortion is then the squared error /
        (2 s^2), up to a constant.
      kl, beta, importance_samples, free_bits, kl_warmup: see
        VariationalAutoEncoder.
      conditional: see Model.
      encoder: your own network, [B, *spec.shape] -> [B, 2 K]: mean and logvar.
        The label is appended to each pixel, or to a point. The colours of a
        palette come one-hot, [B, H, W, N].
      decoder: your own network, [B, K] -> logits or means, [B, *spec.shape].
        With deviation='decoded' the last axis is twice as long: means, then
        log s^2. With likelihood='categorical' it holds N logits for each
        channel. The label is appended to z.
    """

    spec_types = (ImageSpec, PaletteSpec, PointSpec)

    def __init__(
        self,
        spec: Spec,
        latent_size: Size = 16,
        filters: tuple[Size, ...] = (32, 64),
        units: tuple[Size, ...] | None = None,
        activation: coders.Activation = 'relu',
        likelihood: Function | Literal[*_LIKELIHOODS] = 'bernoulli',
        deviation: _Deviation | Literal['learned', 'decoded'] = 'learned',
        kl: Literal['analytic', 'monte_carlo'] = 'analytic',
        beta: NotNegative = 1.0,
        importance_samples: Size = 1,
        free_bits: NotNegative = 0.0,
        kl_warmup: Count = 0,
        conditional: bool = False,
        encoder: Network = None,
        decoder: Network = None,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        self.likelihood = self._distribution(likelihood, deviation)
        network: coders.Kind = 'dense' if units else 'convolutional'
        flat = units and not encoder
        *sides, numbers = self._seen_shape(spec)
        if flat:
            sides, numbers = [], math.prod([*sides, numbers])
        seen = [*sides, numbers + self.num_classes]
        hidden, codes = units or filters, 2 * latent_size
        self.encoder = own.build(
            encoder,
            'encoder',
            seen,
            [codes],
            _CODED,
            lambda: coders.encoder(network, seen, hidden, codes, activation),
        )
        size, made = latent_size + self.num_classes, self.likelihood.shape
        self.decoder = own.build(
            decoder,
            'decoder',
            [size],
            made,
            _DECODED,
            lambda: coders.decoder(network, size, hidden, made, activation),
        )

    def _distribution(self, likelihood, deviation):
        """p(x|z), as the settings describe it."""
        if likelihood == 'bernoulli':
            return outputs.Bernoulli(self.spec)
        if likelihood == 'categorical':
            return outputs.Categorical(self.spec)
        if likelihood != 'gaussian':
            names = 'x', 'output'
            return outputs.Own(
                self.spec, per_example(likelihood, 'likelihood', names)
            )
        if deviation == 'decoded':
            return outputs.NormalOfEachValue(self.spec)
        if deviation != 'learned':
            logvar = 2.0 * math.log(deviation)
            return outputs.Normal(self.spec, lambda: tf.constant(logvar))
        self.image_logvar = self.add_weight(
            shape=[],
            initializer=keras.initializers.Constant(outputs.START),
            name='image_logvar',
        )
        return outputs.Normal(
            self.spec, lambda: outputs.learned_logvar(self.image_logvar)
        )

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        likelihood, deviation = settings['likelihood'], settings['deviation']
        if deviation != 'learned' and likelihood != 'gaussian':
            name = getattr(likelihood, '__name__', likelihood)
            raise UserError(
                f'deviation={deviation} has no effect with likelihood={name}: '
                'use --set likelihood=gaussian or --set deviation=learned'
            )
        if isinstance(spec, PointSpec):
            if not settings['units'] and not (
                settings['encoder'] and settings['decoder']
            ):
                raise UserError(
                    'points have no convolutions: use --set units=64,64'
                )
            if likelihood in ('bernoulli', 'categorical'):
                raise UserError(
                    f'likelihood={likelihood} needs images with levels, and '
                    'points have none: use --set likelihood=gaussian'
                )
        elif isinstance(spec, PaletteSpec):
            if likelihood != 'categorical':
                raise UserError(
                    f'the values of {spec.name!r} name colours by index: use '
                    '--set likelihood=categorical'
                )
        elif likelihood == 'bernoulli' and spec.levels != 2:
            raise UserError(
                f'likelihood=bernoulli needs binary images, {spec.name!r} has '
                f'{spec.levels} levels: use --set binarization=dynamic or '
                '--set likelihood=gaussian'
            )

    @staticmethod
    def _seen_shape(spec):
        """Shape of the examples that the encoder takes, without labels."""
        if isinstance(spec, PaletteSpec):
            return [*spec.shape[:-1], spec.levels]
        return list(spec.shape)

    # The notes' functions; all VAEs share `reparameterize`.

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, *spec.shape] -> mean, logvar, each float32 [B, K]."""
        if isinstance(self.spec, PaletteSpec):
            levels = self.spec.to_levels(example[..., 0], self.spec.levels)
            example = tf.one_hot(levels, self.spec.levels)
        if self.settings['units'] and not self.settings['encoder']:
            flat = math.prod(self._seen_shape(self.spec))
            example = tf.reshape(example, [-1, flat])
        seen = own.with_maps(example, [self.one_hot(label)])
        return coders.normal(self.encoder, seen)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The parameters of p(x|z): [B, K] -> [B, *likelihood.shape].

        They are logits (Bernoulli, categorical), means, or means and log s^2.
        """
        return self.decoder(concat_features(z, self.one_hot(label)))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z), or the most probable colour of a palette.

        [B, *likelihood.shape] -> [B, *spec.shape].
        """
        return self.likelihood.mean(decoded)

    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]; see is_density."""
        return self.likelihood.log_prob(example, self.decode(z, label))

    @property
    def is_density(self) -> bool:
        return self.likelihood.is_density

    def _serve_decode(self, z, label=None):
        logits = self.decode(z, label)
        found = {self.spec.key: self.to_example(logits)}
        # The logits of all levels would be megabytes of JSON.
        if self.settings['likelihood'] != 'categorical':
            found['logits'] = logits
        return found

    @property
    def output_size(self) -> int:
        return math.prod(self.likelihood.shape)
