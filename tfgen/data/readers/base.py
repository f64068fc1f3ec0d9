"""The result of every reader: examples by index, in two splits."""

import codecs
import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfgen.errors import UserError

# Prefixes of names with a path, such as folder:PATH.
PATHS = ('folder', 'palette', 'arrays')
MEMORY_LIMIT = 4 << 30  # bytes of decoded examples
# Names of splits, in lower or upper case. The first one that exists is used.
_ENDINGS = ('', '_set', '_images', '_data')
TRAIN, TEST, VALIDATION = (
    tuple(f'{name}{ending}' for name in names for ending in _ENDINGS)
    for names in (
        ('train', 'training'),
        ('test', 'testing'),
        ('validation', 'val', 'valid', 'dev'),
    )
)
# A tenth of a set without a test split becomes its test split.
_HOLD_OUT = 10
_SEED = 1812
_SAMPLE = 64  # examples that represent a set too large to read


class Split(Protocol):
    """The examples of one split, by index."""

    def __len__(self) -> int: ...

    def gather(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Examples [B, *shape] and labels int32 [B], at int64 indices."""

    def class_sizes(self, num_classes: int) -> list[int] | None:
        """Number of examples of each class; None if they are not counted."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples by index.

    Attributes:
      shape: shape of every example, such as (H, W, C) or (T,).
      levels: number of different values. They are the integers 0 .. levels - 1,
        or for sounds -levels / 2 .. levels / 2 - 1.
      class_names: by label; empty without labels.
      splits: 'train' and 'test' -> their examples.
      fingerprint: a checksum; data sets that are equal bit for bit have equal
        fingerprints. If a set is not in memory, its fingerprint covers its
        sizes and only a sample of its examples.
      origin: where the test split comes from.
      notes: what was left out, or read differently from what a user may
        expect; one line each.
      palette: RGB bytes of each value, if values are indices of colours.
      sample_rate: samples per second of sounds.
      alphabet: the text of each value, if values are symbols.
      truth: the rule that made the examples, if it is known; see data.truth.
    """

    shape: tuple[int, ...]
    levels: int
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    fingerprint: str = ''
    origin: str = ''
    notes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] | None = None
    sample_rate: int = 0
    alphabet: tuple[str, ...] = ()
    truth: Any = None

    def gather(self, split: str, indices: tf.Tensor):
        """Integers [B, *shape], labels int32 [B] or None, at int64 indices."""
        return self.splits[split].gather(indices)


class InMemory:
    """A split that is decoded into arrays."""

    def __init__(self, examples: np.ndarray, labels: np.ndarray | None):
        # Kept on the host, because an accelerator's memory is for the model.
        with tf.device('CPU'):
            self.examples = tf.constant(examples)
            self.labels = (
                None if labels is None else tf.constant(labels, tf.int32)
            )

    def __len__(self):
        return self.examples.shape[0]

    def gather(self, indices):
        examples = tf.gather(self.examples, indices)
        if self.labels is None:
            return examples, None
        return examples, tf.gather(self.labels, indices)

    def class_sizes(self, num_classes: int) -> list[int] | None:
        """Number of examples of each class; None without labels."""
        if self.labels is None:
            return None
        return np.bincount(self.labels, minlength=num_classes).tolist()


class RandomAccess:
    """A split whose examples are decoded on request."""

    def __init__(self, source, rows: Sequence[int], keys, size, image_shape):
        self._source = source
        self._rows = rows
        self._image_key, self._label_key = keys
        self._size = size
        self._shape = image_shape

    def __len__(self):
        return len(self._rows)

    def gather(self, indices):
        images, labels = tf.numpy_function(
            self._read, [indices], [tf.uint8, tf.int32]
        )
        images = tf.ensure_shape(images, [indices.shape[0], *self._shape])
        labels = tf.ensure_shape(labels, [indices.shape[0]])
        return images, None if self._label_key is None else labels

    def class_sizes(self, num_classes: int) -> None:
        """None: counting would read the whole set."""

    def _read(self, indices):
        """Decodes examples: images [B, *shape] and labels int32 [B]."""
        examples = self._source.__getitems__(
            [self._rows[int(i)] for i in indices]
        )
        images = [
            fit(to_bytes(e[self._image_key]), self._size) for e in examples
        ]
        labels = [
            e[self._label_key] if self._label_key else 0 for e in examples
        ]
        return np.stack(images), np.asarray(labels, np.int32)


class Fingerprint:
    """A checksum of names, numbers and arrays, in the order they are added."""

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=12)

    def add(self, *parts) -> None:
        """Adds the parts to the checksum."""
        for part in parts:
            if isinstance(part, np.ndarray):
                self.add(str(part.dtype), str(part.shape))
                self._hash.update(np.ascontiguousarray(part).data)
            elif isinstance(part, bytes):
                self.add(str(len(part)))
                self._hash.update(part)
            else:
                # Names of files need not be UTF-8.
                text = f'{part}\0'.encode(errors='surrogateescape')
                self._hash.update(text)

    def __str__(self):
        return self._hash.hexdigest()


def decoded(file: pathlib.Path, content: bytes) -> str:
    """Decodes a UTF-8 file, with or without a byte order mark.

    Args:
      file: path, for the message of an error.
      content: bytes of the file.

    Raises:
      UserError: the file has another encoding.
    """
    mark = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    try:
        place = content.find(0)  # UTF-16 has many zero bytes
        text = content[mark:].decode()
    except UnicodeDecodeError as error:
        place = mark + error.start
    if place < 0:
        return text
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    usual = 'utf-16' if wide or not content[place] else 'latin1'
    raise UserError(
        f'{str(file)!r} is not valid UTF-8 at byte {place} '
        f'({content[place]:#04x}): convert it, for example with iconv '
        f'-f {usual} -t utf-8'
    )


def sample_rows(count: int, number: int = _SAMPLE) -> list[int]:
    """At most `number` of `count` rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, number).astype(int)).tolist()


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Converts uint8 or uint16 [..., C], C = 1, 3 or 4, to uint8 [..., 1 or 3].

    16 bits are scaled to 8. Transparent pixels are laid on black.
    """
    if images.dtype == np.uint16:
        images = ((images.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if images.shape[-1] == 4:
        alpha = images[..., 3:].astype(np.uint16)
        images = ((images[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return images


def fit(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resizes the largest centred crop that has the proportions of `size`.

    uint8 [..., h, w, C] -> uint8 [..., H, W, C]. Shrinking averages pixels.
    With `size` None the images stay as they are.
    """
    height, width = images.shape[-3:-1]
    if size is None or (height, width) == tuple(size):
        return images
    scale = min(height / size[0], width / size[1])
    crop = [max(1, round(size[0] * scale)), max(1, round(size[1] * scale))]
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    images = images[..., top : top + crop[0], left : left + crop[1], :]
    resized = tf.image.resize(images, size, antialias=True).numpy()
    return np.clip(np.round(resized), 0, 255).astype(np.uint8)


