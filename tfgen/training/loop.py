"""The one training loop: any model, any number of players and replicas.

Exactness. Two runs of the same configuration give the same weights bit for
bit, and so does a run that was killed and resumed (on a GPU to float
tolerance): data and noise are pure functions of (seed, step), and the
checkpoint holds everything else. One trap remains: where three or more
gradients meet at one tensor, TensorFlow's CPU kernels add them in an order
that depends on which buffer is free. Therefore the models let gradients meet
in pairs (tf.identity where a function uses a tensor several times), and
`train` stops Grappler from merging the pairs.

Streams. On a CPU a step's rows are computed in two halves side by side, as
two replicas would: neither TensorFlow's convolutions nor XLA's loops keep two
cores busy with one batch (measured: 1.2 to 1.8 x). TensorFlow cuts its sums by
the number of its threads, so bits are equal only where that is: continue a run
through the door by which it began (scripts/train.py, or strategies.make).
"""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.models.base import ExactModel, GenerativeModel
from tfgen.noise import BatchNoise
from tfgen.optimizers import Adam
from tfgen.presets.settings import Preset
from tfgen.training import checkpoints, strategies, workdir
from tfgen.training.reporting import Reporter

JITS = ('auto', 'on', 'off')


def train(
    config: workdir.Config,
    examples: Data,
    directory: pathlib.Path,
    strategy: tf.distribute.Strategy | None = None,
    jit: str = 'auto',
) -> GenerativeModel:
    """Trains, or continues, the run in `directory` to its last step.

    Args:
      config: of the run; `directory` becomes, or must be, its workdir.
      examples: the data set of `config`.
      directory: the workdir.
      strategy: of strategies.make; None for one device.
      jit: 'on', 'off', or 'auto': compile loss and gradient with XLA on a TPU
        and a GPU, and for models that are faster with it on a CPU.

    Returns:
      The trained model; with `ema`, of the averaged weights.

    Raises:
      UserError: the workdir belongs to another run, the batch cannot be
        divided among the replicas, a loss is not finite.
    """
    strategy = strategy or tf.distribute.get_strategy()
    chief = strategies.is_chief(strategy)
    preset = config.preset
    replicas = strategy.num_replicas_in_sync
    if preset.batch_size % replicas:
        raise UserError(
            f'batch_size {preset.batch_size} is not a multiple of the '
            f'{replicas} replicas: set batch_size, for example --set '
            f'batch_size={-(-preset.batch_size // replicas) * replicas}'
        )
    make_repeatable()
    with strategy.scope():
        model = config.build()
        optimizers = make_optimizers(model, preset)
        averages = make_averages(model, preset)
    compiled = use_jit(jit, model, strategy)
    # These compute in float32 whatever is asked.
    exact = isinstance(model, ExactModel)
    precision = 'float32' if exact else config.precision
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    saved = {f'{k}_optimizer': v for k, v in optimizers.items()}
    if averages:
        saved[checkpoints.AVERAGES] = averages
    checkpoint = checkpoints.of(model, step, **saved)
    restored = checkpoints.restore(checkpoint, directory / 'checkpoints')
    if chief:
        workdir.write_config(directory, config)
    done = int(step.numpy())
    if restored:
        print(f'continuing at step {done} from {restored}', flush=True)
    if done >= preset.steps:
        print(f'{directory} is already trained to step {done}')
        _use_averages(model, averages)
        return model
    loop = make_loop(strategy, model, optimizers, config, compiled, averages)
    batches = batch_iterator(strategy, model, examples, config, done)
    with Reporter(directory, config, model, done, chief) as report:
        while done < preset.steps:
            count = _until_next_event(done, preset)
            history = loop(batches, done, count)
            _require_finite(history, done, precision)
            done += count
            step.assign(done)
            report.terms(done, history)
            if done % preset.checkpoint_every == 0 or done == preset.steps:
                _require_finite_weights(model, done, precision)
                checkpoints.save(
                    checkpoint, directory / 'checkpoints', done, chief
                )
                report.samples(done)
    _use_averages(model, averages)
    return model


