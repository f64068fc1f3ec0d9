"""Variational auto-encoder, plain and conditional.

Source: Kingma and Welling 2014; the notes' CVAE code; Sohn et al. 2015 for
the conditional form. Names follow the notes: encode, reparameterize, decode,
mean, logvar, logits. The bound is in variational.py.
"""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Count, Function, Network, NotNegative, Size
from tfgen.data.specs import ImageSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.layers import coders, own
from tfgen.losses.own import per_example
from tfgen.models.contracts.model import concat_features
from tfgen.models.contracts.variational import VariationalAutoEncoder

# Least log variance, the width of one level of a byte. A Gaussian density would
# otherwise grow without bound as its width shrinks onto the grey levels.
_MIN_LOGVAR = -2.0 * 5.545  # log (1/256)^2
_LIKELIHOODS = ('bernoulli', 'gaussian')
_CODED = 'examples -> mean and logvar of q(z|x)'
_DECODED = 'z -> logits or means of p(x|z)'


class CVAE(VariationalAutoEncoder):
    """A VAE: p(x) = integral of p(z) p(x|z), with a lower bound from q(z|x).

    This is the notes' convolutional VAE and, if `conditional`, their
    conditional VAE. The label enters the encoder as constant feature maps, and
    the decoder beside z. So z need only describe the style.

    Args:
      spec: of images, any size, or points.
      latent_size: K.
      filters: channels of the encoder's stride-2 convolutions; the decoder
        mirrors them.
      units: widths of the encoder's dense layers. They replace the
        convolutions; points require them.
      activation: of the hidden layers.
      likelihood: 'bernoulli' for binary images: P(x = 1) = sigmoid(logits);
        'gaussian' for real values: x ~ N(logits, s^2) with one learned s. The
        decoder's output is then the mean, and the likelihood a density; or a
        function of your own, (x, decoder's output) -> log p(x|z) in nats, [B].
        It must be a density whose mean is the decoder's output.
      kl, beta, importance_samples, free_bits, kl_warmup: see
        VariationalAutoEncoder.
      conditional: see Model.
      encoder: your own network, [B, *spec.shape] -> [B, 2 K]: mean and logvar.
        The label is appended to each pixel, or to a point.
      decoder: your own network, [B, K] -> logits [B, *spec.shape]. The label is
        appended to z.
    """

    spec_types = (ImageSpec, PointSpec)

    def __init__(
        self,
        spec: Spec,
        latent_size: Size = 16,
        filters: tuple[Size, ...] = (32, 64),
        units: tuple[Size, ...] | None = None,
        activation: coders.Activation = 'relu',
        likelihood: Function | Literal[*_LIKELIHOODS] = 'bernoulli',
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
        self.likelihood = likelihood
        if likelihood not in _LIKELIHOODS:
            self._log_density = per_example(
                likelihood, 'likelihood', ('x', 'output')
            )
        network: coders.Kind = 'dense' if units else 'convolutional'
        flat = units and not encoder
        *sides, numbers = [spec.dimensions] if flat else spec.shape
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
        size = latent_size + self.num_classes
        self.decoder = own.build(
            decoder,
            'decoder',
            [size],
            spec.shape,
            _DECODED,
            lambda: coders.decoder(
                network, size, hidden, spec.shape, activation
            ),
        )
        if likelihood == 'gaussian':
            self.image_logvar = self.add_weight(
                shape=[],
                initializer=keras.initializers.Constant(-2.0),
                name='image_logvar',
            )

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        bernoulli = settings['likelihood'] == 'bernoulli'
        if isinstance(spec, PointSpec):
            if not settings['units'] and not (
                settings['encoder'] and settings['decoder']
            ):
                raise UserError(
                    'points have no convolutions: use --set units=64,64'
                )
            if bernoulli:
                raise UserError(
                    'points are not binary: use --set likelihood=gaussian'
                )
        elif bernoulli and spec.levels != 2:
            raise UserError(
                f'likelihood=bernoulli needs binary images, {spec.name!r} has '
                f'{spec.levels} levels: use --set binarization=dynamic or '
                '--set likelihood=gaussian'
            )

    # The notes' functions; all VAEs share `reparameterize`.

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z|x): [B, *spec.shape] -> mean, logvar, each float32 [B, K]."""
        if self.settings['units'] and not self.settings['encoder']:
            example = tf.reshape(example, [-1, self.spec.dimensions])
        seen = own.with_maps(example, [self.one_hot(label)])
        return coders.normal(self.encoder, seen)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """p(x|z): [B, K] -> logits (Bernoulli) or means: [B, *spec.shape]."""
        return self.decoder(concat_features(z, self.one_hot(label)))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z): [B, *spec.shape]."""
        return (
            tf.sigmoid(decoded) if self.likelihood == 'bernoulli' else decoded
        )

    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]; see is_density."""
        logits = self.decode(z, label)
        if self.likelihood == 'bernoulli':
            return probability.log_bernoulli(example, logits)
        if self.likelihood != 'gaussian':
            return self._log_density(example, logits)
        logvar = tf.maximum(
            tf.convert_to_tensor(self.image_logvar), _MIN_LOGVAR
        )
        return probability.log_normal_pdf(
            example, logits, tf.cast(logvar, tf.float32)
        )

    @property
    def is_density(self) -> bool:
        return self.likelihood != 'bernoulli'

    def _serve_decode(self, z, label=None):
        logits = self.decode(z, label)
        return {'logits': logits, self.spec.key: self.to_example(logits)}