def hold_out(
    name: str, count: int, labels: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Chooses the rows of 'train' and 'test' in a set without a test split.

    A tenth of the `count` rows, drawn by a fixed seed, becomes the test split.
    Every class gives its share, but never its only example.
    """
    rows = np.arange(count)
    if count < 2:
        raise UserError(
            f'{count} example{"s"[count == 1 :]} are too few: add examples, at '
            'least one to train and one to test'
        )
    labels = np.zeros(count, int) if labels is None else labels
    sizes = np.bincount(labels)
    wanted = -(-count // _HOLD_OUT)
    shares = wanted * sizes / count
    limits = np.maximum(sizes - 1, 0)
    held = np.minimum(np.floor(shares).astype(int), limits)
    # The legacy generator: NumPy has promised not to change its stream.
    random = np.random.RandomState(_SEED)
    order = random.permutation(count)
    # Rounding down leaves some test examples unassigned. The classes that lost
    # most by rounding give them. Ties are broken at random.
    luck = 1e-9 * random.permutation(len(sizes))
    while held.sum() < min(wanted, limits.sum()):
        missing = np.where(held < limits, shares - held + luck, -np.inf)
        held[missing.argmax()] += 1
    if not held.sum():
        raise UserError(
            f'data set {name!r} has one example of each class and no test '
            'split: add examples, or a test split of its own'
        )
    test = np.concatenate(
        [
            order[labels[order] == label][:number]
            for label, number in enumerate(held)
        ]
    )
    return {'train': np.setdiff1d(rows, test), 'test': np.sort(test)}


def stack(name: str, images: list[np.ndarray]) -> np.ndarray:
    """Stacks images of one shape; raises UserError if shapes differ."""
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        small, large = min(shapes), max(shapes)
        raise UserError(
            f'images of {name!r} differ in size ({small[0]}x{small[1]}, '
            f'{large[0]}x{large[1]}): set image_size, for example '
            '--set image_size=32,32'
        )
    return np.stack(images)
