"""Trains a model in a workdir, or resumes its training, to the last step."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfgen import lines, optimizers, storage
from tfgen.data import Data
from tfgen.errors import NotFiniteError, UserError
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.updates import Update
from tfgen.presets.settings import Preset
from tfgen.training import (
    checkpoints,
    loop,
    stopping,
    strategies,
    warm_start,
    workdir,
    workers,
)
from tfgen.training.averages import Average
from tfgen.training.callbacks import CallbackRunner
from tfgen.training.profiling import Profile
from tfgen.training.progress import StepsPerExecution
from tfgen.training.reporting import Reporter

JITS = ('auto', 'on', 'off')
# TensorFlow's errors when another worker has ended.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError)


def train(
    config: workdir.Config,
    examples: Data,
    directory: pathlib.Path,
    strategy: tf.distribute.Strategy | None = None,
    jit: str = 'auto',
    stop: stopping.Stop | None = None,
    measure: Callable[[Model], Mapping[str, float]] | None = None,
    profile_steps: tuple[int, int] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Model:
    """Trains the run in `directory` to its last step, or resumes it.

    Args:
      config: of the run. `directory` is its workdir, or is new or empty.
      examples: the data set of `config`.
      directory: the workdir.
      strategy: from strategies.make; None for one device.
      jit: 'on', 'off', or 'auto'. 'auto' compiles loss and gradient with XLA
        on a TPU and a GPU, and on a CPU for models that are faster with it.
      stop: ends the run early, when requested.
      measure: model -> results by name, for the current weights; written into
        the summaries at each checkpoint.
      profile_steps: the steps to profile; see profiling.Profile.
      callbacks: of Keras; see training.callbacks. One that sets
        `model.stop_training` ends the run early; the step is saved.

    Returns:
      The trained model; with `ema`, it has the averaged weights.

    Raises:
      UserError: the workdir belongs to another run or is being trained, the
        batch cannot be divided among the replicas, a loss is not finite.
      stopping.Stopped: `stop` was requested; the run's state is saved.
    """
    directory = storage.place(directory)
    strategy = strategy or tf.distribute.get_strategy()
    require_equal_shares(config.preset.batch_size, strategy)
    rest = (strategy, jit, stop, measure, profile_steps, callbacks)
    if not strategies.is_chief(strategy):
        return _train(config, examples, directory, *rest, lambda: None)
    with stopping.alone_in(directory) as require_lock:
        return _train(config, examples, directory, *rest, require_lock)


def _train(
    config,
    examples,
    directory,
    strategy,
    jit,
    stop,
    measure,
    profile_steps,
    callbacks,
    require_lock,
):
    """`train`, after its arguments are checked and the workdir is locked."""
    preset, chief = config.preset, strategies.is_chief(strategy)
    loop.make_repeatable()
    run = _begin(config, examples, directory, strategy, jit)
    if run.done >= preset.steps:
        already = f'{directory} has already been trained to step {run.done}'
        lines.write(f'{already}\n', sys.stdout)
        return _finished(run.model, run.updates)
    profile = Profile(profile_steps if chief else None, directory / 'summaries')
    report = Reporter(directory, config, run.model, run.done, chief, measure)
    runner = _runner(callbacks, run, examples, preset)
    with report, profile:
        report.compiling()
        for history, stopped in _steps(
            run, config, examples, strategy, jit, stop, profile, runner
        ):
            ended = runner is not None and runner.stopped
            report.terms(run.done, history, stopped or ended)
            last = run.done == preset.steps
            due = run.done % preset.checkpoint_every == 0 or last
            if due or stopped or ended:
                require_finite_weights(run.model, run.done, _precision(run))
                require_lock()
                run.save(directory, chief, require_lock)
            if due or ended:
                report.samples(run.done)
            if stopped and not last:
                raise stopping.Stopped(run.done, stop.number)
            if ended and not last:
                lines.write(
                    f'a callback has stopped the run: step {run.done} is '
                    'saved\n',
                    sys.stdout,
                )
                break
    return _finished(run.model, run.updates)


@dataclasses.dataclass
class _Run:
    """A training in progress.

    Attributes:
      model, updates: in training.
      checkpoint: of all that a resumed run needs.
      step: the number of steps done, in the checkpoint.
      precision: that was asked for.
    """

    model: Model
    updates: list[Update]
    checkpoint: tf.train.Checkpoint
    step: tf.Variable
    precision: str

    @property
    def done(self) -> int:
        return int(self.step.numpy())

    def save(self, directory, chief, require_lock):
        """Writes a checkpoint; every worker takes part."""
        folder = directory / 'checkpoints'
        checkpoints.save(
            self.checkpoint, folder, self.done, chief, require_lock
        )


def _begin(config, examples, directory, strategy, jit):
    """The _Run of a new training, or of the last checkpoint."""
    preset = config.preset
    new = not checkpoints.newest_first(directory / 'checkpoints')
    begun = ''
    with strategy.scope():
        model = config.build()
        if new and config.init_from:
            begun = warm_start.begin_from(model, config.init_from)
            warm_start.share(model, strategy)
        updates = make_updates(model, preset)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    saved = {k: v for p in updates for k, v in p.saved().items()}
    checkpoint = checkpoints.of(model, step, **saved)
    run = _Run(model, updates, checkpoint, step, config.precision)
    restored = checkpoints.restore(checkpoint, directory / 'checkpoints')
    chief = strategies.is_chief(strategy)
    if chief and not restored and (directory / 'config.json').exists():
        lines.write(
            f'{directory} has no checkpoint yet: starting at step 0\n',
            sys.stdout,
        )
    use_jit(jit, model, strategy)  # before anything is written
    if chief:
        workdir.write_config(directory, config)
        workdir.keep_data(directory, config, examples)
    if restored:
        said = f'continuing at step {run.done} from {restored}\n'
        lines.write(said, sys.stdout)
    elif begun:
        lines.write(f'{begun}\n', sys.stdout)
    elif type(model).initialize_from is not Model.initialize_from:
        (first,) = examples.train(config.seed, preset.batch_size).take(1)
        with strategy.scope():
            model.initialize_from(
                first, loop.initial_noise(config.seed, preset.batch_size)
            )
    return run


def _steps(run, config, examples, strategy, jit, stop, profile, runner):
    """Makes the steps; yields (history, stopped) after each call of the loop.

    A call ends where something is due: a line, a checkpoint, a callback.
    """
    preset, model = config.preset, run.model
    compiled = use_jit(jit, model, strategy)
    rows = loop.BatchSplit.of(strategy, model, preset.batch_size)
    steps = loop.make_loop(
        strategy, run.updates, rows, config.seed, compiled, stop
    )
    first = run.done * loop.batches_per_step(run.updates)
    batches = batch_iterator(strategy, examples, config, first)
    size = StepsPerExecution(strategies.is_single_process(strategy))
    while run.done < preset.steps:
        done = run.done
        profile.after(done)
        count = min(
            _until_next_event(done, preset),
            profile.most_steps(done),
            size.most_steps(),
            runner.most_steps(done) if runner else preset.steps,
        )
        if runner:
            runner.before(done)
        try:
            with profile.step(done), size.timed(count):
                history, made, stopped = steps(batches, done, count)
        except tf.errors.OpError as error:
            if examples.failure:  # in a source of the user's
                raise examples.failure from None
            alone = strategies.is_single_process(strategy)
            if not alone and isinstance(error, _LOST):
                raise workers.lost(error) from None
            raise
        require_finite(history, done, _precision(run))
        run.step.assign(done + made)
        if runner:
            runner.after(done + made, history)
            if runner.stopped or run.done == preset.steps:
                runner.close(run.done)  # it may restore the best weights
        yield history, stopped


def _precision(run):
    """The precision in which the model computes."""
    # Likelihood models compute in float32, whatever precision is asked for.
    exact = isinstance(run.model, LikelihoodModel)
    return 'float32' if exact else run.precision


def _runner(callbacks, run, examples, preset):
    """The CallbackRunner of a run; None without callbacks."""
    if not callbacks:
        return None
    rows = preset.batch_size * loop.batches_per_step(run.updates)
    # A stream has no passes; its epochs end at the checkpoints.
    unknown = preset.checkpoint_every * rows
    size = examples.spec.split_sizes.get('train', unknown)
    return CallbackRunner(
        callbacks,
        run.model,
        run.updates,
        max(1, -(-size // rows)),
        preset.steps,
        run.done,
    )


def require_equal_shares(
    batch_size: int, strategy: tf.distribute.Strategy
) -> None:
    """Raises UserError if the replicas cannot have equally many rows."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f'batch_size {batch_size} is not a multiple of the '
            f'{replicas} replicas: set batch_size, for example --set '
            f'batch_size={-(-batch_size // replicas) * replicas}'
        )


