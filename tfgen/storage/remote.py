"""Files of object storage, through TensorFlow's own client.

`Url` has the methods of pathlib.Path that tfgen uses, for addresses such as
gs://bucket/run. Its errors are those of pathlib, so the callers treat a bucket
like a disk. Object storage has no folders: a folder is there as long as an
object's name begins with it. An object is visible when its upload has ended, so
a file is never half written.
"""

import contextlib
import errno
import fnmatch
import functools
import os
import posixpath
import re
import stat as mode
import types
from collections.abc import Iterator

import tensorflow as tf

from tfgen.errors import UserError

_PART = 1 << 30  # bytes that are read at a time
_PARTS = re.compile(r'([A-Za-z][A-Za-z0-9+.-]+)://([^/]*)(/.*)?', re.DOTALL)


class Unavailable(UserError, OSError):
    """A request that failed; one line for the user, and an OSError."""

    remedy = 'try again when the storage answers'

    def __init__(self, number: int, why: str, path: str):
        OSError.__init__(self, number, why, path)

    def __str__(self) -> str:
        return (
            f'{self.filename!r} cannot be read or written ({self.strerror}): '
            f'{self.remedy}'
        )


class Denied(Unavailable, PermissionError):
    """A request without permission."""

    remedy = 'give this account access to the bucket, or name another place'


@contextlib.contextmanager
def errors(path: 'Url | str'):
    """Turns TensorFlow's errors into the OSErrors of a disk."""
    try:
        yield
    except tf.errors.OpError as error:
        raise os_error(error, path) from None


def os_error(error: tf.errors.OpError, path: 'Url | str') -> OSError:
    """The OSError of a disk for an error of TensorFlow."""
    path = str(path)
    if isinstance(error, tf.errors.NotFoundError):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    denied = tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError
    if isinstance(error, denied):
        return Denied(errno.EACCES, reason(error), path)
    return Unavailable(errno.EIO, reason(error), path)


def reason(error: tf.errors.OpError) -> str:
    """The reason of a failed request, in a few words."""
    code = re.search(r'HTTP response code (\d+)', error.message)
    words = re.sub(r'(?<!^)(?=[A-Z])', ' ', type(error).__name__).lower()
    words = words.removesuffix(' error')
    if code:
        return f'{words}, HTTP {code[1]}'
    if 'libcurl' in error.message:
        return f'{words}: no connection'
    return f'{words}: {" ".join(error.message.split())[:80]}'


