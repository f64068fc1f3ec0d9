"""The batches of a data set, in an order given by a formula.

The example at position p of the training stream is a pure function of
(seed, p). Every epoch is its own pseudo-random permutation of the indices. So
the pipeline has no state to save, a run can resume at any step at no cost, and
the order does not depend on the number of replicas.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfgen.data.readers.base import Source
from tfgen.data.specs import Spec
from tfgen.errors import UserError
from tfgen.noise import BatchNoise, RowNoise

# Part of the seed of the order, so that no other draw uses the same numbers.
_ORDER = 0x07DE7
_LABELLED = 0x1ABE1  # changes the seed for the order of labelled examples
_CHUNK = 1000  # labels read at a time
_SHOWN = 12  # classes that a line names at most


class Data:
    """The batches of one data set; made by the loaders of data.sets.

    Args:
      spec, source: of the data set. The attribute `truth` is the source's.
      labelled: rows of the training split whose labels training sees; None if
        it sees all labels. See PartlyLabelledSpec.
    """

    def __init__(
        self, spec: Spec, source: Source, labelled: np.ndarray | None = None
    ):
        self.spec = spec
        self.source = source
        self.truth = source.truth
        self._labelled = labelled

    def train(
        self,
        seed: int,
        batch_size: int,
        start: int = 0,
        context: tf.distribute.InputContext | None = None,
        whole_epochs: bool = False,
    ) -> tf.data.Dataset:
        """The endless training stream, starting with batch number `start`.

        Args:
          seed: decides the order and the draws of dynamic binarization.
          batch_size: rows of a global batch.
          start: number of the first global batch.
          context: of tf.distribute. With R replicas each element holds
            batch_size / R rows, dealt to the replicas in order.
          whole_epochs: whether every epoch starts with a new batch, for models
            that compute statistics of all examples. Each batch then has
            'weight', float32 [rows]. It is 0 for rows that only fill up the
            last batch of an epoch. Its mean over an epoch is 1.

        Returns:
          A data set of batches with static shapes.
        """
        context = context or tf.distribute.InputContext()
        rows = context.get_per_replica_batch_size(batch_size)
        local = context.num_replicas_in_sync // context.num_input_pipelines
        size = self.spec.split_sizes['train']
        parts = batches_of(size, batch_size)

        # AutoGraph would take a second, and nothing here needs it.
        @tf.autograph.experimental.do_not_convert
        def element(index):
            """One replica's rows of one global batch."""
            number = index // local
            replica = context.input_pipeline_id * local + index % local
            first = replica * rows
            row = first + tf.range(rows, dtype=tf.int64)
            positions, weights = number * batch_size + row, {}
            if whole_epochs:
                epoch, part = number // parts, number % parts
                row += part * batch_size
                weight = parts * batch_size / size
                weights['weight'] = tf.where(row < size, weight, 0.0)
                positions = epoch * size + tf.minimum(row, size - 1)
            indices = shuffled(positions, size, seed)
            noise = BatchNoise(
                tf.stack([tf.constant(seed, tf.int64), number]),
                batch_size,
                start=tf.cast(first, tf.int32),
                count=rows,
            )
            batch = self._batch('train', indices, noise) | weights
            if self._labelled is None:
                return batch
            order = shuffled(positions, len(self._labelled), seed ^ _LABELLED)
            known = self._batch(
                'train',
                tf.gather(self._labelled, order),
                noise.scope('labelled'),
            )
            del batch['label']
            return batch | {f'labelled_{k}': v for k, v in known.items()}

        stream = tf.data.Dataset.range(start * local, np.iinfo(np.int64).max)
        return stream.map(element).prefetch(2 * local)

    def evaluation(
        self,
        split: str,
        batch_size: int,
        limit: int | None = None,
    ) -> tf.data.Dataset:
        """Every example of a split once, in the order of the data set.

        Dynamic binarization draws one fixed image per example here.

        Args:
          split: 'train' or 'test'.
          batch_size: rows of a batch; the last batch may be smaller.
          limit: reads only the first `limit` examples; None for all.
        """
        count = self.count(split, limit)

        @tf.autograph.experimental.do_not_convert
        def element(indices):
            return self._batch(split, indices, RowNoise(indices))

        indices = tf.data.Dataset.range(count).batch(batch_size)
        return indices.map(element).prefetch(2)

    def at(self, split: str, rows: Sequence[int]) -> dict[str, tf.Tensor]:
        """A batch of the examples at `rows`, as `evaluation` gives them."""
        self.count(split)
        indices = tf.constant(list(rows), tf.int64)
        return self._batch(split, indices, RowNoise(indices))

    def count(self, split: str, limit: int | None = None) -> int:
        """Number of examples in `evaluation`.

        Raises:
          UserError: the data set has no such split.
        """
        sizes = self.spec.split_sizes
        if split not in sizes:
            raise UserError(
                f'data set {self.spec.name!r} has no split {split!r}: use '
                + ' or '.join(sizes)
            )
        return sizes[split] if limit is None else min(sizes[split], limit)

    def num_trained_classes(self) -> int:
        """Number of classes with an example in the training split.

        If the sizes of the classes are not known, this is the number of all
        classes.
        """
        classes = self.spec.num_classes
        sizes = self.source.splits['train'].class_sizes(classes)
        return sum(map(bool, sizes)) if classes and sizes else classes

    @property
    def failure(self) -> UserError | None:
        """The UserError that ended a read of a random-access source."""
        parts = self.source.splits.values()
        found = (getattr(part, 'failure', None) for part in parts)
        return next(filter(None, found), None)

    def describe(self) -> list[str]:
        """Describes the data set in one line, followed by the reader's notes.

        The line states the size and kind of the examples, their number in each
        split and class, and the origin of the test split. The notes say what
        was left out.
        """
        spec, source = self.spec, self.source
        parts = []
        for split, count in spec.split_sizes.items():
            sizes = source.splits[split].class_sizes(spec.num_classes)
            parts.append(f'{split} {count}')
            if sizes:
                parts[-1] += f' ({_class_sizes(spec.class_names, sizes)})'
        origin = source.origin or 'a tenth held out by a fixed seed'
        line = f'data {spec.name}: {spec.words()}; {", ".join(parts)}'
        line += f'; the test split is {origin}'
        if spec.num_classes:
            line += f'; {spec.num_classes} classes'
            line += f': {_shortened(spec.class_names)}'
        else:
            line += '; no labels'
        return [line, *(f'data {spec.name}: {n}' for n in source.notes)]

    def _batch(self, split, indices, noise):
        """Reads the examples at `indices`, int64 [B], as a batch."""
        stored, labels = self.source.gather(split, indices)
        example = self.spec.scale(stored, self.source.levels, noise)
        batch = {self.spec.key: example}
        return batch if labels is None else batch | {'label': labels}


