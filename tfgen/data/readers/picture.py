"""Decodes a picture file into bytes of pixels, by the type of the file."""

import contextlib
import dataclasses
import functools
import io
import os
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import tensorflow as tf
from PIL import Image

from tfgen.data.readers.base import to_bytes
from tfgen.errors import UserError

_GREY = {'1', 'L', 'LA', 'La'}
_ORIENTATION = 0x0112  # EXIF
# The operation that turns a picture upright, by its orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN = {'I;16', 'I;16B', 'I;16L', 'I;16N'}
# Formats that Pillow recognises but cannot decode, or only with other programs.
_STUBS = {'BUFR', 'EPS', 'GRIB', 'HDF5', 'MPEG', 'WMF'}
_PNG = b'\x89PNG\r\n\x1a\n'
_NOTHING = contextlib.nullcontext()


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture file.

    Attributes:
      pixels: uint8 [H, W, C], C = 1 for grey, 3 for colour.
      remarks: notes for the user on how the file was read.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...]


@functools.cache
def suffixes() -> frozenset[str]:
    """Endings of files that Pillow decodes, in lower case, with the dot."""
    extensions = Image.registered_extensions()
    return frozenset(
        ending
        for ending, kind in extensions.items()
        if kind in Image.OPEN and kind not in _STUBS
    )


def decode(file: pathlib.Path, content: bytes) -> Picture:
    """Decodes a picture, upright, with transparent pixels laid on black.

    The type of the file decides how it is read; the values never do. 16-bit
    values are scaled to 8 bits; for colours in a TIFF, Pillow takes the upper 8
    bits. A type that can hold colours is read as colour. If a file has several
    frames, only the first is read.

    A truncated file is refused, unless the missing part does not affect the
    pixels. A file with changed bytes is refused if its format can detect them.
    PNG has checksums of everything, and a deflated TIFF has checksums of its
    pixels. Other formats have none: a changed byte gives another picture.

    Args:
      file: path, for the messages of errors.
      content: bytes of the file.

    Raises:
      UserError: the file cannot be decoded, or its scale is unknown.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            with Image.open(io.BytesIO(content)) as image:
                frames = getattr(image, 'is_animated', False)
                tiff = image.format == 'TIFF'
                with _no_complaints(file) if tiff else _NOTHING:
                    decoded, grey = _decoded(file, image, content)
                # The orientation is read after decoding. Reading it from a PNG
                # decodes the picture too, and would hide a decoding error.
                orientation = _orientation(image)
                turn = _TURNS.get(orientation)
                if turn is not None:
                    decoded = decoded.transpose(turn)
                pixels = np.asarray(decoded.convert('L' if grey else 'RGB'))
                pixels = pixels.reshape(*pixels.shape[:2], 1 if grey else 3)
        except UserError:
            raise
        except Image.DecompressionBombError:
            raise UserError(
                f'image {str(file)!r} has more than '
                f'{2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: shrink it, or '
                'take it out of the folder'
            ) from None
        except Exception as error:  # Pillow raises anything
            raise UserError(
                f'image {str(file)!r} cannot be decoded '
                f'({type(error).__name__}): replace or remove it'
            ) from None
    remarks = [_remark(w) for w in caught]
    if frames:
        remarks.append('several frames, of which the first is read')
    if orientation is None:
        remarks.append('EXIF data that cannot be read, so not turned')
    return Picture(pixels, tuple(r for r in dict.fromkeys(remarks) if r))


def _orientation(image):
    """The EXIF orientation, 1 to 8; None if the EXIF data cannot be read."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises anything
        return None


