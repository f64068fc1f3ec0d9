"""Opens a data set by name: its spec and its batches.

A batch is `{'image': float32 [B, H, W, C] in [0, 1], 'label': int32 [B]}`.
Another kind of example has the key of its Spec (data.specs). A set without
labels has no 'label'.
"""

import dataclasses
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import arguments, storage
from tfgen.arguments import Size
from tfgen.data import readers
from tfgen.data.embedded import points
from tfgen.data.readers.audio import open_audio
from tfgen.data.readers.text import open_lines, open_numerals, open_text
from tfgen.data.specs import (
    Binarization,
    ImageSpec,
    PaletteSpec,
    PartlyLabelledSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
)
from tfgen.data.stream import Data, labelled_rows
from tfgen.errors import UserError

_MOST_PIXELS = 1 << 24  # of an image


def load(
    name: str,
    data_dir: str | None = None,
    binarization: Binarization = 'none',
    image_size: tuple[Size, Size] | None = None,
) -> Data:
    """Opens a set of images.

    Args:
      name: 'digits' (embedded), any TFDS image set ('mnist', 'cifar10',
        'cats_vs_dogs', 'builder/config'), 'stacked_mnist' (or 'stacked_' with
        another grey set, see data/readers/stacked.py), 'folder:PATH', or
        'palette:PATH' (see data/readers/palette.py).
      data_dir: where TFDS keeps prepared sets; None for its default.
      binarization: 'none' leaves the values unchanged;
        'static' requires a set that is already binary (binarized_mnist);
        'dynamic' draws each value as Bernoulli(value): every time anew in
        training, only once in evaluation;
        'threshold' is 1 where the value is above 0.5.
        Likelihoods under different binarizations cannot be compared.
      image_size: (H, W). Images are cropped to its proportions, centred and as
        large as possible, and then resized. Required where the images of a set
        differ in size.

    Raises:
      UserError: the name is unknown, the set is not prepared and cannot be
        downloaded, its images cannot be read, or the binarization is
        impossible.
    """
    arguments.check_for(load, binarization=binarization, image_size=image_size)
    if image_size and math.prod(image_size) > _MOST_PIXELS:
        raise UserError(
            f'image_size {image_size[0]},{image_size[1]} has more than '
            f'{_MOST_PIXELS:,} pixels: set a smaller one'
        )
    source = readers.open_images(name, data_dir, image_size)
    return _images(name, source, binarization)


def _images(name, source, binarization):
    """The Data of a source of images."""
    _require_meaning(name, binarization, source)
    height, width, channels = source.shape
    fields = {
        'height': height,
        'width': width,
        'channels': channels,
        'levels': source.levels if binarization == 'none' else 2,
        'binarization': binarization,
        **_common(name, source),
    }
    if source.palette:
        return Data(PaletteSpec(palette=source.palette, **fields), source)
    return Data(ImageSpec(**fields), source)


def _require_meaning(name, binarization, source):
    """Refuses a binarization that is meaningless for the values of a set."""
    if source.palette and binarization != 'none':
        raise UserError(
            f'binarization={binarization} is not possible for a palette: use '
            'none'
        )
    if binarization == 'static' and source.levels != 2:
        raise UserError(
            f'binarization=static needs data of zeros and ones, and {name!r} '
            f'has {source.levels} levels: use dynamic or threshold, or the '
            'data set binarized_mnist'
        )


def load_partly_labelled(
    name: str,
    data_dir: str | None = None,
    binarization: Binarization = 'none',
    image_size: tuple[Size, Size] | None = None,
    num_labels: Size = 100,
) -> Data:
    """Opens a set of images of which training sees only a few labels.

    Args:
      name, data_dir, binarization, image_size: see `load`.
      num_labels: number of labelled images, a multiple of the number of
        classes. They are the same in every run.

    Raises:
      UserError: see `load`; also if a class has too few examples.
    """
    arguments.check_for(load_partly_labelled, num_labels=num_labels)
    whole = load(name, data_dir, binarization, image_size)
    return _partly_labelled(name, whole, num_labels)


def _partly_labelled(name, whole, num_labels):
    """The Data of images of which `num_labels` have a label."""
    classes = whole.spec.num_classes
    if classes < 2 or num_labels % classes:
        raise UserError(
            f'num_labels is {num_labels} and data set {name!r} has {classes} '
            f'class{"es"[: 2 * (classes != 1)]}: '
            + (
                f'use a multiple, for example {classes * 10}'
                if classes > 1
                else 'use a set with labels of two or more'
            )
        )
    spec = PartlyLabelledSpec(**vars(whole.spec), num_labels=num_labels)
    rows = labelled_rows(whole.source, classes, num_labels)
    return Data(spec, whole.source, rows)


