"""Random-access sources: examples that are read by index, on request.

A source has `__len__` and `__getitem__`, and perhaps `__getitems__` for several
rows at once. Its items are examples, pairs (example, label), or dicts. Examples
are TFDS data sources and Grain sources of arrays. The items of a Keras
PyDataset are batches of examples, or pairs of batches.

Nothing is copied into memory. A formula gives the index of each training
example, so a run resumes exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.given import checks
from tfgen.data.readers.base import (
    Fingerprint,
    Source,
    hold_out,
    sample_rows,
)
from tfgen.data.sets import ARRAYS
from tfgen.data.specs import Spec
from tfgen.errors import UserError


def is_source(data: Any) -> bool:
    """Whether `data` is read by index and is no array, list, tuple or dict."""
    if isinstance(data, (np.ndarray, list, tuple, str, bytes, Mapping)):
        return False
    if isinstance(data, tf.data.Dataset) or hasattr(data, '__array__'):
        return False
    return hasattr(data, '__len__') and hasattr(data, '__getitem__')


def open_source(
    sources: Mapping[str, Any],
    spec_types: Sequence[type[Spec]],
    class_names: Sequence[str] | None,
) -> tuple[Source, type[Spec]]:
    """Opens random-access sources: their Source, and the class of its spec.

    The class of the spec and the levels follow from examples that are evenly
    spread over the source. So does the number of classes, if neither
    `class_names` nor TFDS states it.

    Args:
      sources: 'train' and, if there is one, 'test'. Without it a tenth of the
        rows is held out.
      spec_types, class_names: see opening.from_examples.

    Raises:
      UserError: the items are no examples, or the source is too small.
    """
    rows = {
        split: _batched(source) if _has_batches(source) else source
        for split, source in sources.items()
    }
    counts = {split: len(source) for split, source in rows.items()}
    if 'test' in rows:
        chosen = {
            split: (rows[split], np.arange(n)) for split, n in counts.items()
        }
    else:
        held = hold_out(ARRAYS, counts['train'], None)
        chosen = {split: (rows['train'], held[split]) for split in held}
    whole, rest = chosen['train']
    sample = [_item(whole[int(rest[i])]) for i in sample_rows(len(rest))]
    first = checks.examples([example for example, _ in sample], spec_types)
    if '' in first.alphabet:
        raise UserError(
            'a random-access source of strings has no alphabet: pass '
            'list(source), or a source of numbers'
        )
    names = _class_names(
        sources['train'], [label for _, label in sample], class_names
    )
    splits = {
        split: Rows(source, index, first, names)
        for split, (source, index) in chosen.items()
    }
    fingerprint = Fingerprint()
    for split, part in splits.items():
        fingerprint.add(split, len(part))
    fingerprint.add(first.values)
    notes = [*first.notes, 'read by index, without a copy in memory']
    if names and not class_names:
        notes.append(f'{len(names)} classes, from {len(sample)} examples')
    return Source(
        shape=first.values.shape[1:],
        levels=first.levels,
        class_names=names,
        splits=splits,
        fingerprint=str(fingerprint),
        origin='the one that was given' if 'test' in rows else '',
        notes=tuple(notes),
        alphabet=first.alphabet,
    ), first.kind


class Rows:
    """A split whose examples a source reads on request; see readers.base.Split.

    Attributes:
      failure: the UserError that ended a read; None if no read has failed.
        TensorFlow raises an OpError in its place.
    """

    def __init__(self, source, rows, first, class_names):
        self._source, self._rows = source, rows
        self._first, self._names = first, class_names
        self.failure: UserError | None = None

    def __len__(self):
        return len(self._rows)

    def class_sizes(self, num_classes: int) -> None:
        """None: counting would read the whole source."""

    def gather(self, indices):
        kind = tf.as_dtype(self._first.values.dtype)
        examples, labels = tf.numpy_function(
            self._read, [indices], [kind, tf.int32]
        )
        shape = [indices.shape[0], *self._first.values.shape[1:]]
        examples = tf.ensure_shape(examples, shape)
        labels = tf.ensure_shape(labels, [indices.shape[0]])
        return examples, labels if self._names else None

    def _read(self, indices):
        """Examples [B, *shape] and labels int32 [B]."""
        try:
            return self._checked([int(self._rows[int(i)]) for i in indices])
        except UserError as error:
            self.failure = error
            raise

    def _checked(self, rows):
        some = getattr(self._source, '__getitems__', None)
        items = some(rows) if some else [self._source[row] for row in rows]
        items = [_item(item) for item in items]
        values = checks.like([example for example, _ in items], self._first)
        if not self._names:
            return values, np.zeros(len(values), np.int32)
        labels = [label for _, label in items]
        return values, checks.labels(labels, len(values), self._names)[0]


def _item(item):
    """(example, label or None) of an item of a source."""
    if isinstance(item, Mapping):
        keys = [k for k in item if k != 'label']
        if 'image' in item:
            keys = ['image']
        if len(keys) != 1:
            raise UserError(
                f'the items of the source have the keys {sorted(item)}: give '
                'each one key for the example, and the key label for a label'
            )
        return np.asarray(item[keys[0]]), item.get('label')
    if isinstance(item, tuple):
        if len(item) != 2:
            raise UserError(
                f'the items of the source are tuples of {len(item)}: let them '
                'be (example, label)'
            )
        return np.asarray(item[0]), item[1]
    return np.asarray(item), None


def _class_names(source, labels, class_names):
    """The class names: `class_names`, those of TFDS, or numbers."""
    if labels[0] is None:
        return checks.labels(None, len(labels), class_names)[1]
    if class_names is None:
        info = getattr(source, 'dataset_info', None)  # of TFDS
        label = info.features.get('label') if info is not None else None
        class_names = getattr(label, 'names', None)
    return checks.labels(labels, len(labels), class_names)[1]


def _has_batches(source):
    return isinstance(source, keras.utils.PyDataset)


class _batched:
    """The single examples of a Keras PyDataset, whose items are batches."""

    def __init__(self, source):
        self._source = source
        self._size = len(_first(source[0]))
        last = len(_first(source[len(source) - 1]))
        self._count = (len(source) - 1) * self._size + last

    def __len__(self):
        return self._count

    def __getitems__(self, rows):
        batches = {row // self._size for row in rows}
        read = {number: self._source[number] for number in batches}
        return [self._row(read[row // self._size], row) for row in rows]

    def __getitem__(self, row):
        return self._row(self._source[row // self._size], row)

    def _row(self, batch, row):
        if isinstance(batch, tuple):
            return tuple(part[row % self._size] for part in batch[:2])
        return batch[row % self._size]


def _first(batch):
    return batch[0] if isinstance(batch, tuple) else batch
