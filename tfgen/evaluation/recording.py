"""Writes the record of a run: its figures, and how they were obtained."""

import dataclasses
import itertools
import math
import pathlib
import shlex
import subprocess
from collections.abc import Sequence

import tensorflow as tf

from tfgen import presets, storage
from tfgen.data import absolute, without_folders
from tfgen.errors import UserError
from tfgen.evaluation.base import Settings
from tfgen.training import checkpoints
from tfgen.training.history import events
from tfgen.training.workdir import Config, read_config

_POINTS = 10  # points of each curve, about
# A pause between events is not counted as work if it is longer than this many
# times the median pause, and longer than a minute.
_BREAK = 10


def write(
    file: pathlib.Path, directory: pathlib.Path, config: Config, metrics: dict
) -> None:
    """Writes the record of the run in `directory`.

    Call `require_whole` first.

    Args:
      file: the record to write.
      directory: the workdir.
      config: of the run.
      metrics: the content of metrics.json.

    Raises:
      UserError: the file cannot be written.
    """
    curves, seconds = _summaries(directory)
    training = {
        'command': _command(config),
        'evaluation_command': 'python scripts/evaluate.py '
        f'--workdir=runs/{config.name} --record=results',
        'steps': metrics['step'],
        'batch_size': config.preset.batch_size,
        'seconds': seconds,
        'commit': commit(),
        'curve': {
            name: [
                [step, float(f'{value:.6g}')] for step, value in _thin(curve)
            ]
            for name, curve in curves.items()
        },
    }
    content = metrics | {'spec': config.spec.as_dict(), 'training': training}
    name = without_folders(config.preset.dataset)
    if name:  # no path of this machine
        content |= {'dataset': name, 'spec': content['spec'] | {'name': name}}
    storage.write_json(file, content)


def require_whole(
    directory: pathlib.Path,
    config: Config,
    step: int,
    settings: Settings,
    metrics: Sequence[str] | None,
    features: str | None = None,
) -> None:
    """Raises UserError for a run or an evaluation that is not the preset's own.

    Args:
      directory, config, step: of the run. The run must be complete and have the
        fields of its preset. The same holds for the run that it started from.
      settings, metrics, features: of the evaluation; they must be the
        defaults.
    """
    usual = vars(Settings())
    wrong = _departures(config, step)
    wrong += [f'--{k}={v}' for k, v in vars(settings).items() if v != usual[k]]
    if features:
        wrong.append(f'--features={features}')
    if metrics:
        wrong.append(f'--metrics={",".join(metrics)}')
    if wrong:
        raise UserError(
            f'workdir {str(directory)!r} differs from its preset by '
            f'{", ".join(wrong)}: record a complete run of preset '
            f'{config.name!r} without changes'
        )


def _departures(config, step):
    """The ways in which a run at `step` departs from its preset, in words."""
    own = presets.get(config.name)
    fields = dataclasses.asdict(config.preset)
    if absolute(own.dataset):  # its path differs from machine to machine
        fields['dataset'] = own.dataset
    found = [f'{k}={v}' for k, v in fields.items() if v != getattr(own, k)]
    if step < config.preset.steps:
        found.append(f'{step} of {config.preset.steps} steps')
    if config.init_from and not _origin(config.init_from):
        found.append(f'--init_from={config.init_from}')
    return found


def _origin(path):
    """The preset whose complete run is at `path`; None if there is none."""
    try:
        path = storage.place(path)
        config = read_config(path)
    except OSError:  # object storage does not answer
        raise
    except UserError:
        return None
    newest = checkpoints.newest_first(path / 'checkpoints')
    step = int(newest[0].name.rpartition('-')[2]) if newest else 0
    return None if _departures(config, step) else config.name


def _command(config):
    """The command that trains the run of `config`."""
    words = ['python', 'scripts/train.py', f'--preset={config.name}']
    words += [f'--workdir=runs/{config.name}']
    words += [f'--seed={config.seed}'] if config.seed else []
    if config.init_from:
        words.append(f'--init_from=runs/{_origin(config.init_from)}')
    name = without_folders(config.preset.dataset)
    if name:
        words.append(f'--dataset={name.replace(":", ":/path/to/", 1)}')
    if config.precision != 'float32':
        words.append(f'--precision={config.precision}')
    return shlex.join(words)


def _summaries(directory):
    """Curves, name -> [(step, value)], and the seconds of work."""
    curves, times = {}, []
    for file in sorted((directory / 'summaries').glob('*tfevents*')):
        for _, event in events(file):
            times.append(event.wall_time)
            for value in event.summary.value:
                # The text and HParams of a run are summary values too.
                kind = value.metadata.plugin_data.plugin_name
                if '/' in value.tag and kind == 'scalars':
                    number = float(tf.make_ndarray(value.tensor))
                    curves.setdefault(value.tag, []).append(
                        (event.step, number)
                    )
    times.sort()
    pauses = [b - a for a, b in itertools.pairwise(times)]
    # Long pauses are left out: the run was stopped, perhaps for a night.
    usual = sorted(p for p in pauses if p > 0.01)
    longest = _BREAK * usual[len(usual) // 2] if usual else math.inf
    return curves, round(sum(p for p in pauses if p <= max(longest, 60.0)))


def _thin(curve):
    """About ten points of a curve, the last of each interval."""
    every = max(1, len(curve) // _POINTS)
    return curve[every - 1 :: every]


def commit() -> str:
    """The git commit of the clone that tfgen runs from; '' outside of one."""
    here = pathlib.Path(__file__).parents[2]

    def git(*words):
        done = subprocess.run(
            ['git', '-C', str(here), *words], capture_output=True, text=True
        )
        return done.stdout.strip()

    try:
        top = git('rev-parse', '--show-toplevel')
        own = bool(top) and pathlib.Path(top).samefile(here)
        return git('describe', '--always', '--dirty') if own else ''
    except OSError:  # no git
        return ''
