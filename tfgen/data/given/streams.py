"""Data sets of tf.data: read into memory, or streamed if they are too large.

A tf.data.Dataset has no index. Up to MEMORY_LIMIT bytes it is read once and
kept in memory. The run then shuffles, resumes and evaluates as with an array. A
larger or endless one is streamed, in its own order: a resumed run skips the
examples that it has used. It resumes exactly only if the data set
gives the same examples in the same order each time. Its first examples are the
test split.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.data.given import checks
from tfgen.data.readers.base import Fingerprint, InMemory, Source
from tfgen.data.sets import ARRAYS, of_source
from tfgen.data.specs import Spec
from tfgen.data.stream import Data
from tfgen.errors import UserError
from tfgen.noise import BatchNoise

MEMORY_LIMIT = 2 << 30  # bytes
# Data sets with the elements of another one.
_ALIKE = (
    'CacheDataset',
    '_OptionsDataset',
    '_PrefetchDataset',
    '_RepeatDataset',
    '_ShuffleDataset',
    '_SkipDataset',
    '_TakeDataset',
)
_HELD_OUT = 1000  # first examples of a stream, which are its test split


def open_dataset(
    dataset: tf.data.Dataset,
    spec_types: Sequence[type[Spec]],
    class_names: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray | None] | Data:
    """Reads a data set: its examples and labels, or Data that stream it.

    Args:
      dataset: elements are examples, pairs (example, label), or dicts, or
        batches of these.
      spec_types, class_names, settings: see opening.from_examples.

    Raises:
      UserError: the elements are no examples.
    """
    single = _single(dataset)
    endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    examples, labels, size = [], [], 0
    for example, *label in single.as_numpy_iterator():
        examples.append(example)
        labels += label
        size += np.asarray(example).nbytes
        if (endless and len(examples) > 2 * _HELD_OUT) or size > MEMORY_LIMIT:
            first = examples[:_HELD_OUT], labels[:_HELD_OUT] or None
            return _streamed(single, *first, spec_types, class_names, settings)
    return _arrays(examples, labels)


def read(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a whole data set: its examples and its labels, or None.

    Raises:
      UserError: it has no end, or its elements are no examples.
    """
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UserError(
            'the data set of a split has no end: pass dataset.take(N)'
        )
    examples, labels = [], []
    for example, *label in _single(dataset).as_numpy_iterator():
        examples.append(example)
        labels += label
    return _arrays(examples, labels)


def _arrays(examples, labels):
    if not examples:
        raise UserError('the data set is empty: pass one with examples')
    return _stacked(examples), np.asarray(labels) if labels else None


def _single(dataset):
    """The data set with one example, or (example, label), per element."""
    found = dataset.map(tf.autograph.experimental.do_not_convert(_pair))
    batched = _ends_in_batches(dataset) or _is_batched(found.element_spec)
    return found.unbatch() if batched else found


def _ends_in_batches(dataset):
    """Whether `batch` made the elements; False if that is not known.

    The shape alone does not tell a batch of points from an image.
    """
    while type(dataset).__name__ in _ALIKE:
        dataset = getattr(dataset, '_input_dataset', None)
    return type(dataset).__name__ in ('_BatchDataset', '_ParallelBatchDataset')


def _pair(*element):
    """An element as a tuple (example,) or (example, label)."""
    (element,) = element if len(element) == 1 else (element,)
    if isinstance(element, Mapping):
        keys = [k for k in element if k != 'label']
        if len(keys) != 1:
            raise UserError(
                f'elements of the data set have the keys {sorted(element)}: '
                'give each one key for the example, and label for a label'
            )
        label = [element['label']] if 'label' in element else []
        return (element[keys[0]], *label)
    if isinstance(element, tuple):
        if len(element) > 2:
            raise UserError(
                f'elements of the data set are tuples of {len(element)}: let '
                'them be (example, label)'
            )
        return element
    return (element,)


def _is_batched(specs):
    """Whether elements are batches: by their labels, or by their shape."""
    shape = specs[0].shape
    if len(specs) == 2 and None not in (shape.rank, specs[1].shape.rank):
        label = specs[1].shape
        # A label may be [1]; a batch of labels is [B] or [B, 1].
        return label.rank > 0 and not (
            label == [1] and shape.rank != 4 and shape[0] != 1
        )
    if shape.rank is None:
        raise UserError(
            'elements of the data set have no known shape: set it, for example '
            'with dataset.map(lambda x: tf.ensure_shape(x, [28, 28, 1]))'
        )
    if shape.rank == 3:  # [H, W, C] or [B, H, W]
        return shape[-1] not in (1, 3)
    return shape.rank == 4 or (shape.rank > 0 and shape[0] is None)


