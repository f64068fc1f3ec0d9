"""Reads folders of pictures.

TFDS's ImageFolder reads only one layout and does not say which file is damaged.
"""

import collections
import os
import pathlib
import re
import stat

import numpy as np

from tfgen import storage
from tfgen.data.readers import picture
from tfgen.data.readers.base import (
    TEST,
    TRAIN,
    VALIDATION,
    Fingerprint,
    InMemory,
    Source,
    fit,
    hold_out,
    stack,
)
from tfgen.data.readers.picture_cache import Decoded, cached
from tfgen.errors import UserError


def open_folder(
    path: pathlib.Path,
    size: tuple[int, int] | None,
) -> Source:
    """Reads PATH/{train,test}/CLASS/*.png, PATH/CLASS/*.png or PATH/*.png.

    All files that Pillow decodes are read. Files in deeper folders belong to
    the class above them. Names that begin with a dot are skipped. `val` is the
    test split if there is no `test`. All pictures become colour if any has
    colour.
    """
    # Path.is_dir raises for a long path.
    remote = storage.is_remote(path)
    if not (path.is_dir() if remote else os.path.isdir(path)):
        is_file = path.is_file() if remote else os.path.isfile(path)
        what = 'is a file' if is_file else 'does not exist'
        raise UserError(
            f'folder {str(path)!r} {what}: give folder:PATH with the path of a '
            'folder of images'
        )
    listed, others = {}, collections.Counter()
    folders, outside = _splits(path, others)
    for split, folder in folders.items():
        listed[split] = _listed(folder, others, outside)
        if not listed[split]:
            raise UserError(
                f'folder {str(folder)!r} holds no images for {split}: put '
                '.png or .jpg files into it or into one folder per class'
            )
    if others:
        kinds = ', '.join(f'{n} {kind}' for kind, n in sorted(others.items()))
        outside.append(f'files that are no pictures ({kinds})')
    classes = _classes(path, listed)
    files = [file for pictures in listed.values() for file, _ in pictures]
    found = cached(path, files, size, lambda: _decoded(path, listed, size))
    numbers = {name: number for number, name in enumerate(classes or [''])}
    labels = np.array(
        [numbers[c] for pictures in listed.values() for _, c in pictures]
    )
    held = _held(path, listed, labels if classes else None)
    notes = _notes(outside, found.remarks, files)
    trained = np.unique(labels[held['train']])
    notes += [
        f'class {name!r} has no training picture'
        for label, name in enumerate(classes)
        if label not in trained
    ]
    return Source(
        found.images.shape[1:],
        256,
        classes,
        {
            split: InMemory(
                found.images[rows], labels[rows] if classes else None
            )
            for split, rows in held.items()
        },
        found.fingerprint,
        f'{folders["test"].name}/' if 'test' in folders else '',
        tuple(notes),
    )


def _held(path, listed, labels):
    """The rows of 'train' and 'test' among all pictures."""
    if 'test' not in listed:
        count = len(listed['train'])
        return hold_out(f'folder:{path}', count, labels)
    count = sum(map(len, listed.values()))
    rows = np.split(np.arange(count), [len(listed['train'])])
    return dict(zip(('train', 'test'), rows, strict=True))


def _notes(outside, remarks, files):
    """Files that were not read, and remarks on others; one line each."""
    notes = [f'left out: {"; ".join(outside)}'] if outside else []
    for remark, rows in remarks.items():
        more = f' and {len(rows) - 1} more' if len(rows) > 1 else ''
        notes.append(f'{remark}: {str(files[rows[0]])!r}{more}')
    return notes


def natural(name: str) -> tuple:
    """A sort key that orders names by the numbers in them: 2 before 10."""
    parts = re.split(r'(\d+)', name)
    return [(int(p), '') if p.isdecimal() else (-1, p) for p in parts], name


def _splits(path, others):
    """{split: its folder}, and notes on pictures outside these folders.

    Files that are no pictures are counted in `others`, by kind.
    """
    folders = sorted(f for f in _entries(path) if f.is_dir())
    train = _one_of(path, folders, TRAIN)
    test = _one_of(path, folders, TEST, VALIDATION)
    if train is None:
        _refuse_splits_inside(folders)
        if test is not None:
            raise UserError(
                f'folder {str(path)!r} has {test.name}/ and no train/: name '
                f'the folder of training pictures train, or rename '
                f'{test.name}/ if it is a class'
            )
        return {'train': path}, []
    chosen = {'train': train}
    if test is not None:
        chosen['test'] = test
    outside = []
    for folder in folders:
        if folder not in chosen.values():
            pictures, rest = _pictures(folder)
            others.update(map(_kind, rest))
            count = len(pictures)
            outside.append(f'{folder.name}/ ({_count(count)})')
            if (
                count
                and test is None
                and any(map(_is_picture, _entries(train)))
            ):
                raise UserError(
                    f'folder {str(path)!r} has pictures in {train.name}/ and '
                    f'in {folder.name}/: rename {train.name}/ if it is a '
                    f'class, or move {folder.name}/ away if it is not'
                )
    beside = [f for f in _entries(path) if not f.is_dir()]
    loose = [f for f in beside if _is_picture(f)]
    others.update(_kind(f) for f in beside if not _is_picture(f))
    if loose:
        outside.append(f'beside {train.name}/ ({_count(len(loose))})')
    return chosen, outside


