"""Encoders and decoders of dense layers or convolutions.

The decoder mirrors the encoder.
"""

import math
from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from tfgen.layers.thin_convolution import ThinConv2D

Kind = Literal['convolutional', 'dense']
Activation = Literal['relu', 'elu', 'tanh', 'sigmoid']
_FEW_CHANNELS = 8


def encoder(
    kind: Kind,
    shape: Sequence[int],
    units: Sequence[int],
    size: int,
    activation: Activation = 'relu',
) -> keras.Sequential:
    """Builds an encoder: [B, *shape] -> float32 [B, size].

    Args:
      kind: type of the hidden layers. Convolutions have stride 2.
      shape: shape of an example.
      units: channels or widths of the hidden layers.
      size: number of outputs, for example K for a code, 2 K for mean and
        logvar.
      activation: of the hidden layers; the last layer is linear.
    """
    if kind == 'dense':
        hidden = [keras.layers.Flatten()] + [
            keras.layers.Dense(width, activation=activation) for width in units
        ]
    else:
        hidden = [
            keras.layers.Conv2D(width, 3, 2, 'same', activation=activation)
            for width in units
        ] + [keras.layers.Flatten()]
    last = keras.layers.Dense(size, dtype='float32')
    return keras.Sequential([keras.Input(shape), *hidden, last])


def decoder(
    kind: Kind,
    size: int,
    units: Sequence[int],
    shape: Sequence[int],
    activation: Activation = 'relu',
) -> keras.Sequential:
    """Builds the mirror image of `encoder`: [B, size] -> float32 [B, *shape].

    The arguments are those of `encoder`; `units` are used in reverse order.
    """
    if kind == 'dense':
        layers = [
            keras.layers.Dense(width, activation=activation)
            for width in reversed(units)
        ] + [
            keras.layers.Dense(math.prod(shape), dtype='float32'),
            keras.layers.Reshape(shape, dtype='float32'),
        ]
    else:
        layers = _up_samplings(units, shape, activation)
    return keras.Sequential([keras.Input([size]), *layers])


def normal(
    network: keras.Sequential, x: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits the output of an encoder of size 2K: mean, logvar, [B, K] each."""
    mean, logvar = tf.split(network(x), 2, axis=1)
    return mean, logvar


def _up_samplings(units, shape, activation):
    """Layers of a convolutional decoder: [B, size] -> [B, *shape]."""
    height, width, channels = shape
    scale = 2 ** len(units)
    # The grid is rounded up and the result cropped, so any image size works.
    grid = (-(-height // scale), -(-width // scale), units[-1])
    rows, columns = grid[0] * scale - height, grid[1] * scale - width
    crop = (
        (rows // 2, rows - rows // 2),
        (columns // 2, columns - columns // 2),
    )
    return [
        keras.layers.Dense(math.prod(grid), activation=activation),
        keras.layers.Reshape(grid),
        *(
            keras.layers.Conv2DTranspose(f, 3, 2, 'same', activation=activation)
            for f in reversed(units)
        ),
        _convolution(channels),
        *(
            [keras.layers.Cropping2D(crop, dtype='float32')]
            if rows or columns
            else []
        ),
    ]


def _convolution(channels):
    """The last layer: a convolution of 3x3 that keeps the size."""
    if channels <= _FEW_CHANNELS:
        return ThinConv2D(channels, 3, dtype='float32')
    return keras.layers.Conv2D(channels, 3, padding='same', dtype='float32')
