"""model.fit: trains a model in place, as Keras's own `fit` does."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen import optimizers, presets
from tfgen.data import Data, like
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model
from tfgen.noise import RowNoise
from tfgen.training import loop, rehearsal, run, strategies
from tfgen.training.callbacks import CallbackRunner, named
from tfgen.training.progress import StepsPerExecution

_ROWS = 256  # of a batch of validation


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that `Update.build` needs; see updates.Run."""

    learning_rate: float
    beta_1: float
    steps: int
    batch_size: int
    optimizer: Any = 'adam'
    schedule: str = 'constant'


def fit(
    model: Model,
    x: Any,
    y: Any = None,
    batch_size: int = 32,
    epochs: int = 1,
    verbose: int | str = 'auto',
    callbacks: Sequence[keras.callbacks.Callback] = (),
    validation_data: Any = None,
    steps_per_epoch: int | None = None,
    seed: int = 0,
    jit: str = 'auto',
) -> keras.callbacks.History:
    """Trains a model in place, by the loop of tfgen.train.

    The weights equal those of tfgen.train with a constant schedule and without
    `ema`, if the initial weights, the training examples, the learning rate, the
    seed, the batch size and the number of steps are equal. A second call
    continues with the optimizers' state. Nothing is written; use tfgen.train
    for a run that can be resumed.

    Args:
      model: build it in a strategy's scope to train on several replicas.
      x, y: examples and labels; see data.from_examples. All arrays are trained
        on. Of a random-access source a tenth is held out, of a stream its first
        examples.
      batch_size: examples per step, over all replicas.
      epochs: passes over the examples.
      verbose: 0 for silence, 1 or 'auto' for a progress bar, 2 for a line per
        epoch.
      callbacks: of Keras, or your own. They see the weights after the last
        step.
      validation_data: examples, or (examples, labels). After each epoch their
        mean terms are in the logs, as 'val_loss' and so on.
      steps_per_epoch: None for one pass over the examples.
      seed: of the order of the examples and of the noise.
      jit: 'auto', 'on' or 'off'; see tfgen.train.

    Returns:
      Keras's History, with the mean of each term over each epoch.

    Raises:
      UserError: the examples do not suit the model, or a loss is not finite.
    """
    examples = _examples(model, x, y)
    strategy = model.distribute_strategy
    run.require_equal_shares(batch_size, strategy)
    loop.make_repeatable()
    rehearsal.rehearse(model, _settings(model, batch_size, 1))
    size = examples.spec.split_sizes.get('train')
    per_step = loop.batches_per_step(model.updates())
    length = steps_per_epoch or _length(size, batch_size * per_step)
    state = _state(model, strategy, batch_size, epochs * length)
    updates, done = state['updates'], state['done']
    total = done + epochs * length
    if done == 0:
        _initialize(model, examples, strategy, seed, batch_size)
    compiled = run.use_jit(jit, model, strategy)
    rows = loop.BatchSplit.of(strategy, model, batch_size)
    steps = loop.make_loop(strategy, updates, rows, seed, compiled)
    batches = run.distributed(
        strategy, examples, seed, batch_size, done * per_step, type(model)
    )
    validate = None
    if validation_data is not None:
        validate = _validation(model, updates, validation_data)
    runner = CallbackRunner(
        callbacks or (),
        model,
        updates,
        length,
        total,
        done,
        1 if verbose == 'auto' else int(verbose),
        validate,
    )
    size = StepsPerExecution(strategies.is_single_process(strategy))
    try:
        while done < total and not runner.stopped:
            count = min(
                runner.most_steps(done), total - done, size.most_steps()
            )
            runner.before(done)
            with size.timed(count):
                history, made, _ = steps(batches, done, count)
            run.require_finite(history, done, 'float32')
            done += made
            state['done'] = done
            runner.after(done, history)
    finally:
        runner.close(done)
    return runner.history


def _settings(model, batch_size, steps):
    """The settings of a model's updates."""
    return Settings(
        **presets.rates(type(model)),
        steps=steps,
        batch_size=batch_size,
        optimizer=getattr(model, 'compiled_optimizer', 'adam'),
    )


def _state(model, strategy, batch_size, steps):
    """The updates of a model and the steps that it has made by `fit`."""
    state = getattr(model, 'fit_state', None)
    if state is None or state['batch_size'] != batch_size:
        settings = _settings(model, batch_size, steps)
        with strategy.scope():
            updates = [*model.updates()]
            names = [update.name for update in updates if update.repeats]
            optimizers.require_updates(settings.optimizer, names)
            for update in updates:
                update.build(settings)
        done = state['done'] if state else 0
        state = {'updates': updates, 'done': done, 'batch_size': batch_size}
        # Keras's own setattr would wrap and track it.
        object.__setattr__(model, 'fit_state', state)
    return state


def _examples(model, x, y):
    """Given examples as Data of the model's spec."""
    found = like(model.spec, x, y)
    if model.num_classes and not found.spec.num_classes:
        raise UserError('the model is conditional: pass labels as y')
    size = found.spec.split_sizes.get('train')
    if type(model).whole_epochs and size != model.spec.split_sizes.get('train'):
        raise UserError(
            f'{type(model).__name__} computes statistics of all examples, and '
            f'x has {size} where its spec has '
            f'{model.spec.split_sizes.get("train")}: build the model with '
            'tfgen.data.from_examples(x, held_out=False).spec'
        )
    return found


def _length(size, rows):
    """Steps that cover all examples once."""
    if size is None:
        raise UserError('the data set has no known size: pass steps_per_epoch')
    return max(1, math.ceil(size / rows))


def _initialize(model, examples, strategy, seed, batch_size):
    """Assigns variables from data, for models that start from data."""
    if type(model).initialize_from is Model.initialize_from:
        return
    (first,) = examples.train(seed, batch_size).take(1)
    with strategy.scope():
        model.initialize_from(first, loop.initial_noise(seed, batch_size))


def _validation(model, updates, data):
    """A function that returns the mean terms over validation examples."""
    pair = data if isinstance(data, tuple) else (data, None)
    examples = _examples(model, *pair)
    measured = [u for u in updates if hasattr(u, 'loss_terms')]

    @tf.function(autograph=False, reduce_retracing=True)
    def terms(batch, first):
        count = tf.shape(batch[model.spec.key])[0]
        noise = RowNoise(first + tf.range(count, dtype=tf.int64))
        return {
            f'{u.name}/{name}': tf.reduce_sum(values)
            for u in measured
            for name, values in u.loss_terms(batch, noise).items()
        }

    statistics = model.non_trainable_variables
    split = 'test' if isinstance(data, Data) else 'train'

    def validate():
        sums, count = {}, 0
        # Losses of a GAN move the averages of batch norm.
        before = [v.numpy() for v in statistics]
        for batch in examples.evaluation(split, _ROWS):
            found = terms(batch, tf.constant(count, tf.int64))
            count += len(batch[model.spec.key])
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        for variable, value in zip(statistics, before, strict=True):
            variable.assign(value)
        means = {name: np.float64(v) / count for name, v in sums.items()}
        return {
            name: float(value)
            for name, value in named(means, [u.name for u in measured]).items()
        }

    return validate
