"""Checks arrays, and finds the kind of examples that they hold.

The message for a wrong array is one line with the remedy, if possible as Python
code.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfgen.data.specs import ImageSpec, PointSpec, SoundSpec, Spec, SymbolSpec
from tfgen.errors import UserError

# The specs of examples that can be passed in Python.
KINDS = (ImageSpec, PointSpec, SoundSpec, SymbolSpec)
_BYTE = 255
# Labels below this are plausible, however few examples there are.
_CLASSES = 1000
# Largest distance of a float from a multiple of 1/255 that counts as rounding.
_ROUNDING = 1e-4


@dataclasses.dataclass(frozen=True)
class Examples:
    """Checked examples.

    Attributes:
      values: as a reader stores them; see readers.base.Source.
      kind: the class of their spec.
      levels: number of different values; see readers.base.Source. 0 for points.
      alphabet: the text of each symbol; empty for other kinds.
      notes: remarks that are printed, such as on rounded values.
    """

    values: np.ndarray
    kind: type[Spec]
    levels: int = 0
    alphabet: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def examples(
    data: Any, spec_types: Sequence[type[Spec]], levels: int = 0
) -> Examples:
    """Checks examples and finds their kind.

    Args:
      data: images [N, H, W] or [N, H, W, C], uint8, bool or float in [0, 1];
        points [N, D], float; sounds [N, T], int16 or float in [-1, 1]; symbols
        [N, T], integers; or N strings.
      spec_types: the classes of specs that the model accepts. They decide
        whether floats [N, D] are points or sounds.
      levels: of the images, if known. If it is 0, images are binary when all
        their values are 0 or 1.

    Raises:
      UserError: the array is none of these.
    """
    array = _array(data)
    _refuse(array)
    if array.dtype.kind == 'U':
        return _strings(array, spec_types)
    if array.ndim in (3, 4):
        return _require(_images(array, levels), spec_types, array)
    if array.dtype.kind in 'iu' and SymbolSpec in spec_types:
        return _symbols(array)
    if SoundSpec in spec_types:
        return _sounds(array)
    if PointSpec in spec_types and array.dtype.kind == 'f':
        return Examples(array.astype(np.float32), PointSpec)
    raise _flat(array, spec_types)


def like(data: Any, first: Examples) -> np.ndarray:
    """Checks later examples of a source; returns their values.

    Args:
      data: several examples.
      first: the checked first examples of the same source.

    Raises:
      UserError: they are unlike the first ones.
    """
    found = examples(data, [first.kind], first.levels)
    wanted, values = first.values.shape[1:], found.values
    if values.shape[1:] != wanted:
        raise UserError(
            f'an example has shape {list(values.shape[1:])}, and the first '
            f'ones have {list(wanted)}: bring all to one shape'
        )
    if found.levels > first.levels:
        remedy = 'pass all as uint8 in 0..255'
        if first.kind is SymbolSpec:
            remedy = 'let the first examples contain every symbol'
        raise UserError(
            f'an example has a value of {found.levels} levels, and the first '
            f'ones have {first.levels}: {remedy}'
        )
    return values


def labels(
    given: Any, count: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Checks labels: int32 [N] or None, and the class names.

    Args:
      given: integers from 0 on, strings, or None.
      count: N, the number of examples.
      class_names: by label; None names the classes by their numbers. Labels
        that are strings are themselves the names.

    Raises:
      UserError: they are no labels of these examples.
    """
    if given is None:
        if class_names is not None:
            raise UserError(
                f'class_names has {len(class_names)} names and there are no '
                'labels: pass labels, or leave class_names out'
            )
        return None, ()
    array = _array(given, 'labels')
    if array.ndim == 2 and array.shape[1] > 1:
        raise UserError(
            f'labels have shape {list(array.shape)}, one column per class: '
            'pass labels.argmax(axis=1)'
        )
    array = array.reshape(len(array)) if array.ndim == 2 else array
    if array.ndim != 1:
        raise UserError(
            f'labels have shape {list(array.shape)}: pass one label per '
            'example, shape [N]'
        )
    if len(array) != count:
        raise UserError(
            f'there are {count} examples and {len(array)} labels: pass one '
            'label per example'
        )
    class_names = None if class_names is None else [str(n) for n in class_names]
    if array.dtype.kind in 'US':
        return _named(array, class_names)
    if array.dtype.kind == 'b':
        array = array.astype(np.int32)
    if array.dtype.kind not in 'iu':
        raise UserError(
            f'labels are {array.dtype}: pass integers, for example '
            'labels.astype(int)'
        )
    lowest, highest = (int(f()) for f in (array.min, array.max))
    if lowest < 0:
        raise UserError(
            f'labels contain {lowest}: number the classes from 0 on; '
            'np.unique(labels, return_inverse=True)[1] does'
        )
    names = tuple(class_names or map(str, range(highest + 1)))
    if highest >= len(names):
        what = 'names' if class_names else 'classes'
        raise UserError(
            f'labels contain {highest} and there are {len(names)} {what}: '
            'pass a name for each class in class_names'
        )
    if not class_names and highest >= max(count, _CLASSES):
        raise UserError(
            f'labels contain {highest} and there are {count} examples: number '
            'the classes from 0 on; np.unique(labels, return_inverse=True)[1] '
            'does'
        )
    return array.astype(np.int32), names


