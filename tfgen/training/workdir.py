"""The workdir of a run, and the Config that its config.json stores."""

import dataclasses
import json
import pathlib
from collections.abc import Collection
from typing import Any

import keras
import tensorflow as tf

import tfgen
from tfgen import presets, storage
from tfgen.data import (
    ARRAYS,
    Data,
    Spec,
    absolute,
    save_arrays,
    spec_from_dict,
)
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model, precision
from tfgen.presets.settings import Preset
from tfgen.training import checkpoints

PRECISIONS = ('float32', 'mixed_bfloat16')
DATA = 'data.npz'  # arrays that a run was given; see data.given.files
INFO = 'assets.extra/tfgen.json'  # config and step of an exported version
# Fields that a resumed run may change, because no step depends on them. (With a
# cosine schedule the learning rate depends on `steps`, which must then stay.)
_FREE = {'steps', 'log_every', 'checkpoint_every'}


@dataclasses.dataclass(frozen=True)
class Config:
    """The configuration of a run: all that is needed to rebuild it.

    Attributes:
      name: of the preset.
      preset: with its settings applied.
      seed: decides initial weights, order and noise.
      precision: 'float32' or 'mixed_bfloat16'.
      spec: of the data.
      data_dir: where TFDS found the data; None is its default. It does not
        identify the run and may change.
      data_path: absolute path of a data set that is named by its path; it may
        change too.
      init_from: absolute path of the run or export whose weights the run
        starts from; None starts with weights drawn from `seed`.
    """

    name: str
    preset: Preset
    seed: int
    precision: str
    spec: Spec
    data_dir: str | None = None
    data_path: str | None = None
    init_from: str | None = None

    @staticmethod
    def of(
        name: str,
        preset: Preset,
        seed: int = 0,
        precision: str = 'float32',
        data_dir: str | None = None,
        init_from: str | None = None,
        data: Any = None,
        labels: Any = None,
        chosen: Collection[str] = (),
    ) -> tuple['Config', Data]:
        """The Config of a new run, and its data.

        Args:
          name, preset, seed, precision, init_from: see Config.
          data_dir: where TFDS keeps the data; None is its default.
          data, labels: given examples; None opens the preset's data set.
          chosen: fields that the user has set; see presets.with_sizes.

        Raises:
          UserError: see data.load.
        """
        examples = preset.load_data(data_dir, data, labels)
        if data is not None:
            preset = preset.of_given(examples.spec)
        config = Config(
            name,
            presets.with_sizes(name, preset, examples.spec, chosen),
            seed,
            precision,
            examples.spec,
            data_dir and storage.absolute(data_dir),
            absolute(preset.dataset),
            init_from and storage.absolute(init_from),
        )
        return config, examples

    def load_data(
        self,
        data_dir: str | None = None,
        dataset: str | None = None,
        workdir: pathlib.Path | None = None,
    ) -> Data:
        """The run's data set, by default from where the run found it.

        Args:
          data_dir: where TFDS keeps it now.
          dataset: the present path of a set that is named by its path.
          workdir: where the run is now; it may have moved with its arrays.

        Raises:
          UserError: the data set is missing or has changed.
        """
        preset = self.preset
        name = dataset or self.data_path
        if not dataset and workdir and (workdir / DATA).exists():
            name = f'{ARRAYS}:{workdir / DATA}'
        if name:
            preset = dataclasses.replace(preset, dataset=name)
        examples = preset.load_data(data_dir or self.data_dir)
        changed = _changes(self.spec, examples.spec)
        if changed:
            raise UserError(
                f'data set {self.spec.name!r} has changed since the training: '
                f'{changed}: restore it, or train again'
            )
        return examples

    def build(self) -> Model:
        """The run's model with its initial weights."""
        keras.utils.set_random_seed(self.seed)
        with precision(self.precision):
            return self.preset.build(self.spec)

    def restore(self, path: pathlib.Path) -> tuple[Model, int]:
        """The trained model of the workdir `path`, and its step.

        With `ema` in the preset, the model has the averaged weights.

        Raises:
          UserError: no checkpoint can be read.
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
                'with tfgen train'
            )
        return model, int(step.numpy())

    def as_dict(self) -> dict:
        """The content of config.json."""
        return {
            'preset': self.name,
            'model': presets.classes.name_of(self.preset.model),
            'fields': dataclasses.asdict(self.preset),
            'seed': self.seed,
            'precision': self.precision,
            'spec': self.spec.as_dict(),
            'data_dir': self.data_dir,
            'data_path': self.data_path,
            'init_from': self.init_from,
            'versions': {
                'tfgen': tfgen.__version__,
                'tensorflow': tf.__version__,
                'keras': keras.__version__,
            },
        }

    def _require_sound(self):
        """Raises UserError for values that tfgen never writes."""
        sound = {
            'seed': type(self.seed) is int and 0 <= self.seed < 2**31,
            'precision': self.precision in PRECISIONS,
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
          UserError: `stored` is not a configuration.
        """
        try:
            config = Config(
                stored['preset'],
                presets.restore(_model(stored), stored['fields']),
                stored['seed'],
                stored['precision'],
                spec_from_dict(stored['spec']),
                stored.get('data_dir'),
                stored.get('data_path'),
                stored.get('init_from'),
            )
            config._require_sound()
            return config
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f'a stored configuration is incomplete ({error!r}): restore '
                'its file, or train and export again'
            ) from None


