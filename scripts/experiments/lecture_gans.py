"""Divergences, and a network that finds the code of an image."""

import numpy as np
import runs
import tensorflow as tf

# Two bells of equal weight, and the grid of the integrals.
_PLACES, _WIDTH = (-2.0, 2.0), 0.6
_GRID = np.linspace(-8, 8, 4001)


def _log_normal(mean, deviation):
    """log N(mean, deviation^2) on the grid."""
    scaled = (_GRID - mean) / deviation
    return -0.5 * scaled**2 - np.log(deviation * np.sqrt(2 * np.pi))


def _bells():
    """The density of the two bells, on the grid."""
    return np.mean([np.exp(_log_normal(m, _WIDTH)) for m in _PLACES], axis=0)


def fitted(direction, start):
    """The normal that minimises a KL from two bells, or to them.

    Args:
      direction: 'KL(p || q)' or 'KL(q || p)', where p is the two bells.
      start: mean and log-deviation where the search begins.

    Returns:
      Its mean and deviation, and the KL in nats.
    """
    from scipy import optimize

    p = _bells()
    log_p = np.log(p)

    def divergence(place):
        log_q = _log_normal(place[0], np.exp(place[1]))
        q = np.exp(log_q)
        if direction == 'KL(p || q)':
            return np.trapezoid(p * (log_p - log_q), _GRID)
        return np.trapezoid(q * (log_q - log_p), _GRID)

    found = optimize.minimize(
        divergence, start, method='Nelder-Mead', options={'xatol': 1e-8}
    )
    return float(found.x[0]), float(np.exp(found.x[1])), float(found.fun)


def two_bells():
    """Plots a normal fitted to two bells by each direction of KL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), dpi=110, layout='tight')
    axes, found = figure.subplots(), {}
    axes.fill_between(_GRID, _bells(), color='0.85', label='p, two bells')
    for direction, colour in (('KL(p || q)', 'b'), ('KL(q || p)', 'r')):
        mean, deviation, nats = fitted(direction, [0.5, 0.0])
        density = np.exp(_log_normal(mean, deviation))
        axes.plot(_GRID, density, colour, label=f'q by {direction}')
        found[direction] = {'mean': mean, 'deviation': deviation, 'nats': nats}
    axes.set_xlim(-5, 5)
    axes.legend(frameon=False)
    return {'two_bells.png': runs.saved(figure)}, found


def inverse():
    """Trains a network that predicts z from G(z), for a finished G.

    Compares the classes of neighbours by its codes, by those of BiGAN's
    encoder, and by pixels; and a linear SVM on the discriminator's features.
    """
    import keras

    from tfgen import evaluation, plots
    from tfgen.evaluation.base import Settings
    from tfgen.layers import coders
    from tfgen.noise import BatchNoise

    gan, _, examples = runs.trained('dcgan_digits', 'conditional=false')
    bigan, _, _ = runs.trained('bigan_digits')
    shape, size = gan.spec.shape, gan.latent_size
    network = coders.encoder('convolutional', shape, (32, 64), size)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(number):
        z = gan.draw_prior(BatchNoise(tf.stack([7, number]), 128))
        images = gan.decode(z)
        with tf.GradientTape() as tape:
            off = network(images) - z
            loss = tf.reduce_mean(tf.square(off))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    losses = [float(step(tf.constant(n))) for n in range(4000)]
    inverse_of = _Inverse(gan, network)
    svm = evaluation.evaluate(gan, examples, Settings(), ['linear_svm'])
    found = {
        'last_error': float(np.mean(losses[-100:])),
        'linear_svm_accuracy': svm['linear_svm_accuracy'].value,
    }
    (batch,) = examples.evaluation('test', 12).take(1)
    rows, titles = [batch['image'].numpy()], ['data'] * 12
    for name, model in (('predicted z', inverse_of), ('BiGAN', bigan)):
        figures = evaluation.evaluate(
            model, examples, Settings(), ['code_classes']
        )
        found[name] = {k: v.value for k, v in figures.items()}
        z = model.code(batch['image'])
        rows.append(model.to_example(model.decode(z)).numpy())
        titles += [name] * 12
    picture = plots.grid(runs.pixels(np.concatenate(rows)), 12, titles)
    return {'inverse.png': runs.png(picture)}, found


class _Inverse:
    """A finished GAN with a network that predicts its z."""

    num_classes = 0

    def __init__(self, gan, network):
        self.gan, self.network, self.spec = gan, network, gan.spec

    def encode(self, example, label=None):
        return self.network(example)

    code = encode

    def decode(self, z, label=None):
        return self.gan.decode(z)

    def to_example(self, decoded):
        return self.gan.to_example(decoded)
