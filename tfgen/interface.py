"""The functions of the package itself: tfgen.train and tfgen.load."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from tfgen import presets, storage
from tfgen.data import ARRAYS, Data, Streamed
from tfgen.data.readers.base import InMemory
from tfgen.errors import UserError
from tfgen.export.trained import TrainedModel, load, load_run
from tfgen.training import rehearsal, run, stopping, strategies
from tfgen.training import workdir as workdirs

__all__ = ['load', 'train']

_KEPT = 1 << 30  # bytes of arrays that a workdir keeps, at most


def train(
    model: str,
    data: Any = None,
    labels: Any = None,
    *,
    workdir: str | pathlib.Path,
    seed: int = 0,
    strategy: str = 'auto',
    jit: str = 'auto',
    precision: str = 'float32',
    init_from: str | None = None,
    data_dir: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **settings: Any,
) -> TrainedModel:
    """Trains a model, or resumes its training, in a workdir.

        run = tfgen.train('cvae', images, labels, workdir='runs/mine')

    The workdir is the same as that of the command `tfgen train`, so Python and
    the commands can resume, evaluate, draw and export the run. The same call
    resumes an unfinished run, bit for bit on a CPU, and returns a finished one.

    Args:
      model: the name of a preset. A generic preset, such as 'cvae', 'dcgan' or
        'pixelrnn', takes its sizes from the data (tfgen.presets.generic). Any
        other, such as 'cvae_mnist', has sizes and a data set of its own.
      data: a name, such as 'mnist' or 'folder:PATH'; arrays; a pair (train,
        test) of arrays or sources; a tf.data.Dataset; a random-access source.
        See tfgen.data.from_examples. None takes the arrays that the workdir
        keeps, or else the preset's data set. A workdir keeps arrays up to 1
        GiB.
      labels: of arrays: [N], integers or strings.
      workdir: a new folder, or that of the run to resume.
      seed: of the initial weights, the order of the examples and the noise.
      strategy: 'auto', 'one', 'mirrored', 'multiworker' or 'tpu'.
      jit: whether XLA compiles loss and gradient: 'auto', 'on' or 'off'.
      precision: 'float32' or 'mixed_bfloat16'.
      init_from: a workdir or export whose weights a new run starts from.
      data_dir: where TFDS keeps prepared data sets.
      callbacks: of Keras, such as EarlyStopping(monitor='loss'); see
        training.callbacks.
      settings: fields of the preset, such as steps=5_000, batch_size=32,
        latent_size=16.

    Returns:
      The trained model.

    Raises:
      UserError: an argument or the data is wrong, or a loss is not finite. The
        message is one line with the remedy.
      KeyboardInterrupt: the training was interrupted. The step is saved; the
        same call resumes the run.
    """
    directory = storage.place(workdir)
    if isinstance(data, str):
        settings, data = settings | {'dataset': data}, None
    workdirs.require_precision(precision)
    preset = presets.with_values(model, settings)
    halve = presets.halve_cores(model, preset) and jit != 'on'
    chosen = strategies.make(strategy, 0, halve)
    if data is None and 'dataset' not in settings:
        data = workdirs.kept_data(directory)
        _require_given(directory, data)
    config, examples = workdirs.Config.of(
        model,
        preset,
        seed,
        precision,
        data_dir,
        init_from,
        data,
        labels,
        settings.keys(),
    )
    config = _keep(directory, config, examples)
    workdirs.check(directory, config)
    # Before anything is written, because it may be refused.
    rehearsal.rehearse(config.build(), config.preset)
    for line in examples.describe():
        print(line)
    with stopping.Stop(exits=False).on_signals() as stop:
        try:
            trained = run.train(
                config,
                examples,
                directory,
                chosen,
                jit,
                stop,
                callbacks=callbacks,
            )
        except stopping.Stopped as stopped:
            raise KeyboardInterrupt(str(stopped)) from None
    if not strategies.is_chief(chosen):  # its folder may be elsewhere
        steps = config.preset.steps
        return TrainedModel(config, steps, directory, live=trained)
    return load_run(directory)


def _require_given(directory, data):
    """Raises UserError if the run in `directory` needs data that are not kept.

    They were given in Python, and are too large or streamed.
    """
    if data is not None or not (directory / 'config.json').exists():
        return
    if workdirs.read_config(directory).preset.dataset == ARRAYS:
        raise UserError(
            f'workdir {str(directory)!r} does not keep the data that it was '
            'trained on: pass them again'
        )


def _keep(directory, config, examples):
    """The Config of given arrays that the workdir will keep; see run.train.

    Data that are not in memory, or larger than _KEPT bytes, are not kept, and
    must be passed again to resume the run.
    """
    if config.preset.dataset != ARRAYS:
        return config
    size = _size(examples)
    if size is None or size > _KEPT:
        print(
            f'data {ARRAYS}: not kept in the workdir; to resume or to '
            'evaluate the run, pass the data again'
        )
        return config
    file = directory / workdirs.DATA
    name = f'{ARRAYS}:{file}'
    return dataclasses.replace(
        config,
        preset=dataclasses.replace(config.preset, dataset=name),
        spec=dataclasses.replace(config.spec, name=name),
        data_path=f'{ARRAYS}:{file.absolute()}',
    )


def _size(examples: Data) -> int | None:
    """Bytes of data in memory; None if they are elsewhere."""
    parts = examples.source.splits.values()
    if isinstance(examples, Streamed):
        return None
    if not all(isinstance(part, InMemory) for part in parts):
        return None
    return sum(part.examples.numpy().nbytes for part in parts)