def make_repeatable() -> None:
    """Keeps Grappler from merging sums of two gradients into larger ones.

    For the whole process; see the head of this file.
    """
    tf.config.optimizer.set_experimental_options(
        {'arithmetic_optimization': False}
    )


def make_optimizers(
    model: GenerativeModel, preset: Preset
) -> dict[str, keras.optimizers.Optimizer]:
    """One built Adam per player; call it inside the strategy's scope."""
    optimizers = {}
    for objective in model.objectives():
        rate = preset.learning_rate
        if preset.schedule == 'cosine':
            rate = keras.optimizers.schedules.CosineDecay(
                rate, preset.steps * objective.updates
            )
        optimizer = Adam(rate, beta_1=preset.beta_1)
        optimizer.build(objective.variables)
        optimizers[objective.name] = optimizer
    return optimizers


def make_averages(model: GenerativeModel, preset: Preset) -> list[tf.Variable]:
    """A copy of every weight, for its moving average; none without `ema`.

    Call it inside the strategy's scope.
    """
    if not preset.ema:
        return []
    return [
        tf.Variable(
            v.value,
            trainable=False,
            # Every replica moves its own copy, and all by the same amount.
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        for v in model.variables
    ]


def _use_averages(model, averages):
    if averages:
        for variable, average in zip(model.variables, averages, strict=True):
            variable.assign(average)


def use_jit(
    jit: str, model: GenerativeModel, strategy: tf.distribute.Strategy
) -> bool:
    """Whether XLA compiles loss and gradient; see `train`."""
    if jit not in JITS:
        raise UserError(f'unknown jit {jit!r}: use {", ".join(JITS)}')
    if strategies.is_tpu(strategy):
        return False  # strategy.run compiles everything there
    split = model.cross_replica and strategy.num_replicas_in_sync > 1
    if jit == 'on' and split:
        raise UserError(
            'jit=on cannot compile batch norm over '
            f'{strategy.num_replicas_in_sync} replicas: use --jit=auto'
        )
    if jit != 'auto':
        return jit == 'on'
    on_gpu = bool(tf.config.list_logical_devices('GPU'))
    return (on_gpu or model.jit_on_cpu) and not split


def batch_iterator(
    strategy: tf.distribute.Strategy,
    model: GenerativeModel,
    examples: Data,
    config: workdir.Config,
    step: int,
):
    """The stream of batches from `step` on, dealt to the replicas."""
    start = step * _batches_per_step(model)

    def dataset(context):
        return examples.train(
            config.seed, config.preset.batch_size, start, context
        )

    return iter(strategy.distribute_datasets_from_function(dataset))


def make_loop(
    strategy: tf.distribute.Strategy,
    model: GenerativeModel,
    optimizers: dict[str, keras.optimizers.Optimizer],
    config: workdir.Config,
    jit: bool,
    averages: list[tf.Variable] = (),
):
    """The compiled loop: (batches, first step, count) -> history.

    `history` maps 'objective/term' to float32 [count], each step's average
    over the global batch (and over a player's updates).
    """
    batch_size = config.preset.batch_size
    rows = batch_size // strategy.num_replicas_in_sync
    batches_per_step = _batches_per_step(model)
    objectives = model.objectives()
    streams = _num_streams(strategy, model, rows)
    losses = [_loss(o, batch_size, rows // streams, jit) for o in objectives]
    names = []

    def update(batches, step):
        """One replica's share of one step -> [number of terms]."""
        replica = tf.distribute.get_replica_context()
        start = tf.cast(replica.replica_id_in_sync_group, tf.int32) * rows
        totals = {}
        for objective, loss in zip(objectives, losses, strict=True):
            for number in range(objective.updates):
                key = tf.stack(
                    [
                        tf.constant(config.seed, tf.int64),
                        step * batches_per_step + number,
                    ]
                )
                terms, gradients = _in_streams(
                    loss, batches[number], key, start, rows // streams, streams
                )
                optimizers[objective.name].apply(gradients, objective.variables)
                for term, value in terms.items():
                    name = f'{objective.name}/{term}'
                    share = value / objective.updates
                    totals[name] = totals.get(name, 0.0) + share
        average(step)
        names[:] = totals
        return tf.stack(list(totals.values()))

    def average(step):
        """Moves this replica's averages towards its weights."""
        if not averages:
            return
        # The first steps are averaged over a shorter time, not to drag the
        # initial weights along.
        done = tf.cast(step, tf.float32)
        decay = tf.minimum(config.preset.ema, (1.0 + done) / (10.0 + done))
        for mean, variable in zip(averages, model.variables, strict=True):
            value = tf.convert_to_tensor(variable.value)
            mean.assign(value + decay * (mean - value))

    # (AutoGraph would need a temporary file, and a disk that has room.)
    @tf.function(autograph=False)
    def run(batches, first, count):
        def body(i, history):
            taken = [next(batches) for _ in range(batches_per_step)]
            step = first + tf.cast(i, tf.int64)
            totals = strategy.run(update, (taken, step))
            totals = strategy.reduce('SUM', totals, axis=None)
            return i + 1, history.write(i, totals)

        _, history = tf.while_loop(
            lambda i, _: i < count,
            body,
            (0, tf.TensorArray(tf.float32, count)),
        )
        return history.stack()

    def loop(batches, first, count):
        history = run(
            batches,
            tf.constant(first, tf.int64),
            tf.constant(count),
        )
        return dict(zip(names, history.numpy().T, strict=True))

    return loop


def _loss(objective, batch_size, rows, jit):
    """(batch, key, start) -> terms and gradients of `rows` rows.

    Terms and gradients are sums over the rows, divided by the GLOBAL batch:
    adding them over streams and replicas gives the average.
    """

    def loss(batch, key, start):
        noise = BatchNoise(key, batch_size, start, rows, f'{objective.name}/')
        with tf.GradientTape() as tape:
            terms = {
                name: tf.reduce_sum(values) / batch_size
                for name, values in objective.loss_terms(batch, noise).items()
            }
            total = tf.add_n(list(terms.values()))
        return terms, tape.gradient(total, list(objective.variables))

    # Without XLA no function of its own: replicas cannot meet inside one.
    if not jit:
        return loss
    return tf.function(loss, jit_compile=True, autograph=False)


def _num_streams(strategy, model, rows):
    """2 where halves of the rows are computed side by side, else 1."""
    on_cpu = not (
        strategies.is_tpu(strategy) or tf.config.list_logical_devices('GPU')
    )
    # Replicas share the cores out already; batch statistics need all rows.
    alone = strategy.num_replicas_in_sync == 1 and not model.cross_replica
    return 2 if on_cpu and alone and rows % 2 == 0 else 1


def _in_streams(loss, batch, key, start, rows, streams):
    """Terms and gradients of `loss`, added over streams of `rows` rows."""
    if streams == 1:
        return loss(batch, key, start)
    (one, first), (two, second) = (
        loss({k: v[i : i + rows] for k, v in batch.items()}, key, start + i)
        for i in (0, rows)
    )
    # (The gradient of a table of vectors may be sparse.)
    gradients = [
        tf.convert_to_tensor(a) + tf.convert_to_tensor(b)
        for a, b in zip(first, second, strict=True)
    ]
    return {name: one[name] + two[name] for name in one}, gradients


def _batches_per_step(model):
    return max(o.updates for o in model.objectives())


def _until_next_event(done, preset):
    def after(every):
        return every - done % every

    return min(
        after(preset.log_every),
        after(preset.checkpoint_every),
        preset.steps - done,
    )


def _require_finite(history, done, precision):
    bad = [
        (int(np.argmin(np.isfinite(values))), name)
        for name, values in history.items()
        if not np.all(np.isfinite(values))
    ]
    if bad:
        offset, name = min(bad)
        raise UserError(
            f'the loss term {name} is {history[name][offset]} at step '
            f'{done + offset}: {_remedy(precision)}'
        )


def _require_finite_weights(model, done, precision):
    for variable in model.variables:
        if not np.all(np.isfinite(variable.numpy())):
            raise UserError(
                f'the variable {variable.path} is not finite after step '
                f'{done}: {_remedy(precision)}'
            )


def _remedy(precision):
    text = (
        'nothing of it was saved; try a smaller learning_rate in a new workdir'
    )
    return text if precision == 'float32' else f'{text}, or --precision=float32'
