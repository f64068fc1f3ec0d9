"""The folder of one run: config.json, and what training leaves beside it."""

import dataclasses
import json
import os
import pathlib

import keras
import tensorflow as tf

import tfgen
from tfgen import presets, storage
from tfgen.data import Data, Spec, absolute, spec_from_dict
from tfgen.data.readers.base import EDITION
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model, precision
from tfgen.presets.settings import Preset
from tfgen.training import checkpoints

PRECISIONS = ('float32', 'mixed_bfloat16')
INFO = 'assets.extra/tfgen.json'  # of an exported version: config and step
# Fields that a continued run may change: they do not alter a step (but a
# cosine schedule ties the learning rate to `steps`).
_FREE = {'steps', 'log_every', 'checkpoint_every'}


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
      data_path: the same of a set that is named by its path, from the root.
      edition: of the reading of the data, see readers.base.EDITION.
      init_from: the run or export whose weights it begins with, from the
        root; None begins with weights drawn from `seed`.
    """

    name: str
    preset: Preset
    seed: int
    precision: str
    spec: Spec
    data_dir: str | None = None
    data_path: str | None = None
    edition: int = EDITION
    init_from: str | None = None

    @staticmethod
    def of(
        name: str,
        preset: Preset,
        seed: int = 0,
        precision: str = 'float32',
        data_dir: str | None = None,
        edition: int = EDITION,
        init_from: str | None = None,
    ) -> tuple['Config', Data]:
        """The Config of a new run, and its data.

        Args:
          name, preset, seed, precision, edition, init_from: see Config.
          data_dir: where to look for the data.

        Raises:
          UserError: see data.load.
        """
        examples = preset.load_data(data_dir, edition)
        config = Config(
            name,
            preset,
            seed,
            precision,
            examples.spec,
            data_dir and os.path.abspath(storage.local(data_dir)),
            absolute(preset.dataset),
            edition,
            init_from and os.path.abspath(storage.local(init_from)),
        )
        return config, examples

    def load_data(
        self, data_dir: str | None = None, dataset: str | None = None
    ) -> Data:
        """The run's data set, by default from where it was found.

        Args:
          data_dir: where TFDS keeps it now.
          dataset: where a set that is named by its path lies now.

        Raises:
          UserError: it is not there, or is no longer what it was.
        """
        preset = self.preset
        name = dataset or self.data_path
        if name:
            preset = dataclasses.replace(preset, dataset=name)
        examples = preset.load_data(data_dir or self.data_dir, self.edition)
        changed = _changes(self.spec, examples.spec)
        if changed:
            raise UserError(
                f'data set {self.spec.name!r} has changed since the training: '
                f'{changed}: {_restore(self.spec)} or train again'
            )
        return examples

    def build(self) -> Model:
        """The run's model with its initial weights."""
        keras.utils.set_random_seed(self.seed)
        with precision(self.precision):
            return self.preset.build(self.spec)

    def restore(self, path: pathlib.Path) -> tuple[Model, int]:
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
            'spec': self.spec.as_dict(),
            'data_dir': self.data_dir,
            'data_path': self.data_path,
            'edition': self.edition,
            'init_from': self.init_from,
            'versions': {
                'tfgen': tfgen.__version__,
                'tensorflow': tf.__version__,
                'keras': keras.__version__,
            },
        }

    def _require_sound(self):
        """Refuses what only an editor could have written."""
        sound = {
            'seed': type(self.seed) is int and 0 <= self.seed < 2**31,
            'precision': self.precision in PRECISIONS,
            'edition': self.edition in range(1, EDITION + 1),
            'data_dir': isinstance(self.data_dir, str | None),
            'data_path': isinstance(self.data_path, str | None),
            'init_from': isinstance(self.init_from, str | None),
        }
        for name, good in sound.items():
            if not good:
                raise UserError(
                    f'a stored configuration has {name}='
                    f'{getattr(self, name)!r}: restore its file, or train and '
                    'export again'
                )

    @staticmethod
    def from_dict(stored: dict) -> 'Config':
        """The inverse of `as_dict`.

        Raises:
          UserError: `stored` is something else.
        """
        try:
            config = Config(
                stored['preset'],
                presets.restore(
                    stored['preset'],
                    stored['fields'],
                ),
                stored['seed'],
                stored['precision'],
                spec_from_dict(stored['spec']),
                stored.get('data_dir'),
                stored.get('data_path'),
                stored.get('edition', 1),
                stored.get('init_from'),
            )
            config._require_sound()
            return config
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f'a stored configuration is incomplete ({error!r}): restore '
                'its file, or train and export again'
            ) from None


