"""What every reader makes: examples by index, in two splits."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfgen.errors import UserError

MEMORY_LIMIT = 4 << 30  # bytes of decoded examples
# Where a set has no test split, every tenth training image becomes one.
_HOLD_OUT = 10


@dataclasses.dataclass(frozen=True)
class Source:
    """Images, or sounds, by index.

    Attributes:
      shape: of every example: (H, W, C) or (T,).
      levels: values: integers 0 .. levels - 1, of sounds -levels / 2 ..
        levels / 2 - 1.
      num_classes: 0 without labels.
      splits: 'train' and 'test' -> their examples.
      palette: RGB bytes of each value, where values are names of colours.
      sample_rate: of sounds, samples per second.
    """

    shape: tuple[int, ...]
    levels: int
    num_classes: int
    splits: Mapping[str, 'InMemory | RandomAccess']
    palette: tuple[tuple[int, int, int], ...] | None = None
    sample_rate: int = 0

    def gather(self, split: str, indices: tf.Tensor):
        """Integers [B, *shape], int32 [B] (or None) of int64 `indices`."""
        return self.splits[split].gather(indices)


class InMemory:
    """A split that was decoded into arrays."""

    def __init__(self, examples: np.ndarray, labels: np.ndarray | None):
        # On the host: an accelerator's memory is for the model.
        with tf.device('CPU'):
            self._examples = tf.constant(examples)
            self._labels = (
                None if labels is None else tf.constant(labels, tf.int32)
            )

    def __len__(self):
        return self._examples.shape[0]

    def gather(self, indices):
        examples = tf.gather(self._examples, indices)
        if self._labels is None:
            return examples, None
        return examples, tf.gather(self._labels, indices)


class RandomAccess:
    """A split that is decoded when it is asked for."""

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

    def _read(self, indices):
        examples = self._source.__getitems__(
            [self._rows[int(i)] for i in indices]
        )
        images = [fit(e[self._image_key], self._size) for e in examples]
        labels = [
            e[self._label_key] if self._label_key else 0 for e in examples
        ]
        return np.stack(images), np.asarray(labels, np.int32)


def fit(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """The largest centred crop of `size`'s shape, resized to `size`.

    uint8 [..., h, w, C] -> uint8 [..., H, W, C]; averages pixels when it
    shrinks.
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


def take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values[rows]."""
    # A split that is used whole is not copied.
    return values if len(rows) == len(values) else values[rows]


def hold_out(count: int) -> dict[str, np.ndarray]:
    """Rows of 'train' and 'test' where a set of `count` has no split."""
    rows = np.arange(count)
    if count < 2:
        raise UserError(
            f'a data set of {count} is too small: add examples, one is needed '
            'to train and one to test'
        )
    held = rows % _HOLD_OUT == 0
    return {'train': rows[~held], 'test': rows[held]}


def stack(name: str, images: list[np.ndarray]) -> np.ndarray:
    """Images of one shape as an array; UserError if shapes differ."""
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        small, large = min(shapes), max(shapes)
        raise UserError(
            f'images of {name!r} differ in size ({small[0]}x{small[1]}, '
            f'{large[0]}x{large[1]}): set image_size, for example '
            '--set image_size=32,32'
        )
    return np.stack(images)