def batches_of(size: int, batch_size: int) -> int:
    """Number of batches that hold `size` examples."""
    return -(-size // batch_size)


def _class_sizes(names, sizes):
    """'cat: 9, dog: 9', or the smallest and largest size of many classes."""
    if len(names) > _SHOWN:
        return f'{min(sizes)} to {max(sizes)} of each class'
    each = zip(names, sizes, strict=True)
    text = ', '.join(f'{name}: {size}' for name, size in each)
    return ' '.join(text.split())


def _shortened(names):
    """Class names in one line; of many, the first ones and the last."""
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 2], '...', names[-1]]
    return ' '.join(', '.join(names).split())


def labelled_rows(source: Source, num_classes: int, count: int) -> np.ndarray:
    """Chooses the training rows whose labels are known: int64 [count].

    Each class has the same number of rows: its first ones in a random order
    that a fixed seed decides.

    Raises:
      UserError: a class has too few rows.
    """
    size = len(source.splits['train'])
    order = np.random.RandomState(_LABELLED).permutation(size)
    found = [[] for _ in range(num_classes)]
    each = count // num_classes
    for first in range(0, size, _CHUNK):
        rows = order[first : first + _CHUNK]
        _, labels = source.gather('train', tf.constant(rows))
        for row, label in zip(rows, labels.numpy(), strict=True):
            if len(found[label]) < each:
                found[label].append(row)
        if all(len(f) == each for f in found):
            return np.sort(np.concatenate(found)).astype(np.int64)
    fewest = min(len(f) for f in found)
    raise UserError(
        f'num_labels is {count}, that is {each} of each class, and one class '
        f'has {fewest} training images: use at most {fewest * num_classes}'
    )


def shuffled(positions: tf.Tensor, size: int, seed: int) -> tf.Tensor:
    """Indices of the examples at `positions` of the training stream.

    Positions [e * size, (e + 1) * size) are epoch e: a permutation of
    0..size-1 that depends on (seed, e) alone.

    Args:
      positions: int64 [N].
      size: examples in the split.
      seed: integer in 0..2^31 - 1.

    Returns:
      int64 [N].
    """
    size = tf.constant(size, tf.int64)
    epochs = positions // size
    seeds = tf.stack(
        [tf.fill(tf.shape(epochs), x) for x in (seed, _ORDER)], axis=-1
    )
    seeds = tf.concat([seeds, tf.cast(epochs, tf.int32)[:, None]], axis=-1)
    # tf.random.experimental.index_shuffle takes one seed for all rows, but a
    # batch that crosses the end of an epoch needs two.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=seeds, max_index=size - 1, rounds=4
    )