def require_precision(name: str) -> None:
    """Raises UserError for a precision that is none."""
    if name not in PRECISIONS:
        raise UserError(
            f'unknown precision {name!r}: use {" or ".join(PRECISIONS)}'
        )


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
    storage.write_json(path / 'config.json', config.as_dict())


def known_edition(path: pathlib.Path) -> int:
    """In which edition the run of a workdir reads its data; see Config.

    Raises:
      UserError: a damaged config.json.
    """
    if (path / 'config.json').exists():
        return read_config(path).edition
    return EDITION


def read_config(path: pathlib.Path) -> Config:
    """The Config of a workdir.

    Raises:
      UserError: no workdir, or a damaged config.json.
    """
    file = storage.local(path) / 'config.json'
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


def read_export(version: pathlib.Path) -> Config:
    """The Config that an exported version carries.

    Raises:
      UserError: it carries none.
    """
    try:
        stored = json.loads((version / INFO).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f'{str(version / INFO)!r} cannot be read ({type(error).__name__}): '
            'export the model again'
        ) from None
    return Config.from_dict(stored)


def _check_same(path, stored, asked):
    if stored.name != asked.name:
        raise UserError(
            f'workdir {str(path)!r} belongs to preset {stored.name!r}, not '
            f'{asked.name!r}: name another --workdir'
        )
    free, why = set(_FREE), {}
    if stored.preset.schedule == 'cosine':
        free.remove('steps')
        why['steps'] = ' (its cosine schedule depends on them)'
    if _same_place(stored, asked):
        free.add('dataset')
    old, new = _flat(stored), _flat(asked)
    for field, value in new.items():
        if field not in free and value != old[field]:
            raise UserError(
                f'workdir {str(path)!r} was trained with {field}='
                f'{old[field]}, not {value}{why.get(field, "")}: name another '
                '--workdir'
            )
    changed = _changes(stored.spec, asked.spec)
    if changed:
        raise UserError(
            f'workdir {str(path)!r} was trained on other data: '
            f'{asked.spec.name!r} has {changed}: {_restore(stored.spec)}, or '
            'name another --workdir'
        )


def _flat(config):
    """What a run is, but for its data."""
    content = config.as_dict()
    fields = content.pop('fields')
    for name in ('versions', 'spec', 'data_dir', 'data_path', 'edition'):
        del content[name]
    return fields | content


def _same_place(stored, asked):
    """Whether both read one set, however its path was written.

    A set that was moved is known by its fingerprint.
    """
    prefixes = {c.preset.dataset.partition(':')[0] for c in (stored, asked)}
    places = {
        c.data_path or absolute(c.preset.dataset) or c.preset.dataset
        for c in (stored, asked)
    }
    moved = stored.spec.fingerprint == asked.spec.fingerprint
    return len(prefixes) == 1 and (len(places) == 1 or moved)


def _changes(old, new):
    """What of the data has changed, in words; '' if nothing has."""
    skip = {'name'}
    if not old.fingerprint:  # of a run that began before there was one
        skip |= {'fingerprint', 'class_names'}
    old, new = old.as_dict(), new.as_dict()
    differing = [k for k in new if k not in skip and old.get(k) != new[k]]
    if differing == ['fingerprint']:
        return 'other examples, or other names of files'
    return ', '.join(
        f'{k.replace("_", " ")} {_words(new[k])} instead of '
        f'{_words(old.get(k))}'
        for k in differing
        if k != 'fingerprint'
    )


def _restore(spec):
    """What to do about data that have changed."""
    if spec.fingerprint:
        return 'restore it'
    # The run began before sets were read as they are now.
    return 'restore it, continue with the tfgen that began the run'


def _words(value):
    if isinstance(value, dict):
        return ', '.join(f'{k} {v}' for k, v in value.items())
    if isinstance(value, (tuple, list)):
        shown = [str(v) for v in value]
        return ', '.join(shown if len(shown) < 9 else [*shown[:8], '...'])
    return str(value)
