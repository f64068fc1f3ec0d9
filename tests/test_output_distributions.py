"""p(x|z) of the decoders: sums and integrals, means, floors, marginals."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfgen
from tfgen import probability
from tfgen.data import ImageSpec, PaletteSpec, PointSpec
from tfgen.models import output_distributions as outputs
from tfgen.models.vae import CVAE
from tfgen.noise import BatchNoise

RNG = np.random.default_rng(5)
COLOURS = ((0, 0, 0), (200, 10, 10), (10, 10, 200))
GREY = ImageSpec(height=1, width=2, levels=4)
SPECS = {
    'binary': (ImageSpec(height=2, width=2, levels=2), outputs.Bernoulli),
    'grey': (GREY, outputs.Categorical),
    'colour': (
        ImageSpec(height=1, width=1, channels=3, levels=2),
        outputs.Categorical,
    ),
    'palette': (
        PaletteSpec(height=1, width=2, levels=3, palette=COLOURS),
        outputs.Categorical,
    ),
}


def _all_examples(spec):
    """Every example of a spec with few levels: [M, *spec.shape]."""
    values = itertools.product(range(spec.levels), repeat=spec.dimensions)
    levels = np.reshape(list(values), [-1, *spec.shape])
    return tf.constant(levels / (spec.levels - 1), tf.float32)


@pytest.mark.parametrize('name', SPECS)
def test_probabilities_sum_to_one_and_have_their_mean(name):
    spec, kind = SPECS[name]
    found = kind(spec)
    output = tf.constant(RNG.normal(size=[1, *found.shape]) * 2, tf.float32)
    examples = _all_examples(spec)
    repeated = tf.repeat(output, len(examples), axis=0)
    p = np.exp(found.log_prob(examples, repeated).numpy())
    assert abs(p.sum() - 1) < 1e-5
    assert not found.is_density
    mean = found.mean(output)[0].numpy()
    if name == 'palette':  # the most probable image
        np.testing.assert_array_equal(mean, examples[np.argmax(p)])
        return
    wanted = np.tensordot(p, examples.numpy(), axes=1)
    np.testing.assert_allclose(mean, wanted, atol=1e-5)


@pytest.mark.parametrize('deviation', ['learned', 'decoded', 0.3])
def test_a_density_integrates_to_one_and_has_its_mean(deviation):
    spec = PointSpec(size=1)
    model = CVAE(
        spec, 1, units=(3,), likelihood='gaussian', deviation=deviation
    )
    assert model.is_density
    found, x = model.likelihood, np.linspace(-9, 9, 20_001)
    for output in RNG.normal(size=[5, *found.shape]):
        output = tf.constant(np.tile(output, [len(x), 1]), tf.float32)
        example = tf.constant(x[:, None], tf.float32)
        p = np.exp(found.log_prob(example, output).numpy())
        assert abs(np.trapezoid(p, x) - 1) < 1e-4
        mean = float(found.mean(output[:1])[0, 0])
        assert abs(np.trapezoid(p * x, x) - mean) < 1e-3


def test_a_fixed_deviation_is_the_squared_error():
    """The notes "ignore the variance"."""
    spec = ImageSpec(height=2, width=2, levels=256)
    model = CVAE(spec, 1, likelihood='gaussian', deviation=math.sqrt(0.5))
    image = tf.constant(RNG.random([3, 2, 2, 1]), tf.float32)
    z = tf.constant(RNG.normal(size=[3, 1]), tf.float32)
    error = tf.reduce_sum(tf.square(model.decode(z) - image), axis=[1, 2, 3])
    constant = -2.0 * math.log(math.pi)  # of four values
    np.testing.assert_allclose(
        model.log_likelihood(image, z), constant - error, rtol=1e-5
    )
    assert not any('logvar' in v.path for v in model.variables)


def test_deviations_stay_above_the_floor_and_keep_a_gradient():
    found = outputs.NormalOfEachValue(PointSpec(size=1))
    raw = tf.constant([[0.0, r] for r in (-1e4, -20.0, -5.0, 0.0, 5.0)])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        _, logvar = found.parameters(raw)
    deviation = np.exp(0.5 * logvar.numpy()[:, 0])
    assert np.all(deviation >= outputs.FLOOR * (1 - 1e-5))
    assert abs(deviation[0] / outputs.FLOOR - 1) < 1e-4
    # Far above the floor, the output is log s^2 itself.
    assert abs(deviation[3] - 1) < 1e-4
    assert np.all(np.diff(deviation) >= 0)
    # Not too near the floor, a gradient leads away from it.
    assert np.all(tape.gradient(logvar, raw).numpy()[1:, 1] > 0)
    variable = tf.Variable(-100.0)
    learned = float(outputs.learned_logvar(variable))
    assert abs(math.exp(learned / 2) / outputs.FLOOR - 1) < 1e-4


# Two normals of unequal widths: shares, means and deviations.
SHARES, MEANS, WIDTHS = (0.5, 0.5), (-1.0, 1.0), (0.1, 0.6)


DIMENSIONS = 4


def _mixture(x):
    """The density of the mixture: [N, dimensions] -> [N]."""
    parts = zip(SHARES, MEANS, WIDTHS, strict=True)
    return sum(w * stats.norm(m, s).pdf(x).prod(axis=1) for w, m, s in parts)


def _draws(number):
    """Draws of the mixture in four dimensions: float32 [number, 4]."""
    random = np.random.default_rng(7)
    part = random.integers(0, 2, number)[:, None]
    size = [number, DIMENSIONS]
    x = random.normal(np.take(MEANS, part), np.take(WIDTHS, part), size)
    return x.astype(np.float32)


def _marginal(model, x):
    """log p(x) by integration over z, which has one dimension: [N]."""
    z = np.linspace(-6, 6, 2000)  # without 0, where a step is
    log_p = [
        model.log_likelihood(
            tf.constant(np.tile(value, [len(z), 1]), tf.float32),
            tf.constant(z[:, None], tf.float32),
        ).numpy()
        for value in x
    ]
    weights = np.log(stats.norm.pdf(z) * (z[1] - z[0]))
    return np.logaddexp.reduce(np.array(log_p) + weights, axis=1)


def test_sigma_of_z_gives_a_mixture_of_unequal_widths():
    """With a decoder that is a step, the integral over z is the mixture."""
    model = CVAE(
        PointSpec(size=1),
        1,
        units=(4,),
        likelihood='gaussian',
        deviation='decoded',
    )
    logvar = 2 * np.log(WIDTHS)
    floor = 2 * math.log(outputs.FLOOR)
    # The inverse of `parameters`.
    raw = np.log(np.expm1(logvar - floor)) + floor
    first, last = (
        np.array([m, r], np.float32) for m, r in zip(MEANS, raw, strict=True)
    )
    model.decoder = lambda z: first + tf.sigmoid(1e4 * z) * (last - first)
    x = np.linspace(-2, 3, 21)[:, None]
    np.testing.assert_allclose(
        _marginal(model, x), np.log(_mixture(x)), atol=2e-3
    )
    # The importance weighted bound estimates the same integral.
    model.encoder = lambda x: tf.zeros([len(x), 2])  # q is the prior
    example = tf.constant(x, tf.float32)
    noise = BatchNoise(tf.constant([1, 0]), len(x))
    weights = model.log_weights(example, None, noise, 20_000)
    np.testing.assert_allclose(
        probability.log_mean_exp(weights), np.log(_mixture(x)), atol=0.05
    )


def test_only_a_decoded_deviation_fits_unequal_widths():
    """One s must be too wide for one part, or too narrow for the other.

    A curve of means cannot help, since x has more dimensions than z.
    """
    train, test = _draws(4000), _draws(4200)[4000:]
    entropy = -np.log(_mixture(test)).mean()
    nats = {}
    for deviation in ('learned', 'decoded'):
        model = _trained(train, deviation)
        nats[deviation] = -_marginal(model, test).mean()
    assert nats['decoded'] < entropy + 0.3
    # The best single s is the root mean square of the widths. It costs log s
    # instead of the mean of the logarithms of the widths.
    rms = math.sqrt(np.mean(np.square(WIDTHS)))
    gap = DIMENSIONS * (math.log(rms) - np.log(WIDTHS).mean())
    assert gap > 2.0
    assert abs(nats['learned'] - entropy - gap) < 0.4


def _trained(train, deviation):
    """A VAE of points after some hundred steps."""
    keras.utils.set_random_seed(0)
    model = CVAE(
        PointSpec(size=DIMENSIONS),
        1,
        units=(16, 16),
        activation='tanh',
        likelihood='gaussian',
        deviation=deviation,
        importance_samples=8,
    )
    variables = model.trainable_variables
    steps = 1000
    rate = keras.optimizers.schedules.CosineDecay(2e-2, steps)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(variables)

    @tf.function
    def step(number):
        noise = BatchNoise(tf.stack([number, 0]), 200)
        rows = tf.random.stateless_uniform(
            [200], [number, 1], 0, len(train), tf.int32
        )
        with tf.GradientTape() as tape:
            terms = model.loss_terms({'point': tf.gather(train, rows)}, noise)
            loss = tf.reduce_mean(sum(terms.values()))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for number in tf.range(steps):
        step(number)
    return model


def test_a_decoded_deviation_is_trained_resumed_and_exported(tmp_path):
    x = RNG.uniform(size=[64, 2, 2, 1]).astype(np.float32)
    settings = {
        'filters': (4,),
        'units': (8,),
        'latent_size': 1,
        'likelihood': 'gaussian',
        'deviation': 'decoded',
        'batch_size': 16,
        'schedule': 'constant',
    }
    for steps in (10, 20):
        run = tfgen.train(
            'vae', x, workdir=tmp_path / 'run', steps=steps, **settings
        )
    assert np.isfinite(run.history['model/distortion']).all()
    run.export(tmp_path / 'export')
    loaded = tfgen.load(tmp_path / 'export')
    z = np.linspace(-2, 2, 5, dtype=np.float32)[:, None]
    means = loaded['decode'](z=z)['image']
    live = np.clip(run.live.values(run.live.decode(tf.constant(z))), 0, 1)
    np.testing.assert_allclose(means, live, atol=1e-5)
    assert loaded['sample'](seed=[1, 2])['image'].shape == (2, 2, 2, 1)
