"""Compares models that differ in one setting: loss, penalty, prior, cell.

    python scripts/experiments/compare.py --table=modes --workdir=runs/modes

`modes`: how many modes of the ring of 8 and of the grid of 25 each row covers.
`images`: the same DCGAN with each loss, on MNIST and Fashion-MNIST.
`stacked`: how many of the thousand modes of stacked digits a GAN covers,
without and with R1 and packs; VEEGAN's protocol (Srivastava et al. 2017).
`cells`: LSTM and GRU layers over pixels.

Trains and evaluates every row on each data set with every seed, and prints the
table. Finished runs are not repeated: the same command resumes where it was
stopped. A row is a preset with the changes given below. All rows have the same
networks, steps and rates, except where a change names them. VAEs have them as
far as a VAE has such networks.
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

import runs
from absl import flags

from tfgen.commands import cli


@dataclasses.dataclass(frozen=True)
class Table:
    """The definition of a table.

    Attributes:
      sets: data sets. The preset for one is FAMILY_SET, or FAMILY itself if
        it is generic.
      rows: name -> family of presets, and the settings that the row changes.
      measure: the metric, by its name in evaluation.METRICS.
      figures: the results of that metric to show; also
        training_cpu_seconds, summed over all cores.
      generic: families that are generic presets.
    """

    sets: tuple[str, ...]
    rows: dict[str, tuple[str, str]]
    measure: str
    figures: tuple[str, ...]
    generic: tuple[str, ...] = ('vae', 'vae_gan')


_GP = 'loss=wasserstein penalty=gradient_penalty'
# Rates and loss are from the notebook of Metz et al. 2017. The discriminator
# learns slowly, the generator minimises the minimax value itself, and the GAN
# without unrolling collapses.
_SLOW = (
    'loss=minimax penalty=none discriminator_rate=1e-4 schedule=constant ema=0'
)
_PLAIN = {
    'minimax': ('gan', 'loss=minimax penalty=none'),
    'non-saturating': ('gan', 'penalty=none'),
    'least squares': ('gan', 'loss=least_squares penalty=none'),
}
_POINTS = 'steps=20000 batch_size=128 learning_rate=1e-3 schedule=cosine'
_WIDE = '128,128,128,128'
_IMAGES = 'steps=5000 batch_size=64 log_every=500 latent_size=64'
_SMALL = f'{_IMAGES} generator_units=64,32 discriminator_units=32,64'
# The rows of images that differ in the loss or the penalty.
_LOSSES = {
    'minimax': 'loss=minimax penalty=none',
    'non-saturating': 'penalty=none',
    'least squares': 'loss=least_squares penalty=none',
    'WGAN': 'loss=wasserstein penalty=weight_clipping penalty_weight=0.05',
    'WGAN-GP': f'{_GP} penalty_weight=10',
    'DRAGAN': 'penalty=dragan penalty_weight=10',
    'hinge, spectral norm': 'loss=hinge penalty=none spectral_norm=true',
    'EBGAN': 'discriminator=energy loss=margin penalty=pulling_away '
    'penalty_weight=0.1 margin=0.2',
    'R1': '',
}
TABLES = {
    'modes': Table(
        ('ring', 'grid'),
        {
            **_PLAIN,
            # The clip was chosen from 0.02, 0.03, 0.05 and 0.1. WGAN and
            # WGAN-GP take five discriminator updates for each generator
            # update, as in their papers.
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
            # The authors' code has weight 0.1 for toy distributions.
            'WGAN-GP': (
                'gan',
                f'{_GP} penalty_weight=0.1 discriminator_updates=5',
            ),
            'WGAN-GP, weight 10': (
                'gan',
                f'{_GP} penalty_weight=10 discriminator_updates=5',
            ),
            # Chosen from 0.1, 1 and 10. 1 blurs the modes of the grid, and 10
            # loses some of them.
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
            # 1e-3 covers fewer modes of the grid.
            'orthonormal tangents': (
                'gan',
                'penalty=orthonormal penalty_weight=1e-4',
            ),
            'R1': ('gan', ''),
            'R1, weight 10': ('gan', 'penalty_weight=10'),
            'uniform z': ('gan', 'penalty=none prior=uniform'),
            'mixture z': ('gan', 'penalty=none prior=mixture'),
            'VAE': ('vae', f'{_POINTS} units={_WIDE}'),
            'VAE-GAN': (
                'vae_gan',
                f'{_POINTS} generator_units={_WIDE} '
                f'discriminator_units={_WIDE}',
            ),
        },
        'modes',
        ('modes', 'quality', 'reverse_kl'),
    ),
    'images': Table(
        ('mnist', 'fashion_mnist'),
        {
            **{
                row: ('gan', f'{_SMALL} {made}')
                for row, made in _LOSSES.items()
            },
            'VAE': ('vae', f'{_IMAGES} filters=32,64'),
            'VAE-GAN': ('vae_gan', _SMALL),
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
        generic=('gan', 'vae', 'vae_gan'),
    ),
    'stacked': Table(
        ('stacked_mnist',),
        {
            'non-saturating': ('gan', 'penalty=none'),
            'packs of two': ('gan', 'penalty=none pack=2'),
            'R1': ('gan', ''),
            'R1, packs of two': ('gan', 'pack=2'),
        },
        'stacked_modes',
        # sampling_kl is the reverse_kl that a perfect sampler would have, from
        # the finite number of samples alone.
        ('modes', 'reverse_kl', 'sampling_kl'),
    ),
    'cells': Table(
        ('digits',),
        {
            'LSTM': ('pixelrnn', 'cell=lstm'),
            'GRU': ('pixelrnn', 'cell=gru'),
        },
        'log_likelihood',
        ('negative_log_likelihood', 'training_cpu_seconds'),
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
    listed = _runs(table, wanted, cli.workdir())
    if flags.FLAGS.part is not None:
        listed = listed[flags.FLAGS.part :: flags.FLAGS.jobs]
    elif flags.FLAGS.jobs > 1:
        _start_jobs(table)
    for run in listed:  # after the jobs, all of them are finished
        _run(table, *run)
    if flags.FLAGS.part is not None:
        return
    values = _data(table) if table.measure == 'modes' else {}
    for row, name, _, folder in listed:
        found = json.loads(_result(folder).read_text())
        cell = values.setdefault(row, {}).setdefault(name, {})
        for figure in table.figures:
            cell.setdefault(figure, []).append(found.get(figure))
    print('\n'.join(records.compared(values)))
    if flags.FLAGS.record:
        _write(table, values)


def _runs(table, rows, directory):
    """Lists (row, data set, seed, folder) of every run, seed by seed."""
    return [
        (row, name, seed, directory / row.replace(' ', '_') / name / str(seed))
        for seed in range(flags.FLAGS.seeds)
        for row in rows
        for name in table.sets
    ]


def _result(folder):
    """Returns the file with the results of a run."""
    # Not metrics.json, which scripts/evaluate.py writes.
    return folder / 'compared.json'


def _start_jobs(table):
    """Runs this script once per job, one core each, and waits for all."""
    row = next(iter(table.rows))
    for name in table.sets:
        # Trains the classifier here, or several jobs would train the same.
        _features(table, _opened(table, row, name, 0)[0])
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


def _opened(table, row, name, seed):
    """The Config of a run, and its data."""
    family, changes = table.rows[row]
    changes = changes.split()
    if flags.FLAGS.steps:
        changes.append(f'steps={flags.FLAGS.steps}')
    if family in table.generic:
        changes.append(f'dataset={name}')
    else:
        family = f'{family}_{name}'
    return runs.opened(family, changes, seed)


def _run(table, row, name, seed, folder):
    """Trains and evaluates one run, unless it is finished."""
    from tfgen import evaluation, storage
    from tfgen.errors import NotFiniteError, UserError
    from tfgen.evaluation.base import Settings
    from tfgen.training import stopping, workdir
    from tfgen.training.run import train

    config, examples = _opened(table, row, name, seed)
    if _result(folder).exists():
        # A config of an older tfgen gets the defaults of newer fields.
        stored = workdir.read_config(folder)
        if (stored.preset, stored.seed) == (config.preset, seed):
            return
        raise UserError(
            f'{str(folder)!r} holds a run with other settings: name another '
            '--workdir'
        )
    features = _features(table, config)
    print(f'{row}, {name}, seed {seed}', flush=True)
    try:
        with (
            stopping.Stop().on_signals() as stop,
            runs.cpu_time(folder) as spent,
        ):
            model = train(config, examples, folder, stop=stop)
            seconds = spent()
    except NotFiniteError as error:
        # Divergence is a result, too.
        storage.write_json(_result(folder), {'failed': str(error)})
        return
    found = {'training_cpu_seconds': seconds}
    settings = Settings(num_draws=1, features=features)
    figures = evaluation.evaluate(model, examples, settings, [table.measure])
    found |= {k: figures[k].value for k in table.figures if k in figures}
    if features:
        found |= {'features': features.name, **features.facts}
    storage.write_json(_result(folder), found)


def _features(table, config):
    """Returns the features for comparing images; None for points."""
    from tfgen import evaluation
    from tfgen.evaluation import classifiers

    if not evaluation.METRICS[table.measure].needs_features:
        return None
    return classifiers.features(config, cli.cache(), flags.FLAGS.data_dir)


def _data(table):
    """Returns the row of the data itself: set -> result -> values.

    It is an upper limit for the models.
    """
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
    """Writes the record; rows of an earlier record with equal settings stay."""
    from tfgen import storage
    from tfgen.evaluation import recording

    name, seeds = flags.FLAGS.table, flags.FLAGS.seeds
    file = cli.path(flags.FLAGS.record) / f'{name}.json'
    row = next(iter(table.rows))
    preset = _opened(table, row, table.sets[0], 0)[0].preset
    content = {
        'command': f'python scripts/experiments/compare.py --table={name} '
        f'--seeds={seeds} --workdir=runs/{name} --record=results',
        'steps': flags.FLAGS.steps or preset.steps,
        'batch_size': preset.batch_size,
        'seeds': seeds,
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    # Commit and date are those of the record. The runs may be older, since a
    # table takes days.
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
    # The command may be spelled differently.
    settings = content.keys() - {'command'}
    if all(earlier.get(k) == content[k] for k in settings):
        rows = earlier['rows'] | rows
    elif earlier:
        print(f'{file} was of other steps, seeds or machine, and is replaced')
    order = [row for row in ('data', *table.rows) if row in rows]
    storage.write_json(file, content | {'rows': {r: rows[r] for r in order}})
    print(file)


if __name__ == '__main__':
    cli.run(main)
