"""Checkpoints that survive a kill at any moment and a damaged file."""

import pathlib
import re
import tempfile

import keras
import tensorflow as tf
from absl import logging

from tfgen.errors import UserError

_NAME = 'checkpoint'
# Name of the moving averages of the weights in a checkpoint.
AVERAGES = 'averages'


def of(model: keras.Model, step: tf.Variable, **others) -> tf.train.Checkpoint:
    """The checkpoint of a model, its step, optimizers and averages by name.

    The model's variables are saved as one list, in the order in which the
    model makes them. (Tracked as an object, a Keras 3 model silently leaves
    out the layers that it keeps in a Python list.)
    """
    return tf.train.Checkpoint(
        model=[v.value for v in model.variables], step=step, **others
    )


def of_averages(model: keras.Model, step: tf.Variable) -> tf.train.Checkpoint:
    """Reads the averages of the weights in place of the weights."""
    return tf.train.Checkpoint(
        step=step, **{AVERAGES: [v.value for v in model.variables]}
    )


def newest_first(directory: pathlib.Path) -> list[pathlib.Path]:
    """Prefixes of the complete checkpoints of a folder, newest first.

    By the files and not by TensorFlow's `checkpoint` list, so that a lost or
    stale list loses nothing. The index file is written last.
    """
    found = {}
    for file in directory.glob(f'{_NAME}-*.index'):
        number = re.fullmatch(rf'{_NAME}-(\d+)\.index', file.name)
        if number:
            found[int(number[1])] = file.with_suffix('')
    return [found[step] for step in sorted(found, reverse=True)]


def restore(
    checkpoint: tf.train.Checkpoint,
    directory: pathlib.Path,
    partial: bool = False,
) -> pathlib.Path | None:
    """Restores the newest checkpoint that can be read.

    Args:
      checkpoint: with all of its variables built.
      directory: of `save`.
      partial: the file may hold more than `checkpoint` (evaluation needs no
        optimizer).

    Returns:
      What was restored, or None if the folder has no checkpoint.

    Raises:
      UserError: all are damaged, or the newest readable one belongs to
        another model.
    """
    candidates = newest_first(directory)
    for prefix in candidates:
        damage = _damage(prefix)
        if damage:
            logging.warning(
                'checkpoint %s is damaged (%s): falling back to the one before',
                prefix,
                damage,
            )
            continue
        try:
            status = checkpoint.restore(str(prefix))
            if partial:
                status.assert_existing_objects_matched().expect_partial()
            else:
                status.assert_consumed()
        except (ValueError, AssertionError) as error:
            raise UserError(
                f'checkpoint {str(prefix)!r} belongs to another model '
                f'({" ".join(str(error).split())[:160]}): restore the '
                'config.json it was trained with, or name another --workdir'
            ) from None
        return prefix
    if candidates:
        raise UserError(
            f'all {len(candidates)} checkpoints in {str(directory)!r} are '
            'damaged: restore one from a copy, or remove the folder to start '
            'over'
        )
    return None


def manager(
    checkpoint: tf.train.Checkpoint, directory: pathlib.Path, chief: bool
) -> tf.train.CheckpointManager:
    """Keeps the last three. Every worker must save; only the chief's stays."""
    if not chief:
        directory = pathlib.Path(tempfile.mkdtemp(prefix='tfgen-worker-'))
    return tf.train.CheckpointManager(
        checkpoint, str(directory), max_to_keep=3, checkpoint_name=_NAME
    )


def _damage(prefix):
    """What is wrong with a checkpoint's files, or '' if all can be read."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        return ' '.join(str(error).split())[:120] or type(error).__name__
    return ''