def _named(array, class_names):
    """Labels that are strings, as numbers, and the class names."""
    texts = array.astype(str)
    names = class_names or sorted(set(texts.tolist()))
    place = {name: number for number, name in enumerate(names)}
    for text in texts.tolist():
        if text not in place:
            raise UserError(
                f'labels contain {text!r}, and the classes are '
                f'{", ".join(names[:9])}: pass labels of these classes'
            )
    numbers = [place[text] for text in texts.tolist()]
    return np.array(numbers, np.int32), tuple(names)


def _array(data, what='examples'):
    """`data` as an array that is not empty."""
    try:
        array = np.asarray(data)
    except ValueError:  # rows of unequal length
        array = None
    if array is None or array.dtype == object:
        raise UserError(
            f'{what} are of type object (they differ in shape, or are no '
            f'numbers): bring them to one shape and pass np.stack({what}), or '
            f'pass np.asarray({what}, str)'
        )
    if array.ndim == 0:
        raise UserError(
            f'{what} are the single value {array!s:.40}: pass an array of them'
        )
    if not array.size:
        raise UserError(
            f'{what} have shape {list(array.shape)} and are empty: pass two or '
            'more'
        )
    if array.dtype.kind == 'S':
        array = np.char.decode(array, 'utf-8')
    return array


def _refuse(array):
    """Raises UserError for numbers that no kind of example has."""
    if array.dtype.kind not in 'buifU':
        raise UserError(
            f'examples are {array.dtype}: pass numbers of a real type, or '
            'strings'
        )
    if array.dtype.kind == 'U' and array.ndim != 1:
        raise UserError(
            f'examples are strings of shape {list(array.shape)}: pass a flat '
            'list, one string per example'
        )
    if array.dtype.kind != 'U' and array.ndim not in (2, 3, 4):
        remedy = 'images are [N, H, W] or [N, H, W, C], points [N, D]'
        if array.ndim == 1:
            remedy += '; for points of one number pass examples[:, None]'
        raise UserError(f'examples have shape {list(array.shape)}: {remedy}')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise UserError(
            f'example {row} contains NaN or infinity: leave it out, or pass '
            'np.nan_to_num(examples)'
        )


def _require(found, spec_types, array):
    """`found`, if the model accepts it."""
    if not any(issubclass(kind, found.kind) for kind in spec_types):
        wanted = _wanted(spec_types)
        raise UserError(
            f'examples have shape {list(array.shape)} and type {array.dtype}, '
            f'and the model takes {wanted}: pass {wanted}, or name another '
            'model'
        )
    return found


def _flat(array, spec_types):
    """The UserError for an array [N, D] that is no kind of example."""
    side = round(array.shape[1] ** 0.5)
    remedy = 'pass images of shape [N, H, W] or [N, H, W, C]'
    if side * side == array.shape[1]:
        remedy = f'pass examples.reshape(-1, {side}, {side})'
    if PointSpec in spec_types:
        remedy += ", or points as examples.astype('float32')"
    return UserError(
        f'examples have shape {list(array.shape)} and type {array.dtype}, and '
        f'the model takes {_wanted(spec_types)}: {remedy}'
    )


def _wanted(spec_types):
    return ' or '.join(dict.fromkeys(kind.noun for kind in spec_types))


