"""Paths on disks and in object storage.

`place` turns a user's path into a pathlib.Path, or into a remote.Url for an
address such as gs://bucket/run. Both have the same methods and errors.
"""

import contextlib
import errno
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import cast

import numpy as np
from PIL import Image

from tfgen.errors import UserError

# In the paths of checkpoints, TensorFlow reads these letters as a pattern.
_PATTERN = frozenset('*?[]\\')
# Errors of a write if something else already exists at the path.
_TAKEN = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
# Characters that names of files may add to the path of a folder.
_ROOM = 200
# 'gs://bucket/run', also after pathlib has removed a slash. A single letter
# would be a drive.
_ADDRESS = re.compile(r'\s*[A-Za-z][A-Za-z0-9+.-]+:/')


# Seconds in which a bucket must answer the first request.
_PATIENCE = 60
_REQUESTS = 32  # at once
_checked: set[str] = set()  # buckets that are there


def place(
    path: str | os.PathLike, tensorflow: bool = True, remedy: str = ''
) -> pathlib.Path:
    """Checks that a path is usable, and expands ~.

    Every path that a user gives passes through here.

    Args:
      path: need not exist. It may be an address of a scheme that TensorFlow
        reads, such as gs://bucket/folder.
      tensorflow: whether TensorFlow will use the path. TensorFlow accepts only
        UTF-8, and reads some characters as a pattern.
      remedy: advice for the message if ~ has no home folder.

    Returns:
      A pathlib.Path, or a remote.Url, which has its methods.

    Raises:
      UserError: no file can be there, or the bucket does not answer.
    """
    if is_remote(path):
        return cast(pathlib.Path, path)
    text = os.fsdecode(path)
    if is_address(text):
        return _url(text)
    # ~NAME of an unknown user is kept as an ordinary name.
    full = os.path.expanduser(text)
    if full == '~' or full.startswith('~/'):
        remedy = remedy or 'write the whole path'
        raise UserError(
            f'{text!r} cannot be expanded, because this user has no home '
            f'folder: {remedy}, or set HOME'
        )
    _require_encoding(full, tensorflow)
    if tensorflow:
        _refuse_patterns(full)
    try:
        os.stat(os.path.join(full, _ROOM * 'x'))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, a loop of links, a NUL
        raise UserError(
            f'{full!r} cannot be used ({reason(error)}): use another path'
        ) from None
    return pathlib.Path(full)


def _refuse_patterns(text):
    """Raises UserError for a path that TensorFlow reads as a pattern."""
    if not _PATTERN.isdisjoint(text):
        raise UserError(
            f'{text!r} contains one of {" ".join(sorted(_PATTERN))}, '
            'which TensorFlow reads as a pattern: use another path'
        )


def _url(text):
    """The Url of an address; its bucket is there."""
    import tensorflow as tf

    from tfgen.storage import remote

    scheme, _, rest = text.strip().partition(':/')
    # pathlib has removed a slash of an address that passed through it.
    text = f'{scheme}://{rest.removeprefix("/")}'
    known = [s for s in tf.io.gfile.get_registered_schemes() if s != 'file']
    if scheme.lower() not in known:
        raise UserError(
            f'{text!r} is an address of {scheme}, which tfgen does not '
            'read: use gs://BUCKET/PATH, or a local path'
        )
    _refuse_patterns(text)
    url = remote.Url(text)
    if not url.bucket:
        raise UserError(f'{text!r} names no bucket: write gs://BUCKET/PATH')
    if str(url.root) not in _checked:
        _require_bucket(url.root)
        _checked.add(str(url.root))
    return url


def _require_bucket(bucket):
    """Raises UserError if a bucket is not there or does not answer.

    TensorFlow would ask a missing bucket for ever, and wait for minutes in an
    outage.
    """
    answers: list = []

    def ask():
        try:
            answers.append(bucket.exists())
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    answer = answers[0] if answers else None
    # Access to objects does not imply access to the bucket's own facts.
    if answer is True or isinstance(answer, PermissionError):
        return
    why = 'does not exist: create it, or correct its name'
    if answer is None:
        why = f'does not answer within {_PATIENCE} s: check the network'
    elif answer:
        why = f'does not answer ({answer.strerror}): check the network'
    raise UserError(f'bucket {str(bucket)!r} {why}')


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path from `place` is in object storage."""
    return hasattr(path, 'bucket')


def absolute(path: str | os.PathLike, tensorflow: bool = True) -> str:
    """A user's path in full, as stored configurations hold it."""
    found = place(path, tensorflow)
    return str(found) if is_remote(found) else os.path.abspath(found)


def entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """The entries of a folder; none if it does not exist.

    Raises:
      OSError: the folder cannot be read. (An outage is no empty folder.)
    """
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def in_parallel(function: Callable, paths: Sequence) -> Iterator:
    """function(path) of each path, in order.

    Requests to object storage wait most of the time, so many run at once.
    """
    if not paths or not is_remote(paths[0]):
        yield from map(function, paths)
        return
    with futures.ThreadPoolExecutor(_REQUESTS) as pool:
        yield from pool.map(function, paths)


def remove_tree(folder: pathlib.Path) -> None:
    """Removes a folder and all that is in it; errors are ignored."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for file in folder.walk():
            file.unlink(missing_ok=True)


def default_cache() -> pathlib.Path:
    """$XDG_CACHE_HOME/tfgen, or ~/.cache/tfgen.

    Raises:
      UserError: the user has no home.
    """
    cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return place(cache, remedy='pass --cache_dir') / 'tfgen'


def is_address(text: str) -> bool:
    """Whether `text` is an address such as gs://..., not a path on a disk."""
    return bool(_ADDRESS.match(text))


