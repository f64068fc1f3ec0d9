"""The generative adversarial network, with any loss, penalty and network.

Source: Goodfellow et al. 2014 (the game), Radford et al. 2016 (DCGAN), Miyato
and Koyama 2018 (the label in the discriminator). The sources of each loss,
penalty and network are in adversarial, penalties and layers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow as tf

from tfgen.arguments import (
    Count,
    Function,
    Layer,
    Network,
    Positive,
    Share,
    Size,
)
from tfgen.data.specs import ImageSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.layers import discriminators, networks, normalised, own
from tfgen.losses import adversarial, penalties
from tfgen.losses.penalties import PENALTIES, Game
from tfgen.models import priors
from tfgen.models.contracts.latent import LatentVariableModel
from tfgen.models.contracts.model import Signature, concat_features
from tfgen.models.contracts.unrolling import LossTerms, unrolled
from tfgen.models.contracts.updates import (
    Batch,
    GradientUpdate,
    PostUpdate,
    Terms,
    Update,
)
from tfgen.noise import Noise

_MADE = 'z -> examples, images before the sigmoid'
# Settings of d's layers, and the values at which they do nothing.
_OF_LAYERS = {'spectral_norm': False, 'dropout': 0.0}


def _check_own(settings):
    """Refuses settings that own networks do not have."""
    if isinstance(settings['discriminator'], str):
        return
    for name, value in _OF_LAYERS.items():
        if settings[name] != value:
            raise UserError(
                f'{name}={settings[name]} acts on layers of tfgen, and the '
                'discriminator is your own: build it into your network, and '
                f'use --set {name}={value}'
            )
    if settings['penalty'] in ('weight_clipping', 'pulling_away'):
        raise UserError(
            f'penalty={settings["penalty"]} acts on layers of tfgen, and the '
            'discriminator is your own: use --set penalty=gradient_penalty'
        )


class GAN(LatentVariableModel):
    """A generator G(z) and a discriminator d(x), which scores data high.

    Departures from Radford et al.: no batch norm in the discriminator, because
    it makes one example's score depend on the others. Departures from the
    papers of losses and penalties: Adam throughout, where WGAN has RMSProp.

    Args:
      spec: of images or points.
      network: 'dcgan', convolutions (images only), or 'mlp', the multi-layer
        perceptrons of the first GAN.
      generator_units: channels or widths of the hidden layers of G; a dcgan
        up-samples once after each.
      discriminator_units: the same for d; a dcgan down-samples before each.
      discriminator: 'score', a number; or 'energy', minus the error of an
        auto-encoder (EBGAN), whose code is the last of discriminator_units. Or
        your own network, [B, *spec.shape] -> scores [B, 1]. It gets images in
        [-1, 1]; the label, and all else that d judges, is appended to each
        pixel, or to a point.
      self_modulation: whether z and all other inputs of G scale and shift each
        hidden layer of a dcgan's G. Without it, a G of more than two
        up-samplings may ignore z; all samples are then equal.
      latent_size: K.
      prior: of z; see priors.
      loss: see adversarial; one of its names, or a function of your own.
      margin: m of loss 'margin'.
      penalty: see penalties; one of its names, or a function of your own.
        'orthonormal' and 'pulling_away' act on G, the others on d.
      penalty_weight: None for the weight in the penalty's paper (1 for
        'orthonormal', which has none, and for your own). For 'weight_clipping'
        it is the largest absolute weight of d.
      unrolled_steps: k of Unrolled GAN: G minimises the whole value, including
        its data term, as it will be after k updates of d.
      spectral_norm: whether every layer of d has norm 1.
      discriminator_updates: updates of d per update of G, each on new data.
      discriminator_rate: learning rate of d; None for the rate of the run.
      pack: m, how many examples d judges at once, all of them data or all of
        them samples; their channels are side by side. d then sees when samples
        are too much alike. Source: Lin et al. 2018 (PacGAN). Departure: each
        group of m rows gives m packs, which differ in their order, so that a
        batch has as many scores as rows.
      dropout: rate after each hidden layer of d.
      conditional: see Model. The label is concatenated to z, and enters d as
        v_y . f(x).
      generator: your own network, [B, K] -> [B, *spec.shape]; a sigmoid follows
        for images. The label and all other inputs of G are appended to z.
    """

    spec_types: ClassVar[tuple[type[Spec], ...]] = (ImageSpec, PointSpec)
    # Whether a dcgan's G has batch norm.
    _batch_norm = True
    # Why a variant's d cannot judge packs.
    _one_by_one = ''

    def __init__(
        self,
        spec: Spec,
        network: Literal['dcgan', 'mlp'] = 'dcgan',
        generator_units: tuple[Size, ...] = (128, 64),
        discriminator_units: tuple[Size, ...] = (64, 128),
        discriminator: Literal['score', 'energy'] | Layer = 'score',
        self_modulation: bool = False,
        latent_size: Size = 64,
        prior: Literal[*priors.PRIORS] = 'normal',
        loss: Function | Literal[*adversarial.LOSSES] = 'non_saturating',
        margin: Positive = 1.0,
        penalty: Function | Literal['none', *PENALTIES] = 'none',
        penalty_weight: Positive | None = None,
        unrolled_steps: Count = 0,
        spectral_norm: bool = False,
        discriminator_updates: Size = 1,
        discriminator_rate: Positive | None = None,
        pack: Size = 1,
        dropout: Share = 0.0,
        conditional: bool = False,
        generator: Network = None,
    ):
        super().__init__(spec, conditional)
        self.latent_size = latent_size
        self.pack = pack
        self.prior = prior
        self._objective = adversarial.loss(loss, margin)
        self.unrolled_steps = unrolled_steps
        self.discriminator_updates = discriminator_updates
        self.discriminator_rate = discriminator_rate
        self._penalty = penalties.penalty(penalty)
        if self._penalty:
            penalty_weight = penalty_weight or self._penalty.weight
        self.penalty_weight = penalty_weight
        clip = penalty_weight if penalty == 'weight_clipping' else None
        regularization = networks.Regularization(spectral_norm, clip, dropout)
        self._variant_networks(discriminator_units)
        inputs = self._context_size() + latent_size + self.num_classes
        self.generator = own.build(
            generator,
            'generator',
            [inputs],
            spec.shape,
            _MADE,
            lambda: networks.generator(
                network,
                inputs,
                generator_units,
                spec.shape,
                self._batch_norm,
                self_modulation,
            ),
        )
        if isinstance(discriminator, str):
            self.discriminator = discriminators.discriminator(
                network,
                discriminator,
                *self._packed_sizes(),
                discriminator_units,
                self.num_classes,
                regularization,
                energies=loss == 'margin',
            )
        else:
            self.discriminator = discriminators.OwnDiscriminator(
                discriminator, *self._packed_sizes(), self.num_classes
            )

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        _check_own(settings)
        energy = settings['discriminator'] == 'energy'
        if energy and settings['spectral_norm']:
            raise UserError(
                'spectral_norm is for discriminator=score and does not work '
                'with discriminator=energy: leave one of them out'
            )
        alone = cls._one_by_one
        if settings['conditional']:
            alone = 'd judges each example with its label'
        if settings['pack'] > 1 and alone:
            raise UserError(
                f'pack={settings["pack"]} judges several examples at once, but '
                f'{alone}: use --set pack=1'
            )
        mlp = settings['network'] == 'mlp'
        if mlp and settings['self_modulation']:
            raise UserError(
                'self_modulation scales channels, and network=mlp has none: '
                'use --set network=dcgan'
            )
        if not mlp and not isinstance(spec, ImageSpec):
            raise UserError(
                f'network=dcgan is for images, and data set {spec.name!r} has '
                f'{spec.noun}: use --set network=mlp'
            )

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """Whether rows interact: by batch norm, packs, unrolling or penalty."""
        penalty = penalties.penalty(settings['penalty'])
        norm = settings['network'] == 'dcgan' and cls._batch_norm
        return bool(
            (norm and not settings['generator'])
            or super().cross_replica(settings)
            or settings['unrolled_steps']
            or settings['pack'] > 1
            or (penalty and penalty.cross_replica)
            or settings['loss'] not in adversarial.LOSSES
        )

    # The networks. Variants of the GAN add their own networks and inputs.

    def _variant_networks(self, units: Sequence[int]) -> None:
        """Makes a variant's own networks; `units` are the widths of d."""

    def _context_size(self) -> int:
        """Number of inputs of G besides z and label."""
        return 0

    def _judged(self) -> tuple[Sequence[int], int]:
        """The inputs of d: the shape of x, and the size of a second input."""
        return self.spec.shape, 0

    def _packed_sizes(self) -> tuple[Sequence[int], int]:
        """`_judged` for a pack of examples."""
        (*sides, channels), extra = self._judged()
        return (*sides, self.pack * channels), self.pack * extra

    def _packed(self, tensors):
        """Packs of rows: tensors [B, ..., C] -> [B, ..., pack * C].

        Pack i has row i first, then the other rows of its group.
        """
        m = self.pack
        if m == 1:
            return tensors
        return [
            tf.concat([_turned(t, m, by) for by in range(m)], axis=-1)
            for t in tensors
        ]

    # Samples and their scores.

    def draw_prior(self, noise: Noise) -> tf.Tensor:
        """Draws z from `prior`: float32 [B, K]."""
        return priors.draw(self.prior, self.latent_size, noise)

    @classmethod
    def prior_quantiles(
        cls, uniform: np.ndarray, settings: Mapping[str, Any]
    ) -> np.ndarray:
        """See LatentVariableModel.

        In a mixture the first number also chooses the component.
        """
        return priors.quantiles(settings['prior'], uniform)

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """G(z): [B, K] -> [B, *spec.shape], in [0, 1] for images.

        Each row depends on its own z alone.
        """
        return self.generate(z, label)

    def generate(
        self,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
        context: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """G(z): [B, K] -> [B, *spec.shape].

        With `training`, batch norm uses the statistics of the batch, and also
        updates its averages.
        """
        features = concat_features(z, self.one_hot(label), context)
        made = self.generator(features, training=training)
        return tf.sigmoid(made) if self._images else made

    def score(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """d(x): [B, *spec.shape] -> float32 [B], high for data.

        With the losses 'minimax' and 'non_saturating' it is the logit of D(x).
        With `pack`, row i is judged beside the other rows of its group.
        """
        batch = {self.spec.key: example, 'label': label}
        given = self._given(batch, None)
        real = self._packed(self._real(batch, None))
        return self._judge(batch, None, given)(real)

    def discriminator_features(self, example: tf.Tensor) -> tf.Tensor:
        """The last hidden layer of d: [B, *spec.shape] -> float32 [B, F]."""
        batch = {self.spec.key: example}
        given = self._given(batch, None)
        return self._hidden(self._packed(self._real(batch, None)), given)

    def _hidden(self, tensors, given):
        """The last hidden layer of d: list of tensors -> float32 [B, F]."""
        x, extra = self._inputs(tensors, given)
        return tf.cast(self.discriminator.features(x, extra), tf.float32)

    @property
    def _images(self):
        """Whether the examples are images."""
        return isinstance(self.spec, ImageSpec)

    def _seen(self, example):
        """An example as the networks see it: images in [-1, 1]."""
        return example * 2.0 - 1.0 if self._images else example

    # The game. d judges a list of tensors; for a plain GAN the list has one.

    def _given(self, batch, noise) -> Any:
        """What both networks receive besides label, z and x; here nothing.

        A variant may override it. `noise` is None if only an example is scored,
        outside of training.
        """
        return None

    def _real(self, batch, noise) -> list[tf.Tensor]:
        """The list of tensors that d judges as data."""
        return [self._seen(batch[self.spec.key])]

    def _fake(self, batch, noise, given, training=True) -> list[tf.Tensor]:
        """The list of tensors that d judges as samples of G."""
        z = self.draw_prior(noise)
        label = batch.get('label')
        return [self._seen(self.generate(z, label, training=training))]

    def _judge(self, batch, noise, given) -> Callable[..., tf.Tensor]:
        """The function (tensors, name of noise) -> scores; see penalties.Score.

        `given` is the result of `_given`.
        """
        one_hot = self.one_hot(batch.get('label'))

        def judge(tensors, name=None):
            """The scores of tensors: [B]. If `name`, with dropout."""
            drops = noise.scope(name) if name else None
            x, extra = self._inputs(tensors, given)
            return self.discriminator(x, extra, one_hot, noise=drops)

        return judge

    def _inputs(self, tensors, given):
        """The arguments x and extra of Discriminator; extra may be None."""
        x, *extra = tensors
        return x, extra[0] if extra else None

    def discriminator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """The losses of d on data and on samples, and its penalty: [B].

        If scores are logits, the losses are -log D(x) and -log(1 - D(G(z))),
        whose sum is -V(D, G).
        """
        given = self._given(batch, noise)
        judge = self._judge(batch, noise, given)
        real = self._packed(self._real(batch, noise))
        fake = self._packed(self._fake(batch, noise, given))
        terms = {
            'real': self._objective.real(judge(real, 'real')),
            'fake': self._objective.fake(judge(fake, 'fake')),
        }
        return terms | self._penalty_terms(
            'discriminator', judge, real, fake, given, batch, noise
        )

    def generator_loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """The losses of G on samples and on data, and its penalty: [B]."""
        given = self._given(batch, noise)
        judge = self._judge(batch, noise, given)
        fake = self._packed(self._fake(batch, noise, given))
        terms = {'fool': self._objective.generator(judge(fake, 'fake'))}
        terms |= self._generator_data_terms(judge, batch, noise)
        return terms | self._penalty_terms(
            'generator', judge, [], fake, given, batch, noise
        )

    def _penalty_terms(self, network, judge, real, fake, given, batch, noise):
        """The penalty, if it is of this network: [B]; see penalties.Game."""
        penalty = self._penalty
        if not penalty or network not in penalty.networks:
            return {}
        game = Game(
            network,
            judge,
            real,
            fake,
            features=lambda tensors: self._hidden(tensors, given),
            generate=lambda z: self._seen(self.generate(z, batch.get('label'))),
            draw_z=lambda: self.draw_prior(noise),
            noise=noise,
        )
        found = penalty.compute(game) if penalty.compute else None
        return {} if found is None else {'penalty': self.penalty_weight * found}

    def _generator_data_terms(self, judge, batch, noise) -> Terms:
        """The loss of G on data: [B].

        Unrolled, G minimises the whole value f(G, d) after d's updates
        (Metz et al. 2017, equation 5). The data term, E log D(x), depends on G
        through these updates. Without them it does not, and is left out.
        """
        if not self.unrolled_steps:
            return {}
        real = judge(self._packed(self._real(batch, noise)), 'real')
        return {'real': -self._objective.real(real)}

    def diagnostics(self, batch: Batch, noise: Noise) -> Terms:
        """Diagnostics of the game, without dropout: [B].

        If scores are logits: `d_real` and `d_fake` are D(x) and D(G(z)) in
        [0, 1], both 1/2 at the equilibrium, and `jensen_shannon` has the terms
        of adversarial.jensen_shannon_estimate. Otherwise: `score_real` and
        `score_fake`; with loss 'wasserstein' also `wasserstein`, the terms of
        adversarial.wasserstein_estimate.
        """
        given = self._given(batch, noise)
        judge = self._judge(batch, noise, given)
        real = judge(self._packed(self._real(batch, noise)))
        fake = self._fake(batch, noise, given, training=False)
        fake = judge(self._packed(fake))
        if self._objective.logits:
            share = adversarial.jensen_shannon_estimate(real, fake)
            return {
                'd_real': tf.sigmoid(real),
                'd_fake': tf.sigmoid(fake),
                'jensen_shannon': share,
            }
        found = {'score_real': real, 'score_fake': fake}
        if self.settings['loss'] == 'wasserstein':
            share = adversarial.wasserstein_estimate(real, fake)
            found['wasserstein'] = share
        return found

    def updates(self) -> tuple[Update, ...]:
        discriminator = GradientUpdate(
            'discriminator',
            self.discriminator_loss_terms,
            self.discriminator.trainable_variables,
            self.discriminator_updates,
            self.discriminator_rate,
        )
        terms: LossTerms = self.generator_loss_terms
        if self.unrolled_steps:
            terms = unrolled(terms, discriminator, self.unrolled_steps)
        generator = GradientUpdate(
            'generator', terms, self._generator_variables()
        )
        return (discriminator, generator, *self._upkeep())

    def _generator_variables(self):
        """The variables that the update of G moves."""
        return self.generator.trainable_variables

    def _upkeep(self):
        """Iterates the spectral norms after each step, if d has any."""
        layers = normalised.spectral_layers(self.discriminator)
        iterations = [layer.iterate for layer in layers]
        return (PostUpdate('norms', iterations),) if layers else ()

    def signatures(self) -> dict[str, Signature]:
        """Adds `score`, the score d(x) of an example, unless d judges packs."""
        if self.pack > 1:
            return super().signatures()
        inputs = self.with_label(self.spec.key)
        score = Signature(self._serve_score, inputs)
        return super().signatures() | {'score': score}

    def _serve_score(self, example, label=None):
        return {'score': self.score(example, label)}


def _turned(x, size, by):
    """Moves rows up by `by` places within their group of `size`: [B, ...].

    A last group that is too small is filled with the first rows of the batch.
    """
    rows = tf.shape(x)[0]
    full = tf.concat([x] * size, axis=0)[: rows + tf.math.mod(-rows, size)]
    groups = tf.reshape(full, [-1, size, *x.shape[1:]])
    turned = tf.roll(groups, -by, axis=1)
    return tf.reshape(turned, [-1, *x.shape[1:]])[:rows]
