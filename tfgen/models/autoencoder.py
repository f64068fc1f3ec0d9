"""Auto-encoders: shallow, deep, convolutional, denoising.

Source: Hinton and Salakhutdinov 2006 (Reducing the Dimensionality of Data with
Neural Networks); Vincent et al. 2008 (denoising); the notes, where noise on
the code is the step between PCA and the VAE.
"""

from typing import Any, Literal

import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Count, Function, Network, NotNegative, Size
from tfgen.data.specs import ImageSpec
from tfgen.errors import UserError
from tfgen.layers import coders, own
from tfgen.losses.own import per_example
from tfgen.models import layerwise
from tfgen.models.contracts.latent import LatentModel
from tfgen.models.contracts.updates import (
    Batch,
    GradientUpdate,
    Terms,
    Update,
)
from tfgen.noise import Noise

_ERRORS = ('squared', 'cross_entropy')
_CODED = 'examples -> codes'
_DECODED = 'codes -> examples before the sigmoid'


class AutoEncoder(LatentModel):
    """Encodes x as K numbers, and decodes these with the least error.

    The model has no distribution of codes, so it does not draw examples: a
    point between two codes may decode to anything.

    Args:
      spec: of images, any size.
      network: 'dense' layers or 'convolutional' ones of stride 2.
      units: widths, or channels, of the encoder's hidden layers; the decoder
        mirrors them. None, no hidden layers, gives the shallow auto-encoder.
      latent_size: K. The code is linear in the last hidden layer.
      activation: of the hidden layers.
      output: 'sigmoid' maps the decoder's output to (0, 1); 'linear' leaves it
        unchanged. At its optimum, a shallow linear auto-encoder spans the same
        space as PCA (Baldi and Hornik 1989).
      error: the loss, summed over an image: 'squared', or 'cross_entropy',
        which takes a grey value as the probability of white; or a function of
        your own, (images, reconstructions), [B, H, W, C] each -> [B].
      input_noise, code_noise: deviation of the normal noise that training adds
        to the image, whose values are in [0, 1], and to the code.
      layerwise_steps: steps in which each layer and its mirror are trained as
        a Boltzmann machine, before the whole network is trained; 0 for none.
        Only for dense sigmoid layers; see layerwise.py.
      encoder: your own network, [B, *spec.shape] -> code [B, K].
      decoder: your own network, [B, K] -> [B, *spec.shape], before the sigmoid
        of output='sigmoid'.
    """

    spec_types = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        network: coders.Kind = 'dense',
        units: tuple[Size, ...] | None = (1000, 500, 250),
        latent_size: Size = 30,
        activation: coders.Activation = 'relu',
        output: Literal['sigmoid', 'linear'] = 'sigmoid',
        error: Function | Literal[*_ERRORS] = 'squared',
        input_noise: NotNegative = 0.0,
        code_noise: NotNegative = 0.0,
        layerwise_steps: Count = 0,
        encoder: Network = None,
        decoder: Network = None,
    ):
        super().__init__(spec)
        self.latent_size = latent_size
        self.squashed, self.error = output == 'sigmoid', error
        self.input_noise, self.code_noise = input_noise, code_noise
        if error not in _ERRORS:
            self._own_error = per_example(
                error, 'error', ('images', 'reconstructions')
            )
        self.encoder = own.build(
            encoder,
            'encoder',
            spec.shape,
            [latent_size],
            _CODED,
            lambda: coders.encoder(
                network, spec.shape, units or (), latent_size, activation
            ),
        )
        self.decoder = own.build(
            decoder,
            'decoder',
            [latent_size],
            spec.shape,
            _DECODED,
            lambda: coders.decoder(
                network, latent_size, units or (), spec.shape, activation
            ),
        )

    @classmethod
    def check(cls, spec: ImageSpec, **settings: Any) -> None:
        super().check(spec, **settings)
        if settings['error'] == 'cross_entropy' and (
            settings['output'] == 'linear'
        ):
            raise UserError(
                'error=cross_entropy needs probabilities, and output=linear '
                'gives none: use --set output=sigmoid'
            )
        if settings['network'] == 'convolutional' and not settings['units']:
            raise UserError(
                'network=convolutional needs the channels of its layers: use '
                '--set units=32,64, for example, or --set network=dense'
            )
        machines = ('dense', 'sigmoid', 'sigmoid')
        if settings['layerwise_steps'] and machines != tuple(
            settings[name] for name in ('network', 'activation', 'output')
        ):
            raise UserError(
                'layerwise_steps trains Boltzmann machines, which need dense '
                'layers of sigmoids: use --set network=dense, --set '
                'activation=sigmoid and --set output=sigmoid'
            )

    def initialize_from(self, batch: Batch, noise: Noise) -> None:
        if self.settings['layerwise_steps']:
            layerwise.initialize_from(self.encoder, self.decoder)

    def updates(self) -> tuple[Update, ...]:
        steps = self.settings['layerwise_steps']
        if not steps:
            return super().updates()
        layers = layerwise.updates(
            self.encoder, self.decoder, self.spec.key, steps
        )
        whole = GradientUpdate(
            'model',
            self.loss_terms,
            self.trainable_variables,
            window=(steps * len(layers), None),
        )
        return (*layers, whole)

    def encode(
        self, image: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[B, H, W, C] in [0, 1] -> code, float32 [B, K]."""
        return self.encoder(image)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """[B, K] -> [B, H, W, C]: logits if 'sigmoid', else values."""
        return self.decoder(z)

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """Grey values: [B, H, W, C]."""
        return tf.sigmoid(decoded) if self.squashed else decoded

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """The reconstruction error, summed over the image: [B]."""
        image = batch['image']
        seen = image
        if self.input_noise:
            seen += self.input_noise * noise.normal('input', self.spec.shape)
        z = self.encode(seen)
        if self.code_noise:
            z += self.code_noise * noise.normal('code', [self.latent_size])
        decoded = self.decode(z)
        if self.error == 'cross_entropy':
            return {'error': -probability.log_bernoulli(image, decoded)}
        if self.error != 'squared':
            return {'error': self._own_error(image, self.values(decoded))}
        off = self.values(decoded) - image
        return {'error': probability.sum_event(tf.square(off))}