def load_audio(
    name: str,
    data_dir: str | None = None,
    audio_length: Size = 4096,
) -> Data:
    """Opens a set of sounds.

    Args:
      name: 'tones' (embedded) or any TFDS set of 8- or 16-bit sounds
        ('spoken_digit').
      data_dir: see `load`.
      audio_length: T; a longer sound is cut, a shorter one padded with silence.

    Raises:
      UserError: see `load`.
    """
    arguments.check_for(load_audio, audio_length=audio_length)
    source = open_audio(name, data_dir, audio_length)
    return _sounds(name, source, source.sample_rate)


def _sounds(name, source, sample_rate):
    """The Data of a source of sounds."""
    spec = SoundSpec(
        length=source.shape[0],
        sample_rate=sample_rate,
        **_common(name, source),
    )
    return Data(spec, source)


def load_points(name: str, data_dir: str | None = None) -> Data:
    """Opens one of points.TOY_DISTRIBUTIONS.

    Raises:
      UserError: no toy distribution has this name.
    """
    if name not in points.TOY_DISTRIBUTIONS:
        raise UserError(
            f'{name!r} is no toy distribution: use one of '
            f'{", ".join(points.TOY_DISTRIBUTIONS)}'
        )
    distribution, source = (
        points.TOY_DISTRIBUTIONS[name],
        points.open_toy_distribution(name),
    )
    spec = PointSpec(
        size=distribution.size,
        extent=distribution.extent,
        **_common(name, source),
    )
    if isinstance(distribution, points.Mixture):
        spec = dataclasses.replace(
            spec, modes=distribution.modes, deviation=distribution.deviation
        )
    return Data(spec, source)


def load_text(
    name: str,
    data_dir: str | None = None,
    text_length: Size = 64,
) -> Data:
    """Opens a set of rows of letters; see readers.text.

    Args:
      name: 'text:PATH', a file cut into rows; 'lines:PATH', a file of lines; or
        'numerals' (embedded), the names of numbers.
      data_dir: not used.
      text_length: T, the letters in a row; a longer line is cut to T letters.

    Raises:
      UserError: see `load`.
    """
    arguments.check_for(load_text, text_length=text_length)
    prefix, _, path = name.partition(':')
    if name == 'numerals':
        source = open_numerals(text_length)
    elif prefix in TEXTS and path:
        place = storage.place(path, tensorflow=False)
        source = TEXTS[prefix](place, text_length)
    else:
        raise UserError(
            f'data set {name!r} is no text: name a text file with text:PATH, '
            'or lines:PATH, or use numerals'
        )
    return _symbols(name, source)


def _symbols(name, source):
    """The Data of a source of symbols."""
    spec = SymbolSpec(
        length=source.shape[0],
        alphabet=source.alphabet,
        **_common(name, source),
    )
    return Data(spec, source)


# Prefixes of the names of text files.
TEXTS = {'text': open_text, 'lines': open_lines}


# The name of data that were given in Python.
ARRAYS = 'arrays'


def of_source(
    name: str,
    source: readers.Source,
    kind: type[Spec],
    binarization: Binarization = 'none',
    num_labels: int | None = None,
    sample_rate: Size = 8000,
) -> Data:
    """The Data of a source that was not opened by name.

    Args:
      name: for messages.
      source: examples by index.
      kind: the class of their spec.
      binarization: of images; see `load`.
      num_labels: number of images whose label training sees; None for all.
      sample_rate: samples per second of sounds.

    Raises:
      UserError: a setting is impossible for these examples.
    """
    arguments.check_for(
        of_source, binarization=binarization, sample_rate=sample_rate
    )
    if issubclass(kind, ImageSpec):
        whole = _images(name, source, binarization)
        if num_labels is None:
            return whole
        return _partly_labelled(name, whole, num_labels)
    if kind is SoundSpec:
        return _sounds(name, source, sample_rate)
    if kind is SymbolSpec:
        return _symbols(name, source)
    return _points(name, source)


def _points(name, source):
    """The Data of a source of points; pictures show all of them."""
    sample = source.gather('train', _first_rows(source))[0]
    extent = 1.1 * float(np.abs(sample).max())
    spec = PointSpec(
        size=source.shape[0], extent=extent or 1.0, **_common(name, source)
    )
    return Data(spec, source)


def _first_rows(source):
    """Indices of at most 10,000 training examples."""
    count = min(10_000, len(source.splits['train']))
    return tf.range(count, dtype=tf.int64)


def _common(name, source) -> dict[str, Any]:
    """Fields that every spec takes from its source."""
    return {
        'name': name,
        'num_classes': len(source.class_names),
        'split_sizes': {k: len(v) for k, v in source.splits.items()},
        'class_names': source.class_names,
        'fingerprint': source.fingerprint,
    }


def absolute(name: str) -> str | None:
    """A data set's name with an absolute path; None for a name without path."""
    prefix, _, path = name.partition(':')
    if not path or prefix not in (*readers.PATHS, *TEXTS):
        return None
    return f'{prefix}:{storage.absolute(path, tensorflow=False)}'


def without_folders(name: str) -> str | None:
    """A data set's name with the last part of its path; None without path."""
    path = absolute(name)
    return path and f'{path.partition(":")[0]}:{pathlib.Path(path).name}'
