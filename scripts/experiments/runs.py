"""Runs and files that the experiments share."""

import contextlib
import io
import json
import time

import numpy as np
from absl import flags

from tfgen.commands import cli


def opened(name, settings, seed):
    """The Config of a run, and its data.

    Args:
      name: of the preset; a generic one needs the setting `dataset`.
      settings: 'field=value' of the changed fields.
      seed: of the run.
    """
    from tfgen import presets
    from tfgen.training import workdir

    return workdir.Config.of(
        name,
        presets.get(name, settings),
        seed,
        data_dir=flags.FLAGS.data_dir,
        chosen={setting.partition('=')[0] for setting in settings},
    )


def trained(name, *settings, seed=0):
    """Trains a preset in the workdir; returns model, config and data."""
    from tfgen.training.run import train

    config, examples = opened(name, settings, seed)
    model = train(config, examples, _folder(name, settings, seed))
    return model, config, examples


@contextlib.contextmanager
def cpu_time(folder):
    """Adds the CPU-seconds of its block to those of a run, even if it stops.

    Yields:
      A function that returns the sum so far, over all processes of the run;
      None if one of them did not note its time.
    """
    from tfgen import storage

    file = folder / 'cpu_seconds.json'
    before = None if folder.exists() else 0.0
    if file.exists():
        before = json.loads(file.read_text())['seconds']
        file.unlink()  # a process that is killed leaves none
    begin = time.process_time()

    def spent():
        if before is None:
            return None
        return before + time.process_time() - begin

    try:
        yield spent
    finally:
        if folder.exists() and before is not None:
            storage.write_json(file, {'seconds': spent()})


def trained_on(images, name, folder, seed=0, **fields):
    """Trains a generic preset on arrays; returns the model.

    Args:
      images: uint8 [N, H, W, C].
      name: of the preset.
      folder: of the run, in the workdir; the seed is added.
      seed: of the run.
      fields: of the preset.
    """
    import tfgen

    place = _folder(folder, (), seed)
    return tfgen.train(name, images, workdir=place, seed=seed, **fields).model()


def _folder(name, settings, seed):
    """The folder of a run in the workdir."""
    print(f'{name} {" ".join(settings)} seed {seed}', flush=True)
    folder = '-'.join([name, *settings, str(seed)])
    for character in '=, ':
        folder = folder.replace(character, '_')
    return cli.workdir() / folder


def pixels(images):
    """Images in [0, 1] -> uint8."""
    return np.round(255 * np.asarray(images)).astype(np.uint8)


def png(picture):
    """Encodes a picture, uint8 [H, W, C], as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(stream, 'PNG')
    return stream.getvalue()


def saved(figure):
    """Encodes a matplotlib figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format='png')
    return stream.getvalue()
