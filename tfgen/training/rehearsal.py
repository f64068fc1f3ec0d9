"""Tries the losses of a user's own networks, functions and models."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfgen import objects
from tfgen.errors import UserError
from tfgen.layers import own
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.updates import GradientUpdate
from tfgen.noise import BatchNoise

_ROWS = 2


def rehearse(model: Model, settings: Any) -> None:
    """Computes each loss and its gradient on two examples of zeros.

    So a mistake shows before anything is written. Models that have nothing of
    the user's own are left out.

    Args:
      model: unchanged by this.
      settings: of its updates; see updates.Run.

    Raises:
      UserError: a loss fails, has the wrong shape or no gradient.
    """
    if not needed(type(model), model.settings):
        return
    spec = model.spec
    batch = {spec.key: tf.zeros([_ROWS, *spec.shape], spec.dtype)}
    if spec.num_classes:
        batch['label'] = tf.zeros([_ROWS], tf.int32)
    kept = [v for v in model.variables if not v.trainable]
    before = [v.numpy() for v in kept]  # such as the averages of batch norm
    updates = [*model.updates()]
    for update in updates:
        update.build(settings)
    for update in updates:
        if isinstance(update, GradientUpdate):
            _try(model, update, batch)
    for variable, value in zip(kept, before, strict=True):
        variable.assign(value)


def _try(model, update, batch):
    """Computes the loss of one update, and its gradient."""
    noise = BatchNoise(tf.constant([0, 0], tf.int64), _ROWS)
    name = f'{type(model).__name__}, update {update.name!r}'
    try:
        with tf.GradientTape() as tape:
            with own.training(noise):
                terms = update.loss_terms(batch, noise)
            total = sum(tf.reduce_sum(term) for term in terms.values())
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f'{name}: the loss cannot be computed ({type(error).__name__}: '
            f'{objects.one_line(error)}): mend your network or function'
        ) from error
    for term, value in terms.items():
        if value.shape != (_ROWS,):
            raise UserError(
                f'{name}: the term {term!r} has shape {value.shape} for '
                f'{_ROWS} examples: give one number per example, [B]'
            )
    slopes = tape.gradient(total, update.variables)
    if all(slope is None for slope in slopes):
        raise UserError(
            f'{name}: the loss does not depend on any weight: compute it with '
            'TensorFlow, without NumPy and without rounding'
        )


def needed(kind: type[Model], settings: Mapping[str, Any]) -> bool:
    """Whether a model has anything of the user's own."""
    if not kind.__module__.startswith('tfgen.'):
        return True
    return any(map(objects.is_own, settings.values()))
