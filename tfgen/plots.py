"""Grids of pictures, as PNG files."""

import pathlib

import numpy as np
from PIL import Image

_TARGET = 64  # at least so many screen pixels per picture side
_GUTTER = 0.08  # of a picture's side
_BACKGROUND = 64  # a grey that neither ink nor paper has


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Pictures in rows with gutters, magnified: a uint8 image.

    Args:
      images: [N, H, W, C] in [0, 1], C = 1 or 3.
      columns: pictures per row.

    Returns:
      uint8 [height, width, C]. Every pixel is a square of equal size.
    """
    images = np.clip(np.round(np.asarray(images) * 255), 0, 255)
    images = images.astype(np.uint8)
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


def write_png(file: pathlib.Path, image: np.ndarray) -> None:
    """Writes a uint8 [H, W, C] image; makes the folder if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        file
    )
