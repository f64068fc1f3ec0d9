"""Grids of pictures, and spectrograms of sounds, as PNG files."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

_TARGET = 64  # at least so many screen pixels per picture side
_GUTTER = 0.08  # of a picture's side
_BACKGROUND = 64  # a grey that neither ink nor paper has
_HIDDEN = 128  # what is not known


def pixels(images, palette: Sequence[Sequence[int]] | None = None):
    """Bytes of pictures: [..., C] in [0, 1] -> float [..., C] or [..., 3].

    A value v becomes the byte round(255 v), or with a palette of N colours,
    colour round((N - 1) v). Works on tensors and on arrays.
    """
    if not palette:
        return tf.round(images * 255.0)
    indices = tf.cast(tf.round(images[..., 0] * (len(palette) - 1)), tf.int32)
    return tf.gather(tf.constant(palette, tf.float32), indices)


def grid(
    images: np.ndarray,
    columns: int,
    palette: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """Pictures in rows with gutters, magnified: a uint8 image.

    Args:
      images: [N, H, W, C] in [0, 1], C = 1 or 3; NaN is drawn as grey.
      columns: pictures per row.
      palette: see `pixels`.

    Returns:
      uint8 [height, width, C]. Every pixel is a square of equal size.
    """
    hidden = np.isnan(images)
    images = np.clip(np.where(hidden, 0.0, images), 0.0, 1.0)
    images = pixels(images, palette).numpy().astype(np.uint8)
    images = np.where(hidden, np.uint8(_HIDDEN), images)
    count, height, width, channels = images.shape
    scale = max(1, -(-_TARGET // max(height, width)))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    gutter = max(2, round(_GUTTER * max(height, width)))
    rows = -(-count // columns)
    canvas = np.full(
        (
            rows * (height + gutter) + gutter,
            columns * (width + gutter) + gutter,
            channels,
        ),
        _BACKGROUND,
        np.uint8,
    )
    for index, image in enumerate(images):
        top = gutter + index // columns * (height + gutter)
        left = gutter + index % columns * (width + gutter)
        canvas[top : top + height, left : left + width] = image
    return canvas


def spectrograms(audio: np.ndarray) -> np.ndarray:
    """Short-time spectra of sounds as pictures.

    Hann windows of 256 samples, one every 32; 70 dB below the loudest point is
    black. Time runs to the right, frequency upwards from 0
    to half the sample rate.

    Args:
      audio: float [N, T] in [-1, 1].

    Returns:
      float32 [N, 128, frames, 1] in [0, 1].
    """
    window = 256
    audio = np.pad(audio, [[0, 0], [0, max(0, window - audio.shape[1])]])
    spectrum = tf.abs(
        tf.signal.stft(
            tf.constant(audio, tf.float32), window, window // 8, window
        )
    )
    decibel = 20.0 / np.log(10.0) * tf.math.log(spectrum + 1e-6)
    loudest = tf.reduce_max(decibel, axis=[1, 2], keepdims=True)
    loudest = tf.maximum(loudest, -40.0)  # silence is black as well
    shade = tf.clip_by_value((decibel - loudest) / 70.0 + 1.0, 0.0, 1.0)
    shade = tf.reverse(tf.transpose(shade, [0, 2, 1]), [1])
    return shade[:, 1:, :, None].numpy()


def write_png(file: pathlib.Path, image: np.ndarray) -> None:
    """Writes a uint8 [H, W, C] image; makes the folder if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        file
    )
