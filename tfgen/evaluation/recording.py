"""The record of a run: its figures, and how they were come by."""

import dataclasses
import itertools
import math
import pathlib
import shlex
import subprocess
from collections.abc import Sequence

import tensorflow as tf

from tfgen import presets, storage
from tfgen.data import absolute
from tfgen.errors import UserError
from tfgen.evaluation.base import Settings
from tfgen.training import checkpoints
from tfgen.training.reporting import events
from tfgen.training.workdir import Config, read_config

_POINTS = 10  # of each curve
_BREAK = 10  # so many times the usual pause between lines is no work


def write(
    file: pathlib.Path, directory: pathlib.Path, config: Config, metrics: dict
) -> None:
    """Writes `metrics` of the run in `directory`, and how it was trained.

    See `require_whole`, which is to be asked first.
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
    spec = config.spec.as_dict()
    storage.write_json(file, metrics | {'spec': spec, 'training': training})


def require_whole(
    directory: pathlib.Path,
    config: Config,
    step: int,
    settings: Settings,
    metrics: Sequence[str] | None,
    features: str | None = None,
) -> None:
    """Raises UserError for what a record must not say.

    Args:
      directory, config, step: of a run, which must be its preset's own, and
        at its end; and so the run whose weights it began with, if any.
      settings, metrics, features: of the evaluation, which must be as it is
        by default.
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
            f'workdir {str(directory)!r} is measured with {", ".join(wrong)}: '
            f'record the whole run of preset {config.name!r} as it is'
        )


def _departures(config, step):
    """What the run of `config` does otherwise than its preset."""
    own = presets.get(config.name)
    fields = dataclasses.asdict(config.preset)
    if absolute(own.dataset):  # where it lies differs from place to place
        fields['dataset'] = own.dataset
    found = [f'{k}={v}' for k, v in fields.items() if v != getattr(own, k)]
    if step < config.preset.steps:
        found.append(f'{step} of {config.preset.steps} steps')
    if config.init_from and not _origin(config.init_from):
        found.append(f'--init_from={config.init_from}')
    return found


def _origin(path):
    """The preset whose own whole run is at `path`, if it is that."""
    try:
        config = read_config(pathlib.Path(path))
    except UserError:
        return None
    newest = checkpoints.newest_first(pathlib.Path(path, 'checkpoints'))
    step = int(newest[0].name.rpartition('-')[2]) if newest else 0
    return None if _departures(config, step) else config.name


def _command(config):
    words = ['python', 'scripts/train.py', f'--preset={config.name}']
    words += [f'--workdir=runs/{config.name}']
    words += [f'--seed={config.seed}'] if config.seed else []
    if config.init_from:
        words.append(f'--init_from=runs/{_origin(config.init_from)}')
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
                # (A run's text and HParams are values as well.)
                kind = value.metadata.plugin_data.plugin_name
                if '/' in value.tag and kind == 'scalars':
                    number = float(tf.make_ndarray(value.tensor))
                    curves.setdefault(value.tag, []).append(
                        (event.step, number)
                    )
    times.sort()
    pauses = [b - a for a, b in itertools.pairwise(times)]
    # A run that was stopped for a night did not work at night.
    usual = sorted(p for p in pauses if p > 0.01)
    longest = _BREAK * usual[len(usual) // 2] if usual else math.inf
    return curves, round(sum(p for p in pauses if p <= max(longest, 60.0)))


def _thin(curve):
    every = max(1, len(curve) // _POINTS)
    return curve[every - 1 :: every]


def commit() -> str:
    """Of the clone that measures; '' where tfgen runs outside of one."""
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
