"""The folder of one run: config.json, and what training leaves beside it."""

import dataclasses
import json
import os
import pathlib
import tempfile

import keras
import tensorflow as tf

import tfgen
from tfgen import checkpoints, data, presets
from tfgen.data import AudioSpec, DataSpec
from tfgen.errors import UserError
from tfgen.models.base import GenerativeModel
from tfgen.preset_kinds import Preset

PRECISIONS = ('float32', 'mixed_bfloat16')
# Fields that a continued run may change: they do not alter a step (but a
# cosine schedule ties the learning rate to `steps`).
_FREE = ('steps', 'log_every', 'checkpoint_every', 'parameters', 'expect')


@dataclasses.dataclass(frozen=True)
class Config:
    """All that is needed to rebuild a run.

    Attributes:
      name: of the preset.
      preset: with its settings applied.
      seed: decides initial weights, order and noise.
      precision: 'float32' or 'mixed_bfloat16'.
      spec: of the data.
      data_dir: where the data was found; None is TFDS's default. Not part of
        what the run is: it may change.
    """

    name: str
    preset: Preset
    seed: int
    precision: str
    spec: DataSpec | AudioSpec
    data_dir: str | None = None

    def load_data(self, data_dir: str | None = None) -> data.Data:
        """The run's data set, by default from where it was found.

        Raises:
          UserError: it is not there, or is no longer what it was.
        """
        images = self.preset.load_data(data_dir or self.data_dir)
        if images.spec != self.spec:
            raise UserError(
                f'data set {self.spec.name!r} has changed since the training: '
                f'{images.spec.shape} and {images.spec.split_sizes} '
                f'instead of {self.spec.shape} and '
                f'{self.spec.split_sizes}: restore it or train again'
            )
        return images

    def build(self) -> GenerativeModel:
        """The run's model with its initial weights."""
        keras.utils.set_random_seed(self.seed)
        keras.config.set_dtype_policy(self.precision)
        return self.preset.build(self.spec)

    def restore(self, path: pathlib.Path) -> tuple[GenerativeModel, int]:
        """The trained model of the workdir `path`, and its step.

        With `ema` in the preset, the averaged weights.

        Raises:
          UserError: there is no checkpoint that can be read.
        """
        model = self.build()
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        of = checkpoints.of_averages if self.preset.ema else checkpoints.of
        found = checkpoints.restore(
            of(model, step),
            path / 'checkpoints',
            partial=True,
        )
        if found is None:
            raise UserError(
                f'workdir {str(path)!r} has no checkpoint yet: train it first '
                'with scripts/train.py'
            )
        return model, int(step.numpy())

    def as_dict(self) -> dict:
        """What config.json holds."""
        return {
            'preset': self.name,
            'fields': dataclasses.asdict(self.preset),
            'seed': self.seed,
            'precision': self.precision,
            'spec': dataclasses.asdict(self.spec),
            'data_dir': self.data_dir,
            'versions': {
                'tfgen': tfgen.__version__,
                'tensorflow': tf.__version__,
                'keras': keras.__version__,
            },
        }

    @staticmethod
    def from_dict(stored: dict) -> 'Config':
        """The inverse of `as_dict`.

        Raises:
          UserError: `stored` is something else.
        """
        try:
            return Config(
                stored['preset'],
                presets.restore(stored['preset'], stored['fields']),
                stored['seed'],
                stored['precision'],
                data.spec_from_dict(stored['spec']),
                stored.get('data_dir'),
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f'a stored configuration is incomplete ({error!r}): restore '
                'its file, or train and export again'
            ) from None


def check(path: pathlib.Path, config: Config) -> None:
    """Checks that `path` is new, empty, or the workdir of `config`.

    Raises:
      UserError: `path` belongs to another run.
    """
    if (path / 'config.json').exists():
        _check_same(path, read_config(path), config)
    elif path.exists() and not path.is_dir():
        raise UserError(
            f'workdir {str(path)!r} is a file: name a folder with --workdir'
        )
    # Hidden files may be left of a configuration that was being written.
    elif path.is_dir() and any(
        not f.name.startswith('.') for f in path.iterdir()
    ):
        raise UserError(
            f'workdir {str(path)!r} is not empty and holds no run: '
            'name a new folder'
        )


def write_config(path: pathlib.Path, config: Config) -> None:
    """Makes `path` the workdir of `config`.

    Raises:
      UserError: `path` belongs to another run or cannot be written.
    """
    check(path, config)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / 'config.json', config.as_dict())
    except OSError as error:
        raise UserError(
            f'workdir {str(path)!r} cannot be written ({error.strerror}): '
            'name another folder with --workdir'
        ) from None


def read_config(path: pathlib.Path) -> Config:
    """The Config of a workdir.

    Raises:
      UserError: no workdir, or a damaged config.json.
    """
    file = path / 'config.json'
    try:
        return Config.from_dict(json.loads(file.read_text()))
    except FileNotFoundError:
        raise UserError(
            f'{str(path)!r} is no workdir (it has no config.json): pass the '
            '--workdir of scripts/train.py'
        ) from None
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f'{str(file)!r} cannot be read ({type(error).__name__}): '
            'restore the file or train in a new workdir'
        ) from None


def _check_same(path, stored, asked):
    if stored.name != asked.name:
        raise UserError(
            f'workdir {str(path)!r} belongs to preset {stored.name!r}, not '
            f'{asked.name!r}: name another --workdir'
        )
    old, new = _flat(stored), _flat(asked)
    free = set(_FREE)
    if stored.preset.schedule == 'cosine':
        free -= {'steps'}
    for field, value in new.items():
        if field not in free and value != old[field]:
            raise UserError(
                f'workdir {str(path)!r} was trained with {field}='
                f'{old[field]}, not {value}: name another --workdir'
            )


def _flat(config):
    content = config.as_dict()
    fields, spec = content.pop('fields'), content.pop('spec')
    del content['versions'], content['data_dir']
    # The spec says whether the data, say a folder, has changed.
    return fields | content | {f'data {k}': v for k, v in spec.items()}


def write_json(file: pathlib.Path, content: dict) -> None:
    """Writes `file` whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix='.')
    with os.fdopen(handle, 'w') as stream:
        json.dump(content, stream, indent=2, allow_nan=False)
        stream.write('\n')
    os.chmod(temporary, 0o644)
    os.replace(temporary, file)