def make_updates(model: Model, preset: Preset) -> list[Update]:
    """The model's updates, built, with the moving average if the preset has it.

    Call it inside the strategy's scope.
    """
    updates = [*model.updates()]
    if preset.ema:
        updates.append(Average(model, preset.ema))
    names = [update.name for update in updates if update.repeats]
    optimizers.require_updates(preset.optimizer, names)
    for update in updates:
        update.build(preset)
    return updates


def _finished(model, updates):
    """Assigns the averaged weights, if there are any; returns the model."""
    for update in updates:
        if isinstance(update, Average):
            update.use()
    return model


def use_jit(jit: str, model: Model, strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA compiles loss and gradient; see `train`."""
    if jit not in JITS:
        raise UserError(f'unknown jit {jit!r}: use {", ".join(JITS)}')
    if strategies.is_tpu(strategy):
        return False  # strategy.run compiles everything there
    split = (
        model.cross_replica(model.settings)
        and strategy.num_replicas_in_sync > 1
    )
    if jit == 'on' and split:
        raise UserError(
            'jit=on cannot compile a loss that averages over '
            f'{strategy.num_replicas_in_sync} replicas, such as batch norm: '
            'use --jit=auto'
        )
    if jit != 'auto':
        return jit == 'on'
    on_gpu = bool(tf.config.list_logical_devices('GPU'))
    return (on_gpu or model.jit_on_cpu(model.settings)) and not split


def batch_iterator(
    strategy: tf.distribute.Strategy,
    examples: Data,
    config: workdir.Config,
    start: int,
):
    """An iterator over the batches from number `start` on, for the replicas."""
    preset = config.preset
    return distributed(
        strategy, examples, config.seed, preset.batch_size, start, preset.model
    )


def distributed(
    strategy: tf.distribute.Strategy,
    examples: Data,
    seed: int,
    batch_size: int,
    start: int,
    kind: type[Model],
):
    """The same for a seed, a batch size and a class of models."""

    def dataset(context):
        return examples.train(
            seed, batch_size, start, context, kind.whole_epochs
        )

    return iter(strategy.distribute_datasets_from_function(dataset))


def _until_next_event(done, preset):
    """Steps until the next log line, checkpoint or the end."""

    def after(every):
        return every - done % every

    return min(
        after(preset.log_every),
        after(preset.checkpoint_every),
        preset.steps - done,
    )


def require_finite(history: dict, done: int, precision: str) -> None:
    """Raises NotFiniteError if a loss term is not finite.

    Args:
      history: 'update/term' -> float32 [n].
      done: steps done before those of `history`.
      precision: of the run, for the remedy.
    """
    bad = [
        (int(np.argmin(np.isfinite(values))), name)
        for name, values in history.items()
        if not np.all(np.isfinite(values))
    ]
    if bad:
        offset, name = min(bad)
        raise NotFiniteError(
            f'the loss term {name} is {history[name][offset]} at step '
            f'{done + offset}: {_remedy(precision)}'
        )


def require_finite_weights(model: Model, done: int, precision: str) -> None:
    """Raises NotFiniteError if a variable is not finite after `done` steps."""
    for variable in model.variables:
        if not np.all(np.isfinite(variable.numpy())):
            raise NotFiniteError(
                f'the variable {variable.path} is not finite after step '
                f'{done}: {_remedy(precision)}'
            )


def _remedy(precision):
    """The last part of both messages: what the user can try."""
    text = (
        'this step was not saved; try a smaller learning_rate in a new workdir'
    )
    return text if precision == 'float32' else f'{text}, or --precision=float32'
