"""Draws four stages of a one-dimensional GAN's training.

    python scripts/experiments/game.py --workdir=runs/gan_bells

Trains the preset gan_bells. At each stage it draws the density of the data,
the density of G(z), and D(x). Arrows below lead from equally spaced z to G(z).
This is the notes' figure (Goodfellow et al. 2014, figure 1), up to the stage
where D is 1/2 everywhere.
"""

import dataclasses
import io

import numpy as np
import tensorflow as tf
from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
flags.DEFINE_list(
    'stages', ['100', '400', '1500', '10000'], 'Steps after which it is drawn.'
)
_SAMPLES = 20_000
_ARROWS = 25


def main() -> None:
    from tfgen import presets, storage
    from tfgen.errors import UserError
    from tfgen.training import workdir
    from tfgen.training.run import train

    try:
        stages = sorted(int(stage) for stage in flags.FLAGS.stages)
    except ValueError:
        raise UserError(
            f'stages {flags.FLAGS.stages}: write numbers of steps, for example '
            '--stages=100,400,1500'
        ) from None
    cli.require_matplotlib()
    directory, name = cli.workdir(), 'gan_bells'
    _require_before(directory, stages[0])
    panels = []
    for steps in stages:
        # The schedule is constant, so a longer run can continue a shorter one.
        preset = dataclasses.replace(presets.get(name), steps=steps)
        config, examples = workdir.Config.of(name, preset)
        model = train(config, examples, directory)
        panels.append((steps, *_curves(model, config.spec)))
    picture = directory / 'game.png'
    storage.write({picture: _drawn(panels)})
    print(picture)


def _require_before(directory, stage):
    """Raises UserError if the run is already beyond the first stage."""
    from tfgen.errors import UserError

    steps = [
        int(file.name.removeprefix('step_').removesuffix('.png'))
        for file in (directory / 'samples').glob('step_*.png')
    ]
    if any(step > stage for step in steps):
        raise UserError(
            f'workdir {str(directory)!r} holds a run of {max(steps)} steps, '
            f'beyond the first stage, {stage}: name a new --workdir'
        )


def _curves(model, spec):
    """Returns x, the densities of data and of G(z), D(x), z, and G(z)."""
    from tfgen.data.embedded.points import TOY_DISTRIBUTIONS
    from tfgen.noise import BatchNoise

    edges = np.linspace(-spec.extent * 2, spec.extent * 2, 161)
    x = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)[:, None]
    truth = tf.exp(
        TOY_DISTRIBUTIONS[spec.name].log_prob(tf.constant(x))
    ).numpy()
    drawn = model.sample(BatchNoise(tf.constant([1, 1]), _SAMPLES)).numpy()
    made, _ = np.histogram(drawn, bins=edges, density=True)
    z = np.linspace(-0.98, 0.98, _ARROWS, dtype=np.float32)[:, None]
    judged = tf.sigmoid(model.score(tf.constant(x))).numpy()
    return x[:, 0], truth, made, judged, z[:, 0], model.decode(z)[:, 0].numpy()


def _drawn(panels):
    """Plots the stages side by side; returns a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(panels), 3.4), dpi=110, layout='tight')
    for axes, (steps, x, truth, made, judged, z, to) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0],
        panels,
        strict=True,
    ):
        axes.set_title(f'step {steps}')
        axes.plot(x, truth, 'k:', label='data')
        axes.plot(x, made, 'g', label='G(z)')
        axes.plot(x, judged, 'b--', label='D(x)')
        axes.axhline(0.5, color='0.85', linewidth=0.8, zorder=0)
        # The lower line is the axis of z, the upper that of x.
        for start, end in zip(z * x[-1], to, strict=True):
            axes.plot([start, end], [-0.55, -0.08], color='0.6', linewidth=0.7)
        axes.axhline(-0.55, color='k', linewidth=0.8)
        axes.axhline(-0.08, color='k', linewidth=0.8)
        axes.text(x[0], -0.53, 'z', va='bottom')
        axes.text(x[0], -0.06, 'x', va='bottom')
        axes.set_ylim(-0.62, 1.25)
        axes.set_xlim(x[0], x[-1])
        axes.set_yticks([0, 0.5, 1])
    figure.axes[0].legend(frameon=False, fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format='png')
    return stream.getvalue()


if __name__ == '__main__':
    cli.run(main)
