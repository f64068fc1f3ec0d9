"""Tables of GANs that differ in one thing: loss, penalty, look-ahead, prior.

    python scripts/experiments/compare.py --table=modes --workdir=runs/modes

`modes`: how many modes of the ring of 8 and of the grid of 25 each row covers.
`images`: the same DCGAN under each loss, on MNIST and Fashion-MNIST.
`stacked`: how many of the thousand modes of stacked digits it covers, without
and with a cure; VEEGAN's protocol (Srivastava et al. 2017).

Trains every row on each data set, with every seed, metrics it, and writes the
table. What is done is not done again: the same command goes on where it was
stopped. A row is a preset with what it changes below, so that all rows have
the same networks, steps and rates.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import signal
import subprocess
import sys

from absl import flags

from tfgen.commands import cli


@dataclasses.dataclass(frozen=True)
class Table:
    """What is compared, on what, by what.

    Attributes:
      sets: data sets; the preset of one is FAMILY_SET.
      rows: name -> family of presets, and what it changes.
      measure, figures: which figures of which measure.
    """

    sets: tuple[str, ...]
    rows: dict[str, tuple[str, str]]
    measure: str
    figures: tuple[str, ...]


_GP = 'loss=wasserstein penalty=gradient_penalty'
# Rates and loss of the notebook of Metz et al. 2017: d learns slowly, G
# minimises the value itself, and the plain GAN collapses.
_SLOW = (
    'loss=minimax penalty=none discriminator_rate=1e-4 schedule=constant ema=0'
)
_PLAIN = {
    'minimax': ('gan', 'loss=minimax penalty=none'),
    'non-saturating': ('gan', 'penalty=none'),
    'least squares': ('gan', 'loss=least_squares penalty=none'),
}
TABLES = {
    'modes': Table(
        ('ring', 'grid'),
        {
            **_PLAIN,
            # (Of 0.02, 0.03, 0.05 and 0.1. Five updates of d for one of G, as
            # in the papers of both.)
            'WGAN': (
                'gan',
                'loss=wasserstein penalty=weight_clipping penalty_weight=0.03 '
                'discriminator_updates=5',
            ),
            'WGAN, clip 0.01': (
                'gan',
                'loss=wasserstein penalty=weight_clipping penalty_weight=0.01 '
                'discriminator_updates=5',
            ),
            # (0.1, as in the authors' code for such worlds.)
            'WGAN-GP': (
                'gan',
                f'{_GP} penalty_weight=0.1 discriminator_updates=5',
            ),
            'WGAN-GP, weight 10': (
                'gan',
                f'{_GP} penalty_weight=10 discriminator_updates=5',
            ),
            # (Of 0.1, 1 and 10; 1 blurs the modes of the grid, 10 loses some.)
            'DRAGAN': ('gan', 'penalty=dragan penalty_weight=0.1'),
            'DRAGAN, weight 10': ('gan', 'penalty=dragan penalty_weight=10'),
            'EBGAN': (
                'gan',
                'discriminator=energy loss=margin penalty=pulling_away '
                'penalty_weight=0.1',
            ),
            'slow d': ('gan', _SLOW),
            'slow d, Unrolled': ('gan', f'{_SLOW} unrolled_steps=5'),
            'BiGAN': ('bigan', 'penalty=none'),
            # (1e-3 covers less of the grid.)
            'orthonormal tangents': (
                'gan',
                'penalty=orthonormal penalty_weight=1e-4',
            ),
            'R1': ('gan', ''),
            'R1, weight 10': ('gan', 'penalty_weight=10'),
            'uniform z': ('gan', 'penalty=none prior=uniform'),
            'mixture z': ('gan', 'penalty=none prior=mixture'),
        },
        'modes',
        ('modes', 'quality', 'reverse_kl'),
    ),
    'images': Table(
        ('mnist', 'fashion_mnist'),
        {
            **_PLAIN,
            'WGAN': (
                'gan',
                'loss=wasserstein penalty=weight_clipping penalty_weight=0.05',
            ),
            'WGAN-GP': ('gan', f'{_GP} penalty_weight=10'),
            'DRAGAN': ('gan', 'penalty=dragan penalty_weight=10'),
            'hinge, spectral norm': (
                'gan',
                'loss=hinge penalty=none spectral_norm=true',
            ),
            'EBGAN': (
                'gan',
                'discriminator=energy loss=margin penalty=pulling_away '
                'penalty_weight=0.1 margin=0.2',
            ),
            'R1': ('gan', ''),
        },
        'fidelity',
        (
            'frechet_distance',
            'kernel_distance',
            'precision',
            'recall',
            'density',
            'coverage',
        ),
    ),
    'stacked': Table(
        ('stacked_mnist',),
        {'non-saturating': ('gan', 'penalty=none'), 'R1': ('gan', '')},
        'stacked_modes',
        # (The last is what sampling alone leaves of the one before.)
        ('modes', 'reverse_kl', 'sampling_kl'),
    ),
}

cli.workdir_flag()
cli.data_flag()
cli.cache_flag()
flags.DEFINE_enum('table', 'modes', list(TABLES), 'Which table.')
flags.DEFINE_multi_string('row', [], 'Only this row; may be repeated.')
flags.DEFINE_integer('seeds', 5, 'Runs of each row on each data set.', 1)
flags.DEFINE_integer('steps', None, "Of each run; default: the preset's.", 1)
flags.DEFINE_integer('jobs', os.cpu_count(), 'Runs at a time.', 1)
flags.DEFINE_integer('part', None, 'Of the jobs, this alone.')
flags.DEFINE_string('record', None, 'Folder for the JSON of the table.')


def main() -> None:
    from tfgen.errors import UserError
    from tfgen.evaluation import records

    table = TABLES[flags.FLAGS.table]
    wanted = flags.FLAGS.row or list(table.rows)
    for row in wanted:
        if row not in table.rows:
            raise UserError(f'unknown row {row!r}: use {"; ".join(table.rows)}')
    runs = _runs(table, wanted, cli.workdir())
    if flags.FLAGS.part is not None:
        for run in runs[flags.FLAGS.part :: flags.FLAGS.jobs]:
            _run(table, *run)
        return
    _start_jobs(table)
    values = _data(table) if table.measure == 'modes' else {}
    for row, name, _, folder in runs:
        found = json.loads(_result(folder).read_text())
        cell = values.setdefault(row, {}).setdefault(name, {})
        for figure in table.figures:
            cell.setdefault(figure, []).append(found.get(figure))
    print('\n'.join(records.compared(values)))
    if flags.FLAGS.record:
        _write(table, values)


def _runs(table, rows, directory):
    """(row, data set, seed, folder) of every run, seeds last."""
    return [
        (row, name, seed, directory / row.replace(' ', '_') / name / str(seed))
        for seed in range(flags.FLAGS.seeds)
        for row in rows
        for name in table.sets
    ]


def _result(folder):
    # (metrics.json is what evaluate.py says of the run.)
    return folder / 'compared.json'


def _start_jobs(table):
    """This script once for each job, on a core each, to their end."""
    from tfgen import presets
    from tfgen.training import workdir

    for name in table.sets:
        # Before there are several that would train one classifier.
        preset = presets.get(f'gan_{name}')
        config, _ = workdir.Config.of(
            f'gan_{name}', preset, data_dir=flags.FLAGS.data_dir
        )
        _features(table, config)
    threads = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1'}
    if flags.FLAGS.jobs == 1:
        threads = {}
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


def _run(table, row, name, seed, folder):
    """Trains and metrics one run, if that has not been done."""
    from tfgen import evaluation, presets, storage
    from tfgen.errors import NotFiniteError, UserError
    from tfgen.evaluation.base import Settings
    from tfgen.training import stopping, workdir
    from tfgen.training.run import train

    family, changes = table.rows[row]
    changes = changes.split()
    if flags.FLAGS.steps:
        changes.append(f'steps={flags.FLAGS.steps}')
    preset = presets.get(f'{family}_{name}', changes)
    config, examples = workdir.Config.of(
        f'{family}_{name}', preset, seed, data_dir=flags.FLAGS.data_dir
    )
    if _result(folder).exists():
        # Of an older tfgen, it has the defaults of the fields it has not.
        stored = workdir.read_config(folder)
        if (stored.preset, stored.seed) == (preset, seed):
            return
        raise UserError(
            f'{str(folder)!r} holds a run with other settings: name another '
            '--workdir'
        )
    features = _features(table, config)
    print(f'{row}, {name}, seed {seed}', flush=True)
    try:
        with stopping.Stop().on_signals() as stop:
            model = train(config, examples, folder, stop=stop)
    except NotFiniteError as error:
        # That is a result.
        storage.write_json(_result(folder), {'failed': str(error)})
        return
    settings = Settings(num_draws=1, features=features)
    figures = evaluation.evaluate(model, examples, settings, [table.measure])
    found = {figure: figures[figure].value for figure in table.figures}
    if features:
        found |= {'features': features.name, **features.facts}
    storage.write_json(_result(folder), found)


def _features(table, config):
    """In which images are compared; None of points."""
    from tfgen import evaluation
    from tfgen.evaluation import classifiers

    if not evaluation.METRICS[table.measure].needs_features:
        return None
    return classifiers.features(config, cli.cache(), flags.FLAGS.data_dir)


def _data(table):
    """The row of data itself, the ceiling: set -> figure -> values."""
    import tensorflow as tf

    from tfgen.data.embedded.points import TOY_DISTRIBUTIONS
    from tfgen.evaluation.samples import modes_of
    from tfgen.noise import IndexNoise

    values = {name: {f: [] for f in table.figures} for name in table.sets}
    for name, cell in values.items():
        for seed in range(flags.FLAGS.seeds):
            rows = tf.range(2500, dtype=tf.int64) + 2500 * seed
            points, _ = TOY_DISTRIBUTIONS[name].draw(IndexNoise(rows, 'table/'))
            for figure, value in modes_of(
                points.numpy(), TOY_DISTRIBUTIONS[name]
            ).items():
                cell[figure].append(value)
    return {'data': values}


def _write(table, values):
    """The record; rows of an earlier one, of equal terms, stay."""
    from tfgen import presets, storage
    from tfgen.evaluation import recording

    name, seeds = flags.FLAGS.table, flags.FLAGS.seeds
    file = cli.path(flags.FLAGS.record) / f'{name}.json'
    preset = presets.get(f'gan_{table.sets[0]}')
    content = {
        'command': f'python scripts/experiments/compare.py --table={name} '
        f'--seeds={seeds} --workdir=runs/{name} --record=results',
        'steps': flags.FLAGS.steps or preset.steps,
        'batch_size': preset.batch_size,
        'seeds': seeds,
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    # (The runs may be older: a table takes days.)
    made = {
        'recorded': {
            'commit': recording.commit(),
            'date': datetime.date.today().isoformat(),
        }
    }
    rows = {
        row: {'settings': ' '.join(table.rows.get(row, ()))}
        | made
        | {'values': cells}
        for row, cells in values.items()
    }
    earlier = json.loads(file.read_text()) if file.exists() else {}
    if all(earlier.get(k) == v for k, v in content.items()):
        rows = earlier['rows'] | rows
    elif earlier:
        print(f'{file} was of other steps, seeds or machine, and is replaced')
    order = [row for row in ('data', *table.rows) if row in rows]
    storage.write_json(file, content | {'rows': {r: rows[r] for r in order}})
    print(file)


if __name__ == '__main__':
    cli.run(main)