@functools.total_ordering
class Url(os.PathLike):
    """An address like gs://bucket/folder/file.

    Args:
      text: the address. A slash at the end is dropped.

    Attributes:
      scheme, bucket: 'gs' and 'bucket'.
    """

    def __init__(self, text: str):
        found = _PARTS.fullmatch(text)
        if not found:
            raise ValueError(f'{text!r} is no address')
        self.scheme, self.bucket = found[1].lower(), found[2]
        path = posixpath.normpath(found[3] or '/').lstrip('/')
        self._path = '' if path == '.' else path
        self._is_folder: bool | None = None  # known from a listing

    def __str__(self) -> str:
        end = f'/{self._path}' if self._path else ''
        return f'{self.scheme}://{self.bucket}{end}'

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f'Url({str(self)!r})'

    def __eq__(self, other) -> bool:
        return isinstance(other, Url) and str(self) == str(other)

    def __lt__(self, other) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    # Parts of the name.

    def __truediv__(self, name: 'str | os.PathLike') -> 'Url':
        return Url(f'{self}/{os.fspath(name)}')

    @property
    def root(self) -> 'Url':
        """The bucket."""
        return Url(f'{self.scheme}://{self.bucket}')

    @property
    def parent(self) -> 'Url':
        return self.root / posixpath.dirname(self._path)

    @property
    def parents(self) -> list['Url']:
        """The folders above, up to the bucket."""
        found = [self]
        while found[-1]._path:
            found.append(found[-1].parent)
        return found[1:]

    @property
    def name(self) -> str:
        return posixpath.basename(self._path)

    @property
    def stem(self) -> str:
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.name)[1]

    def with_name(self, name: str) -> 'Url':
        return self.parent / name

    def with_suffix(self, suffix: str) -> 'Url':
        return self.parent / (self.stem + suffix)

    def absolute(self) -> 'Url':
        return self

    def resolve(self) -> 'Url':
        return self

    # Existence, size and entries.

    def exists(self) -> bool:
        with errors(self):
            return tf.io.gfile.exists(str(self))

    def is_dir(self) -> bool:
        if self._is_folder is not None:
            return self._is_folder
        try:
            with errors(self):
                # Not isdir, which takes an outage for a missing folder.
                return tf.io.gfile.stat(str(self)).is_directory
        except FileNotFoundError:
            return False

    def is_symlink(self) -> bool:
        return False

    def is_file(self) -> bool:
        return self.exists() and not self.is_dir()

    def stat(self) -> types.SimpleNamespace:
        """Size and time of change, by the names of os.stat."""
        with errors(self):
            found = tf.io.gfile.stat(str(self))
        return types.SimpleNamespace(
            st_size=found.length,
            st_mtime=found.mtime_nsec / 1e9,
            st_mtime_ns=found.mtime_nsec,
            st_mode=mode.S_IFDIR if found.is_directory else mode.S_IFREG,
        )

    def iterdir(self) -> Iterator['Url']:
        try:
            names = self._listed()
        except FileNotFoundError:
            if self.is_dir():  # raises an outage, which looks the same
                names = self._listed_again()
            elif self.exists():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self)
                ) from None
            else:
                raise
        # Folders end in a slash; an object may have the folder's own name.
        for name in names:
            if name.strip('/'):
                entry = self / name
                entry._is_folder = name.endswith('/')
                yield entry

    def _listed(self):
        """The names in this folder; FileNotFoundError also in an outage."""
        with errors(self):
            return tf.io.gfile.listdir(str(self))

    def _listed_again(self):
        """The names in this folder, which is known to be there."""
        try:
            return self._listed()
        except FileNotFoundError:
            why = 'the folder cannot be listed'
            raise Unavailable(errno.EIO, why, str(self)) from None

    def glob(self, pattern: str) -> Iterator['Url']:
        """The entries whose names match; none if the folder does not exist."""
        try:
            found = list(self.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            found = []
        return (f for f in found if fnmatch.fnmatchcase(f.name, pattern))

    def walk(self) -> Iterator['Url']:
        """The files below, at any depth."""
        for entry in self.iterdir():
            if entry.is_dir():
                yield from entry.walk()
            else:
                yield entry

    # Contents.

    def read_bytes(self) -> bytes:
        content = b''
        with errors(self), tf.io.gfile.GFile(str(self), 'rb') as file:
            # Without a number, `read` would first ask for the file's size.
            while part := file.read(_PART):
                content += part
                if len(part) < _PART:
                    break
        return content

    def read_text(self, encoding: str = 'utf-8') -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Uploads a file. It replaces the old one when it is complete."""
        failed = None
        try:
            with tf.io.gfile.GFile(str(self), 'wb') as file:
                file.write(content)  # nothing is made without a write
        except tf.errors.OpError as error:
            failed = os_error(error, self)
        # When the GFile is freed, TensorFlow tries the upload once more. So
        # the error, which refers to the GFile, ends before this one is raised.
        file = None
        if failed:
            raise failed

    def replace(self, target: 'Url') -> None:
        with errors(self):
            tf.io.gfile.rename(str(self), str(target), overwrite=True)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with errors(self):
                tf.io.gfile.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Does nothing: a folder is there when it has files."""

    def rmdir(self) -> None:
        """Does nothing: see mkdir."""
