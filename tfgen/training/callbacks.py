"""Keras callbacks, called by tfgen's loop as Keras's own `fit` calls them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfgen.models.contracts.model import Model
from tfgen.models.contracts.updates import Update

# Keras's own callbacks that need no call after every step.
_BY_EPOCH = (
    keras.callbacks.History,
    keras.callbacks.ProgbarLogger,
    keras.callbacks.EarlyStopping,
    keras.callbacks.CSVLogger,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TerminateOnNaN,
)
_HOOKS = (
    'on_train_batch_begin',
    'on_train_batch_end',
    'on_batch_begin',
    'on_batch_end',
)


class CallbackRunner:
    """Keras callbacks during a training.

    An epoch is `steps_per_epoch` steps: usually a pass over the training
    examples, rounded up to whole steps.

    Args:
      callbacks: of Keras, or your own subclasses.
      model: the model that is trained.
      updates: of the model; they decide the names in `logs`.
      steps_per_epoch: steps of an epoch.
      steps: the last step of the training.
      done: the number of steps done before.
      verbose: 0 for silence, 1 for a progress bar, 2 for a line per epoch.
      validate: returns the mean terms over the validation data, by name; None
        if there are no such data.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: Model,
        updates: Sequence[Update],
        steps_per_epoch: int,
        steps: int,
        done: int = 0,
        verbose: int = 0,
        validate=None,
    ):
        self._length, self._model = steps_per_epoch, model
        self._names = [u.name for u in updates if u.repeats]
        self._validate, self._sums = validate, {}
        self._each_step = any(map(_wants_steps, callbacks))
        self._list = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=math.ceil(steps / steps_per_epoch),
            steps=steps_per_epoch,
        )
        model.stop_training = False
        # Callbacks read the learning rate here. Keras's own setattr would save
        # the optimizer with the model.
        optimizers = [getattr(u, 'optimizer', None) for u in updates]
        object.__setattr__(
            model, 'optimizer', next(filter(None, optimizers), None)
        )
        self._begun = False
        self._list.on_train_begin()
        if done % steps_per_epoch:
            self._begin(done)

    @property
    def history(self) -> keras.callbacks.History:
        """Keras's record of the epochs."""
        return self._list._history

    @property
    def stopped(self) -> bool:
        """Whether a callback has asked to stop."""
        return bool(self._model.stop_training)

    def most_steps(self, done: int) -> int:
        """Most steps before the callbacks must be called again."""
        if not self._begun:
            self._begin(done)
        return 1 if self._each_step else self._length - done % self._length

    def before(self, done: int) -> None:
        """Reports that step `done` begins."""
        if not self._begun:
            self._begin(done)
        self._list.on_train_batch_begin(done % self._length)

    def after(self, done: int, history: Mapping[str, np.ndarray]) -> None:
        """Reports the terms of the steps before `done`."""
        count = len(next(iter(history.values())))
        for name, values in self._named(history).items():
            total, number = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + float(np.sum(values)), number + count
        logs = {name: total / n for name, (total, n) in self._sums.items()}
        self._list.on_train_batch_end((done - 1) % self._length, logs)
        if done % self._length == 0:
            self._end(done, logs)

    def close(self, done: int) -> None:
        """Ends an epoch that is not complete, and the training."""
        if self._begun:
            logs = {name: total / n for name, (total, n) in self._sums.items()}
            self._end(done, logs)
        self._list.on_train_end()

    def _begin(self, done):
        self._begun, self._sums = True, {}
        self._list.on_epoch_begin(done // self._length)

    def _end(self, done, logs):
        self._begun = False
        if self._validate:
            logs = logs | {f'val_{k}': v for k, v in self._validate().items()}
        self._list.on_epoch_end((done - 1) // self._length, logs)

    def _named(self, history):
        """Terms and losses by the names that callbacks see."""
        return named(history, self._names)


def named(history: Mapping[str, Any], updates: Sequence[str]) -> dict:
    """The `logs` of Keras for named terms.

    With one update they have its terms and 'loss', the sum. With several they
    have 'discriminator/real' and so on, and the sum for each update, such as
    'discriminator_loss'.

    Args:
      history: 'update/term' -> values.
      updates: names of the updates.
    """
    found = {}
    for update in updates:
        own = {
            name.partition('/')[2]: np.asarray(values)
            for name, values in history.items()
            if name.partition('/')[0] == update
        }
        if not own:
            continue
        alone = len(updates) == 1
        prefix = '' if alone else f'{update}/'
        found['loss' if alone else f'{update}_loss'] = sum(own.values())
        found |= {prefix + name: values for name, values in own.items()}
    return found


def _wants_steps(callback):
    """Whether a callback must be called after every step."""
    if isinstance(callback, _BY_EPOCH):
        return False
    base = keras.callbacks.Callback
    return any(
        getattr(type(callback), hook) is not getattr(base, hook)
        or hook in vars(callback)
        for hook in _HOOKS
    )
