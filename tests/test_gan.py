"""GAN: the updates, the label, the prior, the reports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import ImageSpec
from tfgen.models.gan import GAN
from tfgen.noise import BatchNoise, RowNoise

RNG = np.random.default_rng(5)


def _model(shape=(8, 8, 1), **options):
    sizes = {'latent_size': 6, 'generator_units': (8, 6)}
    height, width, channels = shape
    spec = ImageSpec(
        height=height, width=width, channels=channels, num_classes=4
    )
    return GAN(spec, discriminator_units=(6, 8), **sizes | options)


def _noise(rows):
    return BatchNoise(tf.constant([0, 0]), rows)


def _batch(rows, classes=0):
    batch = {'image': tf.constant(RNG.random([rows, 8, 8, 1]), tf.float32)}
    if classes:
        batch['label'] = tf.range(rows) % classes
    return batch


@pytest.mark.parametrize('shape', [(4, 4, 1), (30, 21, 1), (32, 32, 3)])
def test_image_sizes(shape):
    model = _model(shape)
    sample = model.sample(_noise(3)).numpy()
    assert sample.shape == (3, *shape)
    assert sample.min() >= 0 and sample.max() <= 1
    assert model.score(tf.constant(sample)).shape == (3,)


def test_label_reaches_every_score():
    model = _model(conditional=True)
    for v in model.discriminator.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.3)
    image = tf.constant(RNG.random([20, 8, 8, 1]), tf.float32)
    scores = np.stack(
        [model.score(image, tf.fill([20], y)).numpy() for y in range(4)]
    )
    for a in range(4):
        for b in range(a):
            assert np.abs(scores[a] - scores[b]).min() > 1e-4
    # Each row uses its own label.
    mixed = model.score(image, tf.range(20) % 4).numpy()
    np.testing.assert_allclose(
        mixed, scores[np.arange(20) % 4, np.arange(20)], rtol=1e-4, atol=1e-5
    )


def test_label_reaches_the_generator():
    model = _model(conditional=True)
    z = tf.tile(tf.constant(RNG.normal(size=[1, 6]), tf.float32), [4, 1])
    images = model.generate(z, tf.range(4)).numpy()
    for a in range(4):
        for b in range(a):
            assert np.abs(images[a] - images[b]).max() > 1e-5


def test_self_modulation_by_hand():
    """Each hidden layer is relu((1 + s(z)) h + t(z)) of its normalised h."""
    model = _model(self_modulation=True, conditional=True)
    g = model.generator
    for v in g.variables:
        if 'moving' not in v.name:
            v.assign(RNG.normal(size=v.shape) * 0.3)
    z = tf.constant(RNG.normal(size=[5, 6]), tf.float32)
    label = tf.range(5) % 4
    features = tf.concat([z, tf.one_hot(label, 4)], axis=1)
    x = tf.reshape(features @ g.dense.kernel, [5, 2, 2, 8])
    for number, norm in enumerate(g.norms):
        x = g.grow[number - 1](x) if number else x
        kernel, bias = g.modulations[number].weights
        by = (features @ kernel + bias)[:, None, None]
        channels = x.shape[-1]
        scale, shift = by[..., :channels], by[..., channels:]
        x = tf.nn.relu((1 + scale) * norm(x) + shift)
    expected = tf.sigmoid(g.paint(x))
    made = model.generate(z, label)
    np.testing.assert_allclose(made, expected, atol=1e-6)


@pytest.mark.parametrize('modulated', [False, True])
def test_self_modulation_reaches_pictures_past_the_first_layer(modulated):
    model = _model(self_modulation=modulated)
    model.generator.dense.kernel.assign(
        tf.zeros_like(model.generator.dense.kernel)
    )
    made = model.sample(_noise(6)).numpy()
    assert (np.ptp(made, axis=0).max() > 1e-4) == modulated


def test_each_update_moves_its_own_variables_alone():
    model = _model()
    discriminator, generator = model.updates()
    ids = [{id(v) for v in o.variables} for o in (discriminator, generator)]
    assert not ids[0] & ids[1]
    assert len(ids[0]) + len(ids[1]) == len(model.trainable_variables)


def test_discriminator_loss_is_minus_the_value():
    model = _model()
    batch, noise = _batch(5), _noise(5)
    terms = model.discriminator_loss_terms(batch, noise)
    d_real = tf.sigmoid(model.score(batch['image']))
    np.testing.assert_allclose(terms['real'], -np.log(d_real), rtol=1e-5)


def test_minimax_and_non_saturating_losses():
    batch, noise = _batch(5), _noise(5)
    values = {}
    for name in ('minimax', 'non_saturating'):
        keras.utils.set_random_seed(0)
        model = _model(loss=name)
        values[name] = model.generator_loss_terms(batch, noise)['fool'].numpy()
    # The losses are log(1 - D) and -log D of the same D.
    np.testing.assert_allclose(
        np.exp(values['minimax']) + np.exp(-values['non_saturating']),
        1.0,
        rtol=1e-5,
    )


def test_diagnostics_at_equilibrium():
    model = _model()
    for v in model.discriminator.head.trainable_variables:
        v.assign(tf.zeros_like(v))
    reports = model.diagnostics(_batch(6), _noise(6))
    for value in reports.values():
        assert value.shape == (6,) and value.dtype == tf.float32
    np.testing.assert_allclose(reports['d_real'], 0.5)
    np.testing.assert_allclose(reports['d_fake'], 0.5)
    np.testing.assert_allclose(reports['jensen_shannon'], 0.0, atol=1e-6)


def test_dropout_differs_between_real_and_fake():
    model = _model(dropout=0.5)
    image = tf.constant(RNG.random([4, 8, 8, 1]), tf.float32)
    noise = _noise(4)
    judge = model._judge({'image': image}, noise, None)
    real, fake = judge([image], 'real'), judge([image], 'fake')
    assert np.abs(real - fake).min() > 0
    np.testing.assert_array_equal(model.score(image), model.score(image))


def _packing(pack, rows, **options):
    """A model of packs, with large weights, and images."""
    model = _model(pack=pack, **options)
    for v in model.discriminator.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.3)
    return model, _batch(rows)['image']


@pytest.mark.parametrize('discriminator', ['score', 'energy'])
@pytest.mark.parametrize(('pack', 'rows'), [(2, 6), (3, 6), (2, 5), (3, 1)])
def test_a_score_depends_on_its_pack_alone(pack, rows, discriminator):
    model, image = _packing(pack, rows, discriminator=discriminator)
    with tf.GradientTape() as tape:
        tape.watch(image)
        score = model.score(image)
    slope = tape.jacobian(score, image).numpy()
    reached = np.abs(slope).max(axis=(2, 3, 4)) > 0
    # The last group takes the missing rows from the start.
    groups = [
        {
            member % rows
            for member in range(i // pack * pack, i // pack * pack + pack)
        }
        for i in range(rows)
    ]
    expected = [[j in group for j in range(rows)] for group in groups]
    np.testing.assert_array_equal(reached, expected)


def test_the_first_of_a_pack_is_its_own_row():
    model, image = _packing(2, 4)
    here, there = (
        model.score(image),
        model.score(tf.gather(image, [1, 0, 3, 2])),
    )
    np.testing.assert_array_equal(here, tf.gather(there, [1, 0, 3, 2]))
    assert np.abs(here - there).min() > 1e-4


def test_r1_of_a_pack_is_the_slope_along_all_its_examples():
    model, image = _packing(2, 6, penalty='r1', penalty_weight=3.0)
    with tf.GradientTape() as tape:
        tape.watch(image)
        score = model.score(image)
    # The discriminator sees images in [-1, 1].
    slope = tape.jacobian(score, image) / 2.0
    expected = 1.5 * np.sum(np.square(slope), axis=(1, 2, 3, 4))
    terms = model.discriminator_loss_terms({'image': image}, _noise(6))
    np.testing.assert_allclose(terms['penalty'], expected, rtol=1e-4)


def test_packs_serve_no_score():
    assert 'score' in _model().signatures()
    assert 'score' not in _model(pack=2).signatures()


def test_a_sample_depends_on_its_own_seed_alone():
    model = _model()
    z = tf.constant(RNG.normal(size=[9, 6]), tf.float32)
    model.generate(z, training=True)
    whole = model.sample(RowNoise(tf.range(9))).numpy()
    one = model.sample(RowNoise(tf.constant([5]))).numpy()
    np.testing.assert_allclose(one[0], whole[5], atol=1e-6)