def _images(array, levels):
    """Images [N, H, W] or [N, H, W, C] as bytes, or as 0 and 1."""
    if array.ndim == 3:
        array = array[..., None]
    channels = array.shape[-1]
    if channels not in (1, 3):
        remedy = 'pass grey images, or RGB images [N, H, W, 3]'
        if array.shape[1] in (1, 3):
            remedy = 'channels come last: pass np.moveaxis(images, 1, -1)'
        elif channels == 4:
            remedy = 'pass images[..., :3] without the alpha channel'
        elif channels == 2:
            remedy = 'pass images[..., :1] without the alpha channel'
        raise UserError(
            f'images have shape {list(array.shape)}, that is {channels} '
            f'channels: {remedy}'
        )
    if array.dtype.kind == 'b':
        return Examples(array.astype(np.uint8), ImageSpec, 2)
    if array.dtype.kind == 'f':
        return _float_images(array, levels)
    if array.dtype != np.uint8:
        lowest, highest = int(array.min()), int(array.max())
        bytes_ = lowest >= 0 and highest <= _BYTE
        raise UserError(
            f'images are {array.dtype} in {lowest}..{highest}: pass '
            + (
                "images.astype('uint8')"
                if bytes_
                else 'uint8 in 0..255, or floats in [0, 1]'
            )
        )
    return _levels(array, levels)


def _levels(pixels, levels):
    """Images of bytes, which are binary if all bytes are 0 and 1."""
    if levels > 2 or pixels.max() > 1:
        return Examples(pixels, ImageSpec, _BYTE + 1)
    note = 'all values are 0 and 1, so the images are binary'
    return Examples(pixels, ImageSpec, 2, notes=(note,))


def _float_images(array, levels):
    lowest, highest = float(array.min()), float(array.max())
    if lowest < 0.0 or highest > 1.0:
        remedy = 'scale them to [0, 1]'
        if lowest >= 0.0 and highest <= _BYTE:
            # Images of bytes rarely stay this dark; scikit-learn's digits have
            # 17 levels.
            scale = _BYTE if highest > _BYTE // 4 else f'{highest:g}'
            remedy = f'pass images / {scale}'
        elif lowest >= -1.0 and highest <= 1.0:
            remedy = 'pass (images + 1) / 2'
        raise UserError(
            f'images are floats in [{lowest:.4g}, {highest:.4g}], and floats '
            f'must be in [0, 1]: {remedy}'
        )
    if levels <= 2 and not np.any((array != 0.0) & (array != 1.0)):
        return _levels(array.astype(np.uint8), levels)
    scaled = array.astype(np.float64) * _BYTE
    pixels = np.round(scaled)
    off = float(np.abs(pixels - scaled).max()) / _BYTE
    notes = ()
    if off > _ROUNDING:
        notes = (f'floats were rounded to 256 levels, by {off:.4f} at most',)
    return Examples(pixels.astype(np.uint8), ImageSpec, _BYTE + 1, notes=notes)


def _sounds(array):
    """Sounds [N, T] as 16-bit integers."""
    if array.dtype == np.int16:
        return Examples(array, SoundSpec, 1 << 16)
    if array.ndim != 2 or array.dtype.kind != 'f':
        raise UserError(
            f'sounds have shape {list(array.shape)} and type {array.dtype}: '
            'pass [N, T], int16 or floats in [-1, 1]'
        )
    lowest, highest = float(array.min()), float(array.max())
    if lowest < -1.0 or highest > 1.0:
        raise UserError(
            f'sounds are floats in [{lowest:.4g}, {highest:.4g}], and floats '
            'must be in [-1, 1]: pass sounds / np.abs(sounds).max()'
        )
    whole = np.clip(np.round(array * 2.0**15), -(2**15), 2**15 - 1)
    return Examples(whole.astype(np.int16), SoundSpec, 1 << 16)


def _symbols(array):
    """Symbols [N, T]; the symbol k has the text 'k'."""
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0:
        raise UserError(f'symbols contain {lowest}: number them from 0 on')
    if highest >= 2**16:
        raise UserError(
            f'symbols contain {highest}: use at most 65,536 symbols'
        )
    alphabet = tuple(map(str, range(highest + 1)))
    return Examples(array.astype(np.int32), SymbolSpec, len(alphabet), alphabet)


def _strings(array, spec_types):
    """Strings as rows of letters, padded with the empty string."""
    if SymbolSpec not in spec_types:
        _require(Examples(array, SymbolSpec), spec_types, array)
    alphabet = ('', *sorted(set(''.join(array.tolist()))))
    place = {letter: number for number, letter in enumerate(alphabet)}
    length = max(map(len, array.tolist()))
    if not length:
        raise UserError('all strings are empty: pass lines of text')
    rows = np.zeros([len(array), length], np.int32)
    for row, line in zip(rows, array.tolist(), strict=True):
        row[: len(line)] = [place[letter] for letter in line]
    return Examples(rows, SymbolSpec, len(alphabet), alphabet)
