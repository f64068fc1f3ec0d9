"""Networks from an example to a code, and back, of dense layers or
convolutions; the decoder mirrors the encoder."""

import math
from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from tfgen.layers.thin_convolution import ThinConv2D

Kind = Literal['convolutional', 'dense']
Activation = Literal['relu', 'elu', 'tanh', 'sigmoid']


def encoder(
    kind: Kind,
    shape: Sequence[int],
    units: Sequence[int],
    size: int,
    activation: Activation = 'relu',
) -> keras.Sequential:
    """[B, *shape] -> float32 [B, size].

    Args:
      kind: of its layers. Convolutions have stride 2.
      units: channels or widths of the hidden layers.
      activation: of these; the last layer is linear.
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
    """[B, size] -> float32 [B, *shape]: `encoder` of `units`, backwards."""
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
    """The mean and logvar that an encoder of 2 K numbers says: [B, K] each."""
    mean, logvar = tf.split(network(x), 2, axis=1)
    return mean, logvar


def _up_samplings(units, shape, activation):
    height, width, channels = shape
    scale = 2 ** len(units)
    # Rounded up, and cropped at the end: any image size will do.
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
        ThinConv2D(channels, 3, dtype='float32'),
        *(
            [keras.layers.Cropping2D(crop, dtype='float32')]
            if rows or columns
            else []
        ),
    ]
