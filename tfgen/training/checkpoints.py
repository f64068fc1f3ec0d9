"""Checkpoints that survive a kill at any moment, a damaged file, a full disk.

TensorFlow's CheckpointManager knows only the checkpoints in its list file. If
the list is lost or out of date, it does not find the checkpoints that are
there. This module finds them by their index files.
"""

import contextlib
import pathlib
import re
import tempfile
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from tfgen import storage
from tfgen.errors import UserError

_NAME = 'checkpoint'
_KEEP = 3
# Names, in a checkpoint, of the weights and of their moving averages.
MODEL = 'model'
AVERAGES = 'averages'


def of(model: keras.Model, step: tf.Variable, **others) -> tf.train.Checkpoint:
    """The checkpoint of a model and its step, with `others` by name.

    The others are optimizers and averages. The model's variables are saved as
    one list, in the order in which the model makes them. A Keras 3 model
    tracked as an object would silently leave out layers that it keeps in a
    Python list.
    """
    return tf.train.Checkpoint(
        step=step, **{MODEL: [v.value for v in model.variables]}, **others
    )


def of_averages(model: keras.Model, step: tf.Variable) -> tf.train.Checkpoint:
    """A checkpoint that reads the averages into the weights of `model`."""
    return tf.train.Checkpoint(
        step=step, **{AVERAGES: [v.value for v in model.variables]}
    )


def newest_first(directory: pathlib.Path) -> list[pathlib.Path]:
    """Prefixes of the complete checkpoints of a folder, newest first.

    They are found by their index files, which are written last. TensorFlow's
    `checkpoint` list is not read, so a lost or stale list does no harm.
    """
    found = {}
    for file in storage.entries(directory):
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
      directory: the folder that `save` writes to.
      partial: the file may hold more than `checkpoint` (evaluation needs no
        optimizer).

    Returns:
      The prefix of the restored checkpoint; None if the folder has none.

    Raises:
      UserError: none can be read, or the newest readable one belongs to
        another model.
    """
    prefix = newest_readable(directory)
    if prefix:
        _restore(checkpoint, prefix, partial)
        _copies.clear()
    return prefix


def newest_readable(directory: pathlib.Path) -> pathlib.Path | None:
    """Prefix of the newest checkpoint that can be read.

    Returns:
      The prefix; None if the folder has no checkpoint.

    Raises:
      UserError: the folder has checkpoints, but none can be read.
    """
    candidates = newest_first(directory)
    for prefix in candidates:
        damage = _damage(prefix)
        if not damage:
            return prefix
        logging.warning(
            'checkpoint %s cannot be read (%s): falling back to the one before',
            prefix,
            damage,
        )
    if candidates:
        raise UserError(
            f'all {len(candidates)} checkpoints in {str(directory)!r} cannot '
            f'be read ({damage}): restore one from a copy, or train in a new '
            'workdir'
        )
    return None


def save(
    checkpoint: tf.train.Checkpoint,
    directory: pathlib.Path,
    step: int,
    chief: bool,
    require_lock: Callable[[], None] = lambda: None,
) -> None:
    """Writes the checkpoint of `step` and keeps the newest three.

    Every worker must call it, because the variables may be spread over them.
    Only the chief's file is kept.

    Args:
      checkpoint: what to write.
      directory: the folder of all checkpoints.
      step: the number of steps done.
      chief: whether this process is the chief.
      require_lock: raises UserError if this process has lost the workdir.

    Raises:
      UserError: it cannot be written; older checkpoints are unchanged.
    """
    checkpoint.save_counter  # noqa: B018 reading creates it, to be saved
    if not chief:
        with tempfile.TemporaryDirectory(prefix='tfgen-worker-') as scratch:
            checkpoint.write(f'{scratch}/{_NAME}-{step}')
        return
    prefix = directory / f'{_NAME}-{step}'
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if storage.is_remote(directory):
            _upload(checkpoint, prefix, require_lock)
        else:
            checkpoint.write(str(prefix))
    except (OSError, tf.errors.OpError) as error:
        with contextlib.suppress(OSError):  # object storage does not answer
            _delete(prefix)
        what = storage.remedy(error, 'free some space', directory)
        raise UserError(
            f'checkpoint {str(prefix)!r} cannot be written '
            f'({storage.reason(error)}): {what} and run the same command again'
        ) from None
    stale = [p for p in newest_first(directory) if p != prefix]
    for old in stale[_KEEP - 1 :]:
        _delete(old)
    # This list is for tf.train.latest_checkpoint; tfgen does not read it.
    kept = [f'"{p.name}"' for p in reversed(newest_first(directory))]
    lines = [f'model_checkpoint_path: "{prefix.name}"']
    lines += [f'all_model_checkpoint_paths: {name}' for name in kept]
    storage.write({directory / _NAME: '\n'.join([*lines, '']).encode()})


def _upload(checkpoint, prefix, require_lock):
    """Writes a checkpoint into object storage, the index last.

    An upload may take minutes. So the lock is required again before the index,
    without which the other file is no checkpoint.

    TensorFlow itself would make forty requests, because it renames its files
    there.
    """
    with tempfile.TemporaryDirectory(prefix='tfgen-') as scratch:
        checkpoint.write(f'{scratch}/{prefix.name}')
        files = pathlib.Path(scratch).iterdir()
        for file in sorted(files, key=lambda f: f.suffix == '.index'):
            if file.suffix == '.index':
                require_lock()
            (prefix.parent / file.name).write_bytes(file.read_bytes())


# Prefix of a checkpoint in object storage -> the folder of its copy here.
_copies: dict[str, tempfile.TemporaryDirectory] = {}


def _local(prefix):
    """The prefix of a checkpoint's files on a disk.

    Reading a checkpoint takes many small reads, each of which would be a
    request. Only the last copy is kept.
    """
    if not storage.is_remote(prefix):
        return prefix
    if str(prefix) not in _copies:
        _copies.clear()
        folder = tempfile.TemporaryDirectory(prefix='tfgen-')
        for file in prefix.parent.glob(f'{prefix.name}.*'):
            copy = pathlib.Path(folder.name) / file.name
            copy.write_bytes(file.read_bytes())
        _copies[str(prefix)] = folder
    return pathlib.Path(_copies[str(prefix)].name) / prefix.name


def _delete(prefix):
    """Deletes the files of one checkpoint, complete or half written."""
    own = re.compile(re.escape(prefix.name) + r'(\.|_temp)')
    # The index goes first: without it the other files are no checkpoint.
    found = storage.entries(prefix.parent)
    found = [f for f in found if own.match(f.name)]
    for file in sorted(found, key=lambda f: f.suffix != '.index'):
        if file.name.endswith('_temp'):
            storage.remove_tree(file)
        else:
            file.unlink(missing_ok=True)


def _restore(checkpoint, prefix, partial):
    """Restores from one checkpoint."""
    try:
        status = checkpoint.restore(str(_local(prefix)))
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


def _damage(prefix):
    """The reason why a checkpoint cannot be read; '' if it can."""
    try:
        reader = tf.train.load_checkpoint(str(_local(prefix)))
        for variable in reader.get_variable_to_shape_map():
            reader.get_tensor(variable)
    except FileNotFoundError as error:  # deleted meanwhile
        return storage.reason(error)
    except UserError:  # object storage does not answer, which is no damage
        raise
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        return storage.reason(error)
    return ''
