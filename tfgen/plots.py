"""Grids of pictures, and spectrograms of sounds, as arrays."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

_TARGET = 64  # at least so many screen pixels per picture side
_GUTTER = 0.08  # of a picture's side
_BACKGROUND = 64  # a grey that neither ink nor paper has
_HIDDEN = 128  # what is not known
_TEXT = 16  # height of a line of titles
_SIDE = 88  # width of titles beside rows


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
    titles: Sequence[str] | None = None,
) -> np.ndarray:
    """Pictures in rows with gutters, magnified: a uint8 image.

    Args:
      images: [N, H, W, C] in [0, 1], C = 1 or 3; NaN is drawn as grey.
      columns: pictures per row.
      palette: see `pixels`.
      titles: one per picture. Where all pictures of each column have one
        title it stands at the head of the column, likewise of rows, else
        above each picture.

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
    place = _place(titles, columns)
    head = _TEXT if place == 'columns' else 0
    side = _SIDE if place == 'rows' else 0
    strip = _TEXT if place == 'each' else 0
    pitch = height + gutter + strip
    canvas = np.full(
        (
            head + rows * pitch + gutter,
            side + columns * (width + gutter) + gutter,
            channels,
        ),
        _BACKGROUND,
        np.uint8,
    )
    written = []
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top = head + gutter + row * pitch + strip
        left = side + gutter + column * (width + gutter)
        canvas[top : top + height, left : left + width] = image
        if place == 'each' or (place == 'columns' and row == 0):
            line = 0 if place == 'columns' else top - _TEXT
            above = (left, line, width + gutter - 2)
            written.append((titles[index], *above))
        elif place == 'rows' and column == 0:
            beside = (gutter, top + (height - _TEXT) // 2, side - gutter)
            written.append((titles[index], *beside))
    return _write(canvas, written) if written else canvas


def label_columns(labels: Sequence[int] | None, default: int) -> int:
    """Columns of a grid of `labels` in turn: one label down each, if it can."""
    kinds = len(set(labels)) if labels is not None else 0
    if not kinds or kinds > 2 * default:
        return default
    return max(1, default // kinds) * kinds


def titles(
    labels: Sequence[int] | None, names: Sequence[str]
) -> list[str] | None:
    """The class of each label in words; None without labels."""
    if labels is None:
        return None
    return [' '.join(names[i].split()) if names else str(i) for i in labels]


def _place(titles, columns):
    """'columns', 'rows' or 'each'; '' without titles."""
    if not titles:
        return ''
    if all(t == titles[i % columns] for i, t in enumerate(titles)):
        return 'columns'
    if all(t == titles[i - i % columns] for i, t in enumerate(titles)):
        return 'rows'
    return 'each'


def _write(canvas, written):
    """`canvas` with texts, each (text, left, top, width)."""
    font = ImageFont.load_default(_TEXT - 4)
    image = Image.fromarray(np.broadcast_to(canvas, (*canvas.shape[:2], 3)))
    draw = ImageDraw.Draw(image)
    for text, left, top, width in written:
        shown = text
        while shown and draw.textlength(shown, font) > width:
            text = text[:-1]
            shown = f'{text}\N{HORIZONTAL ELLIPSIS}' if text else ''
        draw.text((left, top), shown, (235, 235, 235), font)
    return np.asarray(image)[..., : canvas.shape[-1]]


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