@contextlib.contextmanager
def _no_complaints(file):
    """Refuses a file about which libtiff complains.

    libtiff complains only on the terminal, and fills in the pixels that it
    cannot decode.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as complaints:
        os.dup2(complaints.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
        complaints.seek(0)
        said = ' '.join(complaints.read().decode(errors='replace').split())
        if said:
            raise UserError(
                f'image {str(file)!r} is damaged ({said[:80]}): replace or '
                'remove it'
            )


def _decoded(file, image, content):
    """The decoded picture, not yet turned upright, and whether it is grey."""
    _raise_if_damaged(image, content)
    if image.format == 'TIFF':
        _refuse_odd_tiff(file, image)
    # A 16-bit PGM has mode 'I' in some releases of Pillow.
    sixteen = image.mode in _SIXTEEN or (
        image.mode == 'I' and image.format == 'PPM'
    )
    grey = image.mode in _GREY
    inverted = sixteen and image.format == 'TIFF' and not image.tag_v2.get(262)
    if image.format == 'PNG':
        depth, kind = content[24], content[25]  # PNG specification, IHDR
        grey = kind in (0, 4)
        if depth == 16:
            # Decoded by TensorFlow: Pillow takes the upper 8 bits of colours.
            values = tf.io.decode_png(content, 4, tf.uint16).numpy()
            return Image.fromarray(to_bytes(values)), grey
        _scale_clear(image, depth, kind)
    if not sixteen and image.mode in ('I', 'F'):
        raise UserError(
            f'image {str(file)!r} has 32-bit pixels, whose range is not '
            'known: convert it to 8 or 16 bits'
        )
    image.load()  # also turns a TIFF upright
    decoded = image
    if sixteen:
        values = np.asarray(image).astype(np.uint16)[..., None]
        values = 65535 - values if inverted else values
        grey, decoded = True, Image.fromarray(to_bytes(values)[..., 0])
    elif image.has_transparency_data:
        decoded = image.convert('RGBA')
        black = Image.new('RGBA', image.size, (0, 0, 0, 255))
        decoded = Image.alpha_composite(black, decoded)
    return decoded, grey


def _raise_if_damaged(image, content):
    """Raises an exception for damage that Pillow decodes silently."""
    if image.format in ('PNG', 'ICO', 'ICNS'):  # icons may hold PNGs
        start = content.find(_PNG)
        while start >= 0:
            # Decoding alone does not check the checksums of pixels.
            with Image.open(io.BytesIO(content[start:])) as png:
                png.verify()
            start = content.find(_PNG, start + 1)
    elif image.format == 'JPEG2000':
        # The marker FF D9 ends the stream and cannot occur within the data.
        if content.find(b'\xff\xd9', content.find(b'\xff\x93')) < 0:
            raise EOFError
    elif image.format == 'PCX':
        # The palette of 256 colours is at the end of the file. Without it,
        # Pillow reads the indices of colours as grey values.
        bits, planes, kind = content[3], content[65], content[68]
        if bits == 8 and planes == 1 and kind != 2 and content[-769] != 12:
            raise EOFError


def _refuse_odd_tiff(file, image):
    """Refuses formats that Pillow does not distinguish from 8 and 16 bits."""
    bits = image.tag_v2.get(258, (1,))
    signed = 2 in image.tag_v2.get(339, (1,))
    # Channels are stored plane by plane instead of pixel by pixel.
    planes = image.tag_v2.get(284) == 2 and len(bits) > 1
    raw = image.tag_v2.get(259, 1) == 1
    if planes and ((16 in bits and raw) or len(bits) == 2):
        raise UserError(
            f'image {str(file)!r} has its channels in planes of {bits[0]} '
            'bits, which cannot be read: store them pixel by pixel'
        )
    if signed or not {*bits} <= {1, 2, 4, 8, 16, 32}:
        kind = f'{"signed " if signed else ""}{bits[0]}-bit'
        raise UserError(
            f'image {str(file)!r} has {kind} pixels, which cannot be read: '
            'convert it to 8 or 16 bits without sign'
        )


def _scale_clear(image, depth, kind):
    """Scales the transparent level of a PNG as Pillow scales its pixels."""
    clear = image.info.get('transparency')
    if kind == 0 and depth in (2, 4) and isinstance(clear, int):
        image.info['transparency'] = clear * 255 // ((1 << depth) - 1)


def _remark(warning):
    """A warning of Pillow as a remark; '' if it does not matter."""
    if issubclass(warning.category, Image.DecompressionBombWarning):
        return f'more than {Image.MAX_IMAGE_PIXELS:,} pixels'
    if issubclass(warning.category, DeprecationWarning):
        return ''
    text = ' '.join(str(warning.message).split())
    # Pillow warns of transparent palettes, which are laid on black here.
    return (
        '' if 'should be converted to RGBA' in text else f'Pillow says "{text}"'
    )
