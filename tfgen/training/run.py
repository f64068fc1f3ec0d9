"""Trains a model in a workdir, or resumes its training, to the last step."""

import pathlib
import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfgen import lines, storage
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
)
from tfgen.training.averages import Average
from tfgen.training.profiling import Profile
from tfgen.training.reporting import Reporter

JITS = ('auto', 'on', 'off')


def train(
    config: workdir.Config,
    examples: Data,
    directory: pathlib.Path,
    strategy: tf.distribute.Strategy | None = None,
    jit: str = 'auto',
    stop: stopping.Stop | None = None,
    measure: Callable[[Model], Mapping[str, float]] | None = None,
    profile_steps: tuple[int, int] | None = None,
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

    Returns:
      The trained model; with `ema`, it has the averaged weights.

    Raises:
      UserError: the workdir belongs to another run or is being trained, the
        batch cannot be divided among the replicas, a loss is not finite.
      stopping.Stopped: `stop` was requested; the run's state is saved.
    """
    directory = storage.local(directory)
    strategy = strategy or tf.distribute.get_strategy()
    _require_equal_shares(config.preset.batch_size, strategy)
    rest = (strategy, jit, stop, measure, profile_steps)
    if not strategies.is_chief(strategy):
        return _train(config, examples, directory, *rest)
    with stopping.alone_in(directory):
        return _train(config, examples, directory, *rest)


def _train(
    config, examples, directory, strategy, jit, stop, measure, profile_steps
):
    """`train`, after its arguments are checked and the workdir is locked."""
    preset, chief = config.preset, strategies.is_chief(strategy)
    loop.make_repeatable()
    new = not checkpoints.newest_first(directory / 'checkpoints')
    with strategy.scope():
        model = config.build()
        if new and config.init_from:
            begun = warm_start.begin_from(model, config.init_from)
            warm_start.share(model, strategy)
        updates = make_updates(model, preset)
    compiled = use_jit(jit, model, strategy)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    saved = {k: v for p in updates for k, v in p.saved().items()}
    checkpoint = checkpoints.of(model, step, **saved)
    restored = checkpoints.restore(checkpoint, directory / 'checkpoints')
    if chief:
        workdir.write_config(directory, config)
    done = int(step.numpy())
    if restored:
        lines.write(f'continuing at step {done} from {restored}\n', sys.stdout)
    elif config.init_from:
        lines.write(f'{begun}\n', sys.stdout)
    elif type(model).initialize_from is not Model.initialize_from:
        (first,) = examples.train(config.seed, preset.batch_size).take(1)
        with strategy.scope():
            model.initialize_from(
                first, loop.initial_noise(config.seed, preset.batch_size)
            )
    if done >= preset.steps:
        already = f'{directory} has already been trained to step {done}'
        lines.write(f'{already}\n', sys.stdout)
        return _finished(model, updates)
    rows = loop.BatchSplit.of(strategy, model, preset.batch_size)
    run = loop.make_loop(strategy, updates, rows, config.seed, compiled, stop)
    batches = batch_iterator(
        strategy, examples, config, done * loop.batches_per_step(updates)
    )
    # Likelihood models compute in float32, whatever precision is asked for.
    exact = isinstance(model, LikelihoodModel)
    precision = 'float32' if exact else config.precision
    profile = Profile(profile_steps if chief else None, directory / 'summaries')
    with (
        Reporter(directory, config, model, done, chief, measure) as report,
        profile,
    ):
        while done < preset.steps:
            profile.after(done)
            count = min(
                _until_next_event(done, preset), profile.most_steps(done)
            )
            with profile.step(done):
                history, made, stopped = run(batches, done, count)
            require_finite(history, done, precision)
            done += made
            step.assign(done)
            report.terms(done, history, stopped)
            due = done % preset.checkpoint_every == 0 or done == preset.steps
            if due or stopped:
                require_finite_weights(model, done, precision)
                checkpoints.save(
                    checkpoint, directory / 'checkpoints', done, chief
                )
            if due:
                report.samples(done)
            if stopped and done < preset.steps:
                raise stopping.Stopped(done, stop.number)
    return _finished(model, updates)


def _require_equal_shares(batch_size, strategy):
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

    def dataset(context):
        return examples.train(
            config.seed,
            config.preset.batch_size,
            start,
            context,
            config.preset.model.whole_epochs,
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
