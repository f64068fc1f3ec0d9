"""Generators, feature networks and encoders of dense layers or convolutions.

A generator maps features [B, n] to an example, [B, *shape]. A feature network
maps an example to features [B, F]; encoders and discriminators begin with one.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from tfgen.layers import own
from tfgen.layers.batch_norm import BatchNorm
from tfgen.layers.linear import dropout
from tfgen.layers.normalised import SpectralConv2D, SpectralDense
from tfgen.losses.penalties import ClipWeights

Kind = Literal['dcgan', 'mlp']


@dataclasses.dataclass(frozen=True)
class Regularization:
    """Restrictions on the layers of a discriminator.

    Attributes:
      spectral_norm: whether dense layers and convolutions have norm 1; see
        layers.normalised. Transposed convolutions never do.
      clip: largest absolute value of a weight; None for no limit.
      dropout: rate after each hidden layer.
    """

    spectral_norm: bool = False
    clip: float | None = None
    dropout: float = 0.0

    def dense(self, width: int, **options) -> keras.layers.Dense:
        """A dense layer under these restrictions."""
        kind = SpectralDense if self.spectral_norm else keras.layers.Dense
        return kind(width, **self._constraints(), **options)

    def convolution(self, channels: int) -> keras.layers.Conv2D:
        """A 4x4 convolution of stride 2 under these restrictions."""
        kind = SpectralConv2D if self.spectral_norm else keras.layers.Conv2D
        options = self._constraints() | {'kernel_initializer': _initializer()}
        return kind(channels, 4, 2, 'same', **options)

    def transposed(self, channels: int, **options):
        """A 4x4 transposed convolution of stride 2, with clipping only."""
        options |= {'kernel_initializer': _initializer()} | self._constraints()
        return keras.layers.Conv2DTranspose(channels, 4, 2, 'same', **options)

    @property
    def constraint(self) -> ClipWeights | None:
        """The constraint that clips weights; None without `clip`."""
        return None if self.clip is None else ClipWeights(self.clip)

    def _constraints(self):
        clip = self.constraint
        return {'kernel_constraint': clip, 'bias_constraint': clip}


def generator(
    kind: Kind,
    num_features: int,
    units: Sequence[int],
    shape: Sequence[int],
    batch_norm: bool = True,
    modulated: bool = False,
    regularization: Regularization = Regularization(),
) -> keras.layers.Layer:
    """A generator: [B, num_features] -> float32 [B, *shape].

    Args:
      kind: 'dcgan' or 'mlp'. An 'mlp' has neither batch norm nor modulation.
      The others: see ConvolutionalGenerator.
    """
    if kind == 'mlp':
        return DenseGenerator(
            num_features, units, shape, regularization=regularization
        )
    return ConvolutionalGenerator(
        num_features, units, shape, batch_norm, modulated, regularization
    )


def feature_network(
    kind: Kind,
    shape: Sequence[int],
    extra: int,
    units: Sequence[int],
    regularization: Regularization = Regularization(),
) -> keras.layers.Layer:
    """A feature network: example [B, *shape] -> [B, F], F its `size`.

    Args:
      kind: 'dcgan' or 'mlp'.
      The others: see DenseFeatures.
    """
    network = DenseFeatures if kind == 'mlp' else ConvolutionalFeatures
    return network(shape, extra, units, regularization)


class DenseGenerator(keras.layers.Layer):
    """A generator of dense ReLU layers: [B, n] -> float32 [B, *shape].

    Args:
      num_features: n.
      units: widths of the hidden layers.
      shape: shape of an example.
      batch_norm: whether each hidden layer is normalised over the batch.
      regularization: of all dense layers.
    """

    def __init__(
        self,
        num_features,
        units,
        shape,
        batch_norm=False,
        regularization=Regularization(),
    ):
        super().__init__()
        self.shape = tuple(shape)
        self.hidden = _stack(num_features, units, regularization.dense)
        self.norms = [BatchNorm() for _ in units] if batch_norm else []
        for norm, width in zip(self.norms, units, strict=False):
            norm.build([None, width])
        self.paint = regularization.dense(math.prod(shape), dtype='float32')
        self.paint.build([None, units[-1]])

    def call(self, features, training=False):
        x = features
        for number, layer in enumerate(self.hidden):
            x = layer(x)
            if self.norms:
                x = self.norms[number](x, training=training)
            x = tf.nn.relu(x)
        return tf.reshape(self.paint(x), [-1, *self.shape])


class ConvolutionalGenerator(keras.layers.Layer):
    """A generator of transposed convolutions: [B, n] -> float32 [B, H, W, C].

    Each of the U = len(filters) up-samplings doubles the sides. The first
    starts from a grid of H / 2^U x W / 2^U, rounded up. The result is cropped
    to H x W, so any size works.

    Args:
      num_features: n.
      filters: channels of the hidden layers.
      shape: (H, W, C).
      batch_norm: whether each hidden layer is normalised over the batch.
      modulated: whether the features also scale and shift each hidden layer:
        (1 + s(features)) h + t(features) for each channel, s and t linear.
        Source: Chen et al. 2019, equation 3, where s and t have a hidden layer.
      regularization: of all layers.
    """

    def __init__(
        self,
        num_features,
        filters,
        shape,
        batch_norm=True,
        modulated=False,
        regularization=Regularization(),
    ):
        super().__init__()
        height, width, channels = shape
        self.sides = (height, width)
        scale = 2 ** len(filters)
        self.grid = (-(-height // scale), -(-width // scale), filters[0])
        options = {'use_bias': not batch_norm}
        self.dense = regularization.dense(math.prod(self.grid), **options)
        self.dense.build([None, num_features])
        self.grow = [
            regularization.transposed(f, **options) for f in filters[1:]
        ]
        self.norms = [BatchNorm() for _ in filters] if batch_norm else []
        for number, f in enumerate(filters):
            maps = [None, *(side * 2**number for side in self.grid[:2]), f]
            for layers in (self.norms, self.grow):
                if number < len(layers):
                    layers[number].build(maps)
        self.paint = regularization.transposed(channels, dtype='float32')
        self.paint.build(maps)
        self.modulations = []
        for f in filters if modulated else ():
            # Keras's default initializer (Glorot) makes s and t as large as h.
            # Small s and t vanish where G has learned a single picture.
            self.modulations.append(regularization.dense(2 * f))
            self.modulations[-1].build([None, num_features])

    def call(self, features, training=False):
        x = tf.reshape(self.dense(features), [-1, *self.grid])
        x = self._hidden(x, 0, features, training)
        for number, grow in enumerate(self.grow, 1):
            x = self._hidden(grow(x), number, features, training)
        x = self.paint(x)
        top, left = (
            (whole - side) // 2
            for whole, side in zip(x.shape[1:3], self.sides, strict=True)
        )
        height, width = self.sides
        return x[:, top : top + height, left : left + width]

    def _hidden(self, x, number, features, training):
        """Normalises, modulates and rectifies the maps of layer `number`."""
        if self.norms:
            x = self.norms[number](x, training=training)
        if self.modulations:
            by = self.modulations[number](features)[:, None, None]
            scale, shift = tf.split(tf.cast(by, x.dtype), 2, axis=-1)
            x = (1.0 + scale) * x + shift
        return tf.nn.relu(x)


class DenseFeatures(keras.layers.Layer):
    """A dense feature network: example [B, *shape] -> [B, units[-1]].

    Args:
      shape: shape of an example.
      extra: size of a second input, [B, extra]; 0 for none.
      units: widths of the layers.
      regularization: of all layers.
    """

    def __init__(self, shape, extra, units, regularization):
        super().__init__()
        self.regularization = regularization
        self.hidden = _stack(
            math.prod(shape) + extra, units, regularization.dense
        )
        self.size = units[-1]

    def call(self, x, extra=None, noise=None):
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        if extra is not None:
            x = tf.concat([x, extra], axis=1)
        for number, layer in enumerate(self.hidden):
            x = _hidden(layer(x), self.regularization, noise, f'drop{number}')
        return x


class ConvolutionalFeatures(keras.layers.Layer):
    """A network of convolutions of stride 2: image [B, H, W, C] -> [B, F].

    Args:
      shape: (H, W, C).
      extra: size of a second input, [B, extra]; 0 for none. A dense layer joins
        it to the features.
      filters: channels of the convolutions.
      regularization: of all layers.
    """

    def __init__(self, shape, extra, filters, regularization):
        super().__init__()
        self.regularization = regularization
        *sides, channels = shape
        self.convolutions = []
        for f in filters:
            convolution = regularization.convolution(f)
            convolution.build([None, *sides, channels])
            self.convolutions.append(convolution)
            sides, channels = [-(-side // 2) for side in sides], f
        self.size = math.prod(sides) * channels
        self.join = None
        if extra:
            self.join = regularization.dense(4 * filters[-1])
            self.join.build([None, self.size + extra])
            self.size = 4 * filters[-1]

    def call(self, x, extra=None, noise=None):
        for number, convolution in enumerate(self.convolutions):
            x = _hidden(
                convolution(x), self.regularization, noise, f'drop{number}'
            )
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        if extra is None:
            return x
        x = self.join(tf.concat([x, tf.cast(extra, x.dtype)], axis=1))
        return _hidden(x, self.regularization, noise, 'drop_join')


class Encoder(keras.layers.Layer):
    """An encoder: example -> mean and logvar of q(z|x), float32 [B, K] each.

    Args:
      features: a DenseFeatures or ConvolutionalFeatures network.
      latent_size: K.
      num_classes: 0 without labels.
    """

    def __init__(self, features, latent_size, num_classes):
        super().__init__()
        self.features = features
        self.dense = keras.layers.Dense(2 * latent_size, dtype='float32')
        self.dense.build([None, features.size + num_classes])

    def call(self, x, one_hot=None):
        features = self.features(x)
        if one_hot is not None:
            one_hot = tf.cast(one_hot, features.dtype)
            features = tf.concat([features, one_hot], axis=1)
        mean, logvar = tf.split(self.dense(features), 2, axis=1)
        return mean, logvar


class OwnEncoder(keras.layers.Layer):
    """A network of the user's as an encoder; see Encoder.

    Args:
      network: see own.build.
    """

    def __init__(self, network):
        super().__init__(dtype='float32')
        self.network = network
        self.built = True

    def call(self, x, one_hot=None):
        seen = own.with_maps(x, [one_hot])
        mean, logvar = tf.split(self.network(seen), 2, axis=1)
        return mean, logvar


def encoder(
    network: keras.layers.Layer | dict | None,
    kind: Kind,
    shape: Sequence[int],
    units: Sequence[int],
    latent_size: int,
    num_classes: int,
) -> keras.layers.Layer:
    """An encoder: (example, labels) -> mean and logvar of q(z|x), [B, K] each.

    Args:
      network: the user's, [B, ..., C + num_classes] -> [B, 2 K]; or None.
      kind, shape, units: of the default network; see feature_network.
      latent_size: K.
      num_classes: 0 without labels.
    """
    if network is None:
        features = feature_network(kind, shape, 0, units)
        return Encoder(features, latent_size, num_classes)
    *sides, channels = shape
    return OwnEncoder(
        own.build(
            network,
            'encoder',
            [*sides, channels + num_classes],
            [2 * latent_size],
            'examples -> mean and logvar of q(z|x)',
        )
    )


def _stack(size, units: Sequence[int], dense) -> list:
    """Dense layers of widths `units`, built for inputs of width `size`."""
    layers = []
    for width in units:
        layers.append(dense(width))
        layers[-1].build([None, size])
        size = width
    return layers


def _hidden(x, regularization, noise, name):
    """Leaky ReLU, then dropout if there is `noise`."""
    x = tf.nn.leaky_relu(x, 0.2)
    return (
        x if noise is None else dropout(x, regularization.dropout, noise, name)
    )


def _initializer():
    """Normal with deviation 0.02 (Radford et al. 2016, section 4)."""
    return keras.initializers.RandomNormal(stddev=0.02)
