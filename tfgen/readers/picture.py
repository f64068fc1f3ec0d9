"""One picture file -> bytes of pixels, by what the file says it is."""

import dataclasses
import functools
import io
import pathlib
import warnings

import numpy as np
from PIL import Image, ImageOps

from tfgen.errors import UserError
from tfgen.readers.base import to_bytes

_GREY = {'1', 'L', 'LA', 'La'}
_ORIENTATION = 0x0112  # EXIF
_SIXTEEN = {'I;16', 'I;16B', 'I;16L', 'I;16N'}
# Pillow knows of these formats but does not decode them, or not by itself.
_STUBS = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
      pixels: uint8 [H, W, C], C = 1 for grey, 3 for colour.
      remarks: what a user may want to know of how it was read.
      mended: whether runs of edition 1 (see base.py) have seen other pixels.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...]
    mended: bool


@functools.cache
def suffixes() -> frozenset[str]:
    """Endings of the files that Pillow decodes, lower case with the dot."""
    extensions = Image.registered_extensions()
    return frozenset(
        ending
        for ending, kind in extensions.items()
        if kind in Image.OPEN and kind not in _STUBS
    )


def decode(file: pathlib.Path, content: bytes) -> Picture:
    """Decodes `content` of `file`, upright, on black where transparent.

    The type of the file decides, never its values: 16 bits are scaled to 8,
    all that can hold a colour is colour. Of several frames the first is read.

    Raises:
      UserError: it cannot be decoded, or its scale is not known.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            with Image.open(io.BytesIO(content)) as image:
                frames = getattr(image, 'is_animated', False)
                mended = (
                    image.has_transparency_data
                    or image.mode in _SIXTEEN
                    or image.getexif().get(_ORIENTATION, 1) != 1
                )
                pixels = _pixels(file, image, content)
        except UserError:
            raise
        except Image.DecompressionBombError:
            raise UserError(
                f'image {str(file)!r} has more than '
                f'{2 * Image.MAX_IMAGE_PIXELS:,} pixels: shrink it, or take '
                'it out of the folder'
            ) from None
        except Exception as error:  # Pillow raises all kinds
            raise UserError(
                f'image {str(file)!r} cannot be decoded '
                f'({type(error).__name__}): replace or remove it'
            ) from None
    remarks = [_remark(w) for w in caught]
    if frames:
        remarks.append('several frames, of which the first is read')
    remarks = tuple(r for r in dict.fromkeys(remarks) if r)
    return Picture(pixels, remarks, mended)


def _pixels(file, image, content):
    if image.format == 'TIFF':
        _refuse_odd_tiff(file, image)
    # A 16-bit PNG or PGM is 'I' in some releases of Pillow.
    sixteen = image.mode in _SIXTEEN or (
        image.mode == 'I' and image.format in ('PNG', 'PPM')
    )
    if not sixteen and image.mode in ('I', 'F'):
        raise UserError(
            f'image {str(file)!r} has 32-bit pixels, whose range is not '
            'known: convert it to 8 or 16 bits'
        )
    grey = image.mode in _GREY
    inverted = sixteen and image.format == 'TIFF' and not image.tag_v2.get(262)
    if image.format == 'PNG':
        depth, kind = content[24], content[25]  # PNG specification, IHDR
        grey = kind in (0, 4)
        _scale_clear(image, depth, kind)
    image = ImageOps.exif_transpose(image)
    if sixteen:
        values = np.asarray(image).astype(np.uint16)[..., None]
        values = 65535 - values if inverted else values
        clear = image.info.get('transparency')
        if clear is not None:
            values = np.where(values == clear, np.uint16(0), values)
        return to_bytes(values)
    if image.has_transparency_data:
        image = image.convert('RGBA')
        black = Image.new('RGBA', image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    pixels = np.asarray(image.convert('L' if grey else 'RGB'))
    return pixels.reshape(*pixels.shape[:2], 1 if grey else 3)


def _refuse_odd_tiff(file, image):
    """Refuses scales that Pillow does not tell from 8 and 16 bits."""
    bits = image.tag_v2.get(258, (1,))
    signed = 2 in image.tag_v2.get(339, (1,))
    if signed or not {*bits} <= {1, 2, 4, 8, 16, 32}:
        kind = f'{"signed " if signed else ""}{bits[0]}-bit'
        raise UserError(
            f'image {str(file)!r} has {kind} pixels, which cannot be read: '
            'convert it to 8 or 16 bits without sign'
        )


def _scale_clear(image, depth, kind):
    """The transparent level of a PNG as Pillow scales its pixels."""
    clear = image.info.get('transparency')
    if kind == 0 and depth in (2, 4) and isinstance(clear, int):
        image.info['transparency'] = clear * 255 // ((1 << depth) - 1)
    if kind == 2 and depth == 16 and isinstance(clear, tuple):
        image.info['transparency'] = tuple(level >> 8 for level in clear)


def _remark(warning):
    if issubclass(warning.category, Image.DecompressionBombWarning):
        return f'more than {Image.MAX_IMAGE_PIXELS:,} pixels'
    if issubclass(warning.category, DeprecationWarning):
        return ''
    text = ' '.join(str(warning.message).split())
    # Said of palettes with transparency, which are composited here.
    return (
        '' if 'should be converted to RGBA' in text else f'Pillow says "{text}"'
    )
