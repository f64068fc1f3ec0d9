"""Folders of pictures.

TFDS's ImageFolder reads one layout and does not say which file is damaged.
"""

import contextlib
import pathlib

import numpy as np
from PIL import Image

from tfgen.errors import UserError
from tfgen.readers.base import InMemory, Source, fit, hold_out, stack

_SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif'}


def open_folder(path: pathlib.Path, size: tuple[int, int] | None) -> Source:
    """Reads PATH/{train,test}/CLASS/*.png, PATH/CLASS/*.png or PATH/*.png.

    Grey or colour as the first picture is.
    """
    if not path.is_dir():
        raise UserError(
            f'folder {str(path)!r} does not exist: give folder:PATH with the '
            'path of a folder of images'
        )
    if (path / 'train').is_dir():
        listed = {'train': _listed(path / 'train')}
        if (path / 'test').is_dir():
            listed['test'] = _listed(path / 'test')
    else:
        listed = {'train': _listed(path)}
    for split, files in listed.items():
        if not files:
            raise UserError(
                f'folder {str(path)!r} holds no images for {split}: put .png '
                f'or .jpg files into it or into one folder per class'
            )
    classes = sorted({c for files in listed.values() for _, c in files})
    if classes == ['']:
        classes = []
    elif '' in classes:
        raise UserError(
            f'folder {str(path)!r} has classes in one place and loose images '
            'in another: put every image into the folder of its class'
        )
    channels = _folder_channels(listed['train'][0][0])
    arrays = {}
    for split, files in listed.items():
        images = [fit(_decode_file(f, channels), size) for f, _ in files]
        labels = [classes.index(c) if classes else 0 for _, c in files]
        arrays[split] = (stack(str(path), images), np.asarray(labels))
    if 'test' not in arrays:
        images, labels = arrays['train']
        arrays = {
            split: (images[rows], labels[rows])
            for split, rows in hold_out(len(images)).items()
        }
    splits = {
        split: InMemory(images, labels if classes else None)
        for split, (images, labels) in arrays.items()
    }
    shape = arrays['train'][0].shape[1:]
    if arrays['test'][0].shape[1:] != shape:
        raise UserError(
            f'images of {str(path)!r} differ in size between train and test: '
            'set image_size, for example --set image_size=32,32'
        )
    return Source(shape, 256, len(classes), splits)


def _listed(folder):
    """[(file, class)], by name; the class of a loose file is ''."""

    def files(where):
        return sorted(
            f for f in where.iterdir() if f.suffix.lower() in _SUFFIXES
        )

    return [(f, '') for f in files(folder)] + [
        (f, sub.name)
        for sub in sorted(folder.iterdir())
        if sub.is_dir()
        for f in files(sub)
    ]


def _folder_channels(file):
    """1 or 3, as the first image."""
    grey = {'1', 'L', 'LA', 'I', 'I;16', 'F'}
    with _opened(file) as image:
        return 1 if image.mode in grey else 3


def _decode_file(file, channels):
    with _opened(file) as image:
        pixels = np.asarray(image.convert('L' if channels == 1 else 'RGB'))
    return pixels.reshape(*pixels.shape[:2], channels)


@contextlib.contextmanager
def _opened(file):
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, ValueError, SyntaxError):  # what Pillow raises
        raise UserError(
            f'image {str(file)!r} cannot be decoded: replace or remove it'
        ) from None
