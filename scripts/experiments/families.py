"""Compares the families of models on the same binary images.

    python scripts/experiments/families.py --workdir=runs/families \
      --record=results

Images are black and white: a grey value above 1/2 is white, in the data and in
the samples of every model. Each model is trained with every seed and compared
with the test images in the features of one classifier. Times are CPU-seconds,
summed over all cores; other work on the machine hardly changes them. Finished
runs are not repeated: the same command resumes where it was stopped. A second
data set (--data=mnist) adds to the record.
"""

import dataclasses
import datetime
import json
import os
import platform
import time

import runs
from absl import flags

from tfgen.commands import cli


@dataclasses.dataclass(frozen=True)
class Family:
    """A row of the table.

    Attributes:
      preset: a generic one.
      settings: its changed fields, by data set; '' stands for all sets.
      fitted: whether samples come from a normal fitted to the codes.
      nats: the metric of log p(x) or its bound, and the result to show.
      sets: the data sets of the row.
    """

    preset: str
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    fitted: bool = False
    nats: tuple[str, str] | None = None
    sets: tuple[str, ...] = ('digits', 'mnist')


_EXACT = ('log_likelihood', 'negative_log_likelihood')
_BOUND = ('bounds', 'importance_bound')
_LATENT = 'latent_size=16'
# A generic preset would take hours on MNIST.
_SHORT = {'mnist': 'steps=5000 log_every=500'}
# The generic rate of a GAN, 2e-4, learns slowly.
_GANS = {
    'mnist': 'steps=2500 log_every=250 learning_rate=1e-3 schedule=cosine '
    'self_modulation=true'
}
FAMILIES = {
    'PCA, normal codes': Family('pca', {'': _LATENT}, fitted=True),
    'auto-encoder, normal codes': Family(
        'autoencoder',
        {'': f'{_LATENT} error=cross_entropy', **_SHORT},
        fitted=True,
    ),
    'RBM': Family(
        'rbm',
        {'digits': 'hidden_size=64 steps=20000', 'mnist': 'steps=60000'},
        nats=('partition', 'annealed_negative_log_likelihood'),
    ),
    'GMM': Family('gmm', {'': 'num_components=50 variance_floor=0.01'}),
    'VAE': Family('vae', {'': _LATENT, **_SHORT}, nats=_BOUND),
    'conditional VAE': Family('cvae', {'': _LATENT, **_SHORT}, nats=_BOUND),
    'VAE-GAN': Family('vae_gan', {'': _LATENT, **_GANS}),
    'BiGAN': Family('bigan', {'': _LATENT, **_GANS}),
    'PixelRNN': Family(
        'pixelrnn',
        {
            '': 'cell=diagonal_bilstm conditional=false',
            # A step of the next two takes the longest, and they need the
            # fewest.
            'mnist': 'steps=800 log_every=100',
        },
        nats=_EXACT,
    ),
    'PixelCNN': Family(
        'pixelcnn',
        {
            '': 'gated=true conditional=false',
            'mnist': 'steps=400 log_every=100',
        },
        nats=_EXACT,
    ),
    # Without dropout these two learn the few digits by heart. (The gated one
    # has dropout on its last layers alone, which does not help.)
    'PixelRNN, dropout': Family(
        'pixelrnn',
        {'': 'cell=diagonal_bilstm conditional=false dropout=0.5'},
        nats=_EXACT,
        sets=('digits',),
    ),
    'PixelCNN, dropout': Family(
        'pixelcnn',
        {'': 'conditional=false dropout=0.5'},
        nats=_EXACT,
        sets=('digits',),
    ),
    'GAN': Family('gan', {'': _LATENT, **_GANS}),
    'conditional GAN': Family('dcgan', {'': _LATENT, **_GANS}),
}
_COMPARED = ('fidelity', 'sharpness', 'memorisation')
FIGURES = (
    'frechet_distance',
    'kernel_distance',
    'precision',
    'recall',
    'density',
    'coverage',
    'sharpness',
    'distance_to_training',
    'nats',
    'training_cpu_seconds',
    'sampling_cpu_seconds',
)
_WEIGHTED = {'digits': 500, 'mnist': 100}  # samples of a bound
_SHOWN = 10  # samples of a row of the picture
_TIMED = 1000  # samples

cli.workdir_flag()
cli.data_flag()
cli.cache_flag()
flags.DEFINE_enum('data', 'digits', ['digits', 'mnist'], 'Which images.')
flags.DEFINE_multi_string('row', [], 'Only this row; may be repeated.')
flags.DEFINE_integer('seeds', 3, 'Runs of each row.', 1)
flags.DEFINE_integer('steps', None, "Of each run; default: the preset's.", 1)
flags.DEFINE_string('record', None, 'Folder for families.json.')


def main() -> None:
    from tfgen import plots, storage
    from tfgen.errors import UserError
    from tfgen.evaluation import records

    known = [r for r, f in FAMILIES.items() if flags.FLAGS.data in f.sets]
    wanted = flags.FLAGS.row or known
    for row in wanted:
        if row not in known:
            raise UserError(f'unknown row {row!r}: use {"; ".join(known)}')
    values, drawn = {}, []
    for row in wanted:
        cell = values.setdefault(row, {}).setdefault(flags.FLAGS.data, {})
        for seed in range(flags.FLAGS.seeds):
            found, samples = _run(row, seed)
            for figure in FIGURES:
                seen = cell.setdefault(figure, [])
                if figure in found:
                    seen.append(found[figure])
            if seed == 0:
                drawn += list(samples)
    print('\n'.join(records.compared(values)))
    titles = [row for row in wanted for _ in range(_SHOWN)]
    picture = plots.grid(runs.pixels(drawn), _SHOWN, titles)
    file = cli.workdir() / f'families_{flags.FLAGS.data}.png'
    storage.write_picture(file, picture)
    print(file)
    if flags.FLAGS.record:
        _write(values)


