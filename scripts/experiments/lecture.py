"""Draws the notes' demonstrations on the way to the VAE from real runs.

    python scripts/experiments/lecture.py --workdir=runs/lecture \\
      --output=runs/lecture

Trains the models in the workdir (a second call trains nothing) and draws:
  moon_phases.png    between a half and a full moon: truth, auto-encoder, VAE
  variance.png       the VAE's variance with the KL term, and without
  penalty.png        exp(s) - (1 + s), lowest where the variance is 1
  density.png        two moons: the data, two mixtures, a VAE
  sevens.png         a 7, and two 7s that differ from it in one pixel
  bound.png          the lower bound approaches log P(x) as q alone is trained
  codes.png          PCA, shallow and deep auto-encoders of equal code size
  map_deep_ae.png    codes of the same digit lie together
The numbers are written to lecture.json. scripts/lecture.sh installs the
requirements first.
"""

import datetime
import io
import json
import os
import platform

import numpy as np
import tensorflow as tf
from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
flags.DEFINE_string('output', 'runs/lecture', 'Folder of the pictures.')
flags.DEFINE_list('only', None, 'Of the demonstrations, these alone.')
flags.DEFINE_integer('seeds', 3, 'Runs of each model of moon phases.', 1)
_SIZE = 8  # latent_size of the auto-encoders of digits
_SILENT = 0.1  # nats of KL below which a dimension of z is called silent
_STAGES = (10, 30, 100, 300, 1000, 2000, 4000)


