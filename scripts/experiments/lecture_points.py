"""Densities of points: mixtures, and the VAE as a mixture without end."""

import numpy as np
import runs
import tensorflow as tf

_COMPONENTS = 6  # of the mixture whose responsibilities are drawn


def density():
    """Draws the densities of two moons, of two mixtures and of a VAE."""
    from tfgen import plots
    from tfgen.data.embedded.points import TOY_DISTRIBUTIONS

    distribution = TOY_DISTRIBUTIONS['two_moons']
    places = plots.plane(distribution.extent, 240)
    vae, _, examples = runs.trained('vae_two_moons')
    small, _, _ = runs.trained('gmm_two_moons', 'num_components=2')
    large, _, _ = runs.trained('gmm_two_moons')
    (batch,) = examples.evaluation('test', 10_000).take(1)
    drawn, found = [], {}
    for name, log_prob in (
        ('data', distribution.log_prob),
        ('mixture of 2', small.log_prob),
        ('mixture of 20', large.log_prob),
        ('VAE', lambda points: log_integral(vae, points)),
    ):
        logs = np.asarray(log_prob(tf.constant(places.reshape(-1, 2))))
        drawn.append(plots.density(logs.reshape(places.shape[:2])))
        nats = -float(np.mean(log_prob(batch['point'])))
        found[name] = {'negative_log_likelihood': nats}
    gap = np.full([240, 6, 3], 255, np.uint8)
    parts = [p for d in drawn for p in (d, gap)][:-1]
    return {'density.png': runs.png(np.concatenate(parts, axis=1))}, found


def log_integral(vae, points, side=150):
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


def responsibilities():
    """Colours points by p(m | x), with an ellipse for each component."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    model, _, examples = runs.trained(
        'gmm_two_moons', f'num_components={_COMPONENTS}'
    )
    (batch,) = examples.evaluation('test', 3000).take(1)
    points = batch['point'].numpy()
    shares = model.responsibilities(batch['point']).numpy()
    colours = colormaps['tab10'](range(_COMPONENTS))[:, :3]
    figure = Figure(figsize=(6, 4.5), dpi=110, layout='tight')
    axes = figure.subplots()
    axes.scatter(*points.T, s=4, c=np.clip(shares @ colours, 0, 1))
    for mean, factor, colour in zip(
        np.array(model.means), np.array(model.scales), colours, strict=True
    ):
        values, vectors = np.linalg.eigh(factor @ factor.T)
        # Two deviations to each side.
        height, width = 4 * np.sqrt(values)
        angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
        axes.add_patch(
            Ellipse(mean, width, height, angle=angle, fill=False, ec=colour)
        )
    axes.set_aspect('equal')
    sure = float(np.mean(shares.max(axis=1) > 0.9))
    return {'responsibilities.png': runs.saved(figure)}, {'sure': sure}


def code_line():
    """Plots log P(x) along a line of codes, and along a line of points."""
    from matplotlib.figure import Figure

    vae, _, examples = runs.trained('vae_two_moons')
    (batch,) = examples.evaluation('test', 2000).take(1)
    points = batch['point'].numpy()
    # Two points of the upper moon.
    ends = points[[points[:, 0].argmin(), points[:, 1].argmax()]]
    share = np.linspace(0, 1, 101, dtype=np.float32)[:, None]
    codes = vae.code(tf.constant(ends)).numpy()
    made = vae.decode((1 - share) * codes[:1] + share * codes[1:]).numpy()
    straight = (1 - share) * made[:1] + share * made[-1:]
    figure = Figure(figsize=(9, 3.6), dpi=110, layout='tight')
    (left, right), found = figure.subplots(1, 2), {}
    left.scatter(*points.T, s=2, c='0.8')
    for name, way, colour in (
        ('line of codes', made, 'b'),
        ('line of points', straight, 'r'),
    ):
        logs = log_integral(vae, tf.constant(way))
        left.plot(*way.T, colour)
        right.plot(share[:, 0], logs, colour, label=name)
        found[name] = {'least_log_prob': float(logs.min())}
    left.set_aspect('equal')
    right.set_xlabel('share of the way')
    right.set_ylabel('log P(x), nats')
    right.legend(frameon=False)
    return {'code_line.png': runs.saved(figure)}, found