def _run(row, seed):
    """The results of one run, and ten samples; trains it unless finished."""
    import numpy as np

    from tfgen import storage
    from tfgen.errors import UserError
    from tfgen.training import workdir

    folder = cli.workdir() / flags.FLAGS.data / row.replace(' ', '_')
    folder /= str(seed)
    result, picture = folder / 'family.json', folder / 'samples.npy'
    config, examples = _opened(FAMILIES[row], seed)
    if not result.exists():
        print(f'{row}, seed {seed}', flush=True)
        found, samples = _measured(FAMILIES[row], config, examples, folder)
        np.save(picture, samples)
        storage.write_json(result, found)
    elif workdir.read_config(folder).preset != config.preset:
        raise UserError(
            f'{str(folder)!r} holds a run with other settings: name another '
            '--workdir'
        )
    return json.loads(result.read_text()), np.load(picture)


def _opened(family, seed):
    """The Config of a run, and its data."""
    name = flags.FLAGS.data
    changes = [f'dataset={name}', 'binarization=threshold']
    for key in ('', name):
        changes += family.settings.get(key, '').split()
    if flags.FLAGS.steps:
        changes.append(f'steps={flags.FLAGS.steps}')
    return runs.opened(family.preset, changes, seed)


def _measured(family, config, examples, folder):
    """Trains and evaluates one run: its results, and ten samples."""
    from tfgen import evaluation
    from tfgen.evaluation import classifiers
    from tfgen.evaluation.base import Settings
    from tfgen.evaluation.fitted_codes import FittedCodes
    from tfgen.training import stopping
    from tfgen.training.run import train

    features = classifiers.features(config, cli.cache(), flags.FLAGS.data_dir)
    with (
        stopping.Stop().on_signals() as stop,
        runs.cpu_time(folder) as spent,
    ):
        model = train(config, examples, folder, stop=stop)
        seconds = spent()
    found = {'steps': config.preset.steps}
    if seconds is not None:
        found['training_cpu_seconds'] = seconds
    settings = Settings(
        num_draws=1,
        features=features,
        num_samples=_WEIGHTED[flags.FLAGS.data],
    )
    if family.nats:
        metric, figure = family.nats
        nats = evaluation.evaluate(model, examples, settings, [metric])
        found['nats'] = nats[figure].value
    sampler = model
    if family.fitted:
        sampler = FittedCodes.of(model, examples)
    sampler = Rounded(sampler)
    figures = evaluation.evaluate(sampler, examples, settings, _COMPARED)
    found |= {k: figures[k].value for k in FIGURES if k in figures}
    near, usual = figures['training_distance'], figures['test_distance']
    found['distance_to_training'] = near.value / usual.value
    samples, found['sampling_cpu_seconds'] = timed_samples(sampler)
    found |= {'features': features.name, **features.facts}
    return found, samples[:_SHOWN]


class Rounded:
    """A model whose samples are rounded to black and white."""

    def __init__(self, model):
        self.model, self.spec = model, model.spec
        self.num_classes = model.num_classes

    def sample(self, noise, label=None):
        import tensorflow as tf

        return tf.round(self.model.sample(noise, label))


def timed_samples(model):
    """A thousand samples, labels in turn, and the CPU-seconds they take.

    The function is compiled before.
    """
    import numpy as np
    import tensorflow as tf

    from tfgen.noise import RowNoise

    @tf.function(autograph=False)
    def sample(seeds):
        labels = (
            tf.cast(seeds % model.num_classes, tf.int32)
            if (model.num_classes)
            else None
        )
        return model.sample(RowNoise(seeds), labels)

    seeds = np.arange(_TIMED, dtype=np.int64).reshape(2, -1)
    sample(seeds[0])
    begin = time.process_time()
    drawn = [sample(part).numpy() for part in seeds]
    return np.concatenate(drawn), time.process_time() - begin


def _write(values):
    """Writes the record; rows and data sets of an earlier one stay."""
    from tfgen import storage
    from tfgen.evaluation import recording

    file = cli.path(flags.FLAGS.record) / 'families.json'
    rows = json.loads(file.read_text())['rows'] if file.exists() else {}
    steps = f'--steps={flags.FLAGS.steps} ' if flags.FLAGS.steps else ''
    made = {
        'command': 'python scripts/experiments/families.py '
        f'--data={flags.FLAGS.data} --seeds={flags.FLAGS.seeds} {steps}'
        '--workdir=runs/families --record=results',
        'commit': recording.commit(),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    for row, cells in values.items():
        family = FAMILIES[row]
        entry = rows.setdefault(row, {'values': {}})
        entry['preset'], entry['settings'] = family.preset, family.settings
        entry['values'] |= cells
        entry.setdefault('recorded', {})[flags.FLAGS.data] = made
    order = [row for row in FAMILIES if row in rows]
    storage.write_json(file, {'rows': {row: rows[row] for row in order}})
    print(file)


if __name__ == '__main__':
    cli.run(main)