def _stacked(examples):
    shapes = {np.shape(example) for example in examples}
    if len(shapes) > 1:
        one, other, *_ = sorted(shapes)
        raise UserError(
            f'examples of the data set differ in shape ({list(one)}, '
            f'{list(other)}): bring them to one shape, for example with '
            'dataset.map(lambda x: tf.image.resize(x, [32, 32]))'
        )
    return np.stack(examples)


def _streamed(single, examples, labels, spec_types, class_names, settings):
    """Data that stream a data set; its first examples are the test split."""
    found = checks.examples(_stacked(examples), spec_types)
    y, names = checks.labels(labels, len(examples), class_names)
    fingerprint = Fingerprint()
    fingerprint.add(found.values)
    part = InMemory(found.values, y)
    notes = [
        *found.notes,
        'streamed in its own order; a resumed run skips the examples that it '
        'has used, and is exact if the order is always the same',
    ]
    if names and not class_names:
        notes.append(f'{len(names)} classes, from {len(examples)} examples')
    source = Source(
        shape=found.values.shape[1:],
        levels=found.levels,
        class_names=names,
        splits={'train': part, 'test': part},
        fingerprint=str(fingerprint),
        origin=f'its first {len(examples)} examples, which are not trained on',
        notes=tuple(notes),
        alphabet=found.alphabet,
    )
    whole = of_source(ARRAYS, source, found.kind, **settings)
    spec = dataclasses.replace(whole.spec, split_sizes={'test': len(examples)})
    return Streamed(spec, source, single.skip(len(examples)), found)


class Streamed(Data):
    """Data whose training stream is a tf.data.Dataset, in its own order.

    Args:
      spec, source: of the first examples, which are the test split.
      dataset: the examples to train on, one per element.
      first: the checked first examples; all others must be like them.
    """

    def __init__(
        self, spec: Spec, source: Source, dataset: tf.data.Dataset, first
    ):
        super().__init__(spec, source)
        self._dataset, self._first = dataset, first
        self._failure: UserError | None = None

    def train(
        self,
        seed: int,
        batch_size: int,
        start: int = 0,
        context: tf.distribute.InputContext | None = None,
        whole_epochs: bool = False,
    ) -> tf.data.Dataset:
        """The endless training stream; see Data.train.

        Raises:
          UserError: `whole_epochs`, since a stream has no known size.
        """
        if whole_epochs:
            raise UserError(
                'this model computes statistics of all examples, and the data '
                'set is too large for memory: pass a random-access source'
            )
        context = context or tf.distribute.InputContext()
        rows = context.get_per_replica_batch_size(batch_size)
        local = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def replicas(number, batch):
            """The rows of each local replica of one global batch, in order."""

            def share(index):
                row = (first + index) * rows
                noise = BatchNoise(
                    tf.stack([tf.constant(seed, tf.int64), number]),
                    batch_size,
                    start=tf.cast(row, tf.int32),
                    count=rows,
                )
                part = [x[row : row + rows] for x in batch]
                return self._example(part, noise, rows)

            return tf.data.Dataset.range(local).map(share)

        batches = self._dataset.repeat().batch(batch_size, drop_remainder=True)
        numbered = batches.enumerate().skip(start)
        return numbered.flat_map(replicas).prefetch(2 * local)

    def _example(self, part, noise, rows):
        """A batch of the model from the rows of a batch of the data set."""
        wanted = self._first.values
        shape = [rows, *wanted.shape[1:]]
        stored = tf.numpy_function(
            self._stored, [part[0]], tf.as_dtype(wanted.dtype)
        )
        stored = tf.ensure_shape(stored, shape)
        example = self.spec.scale(stored, self.source.levels, noise)
        batch = {self.spec.key: example}
        if len(part) < 2 or not self.spec.num_classes:
            return batch
        label = tf.numpy_function(self._labels, [part[1]], tf.int32)
        return batch | {'label': tf.ensure_shape(label, shape[:1])}

    @property
    def failure(self) -> UserError | None:
        return self._failure

    def _stored(self, values):
        return self._noted(lambda: checks.like(values, self._first))

    def _labels(self, values):
        names = self.spec.class_names
        return self._noted(lambda: checks.labels(values, len(values), names)[0])

    def _noted(self, read):
        """Calls `read`; keeps its UserError, which TensorFlow rewords."""
        try:
            return read()
        except UserError as error:
            self._failure = error
            raise
