"""The notes' moons: what lies half way between two codes.

Also codes that are drawn from N(0, 1).
"""

import math

import numpy as np
import runs
import tensorflow as tf
from absl import flags

_PAIR = {
    'units': (128, 64),
    'latent_size': 8,
    'batch_size': 100,
    'steps': 2000,
    'learning_rate': 3e-3,
    'schedule': 'cosine',
    'log_every': 500,
    'checkpoint_every': 2000,
}
_NOISE = 1.0  # deviation of the noise on a code
# With this deviation the distortion is the notes' squared error.
_SQUARED_ERROR = math.sqrt(0.5)


def moon_pair():
    """Trains on two pictures alone, and decodes half way between them."""
    from tfgen import plots
    from tfgen.data.embedded import moons

    half, truth, full = moons.moon(np.pi * np.array([0.5, 0.75, 1.0]))
    two = runs.pixels([half, full])
    images = np.repeat(two, 50, axis=0)
    models = {
        'auto-encoder': ('autoencoder', {}),
        'noise on code': ('autoencoder', {'code_noise': _NOISE}),
        'VAE': (
            'vae',
            {'likelihood': 'gaussian', 'deviation': _SQUARED_ERROR},
        ),
    }
    mean = (half + full) / 2
    found = {
        'average': {
            'to_truth': _error(mean, truth),
            'to_average': 0.0,
        }
    }
    rows, titles = [], []
    for name, (preset, fields) in models.items():
        errors = {'to_truth': [], 'to_average': [], 'of_ends': []}
        drawn = [half, full]
        for seed in range(flags.FLAGS.seeds):
            model = runs.trained_on(
                images, preset, f'pair {name}', seed, **_PAIR, **fields
            )
            ends = model.code(tf.constant(np.stack([half, full])))
            middle = _decoded(model, (ends[:1] + ends[1:]) / 2)[0]
            made = _decoded(model, ends)
            errors['to_truth'].append(_error(middle, truth))
            errors['to_average'].append(_error(middle, mean))
            errors['of_ends'].append(_error(made, np.stack([half, full])) / 2)
            drawn.append(middle)
        found[name] = errors
        rows += [*drawn, mean, truth]
        titles += ['half', 'full', *[name] * flags.FLAGS.seeds]
        titles += ['average', 'true']
    columns = len(rows) // len(models)
    large = runs.pixels(rows).repeat(6, axis=1).repeat(6, axis=2)
    picture = plots.grid(large, columns, titles)
    return {'moon_pair.png': runs.png(picture)}, found


def moon_phases():
    """Interpolates between two moons, with models of all phases."""
    from tfgen import evaluation, plots
    from tfgen.data.embedded import moons
    from tfgen.evaluation.base import Settings

    names = {
        'PCA': ['pca_digits', 'dataset=moon_phases', 'batch_size=900'],
        'auto-encoder': ['ae_moon_phases'],
        'noise on code': ['ae_moon_phases', f'code_noise={_NOISE}'],
        'VAE': ['vae_moon_phases'],
        'learned s': ['vae_moon_phases', 'deviation=learned'],
        's, beta 30': ['vae_moon_phases', 'deviation=learned', 'beta=30'],
    }
    phases = np.linspace(np.pi / 2, np.pi, 9)
    rows, found = [moons.moon(phases)], {}
    for name, preset in names.items():
        errors = {}
        seeds = 1 if name == 'PCA' else flags.FLAGS.seeds
        for seed in range(seeds):
            model, _, examples = runs.trained(*preset, seed=seed)
            figures = evaluation.evaluate(
                model, examples, Settings(), ['midpoints']
            )
            for figure, value in figures.items():
                errors.setdefault(figure, []).append(value.value)
        found[name] = errors
        ends = model.code(tf.constant(moons.moon(phases[[0, -1]])))
        weight = np.linspace(0, 1, len(phases), dtype=np.float32)[:, None]
        rows.append(
            _decoded(model, (1 - weight) * ends[:1] + weight * ends[1:])
        )
    titles = [t for t in ('truth', *names) for _ in phases]
    picture = plots.grid(runs.pixels(np.concatenate(rows)), len(phases), titles)
    return {'moon_phases.png': runs.png(picture)}, found


def drawn_codes():
    """Decodes codes from N(0, 1), by an auto-encoder and by a VAE of digits."""
    from tfgen import evaluation, plots
    from tfgen.evaluation import classifiers
    from tfgen.evaluation.base import Settings
    from tfgen.evaluation.fitted_codes import FittedCodes
    from tfgen.noise import RowNoise

    units = 'units=128,64,32'
    ae, config, examples = runs.trained('deep_ae_digits')
    vae, _, _ = runs.trained('cvae_digits', units, 'conditional=false')
    features = classifiers.features(
        config, runs.cli.workdir() / 'cache', flags.FLAGS.data_dir
    )
    settings = Settings(features=features)
    models = {
        'auto-encoder': FittedCodes.standard(ae),
        'fitted normal': FittedCodes.of(ae, examples),
        'VAE': vae,
    }
    rows, found = [], {}
    for name, model in models.items():
        figures = evaluation.evaluate(model, examples, settings, ['fidelity'])
        found[name] = {'frechet_distance': figures['frechet_distance'].value}
        seeds = tf.range(20, dtype=tf.int64)
        rows.append(model.sample(RowNoise(seeds)).numpy().reshape(2, 10, 8, 8))
    titles = [t for t in models for _ in range(20)]
    drawn = runs.pixels(np.concatenate(rows).reshape(-1, 8, 8, 1))
    return {'drawn_codes.png': runs.png(plots.grid(drawn, 10, titles))}, found


def _decoded(model, z):
    """Examples of codes, as an array."""
    return model.to_example(model.decode(z)).numpy()


def _error(image, wanted):
    """The squared error, summed over all values."""
    return float(np.sum(np.square(image - wanted)))
