"""The one training loop, compiled: any number of updates and replicas.

Exactness. Two runs of the same configuration give the same weights bit for
bit, and so does a run that was killed and resumed (on a GPU to float
tolerance): data and noise are pure functions of (seed, step), and the
checkpoint holds everything else. One trap remains: where three or more
gradients meet at one tensor, TensorFlow's CPU kernels add them in an order
that depends on which buffer is free. Therefore they are added in pairs
(tfgen.gradients), and `make_repeatable` stops Grappler from merging the pairs.
A second trap is Grappler's own: see there.

Streams. On a CPU a step's rows are computed in two halves side by side, as
two replicas would: neither TensorFlow's convolutions nor XLA's loops keep two
cores busy with one batch (measured: 1.2 to 1.8 x). A process that may use one
core computes them at once (measured: 1.6 x for small networks). TensorFlow
cuts its sums by the number of its threads, so bits are equal only where that
is: resume a run with the same entry point (scripts/train.py, or
strategies.make).
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfgen.models.contracts.model import Model
from tfgen.models.contracts.updates import Update
from tfgen.noise import BatchNoise
from tfgen.training import strategies
from tfgen.training.stopping import Stop


def make_repeatable() -> None:
    """Keeps Grappler, for the whole process, from what changes results.

    Its arithmetic optimizer merges sums of two gradients into larger ones (see
    the head of this file). Its dependency optimizer takes away control edges
    that a loop needs: from the second step on a gradient penalty now and then
    read a weight of the update before (seen in one of 150 runs of three steps
    on a busy machine, in none of 3,000 without it).
    """
    tf.config.optimizer.set_experimental_options(
        {'arithmetic_optimization': False, 'dependency_optimization': False}
    )


@dataclasses.dataclass(frozen=True)
class BatchSplit:
    """The rows of a global batch, dealt to replicas and streams.

    Attributes:
      batch: rows of the global batch.
      replica: rows of one replica.
      streams: 2 if the halves of a replica's rows are computed side by side,
        else 1.
    """

    batch: int
    replica: int
    streams: int

    @staticmethod
    def of(
        strategy: tf.distribute.Strategy,
        model: Model,
        batch_size: int,
    ) -> 'BatchSplit':
        """Two streams on a CPU, if one device computes independent rows."""
        rows = batch_size // strategy.num_replicas_in_sync
        on_cpu = not (
            strategies.is_tpu(strategy) or tf.config.list_logical_devices('GPU')
        )
        # Replicas share the cores out already; batch statistics need all rows.
        alone = strategy.num_replicas_in_sync == 1 and not model.cross_replica(
            model.settings
        )
        two = on_cpu and strategies.side_by_side() and alone and rows % 2 == 0
        return BatchSplit(batch_size, rows, 2 if two else 1)


def compute_on_replica(
    update: Update, rows: BatchSplit, jit: bool
) -> Callable[[dict, tf.Tensor, tf.Tensor], tuple]:
    """(batch, key, first row) -> the update's `compute` of a replica's rows.

    Args:
      update: built.
      rows: the split; the streams are added up.
      jit: whether XLA compiles it.
    """
    count = rows.replica // rows.streams

    def mean(values):
        # Over the GLOBAL batch, so streams and replicas need only be added.
        return tf.reduce_sum(values, axis=0) / rows.batch

    def compute(batch, key, start):
        noise = BatchNoise(key, rows.batch, start, count, f'{update.name}/')
        return update.compute(batch, noise, mean)

    # Without XLA it is no function of its own: replicas cannot meet inside one.
    if jit:
        compute = tf.function(compute, jit_compile=True, autograph=False)

    def add_streams(batch, key, start):
        parts = [
            compute(
                {k: v[first : first + count] for k, v in batch.items()},
                key,
                start + first,
            )
            for first in range(0, rows.replica, count)
        ]
        return tf.nest.map_structure(_sum, *parts)

    return compute if rows.streams == 1 else add_streams


def _sum(first, second):
    # (The gradient of a table of vectors may be sparse.)
    return tf.convert_to_tensor(first) + tf.convert_to_tensor(second)


def initial_noise(seed: int, batch_size: int) -> BatchNoise:
    """The noise of Model.initialize_from."""
    key = tf.constant([seed, 0], tf.int64)
    return BatchNoise(key, batch_size, prefix='begin/')


def batches_per_step(updates: Sequence[Update]) -> int:
    """Batches that one step takes."""
    return max(update.repeats for update in updates)


def make_loop(
    strategy: tf.distribute.Strategy,
    updates: Sequence[Update],
    rows: BatchSplit,
    seed: int,
    jit: bool,
    stop: Stop | None = None,
) -> Callable:
    """The compiled loop: (batches, first step, count) -> history, n, stopped.

    `history` maps 'update/term' to float32 [n], the term's mean over the
    global batch and the update's repeats in each step. n is `count`, or less
    if the loop was stopped: `stop` was requested, on any worker, and all
    workers ended after the same step.
    """
    per_step = batches_per_step(updates)
    make_step = step_function(updates, rows, seed, jit)

    # (AutoGraph would need a temporary file, and a disk that has room.)
    @tf.function(autograph=False)
    def run(batches, first, count):
        names = []

        def on_replica(taken, step, asked):
            terms = make_step(taken, step)
            names[:] = terms
            # In one tensor, so that replicas meet once.
            return tf.stack([*terms.values(), asked])

        def body(i, stopped, history):
            taken = [next(batches) for _ in range(per_step)]
            step = first + tf.cast(i, tf.int64)
            # Above 0 on a worker that was told to stop.
            asked = stop.flag.read_value() if stop else tf.constant(0.0)
            values = strategy.run(on_replica, (taken, step, asked))
            values = strategy.reduce('SUM', values, axis=None)
            return i + 1, values[-1] > 0.0, history.write(i, values[:-1])

        _, stopped, history = tf.while_loop(
            lambda i, stopped, _: (i < count) & ~stopped,
            body,
            (0, False, tf.TensorArray(tf.float32, 0, dynamic_size=True)),
        )
        columns = tf.unstack(history.stack(), len(names), axis=1)
        return stopped, dict(zip(names, columns, strict=True))

    def loop(batches, first, count):
        stopped, history = run(
            batches, tf.constant(first, tf.int64), tf.constant(count)
        )
        history = {name: values.numpy() for name, values in history.items()}
        (made,) = {len(values) for values in history.values()}
        return history, made, bool(stopped)

    return loop


def step_function(
    updates: Sequence[Update], rows: BatchSplit, seed: int, jit: bool
) -> Callable:
    """One replica's part of one step.

    Returns:
      (batches, step) -> this replica's shares of the terms, by name.
    """
    per_step = batches_per_step(updates)
    computed = [compute_on_replica(u, rows, jit) for u in updates]

    def make_step(batches, step):
        replica = tf.distribute.get_replica_context()
        start = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        terms = {}
        for update, compute in zip(updates, computed, strict=True):
            for number in range(update.repeats):
                key = tf.stack(
                    [tf.constant(seed, tf.int64), step * per_step + number]
                )
                shown, moves = compute(
                    batches[number], key, start * rows.replica
                )
                update.apply(moves, step)
                for term, value in shown.items():
                    name = f'{update.name}/{term}'
                    share = value / update.repeats
                    terms[name] = terms.get(name, 0.0) + share
            if not update.repeats:
                update.apply([], step)
        return terms

    return make_step