def _require_encoding(path, utf8):
    """Refuses a path that Python or TensorFlow would encode differently."""
    try:
        stored = os.fsencode(path)
        wanted = path.encode(errors='surrogatepass') if utf8 else stored
        if stored == wanted:
            return
        stored.decode()
    except UnicodeDecodeError:
        raise UserError(
            f'{path!r} is not valid UTF-8, and paths must be: rename it'
        ) from None
    except UnicodeEncodeError:
        pass
    raise UserError(
        f'{path!r} cannot be written in the encoding of this locale, '
        f'{sys.getfilesystemencoding()}: set PYTHONUTF8=1'
    )


def require_writable(folder: pathlib.Path, flag: str) -> None:
    """Raises UserError, with the remedy, for a folder that cannot be written.

    The folder need not exist. If it is made for the test, it is removed again.
    """
    if is_remote(folder):
        probe = folder / f'.probe-{os.getpid()}'
        try:
            probe.write_bytes(b'x')
            probe.unlink()
        except OSError as error:
            raise UserError(
                f'{str(folder)!r} cannot be written ({reason(error)}): pass '
                f'another {flag}'
            ) from None
        return
    new = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f'{str(folder)!r} cannot be written ({reason(error)}): pass '
            f'another {flag}'
        ) from None
    finally:
        for made in new:
            with contextlib.suppress(OSError):  # does not exist
                made.rmdir()


def write(contents: Mapping[pathlib.Path, bytes]) -> None:
    """Writes files; none is ever half written.

    Folders are made if needed. On a disk, all contents are there before the
    first file is replaced, so a full disk changes nothing.

    Raises:
      UserError: a file cannot be written. Files that were replaced before keep
        their new content; the others are unchanged.
    """
    made, new = {}, []
    try:
        for file, content in contents.items():
            if is_remote(file):
                file.write_bytes(content)
                continue
            new += [f for f in file.parents if not f.exists()]
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=file.parent, prefix='.')
            made[temporary] = file
            with os.fdopen(handle, 'wb') as stream:
                stream.write(content)
            os.chmod(temporary, 0o644)
        for temporary, file in list(made.items()):
            os.replace(temporary, file)
            del made[temporary]
        new.clear()
    except OSError as error:
        what = remedy(error, 'free some space, or name another place', file)
        raise UserError(
            f'{str(file)!r} cannot be written ({reason(error)}): {what}'
        ) from None
    finally:
        for temporary in made:
            os.unlink(temporary)
        for folder in new:
            with contextlib.suppress(OSError):  # not empty, or does not exist
                folder.rmdir()


def write_json(file: pathlib.Path, content: dict) -> None:
    """Writes `content` as JSON, whole or not at all."""
    text = json.dumps(content, indent=2, allow_nan=False) + '\n'
    write({file: text.encode()})


def write_picture(file: pathlib.Path, image: np.ndarray) -> None:
    """Writes a uint8 [H, W, C] picture in the format of the file's ending."""
    write({file: encode_picture(file, image)})


def encode_picture(file: pathlib.Path, image: np.ndarray) -> bytes:
    """Encodes a uint8 [H, W, C] picture in the format of the file's ending."""
    ending = file.suffix.lower()
    known = Image.registered_extensions().get(ending)
    if known not in Image.SAVE:
        raise UserError(
            f'{str(file)!r} has no known picture format: end its name in .png'
        )
    buffer = io.BytesIO()
    pixels = image.squeeze(-1) if image.shape[-1] == 1 else image
    try:
        Image.fromarray(pixels).save(buffer, known)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f'{str(file)!r} cannot be written ({error}): end its name in .png'
        ) from None
    return buffer.getvalue()


def versions(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The folders in `folder` whose names are numbers, newest first.

    Empty if `folder` does not exist.
    """
    found = [f for f in entries(folder) if is_number(f.name)]
    numbered = {int(f.name): f for f in found if f.is_dir()}
    return {n: numbered[n] for n in sorted(numbered, reverse=True)}


def is_number(name: str) -> bool:
    """Whether a server treats a folder of this name as a version."""
    return name.isascii() and name.isdecimal()


def packaged(name: str) -> pathlib.Path:
    """A folder that comes with the code, in a clone or installed."""
    package = pathlib.Path(__file__).parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def reason(error: Exception) -> str:
    """The reason of a failed operation, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # TensorFlow's own errors read "PATH; No space left on device".
    text = ' '.join(str(error).split())
    for number in (*_DISK, *_TAKEN):
        if os.strerror(number) in text:
            return os.strerror(number)
    return text[:120] or type(error).__name__


def remedy(error: Exception, otherwise: str, path: pathlib.Path) -> str:
    """Advice after a failed write: `otherwise`, unless the path is taken.

    For a path in object storage it is to look at the storage.
    """
    if is_remote(path):
        return 'check that the storage can be written'
    if reason(error) in map(os.strerror, _TAKEN):
        return 'move away what is in its place'
    return otherwise


def is_disk_error(error: Exception) -> bool:
    """Whether the cause is a disk that is full, failing or not writable."""
    if isinstance(error, OSError):
        return error.errno in _DISK
    return reason(error) in map(os.strerror, _DISK)
