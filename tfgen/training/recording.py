"""The record of a run: its figures, and how they were come by."""

import dataclasses
import itertools
import math
import pathlib
import shlex
import subprocess

import tensorflow as tf

from tfgen import files, presets
from tfgen.errors import UserError
from tfgen.training.workdir import Config

_POINTS = 10  # of each curve
_BREAK = 10  # so many times the usual pause between lines is no work


def write(
    file: pathlib.Path, directory: pathlib.Path, config: Config, metrics: dict
) -> None:
    """Writes `metrics` of the run in `directory`, and how it was trained.

    Raises:
      UserError: the run is not that of the preset as it is.
    """
    changed = _changed(config)
    if changed:
        raise UserError(
            f'workdir {str(directory)!r} was trained with '
            f'{" ".join(f"{k}={v}" for k, v in changed.items())}: record a run '
            f'of preset {config.name!r} as it is'
        )
    curves, seconds = _summaries(directory)
    training = {
        'command': _command(config),
        'evaluation_command': 'python scripts/evaluate.py '
        f'--workdir=runs/{config.name} --record=results',
        'steps': metrics['step'],
        'batch_size': config.preset.batch_size,
        'seconds': seconds,
        'commit': _commit(),
        'curve': {
            name: [
                [step, float(f'{value:.6g}')] for step, value in _thin(curve)
            ]
            for name, curve in curves.items()
        },
    }
    spec = config.spec.as_dict()
    files.write_json(file, metrics | {'spec': spec, 'training': training})


def _changed(config):
    """Fields that differ from those of the preset, but for where data lie."""
    own = dataclasses.asdict(presets.get(config.name))
    return {
        name: value
        for name, value in dataclasses.asdict(config.preset).items()
        if value != own[name] and name != 'dataset'
    }


def _command(config):
    words = ['python', 'scripts/train.py', f'--preset={config.name}']
    words += [f'--workdir=runs/{config.name}']
    words += [f'--seed={config.seed}'] if config.seed else []
    if config.precision != 'float32':
        words.append(f'--precision={config.precision}')
    return shlex.join(words)


def _summaries(directory):
    """Curves, name -> [(step, value)], and the seconds of work."""
    curves, times = {}, []
    for file in sorted((directory / 'summaries').iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            times.append(event.wall_time)
            for value in event.summary.value:
                if '/' in value.tag:
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


def _commit():
    """Of the clone that tfgen runs from; '' outside of one."""
    done = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
