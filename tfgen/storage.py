"""Writes files whole or not at all, and explains the errors of disks."""

import contextlib
import errno
import io
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Mapping

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


def local(
    path: str | os.PathLike, tensorflow: bool = True, remedy: str = ''
) -> pathlib.Path:
    """Checks that a path is local and usable, and expands ~.

    Every path that a user gives passes through here.

    Args:
      path: need not exist.
      tensorflow: whether TensorFlow will use the path. TensorFlow accepts only
        UTF-8, and reads some characters as a pattern.
      remedy: advice for the message if ~ has no home folder.

    Raises:
      UserError: the path is an address, or no file can be there.
    """
    text = os.fsdecode(path)
    if is_address(text):
        raise UserError(
            f'{text!r} is an address, and tfgen reads and writes local files '
            'only: pass a local path, such as the path where the storage is '
            'mounted'
        )
    # ~NAME of an unknown user is kept as an ordinary name.
    place = os.path.expanduser(text)
    if place == '~' or place.startswith('~/'):
        remedy = remedy or 'write the whole path'
        raise UserError(
            f'{text!r} cannot be expanded, because this user has no home '
            f'folder: {remedy}, or set HOME'
        )
    _require_encoding(place, tensorflow)
    if tensorflow and not _PATTERN.isdisjoint(place):
        raise UserError(
            f'{place!r} contains one of {" ".join(sorted(_PATTERN))}, '
            'which TensorFlow reads as a pattern: use another path'
        )
    try:
        os.stat(os.path.join(place, _ROOM * 'x'))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, a loop of links, a NUL
        raise UserError(
            f'{place!r} cannot be used ({reason(error)}): use another path'
        ) from None
    return pathlib.Path(place)


def default_cache() -> pathlib.Path:
    """$XDG_CACHE_HOME/tfgen, or ~/.cache/tfgen.

    Raises:
      UserError: the user has no home.
    """
    cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return local(cache, remedy='pass --cache_dir') / 'tfgen'


def is_address(text: str) -> bool:
    """Whether `text` is an address such as gs://..., not a local path."""
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

    Folders are made if needed. All contents are on the disk before the first
    file is replaced, so a full disk changes nothing.

    Raises:
      UserError: a file cannot be written. No file has changed, unless its own
        replacement succeeded before that of another file failed.
    """
    made, new = {}, []
    try:
        for file, content in contents.items():
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
        what = remedy(error, 'free some space, or name another place')
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
    try:
        found = [f for f in folder.iterdir() if is_number(f.name)]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    numbered = {int(f.name): f for f in found if f.is_dir()}
    return {n: numbered[n] for n in sorted(numbered, reverse=True)}


def is_number(name: str) -> bool:
    """Whether a server treats a folder of this name as a version."""
    return name.isascii() and name.isdecimal()


def packaged(name: str) -> pathlib.Path:
    """A folder that comes with the code, in a clone or installed."""
    package = pathlib.Path(__file__).parent
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


def remedy(error: Exception, otherwise: str) -> str:
    """Advice after a failed write: `otherwise`, unless the path is taken."""
    if reason(error) in map(os.strerror, _TAKEN):
        return 'move away what is in its place'
    return otherwise


def is_disk_error(error: Exception) -> bool:
    """Whether the cause is a disk that is full, failing or not writable."""
    if isinstance(error, OSError):
        return error.errno in _DISK
    return reason(error) in map(os.strerror, _DISK)
