"""Discriminators: a feature network and a head, for GANs.

The head maps features [B, F] to a score [B]. It is either `Score`, or `Energy`,
whose score is minus the error of an auto-encoder. All feature networks and
heads can be combined.
"""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.layers import own
from tfgen.layers.networks import (
    Kind,
    Regularization,
    feature_network,
    generator,
)
from tfgen.noise import Noise


class Score(keras.layers.Layer):
    """The linear head: features f(x) -> scores [B], w . f(x).

    A label y adds v_y . f(x), so it affects every score. Source: Miyato and
    Koyama 2018.

    Args:
      size: F.
      num_classes: 0 without labels.
      regularization: of w and of v.
      bounded: whether a softplus keeps scores below 0, for a loss that takes
        minus the score as an energy.
    """

    def __init__(self, size, num_classes, regularization, bounded=False):
        super().__init__()
        self.bounded = bounded
        self.dense = regularization.dense(1, dtype='float32')
        self.dense.build([None, size])
        self.labels = None
        if num_classes:
            # A separate layer, so that spectral norm bounds w and v_y
            # separately.
            self.labels = regularization.dense(num_classes, dtype='float32')
            self.labels.build([None, size])

    def call(self, features, one_hot=None, seen=None):
        """[B, F], labels [B, classes] -> float32 [B]; `seen` is not used."""
        score = self.dense(features)[:, 0]
        if one_hot is not None:
            fit = self.labels(features)
            fit *= tf.cast(one_hot, fit.dtype)
            score = score + tf.reduce_sum(fit, axis=-1)
        return -tf.nn.softplus(-score) if self.bounded else score


class Energy(keras.layers.Layer):
    """The auto-encoder head: features -> minus the reconstruction error, [B].

    The error is the mean squared difference over an example's numbers. The
    decoder also receives the label. Source: Zhao et al. 2017 (EBGAN), section
    2.3.

    Args:
      decoder: a generator from features (and one-hot labels) to an example.
      offset: whether a learned number is added to the score. Losses that expect
        data above 0 and samples below 0 need it.
      regularization: of the offset.
    """

    def __init__(self, decoder, offset, regularization):
        super().__init__(dtype='float32')
        self.decoder = decoder
        self.offset = None
        if offset:
            self.offset = self.add_weight([], 'zeros', name='offset')
            self.offset.constraint = regularization.constraint

    def call(self, features, one_hot=None, seen=None):
        """[B, F], labels [B, classes], example `seen` -> float32 [B]."""
        if one_hot is not None:
            features = tf.concat([features, one_hot], axis=1)
        off = self.decoder(features) - tf.cast(seen, tf.float32)
        axes = list(range(1, off.shape.rank))
        score = -tf.reduce_mean(tf.square(off), axis=axes)
        return score if self.offset is None else score + self.offset


class Discriminator(keras.layers.Layer):
    """A feature network and a head: example -> score."""

    def __init__(self, features, head):
        super().__init__()
        self.features = features
        self.head = head

    def call(
        self,
        x: tf.Tensor,
        extra: tf.Tensor | None = None,
        one_hot: tf.Tensor | None = None,
        noise: Noise | None = None,
    ) -> tf.Tensor:
        """Scores examples: [B, ...] -> float32 [B].

        Args:
          x: examples.
          extra: numbers [B, extra] for the feature network.
          one_hot: labels [B, classes] for the head.
          noise: for dropout; None for no dropout.
        """
        features = self.features(x, extra, noise=noise)
        return self.head(features, one_hot, x)


class OwnDiscriminator(keras.layers.Layer):
    """A network of the user's as a discriminator: example -> score.

    Args:
      network: [B, ..., C + extra + classes] -> [B, 1]; see own.build.
      shape: of an example, [..., C].
      extra: numbers that are judged beside it.
      num_classes: 0 without labels.
    """

    def __init__(self, network, shape, extra, num_classes):
        super().__init__(dtype='float32')
        *sides, channels = shape
        seen = [*sides, channels + extra + num_classes]
        words = 'examples -> scores'
        self.network = own.build(network, 'discriminator', seen, [1], words)
        self._labels = num_classes
        self.built = True

    def features(
        self,
        x: tf.Tensor,
        extra: tf.Tensor | None = None,
        noise: Noise | None = None,
    ) -> tf.Tensor:
        """The last hidden layer of a Sequential, else the scores: [B, F].

        Features have no label, so the network gets zeros in its place.
        """
        labels = None
        if self._labels:
            labels = tf.zeros([tf.shape(x)[0], self._labels])
        seen = own.with_maps(x, [extra, labels])
        network = self.network.network
        if not isinstance(network, keras.Sequential):
            return self.network(seen)
        for layer in network.layers[:-1]:
            seen = layer(seen)
        return tf.reshape(seen, [-1, math.prod(seen.shape[1:])])

    def call(
        self,
        x: tf.Tensor,
        extra: tf.Tensor | None = None,
        one_hot: tf.Tensor | None = None,
        noise: Noise | None = None,
    ) -> tf.Tensor:
        """Scores examples: [B, ...] -> float32 [B]; see Discriminator."""
        with own.training(noise):
            return self.network(own.with_maps(x, [extra, one_hot]))[:, 0]


def discriminator(
    kind: Kind,
    head: str,
    shape: Sequence[int],
    extra: int,
    units: Sequence[int],
    num_classes: int,
    regularization: Regularization,
    energies: bool,
) -> Discriminator:
    """A discriminator of examples [B, *shape].

    Args:
      kind: 'dcgan' or 'mlp', the type of the feature network.
      head: 'score' or 'energy'.
      shape, extra, units: see networks.DenseFeatures.
      num_classes: 0 without labels.
      regularization: of all layers.
      energies: whether the loss takes minus the score as an energy, which is
        never below 0.
    """
    features = feature_network(kind, shape, extra, units, regularization)
    if head == 'score':
        return Discriminator(
            features,
            Score(features.size, num_classes, regularization, energies),
        )
    decoder = generator(
        kind,
        features.size + num_classes,
        units[::-1],
        shape,
        batch_norm=False,
        regularization=regularization,
    )
    return Discriminator(
        features, Energy(decoder, not energies, regularization)
    )