def keep_data(path: pathlib.Path, config: Config, examples: Data) -> None:
    """Writes given arrays into the workdir, if `config` names them there."""
    file = path / DATA
    if config.preset.dataset == f'{ARRAYS}:{file}' and not file.exists():
        save_arrays(file, examples)


def _model(stored):
    """The name of the model's class; earlier versions stored a preset alone."""
    if 'model' in stored:
        return stored['model']
    return presets.classes.name_of(presets.get(stored['preset']).model)


def kept_data(path: pathlib.Path) -> str | None:
    """The name of the arrays that a workdir keeps; None if it keeps none."""
    return f'{ARRAYS}:{path / DATA}' if (path / DATA).exists() else None


def require_precision(name: str) -> None:
    """Raises UserError for an unknown precision."""
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
    # An interrupted write of config.json may leave hidden files.
    elif any(not f.name.startswith('.') for f in storage.entries(path)):
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


def read_config(path: pathlib.Path) -> Config:
    """The Config of a workdir.

    Raises:
      UserError: `path` is no workdir, or its config.json is damaged.
    """
    file = storage.place(path) / 'config.json'
    try:
        return Config.from_dict(json.loads(file.read_text()))
    except FileNotFoundError:
        raise UserError(
            f'{str(path)!r} is no workdir (it has no config.json): pass the '
            '--workdir of tfgen train'
        ) from None
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f'{str(file)!r} cannot be read ({type(error).__name__}): '
            'restore the file or train in a new workdir'
        ) from None


def read_export(version: pathlib.Path) -> Config:
    """The Config in an exported version.

    Raises:
      UserError: it has none that can be read.
    """
    try:
        stored = json.loads((version / INFO).read_text())
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f'{str(version / INFO)!r} cannot be read ({type(error).__name__}): '
            'export the model again'
        ) from None
    return Config.from_dict(stored)


def _check_same(path, stored, asked):
    """Raises UserError unless both Configs describe the same run."""
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
            if isinstance(value, dict) or isinstance(old[field], dict):
                raise UserError(
                    f'workdir {str(path)!r} was trained with another network '
                    f'{field}: pass the same one, or name another --workdir'
                )
            raise UserError(
                f'workdir {str(path)!r} was trained with {field}='
                f'{old[field]}, not {value}{why.get(field, "")}: name another '
                '--workdir'
            )
    changed = _changes(stored.spec, asked.spec)
    if changed:
        if asked.preset.dataset.partition(':')[0] == ARRAYS:
            raise UserError(
                f'workdir {str(path)!r} was trained on other examples, or in '
                f'another order ({changed}): pass the same, or no data to '
                'resume with those that it keeps'
            )
        raise UserError(
            f'workdir {str(path)!r} was trained on other data: '
            f'{asked.spec.name!r} has {changed}: restore it, or '
            'name another --workdir'
        )


def _flat(config):
    """The settings that identify a run, by name, without its data."""
    content = config.as_dict()
    fields = content.pop('fields')
    for name in ('versions', 'spec', 'data_dir', 'data_path'):
        del content[name]
    return fields | content


def _same_place(stored, asked):
    """Whether both Configs read the same data set.

    Its path may be written in another way, or the set may have moved: it is
    then recognised by its fingerprint.
    """
    prefixes = {c.preset.dataset.partition(':')[0] for c in (stored, asked)}
    places = {
        c.data_path or absolute(c.preset.dataset) or c.preset.dataset
        for c in (stored, asked)
    }
    moved = stored.spec.fingerprint == asked.spec.fingerprint
    return len(prefixes) == 1 and (len(places) == 1 or moved)


def _changes(old, new):
    """The changes between two specs in words; '' if there are none."""
    old, new = old.as_dict(), new.as_dict()
    differing = [k for k in new if k != 'name' and old.get(k) != new[k]]
    if differing == ['fingerprint']:
        return 'other examples, or other names of files'
    return ', '.join(
        f'{k.replace("_", " ")} {_words(new[k])} instead of '
        f'{_words(old.get(k))}'
        for k in differing
        if k != 'fingerprint'
    )


def _words(value):
    """A value of a spec in words, shortened."""
    if isinstance(value, dict):
        return ', '.join(f'{k} {v}' for k, v in value.items())
    if isinstance(value, (tuple, list)):
        shown = [str(v) for v in value]
        return ', '.join(shown if len(shown) < 9 else [*shown[:8], '...'])
    return str(value)
