"""The table of mode collapse: GANs of one network and budget, on two worlds.

    python scripts/modes.py --workdir=runs/modes --record=results/modes.json

Trains every row on the ring of 8 and the grid of 25, with every seed, measures
how many modes its samples cover, and writes the table. What is done is not
done again: the same command goes on where it was stopped.

A row is the preset gan_ring or gan_grid (bigan_ring or bigan_grid) with what
it changes below, so that all have the same networks, steps and rates.
"""

import contextlib
import datetime
import os
import pathlib
import platform
import signal
import subprocess
import sys

import numpy as np
from absl import flags

from tfgen.commands import cli

WORLDS = ('ring', 'grid')
# Row -> family of presets, and what it changes.
ROWS = {
    'minimax': ('gan', 'loss=minimax penalty=none'),
    'non-saturating': ('gan', 'penalty=none'),
    'least squares': ('gan', 'loss=least_squares penalty=none'),
    # (0.01, as in the paper, leaves this network no slope at all.)
    'WGAN': (
        'gan',
        'loss=wasserstein penalty=weight_clipping penalty_weight=0.1',
    ),
    # (0.1, as in the authors' code for such worlds.)
    'WGAN-GP': (
        'gan',
        'loss=wasserstein penalty=gradient_penalty penalty_weight=0.1',
    ),
    'DRAGAN': ('gan', 'penalty=dragan penalty_weight=10'),
    'EBGAN': (
        'gan',
        'discriminator=energy loss=margin penalty=pulling_away '
        'penalty_weight=0.1',
    ),
    'Unrolled GAN': ('gan', 'penalty=none unrolled_steps=5'),
    'BiGAN': ('bigan', 'penalty=none'),
    'orthonormal tangents': (
        'gan',
        'penalty=orthonormal penalty_weight=0.1',
    ),
    'R1': ('gan', ''),
    'uniform z': ('gan', 'penalty=none prior=uniform'),
    'mixture z': ('gan', 'penalty=none prior=mixture'),
}
FIGURES = ('modes', 'quality', 'reverse_kl')

cli.workdir_flag()
flags.DEFINE_list('rows', list(ROWS), 'Which rows.')
flags.DEFINE_integer('seeds', 5, 'Runs of each row on each world.', 1)
flags.DEFINE_integer('steps', None, "Of each run; default: the preset's.", 1)
flags.DEFINE_integer('jobs', os.cpu_count(), 'Runs at a time.', 1)
flags.DEFINE_integer('part', None, 'Of the jobs, this alone.')
flags.DEFINE_string('record', None, 'JSON file of the table.')


def main() -> None:
    from tfgen.errors import UserError

    unknown = [row for row in flags.FLAGS.rows if row not in ROWS]
    if unknown:
        raise UserError(f'unknown row {unknown[0]!r}: use {", ".join(ROWS)}')
    directory = cli.workdir()
    runs = _runs(directory)
    if flags.FLAGS.part is not None:
        for run in runs[flags.FLAGS.part :: flags.FLAGS.jobs]:
            _run(*run)
        return
    if any(not _result(run[-1]).exists() for run in runs):
        _start_jobs()
    table = _table(runs)
    for line in _markdown(table):
        print(line)
    if flags.FLAGS.record:
        _write(cli.path(flags.FLAGS.record), table)


def _runs(directory):
    """(row, world, seed, folder) of every run, seeds last."""
    return [
        (
            row,
            world,
            seed,
            directory / row.replace(' ', '_') / world / str(seed),
        )
        for seed in range(flags.FLAGS.seeds)
        for row in flags.FLAGS.rows
        for world in WORLDS
    ]


def _folder(row):
    return row.replace(' ', '_')


def _result(folder):
    return folder / 'metrics.json'


def _start_jobs():
    """This script once for each job, on a core each, to their end."""
    threads = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1'}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with contextlib.ExitStack() as stack:
        jobs = []
        for part in range(flags.FLAGS.jobs):
            command = [sys.executable, *sys.argv, f'--part={part}']
            jobs.append(subprocess.Popen(command, env=os.environ | threads))
            stack.callback(jobs[-1].terminate)
        failed = [job for job in jobs if job.wait()]
        stack.pop_all()
    if failed:
        sys.exit(failed[0].returncode)