def _refuse_splits_inside(folders):
    """Refuses a path that seems to be one folder above a data set."""
    for folder in folders:
        for inside in _entries(folder):
            if inside.is_dir() and inside.name.lower() in TRAIN:
                raise UserError(
                    f'folder {str(folder)!r} has {inside.name}/ in it, which '
                    'would be read as part of one class: name '
                    f'folder:{folder}, or rename {inside.name}/'
                )


def _one_of(path, folders, *alternatives):
    """Finds the folder whose name is in `alternatives`; None if none is.

    An earlier alternative wins over a later one.
    """
    for names in alternatives:
        found = [f for f in folders if f.name.lower() in names]
        if len(found) > 1:
            raise UserError(
                f'folder {str(path)!r} has both {found[0].name}/ and '
                f'{found[1].name}/: rename or join them'
            )
        if found:
            return found[0]
    return None


def _listed(folder, others, outside):
    """[(file, class)], sorted by name; the class of a loose file is ''."""
    listed = []
    for entry in sorted(_entries(folder), key=lambda f: (f.is_dir(), f.name)):
        pictures, rest = _pictures(entry)
        others.update(map(_kind, rest))
        label = entry.name if entry.is_dir() else ''
        listed += [(f, label) for f in pictures]
        if entry.is_dir() and not pictures:
            outside.append(f'folder {str(entry)!r}, which holds no pictures')
    return listed


def _pictures(entry):
    """The pictures and the other files in `entry`, at any depth."""
    pictures, rest, seen = [], [], set()

    def walk(entry):
        """Sorts an entry, and all entries below it, into the two lists."""
        if not entry.is_dir():
            (pictures if _is_picture(entry) else rest).append(entry)
            return
        real, above = _real(entry), _real(entry.parent)
        back = entry.is_symlink() and f'{above}/'.startswith(f'{real}/')
        if back or real in seen:
            rest.append(entry)  # a link upwards holds other classes as well
        else:
            seen.add(real)
            inside = sorted(_entries(entry))
            for below in sorted(inside, key=lambda f: f.is_dir()):
                walk(below)

    walk(entry)
    return pictures, rest


def _real(entry):
    """The path of an entry without symbolic links."""
    if storage.is_remote(entry):
        return str(entry)
    return os.path.realpath(entry)


def _entries(folder):
    """The entries of a folder, without hidden ones."""
    try:
        return [f for f in folder.iterdir() if not f.name.startswith('.')]
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f'folder {str(folder)!r} cannot be read ({error.strerror}): give '
            'yourself access, or name another folder'
        ) from None


def _kind(entry):
    """The kind of a file that is no picture, for a note."""
    if entry.is_dir():
        return 'links to folders'
    return entry.suffix.lower() or 'without ending'


def _is_picture(file):
    return file.suffix.lower() in picture.suffixes()


def _count(number):
    """'1 picture', '2 pictures'."""
    return f'{number} picture{"s"[: number != 1]}'


def _classes(path, listed):
    """Class names in order; empty if no picture is in a class folder."""
    found = {c for pictures in listed.values() for _, c in pictures}
    if found == {''}:
        return ()
    if '' in found:
        raise UserError(
            f'folder {str(path)!r} has classes in one place and loose images '
            'in another: put every image into the folder of its class'
        )
    return tuple(sorted(found, key=natural))


def _decoded(path, listed, size):
    """Decodes the pictures of all splits, in order."""
    images, fingerprint = [], Fingerprint()
    remarks = collections.defaultdict(list)
    files = [file for pictures in listed.values() for file, _ in pictures]
    contents = storage.in_parallel(_content, files)
    for split, pictures in listed.items():
        for file, label in pictures:
            content = next(contents)
            fingerprint.add(split, label, file.name, content)
            read = picture.decode(file, content)
            for remark in read.remarks:
                remarks[remark].append(len(images))
            images.append(fit(read.pixels, size))
    channels = max(image.shape[-1] for image in images)
    stacked = stack(
        str(path),
        [np.broadcast_to(i, (*i.shape[:2], channels)) for i in images],
    )
    return Decoded(stacked, str(fingerprint), dict(remarks))


def _content(file):
    """The bytes of a regular file."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UserError(
                f'image {str(file)!r} is no regular file: move it out of the '
                'folder'
            )
        return file.read_bytes()
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f'image {str(file)!r} cannot be read ({error.strerror}): give '
            'yourself access, or move it out of the folder'
        ) from None
