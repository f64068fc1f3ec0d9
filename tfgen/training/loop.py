"""The training loop, compiled, for any number of updates and replicas.

Exactness. Two runs of the same configuration give the same weights bit for
bit. So does a run that was killed and resumed. (On a GPU, weights are equal to
float tolerance.) Data and noise are pure functions of (seed, step), and the
checkpoint holds everything else. Two sources of differences remain. First,
where three or more gradients meet at one tensor, TensorFlow's CPU kernels add
them in an order that depends on which buffer is free. Therefore tfgen.gradients
adds them in pairs, and `make_repeatable` stops Grappler from merging the pairs.
Second, Grappler drops control edges; see `make_repeatable`.

Streams. On a CPU the rows of a step are computed in two halves side by side, as
two replicas would compute them. The reason is that neither TensorFlow's
convolutions nor XLA's loops keep two cores busy with one batch (measured gain:
1.2 to 1.8 x). A process that may use only one core computes all rows at once
(measured gain: 1.6 x for small networks). TensorFlow splits its sums by the
number of its threads, so results are equal bit for bit only if that number is
equal. Therefore resume a run with the same entry point (scripts/train.py, or
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
    """Turns off Grappler's passes that change results, in the whole process.

    The arithmetic optimizer merges sums of two gradients into larger ones (see
    the head of this file). The dependency optimizer removes control edges that
    a loop needs. With the dependency optimizer, a gradient penalty sometimes
    read a weight of the previous update, from the second step on. This happened
    in one of 150 runs of three steps on a busy machine. Without the optimizer
    it happened in none of 3,000 runs.
    """
    tf.config.optimizer.set_experimental_options(
        {'arithmetic_optimization': False, 'dependency_optimization': False}
    )


@dataclasses.dataclass(frozen=True)
class BatchSplit:
    """The split of a global batch into replicas and streams.

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
        """Splits a batch; a single CPU replica may get two streams.

        It gets them if TensorFlow runs several operations at a time, if the
        loss of a row does not depend on other rows, and if the number of rows
        is even.
        """
        rows = batch_size // strategy.num_replicas_in_sync
        on_cpu = not (
            strategies.is_tpu(strategy) or tf.config.list_logical_devices('GPU')
        )
        # Several replicas already share the cores. Batch statistics need all
        # rows of the replica at once.
        alone = strategy.num_replicas_in_sync == 1 and not model.cross_replica(
            model.settings
        )
        two = on_cpu and strategies.side_by_side() and alone and rows % 2 == 0
        return BatchSplit(batch_size, rows, 2 if two else 1)


def compute_on_replica(
    update: Update, rows: BatchSplit, jit: bool
) -> Callable[[dict, tf.Tensor, tf.Tensor], tuple]:
    """A function that runs an update's `compute` on one replica's rows.

    Args:
      update: a built update.
      rows: the split; results of the streams are added.
      jit: whether XLA compiles the function.

    Returns:
      (batch, key, first row) -> the results of `compute`.
    """
    count = rows.replica // rows.streams

    def mean(values):
        # A share of the mean over the GLOBAL batch. The shares of all streams
        # and replicas add up to the mean.
        return tf.reduce_sum(values, axis=0) / rows.batch

    def compute(batch, key, start):
        noise = BatchNoise(key, rows.batch, start, count, f'{update.name}/')
        return update.compute(batch, noise, mean)

    # Without XLA `compute` is no tf.function of its own: inside one, replicas
    # could not synchronise.
    if jit:
        compute = tf.function(compute, jit_compile=True, autograph=False)

    def add_streams(batch, key, start):
        """Runs `compute` on each stream's rows and adds the results."""
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
    """Adds the results of two streams."""
    # The gradient of an embedding table may be sparse.
    return tf.convert_to_tensor(first) + tf.convert_to_tensor(second)


def initial_noise(seed: int, batch_size: int) -> BatchNoise:
    """The noise of Model.initialize_from."""
    key = tf.constant([seed, 0], tf.int64)
    return BatchNoise(key, batch_size, prefix='begin/')


def batches_per_step(updates: Sequence[Update]) -> int:
    """The number of batches that one step takes."""
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

    `history` maps 'update/term' to float32 [n]: in each step, the term's mean
    over the global batch and over the update's repeats. n is the number of
    steps made: `count`, or less if `stop` was requested on any worker. All
    workers then end after the same step, and `stopped` is true.
    """
    per_step = batches_per_step(updates)
    make_step = step_function(updates, rows, seed, jit)

    # AutoGraph would need a temporary file, and so free space on the disk.
    @tf.function(autograph=False)
    def run(batches, first, count):
        names = []

        def on_replica(taken, step, asked):
            """One step on one replica: its terms, then `asked`, stacked."""
            terms = make_step(taken, step)
            names[:] = terms
            # One tensor, so that one reduction over the replicas is enough.
            return tf.stack([*terms.values(), asked])

        def body(i, stopped, history):
            """One step on all replicas."""
            taken = [next(batches) for _ in range(per_step)]
            step = first + tf.cast(i, tf.int64)
            # This is above 0 on a worker that was told to stop.
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
        """Calls `run` and converts its results to NumPy."""
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
    """A function that makes one replica's part of one step.

    Returns:
      (batches, step) -> this replica's shares of the terms, by name. It also
      applies the updates.
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