def _run(row, world, seed, folder):
    """Trains and measures one run, if that has not been done."""
    from tfgen import evaluation, files, presets
    from tfgen.errors import UserError
    from tfgen.evaluation.base import Settings
    from tfgen.training import stopping, workdir
    from tfgen.training.run import train

    if _result(folder).exists():
        return
    family, changes = ROWS[row]
    name = f'{family}_{world}'
    changes = changes.split()
    if flags.FLAGS.steps:
        changes.append(f'steps={flags.FLAGS.steps}')
    preset = presets.get(name, changes)
    config, examples = workdir.Config.of(name, preset, seed, 'float32', None)
    print(f'{row}, {world}, seed {seed}', flush=True)
    try:
        with stopping.Stop().on_signals() as stop:
            model = train(config, examples, folder, stop=stop)
    except UserError as error:
        # A loss that has become infinite is a result.
        files.write_json(_result(folder), {'failed': str(error)})
        return
    settings = Settings(num_draws=1)
    figures = evaluation.evaluate(model, examples, settings, ['modes'])
    files.write_json(
        _result(folder),
        {'steps': preset.steps}
        | {name: figures[name].value for name in FIGURES},
    )


def _table(runs):
    """Row -> world -> figure -> the value of each seed; first, of data."""
    import json

    import tensorflow as tf

    from tfgen.data.points import WORLDS as TRUTH
    from tfgen.evaluation.samples import modes_of
    from tfgen.noise import IndexNoise

    table = {'data': {world: {f: [] for f in FIGURES} for world in WORLDS}}
    for world in WORLDS:
        for seed in range(flags.FLAGS.seeds):
            rows = tf.range(2500, dtype=tf.int64) + 2500 * seed
            points, _ = TRUTH[world].draw(IndexNoise(rows, 'table/'))
            for figure, value in modes_of(points.numpy(), TRUTH[world]).items():
                table['data'][world][figure].append(value)
    for row, world, _, folder in runs:
        found = json.loads(_result(folder).read_text())
        cell = table.setdefault(row, {}).setdefault(world, {})
        for figure in FIGURES:
            cell.setdefault(figure, []).append(found.get(figure))
    return table


def _markdown(table):
    yield (
        '| row | ring: modes | quality | reverse KL | grid: modes | quality |'
        ' reverse KL |'
    )
    yield '|---|---|---|---|---|---|---|'
    for row, worlds in table.items():
        cells = [
            _words(worlds[world][figure])
            for world in WORLDS
            for figure in FIGURES
        ]
        yield f'| {row} | {" | ".join(cells)} |'


def _words(values):
    known = np.array([v for v in values if v is not None])
    text = f'{known.mean():.3g} +- {known.std():.2g}' if len(known) else ''
    lost = len(values) - len(known)
    return f'{text} ({lost} not finite)' if lost else text


def _write(file: pathlib.Path, table):
    """The record; rows of an earlier one that were not asked for stay."""
    import json

    from tfgen import files, presets
    from tfgen.training import recording

    preset, steps = presets.get('gan_grid'), flags.FLAGS.steps
    common = {
        'steps': steps or preset.steps,
        'batch_size': preset.batch_size,
        'seeds': flags.FLAGS.seeds,
        'samples': 2500,
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    made = {
        'commit': recording.commit(),
        'date': datetime.date.today().isoformat(),
    }
    rows = {
        row: {'settings': ' '.join(ROWS.get(row, ()))} | made | worlds
        for row, worlds in table.items()
    }
    earlier = json.loads(file.read_text()) if file.exists() else {}
    if all(earlier.get(k) == v for k, v in common.items()):
        rows = earlier['rows'] | rows
    command = 'python scripts/modes.py --workdir=runs/modes --record=results/'
    content = {'command': f'{command}{file.name}'} | common
    order = [row for row in ('data', *ROWS) if row in rows]
    files.write_json(file, content | {'rows': {r: rows[r] for r in order}})
    print(file)


if __name__ == '__main__':
    cli.run(main)