def main() -> None:
    from tfgen import storage
    from tfgen.errors import UserError
    from tfgen.evaluation import recording

    cli.require_matplotlib()
    wanted = flags.FLAGS.only or list(_DEMONSTRATIONS)
    for name in wanted:
        if name not in _DEMONSTRATIONS:
            raise UserError(
                f'unknown demonstration {name!r}: use '
                f'{", ".join(_DEMONSTRATIONS)}'
            )
    folder = cli.path(flags.FLAGS.output)
    record = folder / 'lecture.json'
    report = {
        'command': 'bash scripts/lecture.sh',
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    for name in wanted:
        pictures, figures = _DEMONSTRATIONS[name]()
        storage.write({folder / k: v for k, v in pictures.items()})
        for file in pictures:
            print(folder / file, flush=True)
        report[name] = figures | {
            'commit': recording.commit(),
            'date': datetime.date.today().isoformat(),
        }
    # Demonstrations that --only leaves out keep their earlier entries.
    earlier = json.loads(record.read_text()) if record.exists() else {}
    storage.write_json(record, earlier | report)
    print(record)


def _trained(name, *settings, seed=0):
    """Trains a preset in the workdir; returns model, config and data."""
    from tfgen import presets
    from tfgen.training import workdir
    from tfgen.training.run import train

    preset = presets.get(name, settings)
    config, examples = workdir.Config.of(
        name, preset, seed, data_dir=flags.FLAGS.data_dir
    )
    parts = [name, *settings, str(seed)]
    folder = '-'.join(parts).replace('=', '_').replace(',', '_')
    print(f'{name} {" ".join(settings)}', flush=True)
    model = train(config, examples, cli.workdir() / folder)
    return model, config, examples


def _moon_phases():
    """Interpolates between two moons with auto-encoder and VAE."""
    from tfgen import evaluation, plots
    from tfgen.data.embedded import moons
    from tfgen.evaluation.base import Settings

    names = {
        'auto-encoder': ['ae_moon_phases'],
        'VAE': ['vae_moon_phases'],
        'VAE, beta 1': ['vae_moon_phases', 'beta=1'],
    }
    phases = np.linspace(np.pi / 2, np.pi, 9)
    rows, found = [moons.moon(phases)], {}
    for name, preset in names.items():
        errors = {}
        for seed in range(flags.FLAGS.seeds):
            model, _, examples = _trained(*preset, seed=seed)
            figures = evaluation.evaluate(
                model, examples, Settings(), ['midpoints']
            )
            for figure, value in figures.items():
                errors.setdefault(figure, []).append(value.value)
        found[name] = errors
        ends = model.code(tf.constant(moons.moon(phases[[0, -1]])))
        weight = np.linspace(0, 1, len(phases), dtype=np.float32)[:, None]
        z = (1 - weight) * ends[:1] + weight * ends[1:]
        rows.append(model.to_example(model.decode(z)).numpy())
    titles = [t for t in ('truth', *names) for _ in phases]
    pixels = np.round(255 * np.concatenate(rows)).astype(np.uint8)
    picture = plots.grid(pixels, len(phases), titles)
    return {'moon_phases.png': _png(picture)}, found


def _variance():
    """Plots the deviation of q(z|x) per dimension, with and without KL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), dpi=110, layout='tight')
    found = {}
    for axes, (name, setting) in zip(
        figure.subplots(1, 2, sharey=True),
        (('with KL', []), ('without', ['beta=0'])),
        strict=True,
    ):
        found[name] = {}
        for steps in _STAGES:
            # Each stage is a run of its own, so that a second call finds it.
            # The schedule is constant, so a longer run passes through the
            # results of the shorter ones.
            model, _, examples = _trained(
                'cvae_digits', 'schedule=constant', *setting, f'steps={steps}'
            )
            (batch,) = examples.evaluation('test', 1000)
            mean, logvar = model.encode(batch['image'], batch['label'])
            rate = (np.exp(logvar) + np.square(mean) - 1 - logvar) / 2
            found[name][str(steps)] = {
                'deviation': np.exp(np.mean(logvar, axis=0) / 2).tolist(),
                'nats': np.mean(rate, axis=0).tolist(),
            }
        # Active or silent is decided after the last stage.
        active = np.array(found[name][str(steps)]['nats']) > _SILENT
        deviations = np.array([f['deviation'] for f in found[name].values()])
        for kind, colour, which in (
            ('active', 'b', active),
            ('silent', '0.6', ~active),
        ):
            if which.any():
                lines = axes.loglog(_STAGES, deviations[:, which], colour)
                lines[0].set_label(f'{which.sum()} {kind}')
        axes.set_title(name)
        axes.set_xlabel('step')
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel('deviation of q(z|x), of each z')
    return {'variance.png': _saved(figure)}, found


def _penalty():
    """Plots the notes' curve, with its minimum at s = 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), dpi=110, layout='tight')
    axes, s = figure.subplots(), np.linspace(-3, 2, 200)
    axes.plot(s, np.exp(s), 'b', label='exp(s)')
    axes.plot(s, 1 + s, 'r', label='1 + s')
    axes.plot(s, np.exp(s) - (1 + s), 'g', label='exp(s) - (1 + s)')
    axes.axhline(0, color='0.8', zorder=0)
    axes.set_xlabel('s, the log-variance')
    axes.legend(frameon=False)
    return {'penalty.png': _saved(figure)}, {}


def _density():
    """Draws the densities of two moons, of two mixtures and of a VAE."""
    from tfgen import plots
    from tfgen.data.embedded.points import TOY_DISTRIBUTIONS

    distribution = TOY_DISTRIBUTIONS['two_moons']
    places = plots.plane(distribution.extent, 240)
    vae, _, examples = _trained('vae_two_moons')
    small, _, _ = _trained('gmm_two_moons', 'num_components=2')
    large, _, _ = _trained('gmm_two_moons')
    (batch,) = examples.evaluation('test', 10_000).take(1)
    drawn, found = [], {}
    for name, log_prob in (
        ('data', distribution.log_prob),
        ('mixture of 2', small.log_prob),
        ('mixture of 20', large.log_prob),
        ('VAE', lambda points: _log_integral(vae, points)),
    ):
        logs = np.asarray(log_prob(tf.constant(places.reshape(-1, 2))))
        drawn.append(plots.density(logs.reshape(places.shape[:2])))
        nats = -float(np.mean(log_prob(batch['point'])))
        found[name] = {'negative_log_likelihood': nats}
    gap = np.full([240, 6, 3], 255, np.uint8)
    parts = [p for d in drawn for p in (d, gap)][:-1]
    return {'density.png': _png(np.concatenate(parts, axis=1))}, found


def _log_integral(vae, points, side=150):
    """Computes log P(x) of a VAE with a two-dimensional z, in nats.

    The integral is a sum over a grid of side**2 values of z. It is the notes'
    mixture of Gaussians, one for each z.
    """
    u = (np.arange(side) + 0.5) / side
    u = np.stack(np.meshgrid(u, u), -1).reshape(-1, vae.latent_size)
    z = tf.math.ndtri(tf.constant(u, tf.float32))
    means, logvar = vae.decode(z), tf.convert_to_tensor(vae.image_logvar)

    @tf.function(reduce_retracing=True)
    def logs(some):
        off = tf.reduce_sum((some[:, None] - means) ** 2, axis=2)
        exponents = -0.5 * (off * tf.exp(-logvar) + 2 * logvar)
        count = 2.0 * np.pi * float(len(u))
        return tf.reduce_logsumexp(exponents, axis=1) - np.log(count)

    parts = range(0, len(points), 1000)
    return np.concatenate([logs(points[i : i + 1000]) for i in parts])


def _sevens():
    """Scores 7s and copies with one changed pixel, by VAE and by GAN."""
    from tfgen import plots

    vae, _, examples = _trained('cvae_digits')
    # A penalty would keep the discriminator's scores close to each other.
    gan, _, _ = _trained('dcgan_digits', 'penalty=none', 'ema=0')
    (batch,) = examples.evaluation('test', 1000)
    images = batch['image'].numpy()[batch['label'] == 7]
    triples = [t for t in map(_changed, images) if t is not None]
    shown = np.concatenate(triples)
    label = tf.fill([len(shown)], 7)
    # Squared errors of all three images of a triple against the VAE's
    # reconstruction of the first.
    z, _ = vae.encode(tf.constant(np.repeat(shown[::3], 3, axis=0)), label)
    off = shown - vae.to_example(vae.decode(z, label)).numpy()
    errors = (off**2).sum((1, 2, 3)).reshape(-1, 3)
    scores = gan.score(tf.constant(shown), label).numpy().reshape(-1, 3)
    named = ('as it is', 'a longer stroke', 'a speck')
    titles = [
        f'{name}: error {e:.2f}, d {s:+.2f}'
        for name, e, s in zip(named, errors[0], scores[0], strict=True)
    ]
    pixels = np.round(255 * triples[0]).astype(np.uint8)
    large = pixels.repeat(24, axis=1).repeat(24, axis=2)
    found = {
        'sevens': len(triples),
        'squared_error': dict(zip(named, errors.mean(0).tolist(), strict=True)),
        'd': dict(zip(named, scores.mean(0).tolist(), strict=True)),
        'stroke_above_speck': float(np.mean(scores[:, 1] > scores[:, 2])),
    }
    return {'sevens.png': _png(plots.grid(large, 3, titles))}, found


def _changed(seven):
    """Returns a 7 and two copies, each with one pixel set, [3, 8, 8, 1].

    The pixel of the first copy touches a stroke, that of the second does not.
    None if every white pixel touches a stroke.
    """
    ink = np.pad(seven[..., 0] > 0.3, 1)
    near = ink[:-2, 1:-1] | ink[2:, 1:-1] | ink[1:-1, :-2] | ink[1:-1, 2:]
    white = seven[..., 0] == 0
    if not (white & ~near).any():
        return None
    places = np.argwhere(white & near)[0], np.argwhere(white & ~near)[-1]
    pictures = [seven, seven.copy(), seven.copy()]
    for picture, place in zip(pictures[1:], places, strict=True):
        picture[tuple(place)] = 0.8
    return np.stack(pictures)


def _bound():
    """Plots the lower bound rising to the fixed log P(x) as q is trained."""
    import keras
    from matplotlib.figure import Figure

    from tfgen.noise import BatchNoise

    model, _, examples = _trained('vae_two_moons')
    (batch,) = examples.evaluation('test', 500).take(1)
    points = batch['point']
    exact = float(np.mean(_log_integral(model, points)))
    # A copy of the model with an untrained q.
    fresh = type(model).from_config(model.get_config())
    fresh.decoder.set_weights(model.decoder.get_weights())
    fresh.image_logvar.assign(model.image_logvar)
    optimizer = keras.optimizers.Adam(3e-3)

    @tf.function
    def step(number):
        noise = BatchNoise(tf.stack([0, number]), len(points))
        with tf.GradientTape() as tape:
            bound = tf.reduce_mean(fresh.elbo(points, None, noise))
            loss = -bound
        variables = fresh.encoder.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return bound

    bounds = [float(step(tf.constant(n))) for n in range(5000)]
    smooth = np.convolve(bounds, np.ones(50) / 50, 'valid')
    figure = Figure(figsize=(5, 3.2), dpi=110, layout='tight')
    axes = figure.subplots()
    axes.plot(np.arange(len(smooth)) + 25, smooth, 'b', label='lower bound')
    axes.axhline(exact, color='k', linestyle=':', label='log P(x), exact')
    axes.set_xscale('log')
    axes.set_ylim(exact - 4, exact + 0.5)
    axes.set_xlabel('step of q(z|x) alone')
    axes.legend(frameon=False)
    found = {'exact': exact, 'first': bounds[0], 'last': float(smooth[-1])}
    return {'bound.png': _saved(figure)}, found


def _codes():
    """Compares reconstructions at equal code size, and maps the codes."""
    from tfgen import evaluation, plots
    from tfgen.evaluation.base import Settings
    from tfgen.export.trained import TrainedModel
    from tfgen.pictures import latent_space

    rows, found = [], {}
    for name, preset in (
        ('PCA', 'pca_digits'),
        ('shallow', 'shallow_ae_digits'),
        ('deep', 'deep_ae_digits'),
    ):
        model, config, examples = _trained(preset, f'latent_size={_SIZE}')
        figures = evaluation.evaluate(
            model, examples, Settings(), ['reconstruction', 'code_classes']
        )
        found[name] = {k: v.value for k, v in figures.items()}
        (batch,) = examples.evaluation('test', 12).take(1)
        rows.append(model.reconstruct(batch['image']).numpy())
    rows = [batch['image'].numpy(), *rows]
    titles = [t for t in ('data', *found) for _ in range(12)]
    pixels = np.round(255 * np.concatenate(rows)).astype(np.uint8)
    run = TrainedModel(config, config.preset.steps, None, live=model)
    picture = latent_space.plane(run, examples, 'tsne')
    return {
        'codes.png': _png(plots.grid(pixels, 12, titles)),
        'map_deep_ae.png': _png(picture),
    }, found


_DEMONSTRATIONS = {
    'moon_phases': _moon_phases,
    'variance': _variance,
    'penalty': _penalty,
    'density': _density,
    'sevens': _sevens,
    'bound': _bound,
    'codes': _codes,
}


def _png(picture):
    """Encodes a picture, uint8 [H, W, C], as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(stream, 'PNG')
    return stream.getvalue()


def _saved(figure):
    """Encodes a matplotlib figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format='png')
    return stream.getvalue()


if __name__ == '__main__':
    cli.run(main)
