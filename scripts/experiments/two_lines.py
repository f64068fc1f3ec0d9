"""Compares two divergences of lines that do not overlap.

    python scripts/experiments/two_lines.py --output=runs/two_lines \\
      --record=results

The data lie on the line x = 0 and the samples on x = distance, both with y
uniform in (0, 1). This is the notes' example of why the first GAN does not
learn. A discriminator is trained on the two lines, without a generator. With
the first GAN's loss it estimates the Jensen-Shannon divergence, which is log 2
at every distance but 0. As WGAN's critic it estimates the Wasserstein
distance, which is the distance of the lines.
Source: Arjovsky et al. 2017, example 1.
"""

import datetime
import os
import platform

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from tfgen.commands import cli

_BATCH = 256
# Weight of the gradient penalty. The penalty is soft: if the loss gains w per
# unit of slope, the best slope is 1 + w / (2 weight).
_WEIGHT = 100.0

flags.DEFINE_string('output', 'runs/two_lines', 'Folder of the picture.')
flags.DEFINE_integer('steps', 2000, 'Of each discriminator.', 1)
flags.DEFINE_integer('seed', 0, 'Of weights and points.', 0)
flags.DEFINE_string('record', None, 'Folder for two_lines.json.')
_DISTANCES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def main() -> None:
    from tfgen import storage

    cli.require_matplotlib()
    rows = [_row(distance) for distance in _DISTANCES]
    picture = cli.path(flags.FLAGS.output) / 'two_lines.png'
    storage.write({picture: _drawn(rows)})
    print(picture)
    if flags.FLAGS.record:
        file = cli.path(flags.FLAGS.record) / 'two_lines.json'
        storage.write_json(
            file,
            {
                'command': 'python scripts/experiments/two_lines.py '
                '--record=results',
                'steps': flags.FLAGS.steps,
                'seed': flags.FLAGS.seed,
                'gradient_penalty_weight': _WEIGHT,
                'date': datetime.date.today().isoformat(),
                'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
                'rows': rows,
            },
        )
        print(file)


def _row(distance):
    """Trains both discriminators for a distance; estimates on new points."""
    from tfgen.losses import adversarial

    found = {'distance': distance}
    for name, estimate in (
        ('non_saturating', adversarial.jensen_shannon_estimate),
        ('wasserstein', adversarial.wasserstein_estimate),
    ):
        score = _trained(name, distance)
        real, fake = _lines(distance, flags.FLAGS.steps, 10_000)
        values = estimate(score(real), score(fake)).numpy()
        found[_NAMES[name]] = float(values.mean())
    print(
        f'distance {distance:.2f}   Wasserstein {found["wasserstein"]:.4f}   '
        f'Jensen-Shannon {found["jensen_shannon"]:.4f} nats',
        flush=True,
    )
    return found


_NAMES = {'non_saturating': 'jensen_shannon', 'wasserstein': 'wasserstein'}


def _lines(distance, step, rows=_BATCH):
    """Draws points of both lines, [rows, 2] each."""
    from tfgen.noise import BatchNoise

    seed = tf.stack([tf.constant(flags.FLAGS.seed, tf.int64), step])
    heights = BatchNoise(seed, rows).uniform('heights', [2])
    x = tf.fill([rows], distance)
    return (
        tf.stack([tf.zeros_like(x), heights[:, 0]], axis=1),
        tf.stack([x, heights[:, 1]], axis=1),
    )


def _trained(name, distance):
    """Trains a discriminator of the two lines, with the named loss."""
    from tfgen.gradients import with_gradients
    from tfgen.layers import discriminators, networks
    from tfgen.losses import adversarial, penalties
    from tfgen.noise import BatchNoise
    from tfgen.optimizers import Adam

    keras.utils.set_random_seed(flags.FLAGS.seed)
    limits, loss = networks.Regularization(), adversarial.loss(name)
    features = networks.DenseFeatures([2], 0, [64, 64], limits)
    head = discriminators.Score(features.size, 0, limits)
    network = discriminators.Discriminator(features, head)
    optimizer = Adam(
        keras.optimizers.schedules.CosineDecay(2e-3, flags.FLAGS.steps),
        beta_1=0.5,
    )
    optimizer.build(network.trainable_variables)

    def score(tensors):
        return network(tensors[0])

    @tf.function(autograph=False)
    def step(number):
        real, fake = _lines(distance, number)
        noise = BatchNoise(tf.stack([number, number]), _BATCH)

        def total():
            terms = loss.real(score([real])) + loss.fake(score([fake]))
            if name == 'wasserstein':
                terms += _WEIGHT * penalties.gradient_penalty(
                    score, [real], [fake], noise
                )
            return tf.reduce_mean(terms), None

        _, gradients = with_gradients(total, network.trainable_variables)
        optimizer.apply(gradients)

    for number in range(flags.FLAGS.steps):
        step(tf.constant(number, tf.int64))
    return network


def _drawn(rows):
    """Plots both estimates against the distance; returns a PNG file."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.4), dpi=110, layout='tight')
    axes = figure.add_subplot()
    x = np.array([row['distance'] for row in rows])
    axes.plot(x, x, color='0.8', linewidth=5, label='the distance itself')
    axes.plot(
        x, [row['wasserstein'] for row in rows], 'o-', label="WGAN's estimate"
    )
    axes.axhline(np.log(2), color='0.8', linestyle=':')
    axes.plot(
        x,
        [row['jensen_shannon'] for row in rows],
        's-',
        label="the first GAN's: Jensen-Shannon (nats)",
    )
    axes.text(0.75, np.log(2) + 0.02, 'log 2', color='0.5')
    axes.set_xlabel('distance between the lines')
    axes.set_ylabel('estimate')
    axes.legend(frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format='png')
    return stream.getvalue()


if __name__ == '__main__':
    cli.run(main)
