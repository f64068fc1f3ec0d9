"""Reads pictures stored as text: palette indices and a colour map.

The format of the lecture's Pokemon creation: a folder with

  pixel_color.txt   a line per picture: the index of each pixel, raster order
  colormap.txt      a line per index: R G B in 0..255

Lines end at \\n, \\r\\n or \\r; blank lines are skipped.
Pictures are square and have no labels.
"""

import math
import pathlib

import numpy as np

from tfgen.data.readers.base import (
    Fingerprint,
    InMemory,
    Source,
    decoded,
    hold_out,
)
from tfgen.errors import UserError

PIXELS, COLOURS = 'pixel_color.txt', 'colormap.txt'


def open_palette(path: pathlib.Path) -> Source:
    """Opens the folder `path`; a tenth of its pictures is the test split."""
    colours = _integers(path / COLOURS)
    if colours.ndim != 2 or colours.shape[1] != 3:
        raise UserError(
            f'{str(path / COLOURS)!r} has {colours.shape[-1]} numbers in a '
            'line: write R G B'
        )
    if len(colours) < 2:
        raise UserError(
            f'{str(path / COLOURS)!r} has one colour: write two or more, a '
            'line each'
        )
    pictures = _integers(path / PIXELS)
    side = math.isqrt(pictures.shape[1])
    if side**2 != pictures.shape[1]:
        raise UserError(
            f'{str(path / PIXELS)!r} has {pictures.shape[1]} pixels in a line: '
            'only square pictures can be read'
        )
    outside = pictures[(pictures < 0) | (pictures >= len(colours))]
    if outside.size:
        raise UserError(
            f'{str(path / PIXELS)!r} has an index of {outside[0]} and '
            f'{str(path / COLOURS)!r} has {len(colours)} colours: repair one'
        )
    if len(colours) > 256 or colours.min() < 0 or colours.max() > 255:
        raise UserError(
            f'{str(path / COLOURS)!r} must have at most 256 colours, each '
            'number in 0..255'
        )
    pictures = pictures.astype(np.uint8).reshape(-1, side, side, 1)
    name = f'palette:{path}'
    splits = {
        split: InMemory(pictures[rows], None)
        for split, rows in hold_out(name, len(pictures), None).items()
    }
    fingerprint = Fingerprint()
    fingerprint.add(colours, pictures)
    return Source(
        (side, side, 1),
        len(colours),
        (),
        splits,
        str(fingerprint),
        palette=tuple((int(r), int(g), int(b)) for r, g, b in colours),
    )


def _integers(file):
    """Reads lines of whole numbers from a text file: [lines, numbers]."""
    try:
        text = decoded(file, file.read_bytes()).replace('\r', '\n')
        lines = [line.split() for line in text.split('\n')]
        rows = [[int(number) for number in line] for line in lines if line]
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f'{str(file)!r} cannot be read ({error.strerror}): name a folder '
            f'with {PIXELS} and {COLOURS}, as palette:PATH'
        ) from None
    except ValueError as error:
        raise UserError(
            f'{str(file)!r} is not text of whole numbers ({error}): repair it'
        ) from None
    if not rows:
        raise UserError(f'{str(file)!r} has no numbers: repair it')
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise UserError(
            f'{str(file)!r} has lines of {sorted(lengths)[:3]} numbers: all '
            'must be equally long'
        )
    return np.array(rows)
