"""The one training loop, compiled: any number of players and replicas.

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
is: continue a run through the door by which it began (scripts/train.py, or
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
    """How the rows of a global batch are dealt out.

    Attributes:
      batch: rows of the global batch.
      replica: of these, a replica's.
      streams: halves, or the whole, of a replica's rows that are computed side
        by side.
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
    player: Update, rows: BatchSplit, jit: bool
) -> Callable[[dict, tf.Tensor, tf.Tensor], tuple]:
    """(batch, key, start) -> what the player's `statistics` says of the rows.

    Args:
      player: see models.players.
      rows: of the batch; its streams are added up.
      jit: whether XLA compiles it.
    """
    count = rows.replica // rows.streams

    def mean(values):
        # Of the GLOBAL batch: adding over streams and replicas is all that is
        # left to do.
        return tf.reduce_sum(values, axis=0) / rows.batch

    def statistics(batch, key, start):
        noise = BatchNoise(key, rows.batch, start, count, f'{player.name}/')
        return player.compute(batch, noise, mean)

    # Without XLA no function of its own: replicas cannot meet inside one.
    if jit:
        statistics = tf.function(statistics, jit_compile=True, autograph=False)

    def added(batch, key, start):
        (terms, moves), *others = (
            statistics(
                {k: v[first : first + count] for k, v in batch.items()},
                key,
                start + first,
            )
            for first in range(0, rows.replica, count)
        )
        for more, shares in others:
            terms = {name: value + more[name] for name, value in terms.items()}
            # (The gradient of a table of vectors may be sparse.)
            moves = [
                tf.convert_to_tensor(a) + tf.convert_to_tensor(b)
                for a, b in zip(moves, shares, strict=True)
            ]
        return terms, moves

    return statistics if rows.streams == 1 else added


def initial_noise(seed: int, batch_size: int) -> BatchNoise:
    """What Model.initialize_from draws from."""
    key = tf.constant([seed, 0], tf.int64)
    return BatchNoise(key, batch_size, prefix='begin/')


def batches_per_step(players: Sequence[Update]) -> int:
    """Batches that a step takes."""
    return max(p.repeats for p in players)


def make_loop(
    strategy: tf.distribute.Strategy,
    players: Sequence[Update],
    rows: BatchSplit,
    seed: int,
    jit: bool,
    stop: Stop | None = None,
) -> Callable:
    """The compiled loop: (batches, first step, count) -> history, n, stopped.

    `history` maps 'player/term' to float32 [n], each step's average over the
    global batch (and over a player's updates). n is `count`, or less if the
    loop was stopped: `stop` was requested, on whichever worker, and all ended
    after the same step.
    """
    per_step = batches_per_step(players)
    names, update = make_step(players, rows, seed, jit, per_step)

    # (AutoGraph would need a temporary file, and a disk that has room.)
    @tf.function(autograph=False)
    def run(batches, first, count):
        def body(i, stopped, history):
            taken = [next(batches) for _ in range(per_step)]
            step = first + tf.cast(i, tf.int64)
            asked = stop.flag.read_value() if stop else tf.constant(0.0)
            totals = strategy.run(update, (taken, step, asked))
            totals = strategy.reduce('SUM', totals, axis=None)
            return i + 1, totals[-1] > 0.0, history.write(i, totals[:-1])

        _, stopped, history = tf.while_loop(
            lambda i, stopped, _: (i < count) & ~stopped,
            body,
            (0, False, tf.TensorArray(tf.float32, 0, dynamic_size=True)),
        )
        return stopped, history.stack()

    def loop(batches, first, count):
        stopped, history = run(
            batches, tf.constant(first, tf.int64), tf.constant(count)
        )
        history = history.numpy()
        terms = dict(zip(names, history.T, strict=True))
        return terms, len(history), bool(stopped)

    return loop


def make_step(players, rows, seed, jit, per_step):
    """One replica's share of one step, and the names of the terms it gives."""
    statistics = [compute_on_replica(p, rows, jit) for p in players]
    names = []

    def update(batches, step, asked):
        """-> [number of terms + 1], the last above 0 if it is asked to stop."""
        replica = tf.distribute.get_replica_context()
        start = tf.cast(replica.replica_id_in_sync_group, tf.int32)
        totals = {}
        for player, measure in zip(players, statistics, strict=True):
            for number in range(player.repeats):
                key = tf.stack(
                    [tf.constant(seed, tf.int64), step * per_step + number]
                )
                terms, moves = measure(
                    batches[number], key, start * rows.replica
                )
                player.apply(moves, step)
                for term, value in terms.items():
                    name = f'{player.name}/{term}'
                    share = value / player.repeats
                    totals[name] = totals.get(name, 0.0) + share
            if not player.repeats:
                player.apply([], step)
        names[:] = totals
        return tf.stack([*totals.values(), asked])

    return names, update
