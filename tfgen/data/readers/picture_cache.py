"""Keeps the decoded pictures of large folders.

Decoding 300,000 small pictures takes a minute or more; reading them decoded
takes seconds. A folder has one entry for each size, `cache/pictures/KEY-STATE`
with the ending .npy for the pictures and .json for the rest. KEY stands for the
folder's path, the size and the decoder; STATE for the names, sizes and times of
change of all its files. So a folder that changes is decoded again, and its new
entry replaces the old one.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import PIL

from tfgen import storage
from tfgen.errors import UserError

# Folders with fewer pictures are decoded in a few seconds.
_FEWEST = 10_000
# Bytes of all entries; the ones not used for longest go first.
_LIMIT = 8 << 30
# Increase it when pictures are decoded in another way.
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Decoded:
    """The pictures of a folder.

    Attributes:
      images: uint8 [N, H, W, C], in the order of the files.
      fingerprint: see Source.
      remarks: remark -> numbers of the files that it is about.
    """

    images: np.ndarray
    fingerprint: str
    remarks: dict[str, list[int]]


def cached(
    path: pathlib.Path,
    files: Sequence[pathlib.Path],
    size: tuple[int, int] | None,
    decode: Callable[[], Decoded],
) -> Decoded:
    """The pictures of a folder, from the cache or else decoded.

    What cannot be cached, because there is no home or no space, is decoded each
    time.

    Args:
      path: of the folder.
      files: of the pictures.
      size: of the decoded pictures; None if they stay as they are.
      decode: decodes the files.
    """
    if len(files) < _FEWEST:
        return decode()
    try:
        entry = _entry(path, files, size)
    except (UserError, OSError):  # no home; a file that decode will name
        return decode()
    try:
        return _read(entry)
    except (OSError, ValueError, KeyError, EOFError):  # none, or damaged
        pass
    print(
        f'decoding {len(files):,} pictures, once; they are kept in '
        f'{entry.parent}',
        flush=True,
    )
    found = decode()
    try:
        _write(entry, found)
    except OSError as error:
        print(
            f'the decoded pictures cannot be kept in {entry.parent} '
            f'({storage.reason(error)}): the next start decodes them again'
        )
    return found


def _entry(path, files, size):
    """The path of the folder's entry, without an ending."""
    state = hashlib.blake2b(digest_size=8)
    for file, found in zip(
        files, storage.in_parallel(lambda f: f.stat(), files), strict=True
    ):
        if not stat.S_ISREG(found.st_mode):
            raise OSError('no regular file')
        state.update(
            f'{file}\0{found.st_size}\0{found.st_mtime_ns}\0'.encode(
                errors='surrogateescape'
            )
        )
    text = f'{_VERSION}\0{PIL.__version__}\0{path.absolute()}\0{size}'
    key = hashlib.blake2b(text.encode(errors='surrogateescape'), digest_size=8)
    name = f'{key.hexdigest()}-{state.hexdigest()}'
    return storage.default_cache() / 'pictures' / name


def _read(entry):
    """Reads an entry; raises an exception if it is not whole."""
    facts = json.loads(entry.with_suffix('.json').read_text())
    file = entry.with_suffix('.npy')
    images = np.load(file, mmap_mode='r')
    os.utime(file)  # it is used now
    return Decoded(images, facts['fingerprint'], facts['remarks'])


def _write(entry, found):
    """Writes an entry, whole or not at all, in place of the folder's others."""
    folder = entry.parent
    folder.mkdir(parents=True, exist_ok=True)
    key = entry.name.partition('-')[0]
    for old in folder.glob(f'{key}-*'):
        old.unlink(missing_ok=True)
    _make_room(folder, found.images.nbytes)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix='.')
    try:
        with os.fdopen(handle, 'wb') as stream:
            np.save(stream, found.images)
        os.replace(temporary, entry.with_suffix('.npy'))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    facts = {'fingerprint': found.fingerprint, 'remarks': found.remarks}
    storage.write_json(entry.with_suffix('.json'), facts)


def _make_room(folder, size):
    """Removes the entries that were not used for longest."""
    entries = sorted(folder.glob('*.npy'), key=lambda f: f.stat().st_mtime)
    used = sum(file.stat().st_size for file in entries)
    for file in entries:
        if used + size <= _LIMIT:
            return
        used -= file.stat().st_size
        file.with_suffix('.json').unlink(missing_ok=True)
        file.unlink(missing_ok=True)
