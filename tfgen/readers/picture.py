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
_SIXTEEN = {'I;16', 'I;16B', 'I;16L', 'I;16N'}
# Pillow knows of these formats but does not decode them, or not by itself.
_STUBS = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
      pixels: uint8 [H, W, C], C = 1 for grey, 3 for colour.
      remarks: what a user may want to know of how it was read.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...]


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
                pixels = _pixels(file, image)
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
    return Picture(pixels, tuple(r for r in dict.fromkeys(remarks) if r))


def _pixels(file, image):
    # A 16-bit PNG or PGM is 'I' in some releases of Pillow.
    sixteen = image.mode in _SIXTEEN or (
        image.mode == 'I' and image.format in ('PNG', 'PPM')
    )
    if not sixteen and image.mode in ('I', 'F'):
        raise UserError(
            f'image {str(file)!r} has 32-bit pixels, whose range is not '
            'known: convert it to 8 or 16 bits'
        )
    image = ImageOps.exif_transpose(image)
    if sixteen:
        values = np.asarray(image).astype(np.uint16)[..., None]
        clear = image.info.get('transparency')
        if clear is not None:
            values = np.where(values == clear, np.uint16(0), values)
        return to_bytes(values)
    grey = image.mode in _GREY
    if image.has_transparency_data:
        image = image.convert('RGBA')
        black = Image.new('RGBA', image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    pixels = np.asarray(image.convert('L' if grey else 'RGB'))
    return pixels.reshape(*pixels.shape[:2], 1 if grey else 3)


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
