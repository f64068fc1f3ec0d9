"""PixelRNN: probabilities, causality, sampling and completion."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfgen.models.pixelrnn import PixelRNN, categorical
from tfgen.noise import BatchNoise, RowNoise

RNG = np.random.default_rng(4)
CELLS = ['lstm', 'gru']


def _model(shape, **options):
    """A model with random weights that are not small."""
    model = PixelRNN(shape, **{'units': 8, 'num_layers': 2} | options)
    for v in model.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.5)
    return model


def _images(count, shape, levels):
    image = RNG.integers(0, levels, [count, *shape]) / (levels - 1)
    return tf.constant(image, tf.float32)


@pytest.mark.parametrize('cell', CELLS)
def test_probabilities_over_all_binary_images_sum_to_one(cell):
    model = _model([2, 2, 1], cell=cell)
    images = list(itertools.product([0.0, 1.0], repeat=4))
    log_p = model.log_prob(tf.reshape(tf.constant(images), [-1, 2, 2, 1]))
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-5)


def test_probabilities_over_all_colour_images_sum_to_one():
    model = _model([1, 2, 3], levels=3, num_classes=2)
    images = np.array(list(itertools.product([0, 0.5, 1], repeat=6)))
    for label in (0, 1):
        log_p = model.log_prob(
            tf.constant(images.reshape(-1, 1, 2, 3), tf.float32),
            tf.fill([len(images)], label),
        )
        np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-5)


@pytest.mark.parametrize('cell', CELLS)
@pytest.mark.parametrize('shape,levels', [((3, 4, 1), 2), ((2, 3, 3), 4)])
def test_each_value_sees_exactly_the_earlier_ones(cell, shape, levels):
    model = _model(shape, cell=cell, levels=levels)
    image = _images(1, shape, levels)
    before = model.logits(image).numpy().reshape(-1, levels)
    values = image.numpy().ravel()
    reached = np.zeros([len(values)] * 2, bool)
    for i in range(len(values)):
        changed = values.copy()
        changed[i] = 1.0 - changed[i] if changed[i] != 0.5 else 0.0
        after = model.logits(tf.reshape(tf.constant(changed), image.shape))
        reached[i] = np.any(after.numpy().reshape(-1, levels) != before, -1)
    # Value i reaches every later value, and none before i + 1.
    np.testing.assert_array_equal(reached, np.triu(np.ones_like(reached), k=1))


@pytest.mark.parametrize('cell', CELLS)
@pytest.mark.parametrize(
    'shape,levels,classes', [((4, 3, 1), 2, 0), ((3, 3, 3), 5, 4)]
)
def test_incremental_sampling_equals_the_whole_network(
    cell, shape, levels, classes
):
    model = _model(shape, cell=cell, levels=levels, num_classes=classes)
    noise = RowNoise(tf.range(6))
    label = tf.range(6) % classes if classes else None
    fast = model.sample(noise, label).numpy()
    uniforms = noise.uniform('pixels', [shape[0] * shape[1], shape[2]])
    slow = np.zeros([6, *shape], np.float32)
    for t, (y, x) in enumerate(np.ndindex(*shape[:2])):
        for c in range(shape[2]):
            logits = model.logits(tf.constant(slow), label)[:, y, x, c]
            level = categorical(logits, uniforms[:, t, c])
            slow[:, y, x, c] = level.numpy() / (levels - 1)
    np.testing.assert_allclose(fast, slow, atol=1e-6)
    assert len(np.unique(fast)) == levels


def test_samples_have_the_models_probabilities():
    model = _model([2, 2, 1])
    samples = model.sample(BatchNoise(tf.constant([1, 2]), 40_000)).numpy()
    codes = samples.reshape(-1, 4) @ [8, 4, 2, 1]
    counts = np.bincount(codes.astype(int), minlength=16)
    images = list(itertools.product([0.0, 1.0], repeat=4))
    p = np.exp(model.log_prob(tf.reshape(tf.constant(images), [-1, 2, 2, 1])))
    deviation = np.sqrt(40_000 * p * (1 - p)) + 1
    assert np.all(np.abs(counts - 40_000 * p) < 4.5 * deviation)


def test_completion_keeps_known_pixels():
    model = _model([4, 5, 3], levels=256)
    # Also values that are no level: known pixels come back bit for bit.
    image = tf.constant(RNG.random([3, 4, 5, 3]), tf.float32)
    mask = tf.constant(RNG.random([3, 4, 5, 1]) > 0.5, tf.float32)
    noise = RowNoise(tf.range(3))
    completed = model.complete(image, mask, noise).numpy()
    known = np.broadcast_to(mask.numpy() == 1, image.shape)
    np.testing.assert_array_equal(completed[known], image.numpy()[known])
    assert np.all(completed[~known] != image.numpy()[~known])


def test_completion_of_nothing_is_a_sample_and_of_all_the_image():
    model = _model([4, 4, 1], levels=4)
    image = _images(3, [4, 4, 1], 4)
    noise = RowNoise(tf.range(3))
    np.testing.assert_array_equal(
        model.complete(image, tf.zeros([3, 4, 4, 1]), noise),
        model.sample(noise),
    )
    np.testing.assert_array_equal(
        model.complete(image, tf.ones([3, 4, 4, 1]), noise), image
    )


def test_completion_depends_on_the_known_pixels():
    model = _model([4, 4, 1])
    mask = tf.reshape(tf.repeat([1.0, 0.0], 8), [1, 4, 4, 1])
    mask = tf.tile(mask, [200, 1, 1, 1])
    noise = RowNoise(tf.range(200))
    black, white = (
        model.complete(tf.fill([200, 4, 4, 1], v), mask, noise).numpy()[:, 2:]
        for v in (0.0, 1.0)
    )
    assert np.mean(black != white) > 0.001


def test_label_reaches_the_likelihood():
    model = _model([3, 3, 1], num_classes=3)
    image = _images(1, [3, 3, 1], 2)
    values = {
        float(model.log_prob(image, tf.constant([y]))[0]) for y in range(3)
    }
    assert len(values) == 3


def test_dropout_acts_in_training_alone():
    model = _model([3, 3, 1], dropout=0.5)
    image = _images(2, [3, 3, 1], 2)
    noise = BatchNoise(tf.constant([0, 0]), 2)
    loss = model.loss_terms({'image': image}, noise)
    exact = model.log_prob(image)
    assert np.all(loss['negative_log_likelihood'] != -exact)
    np.testing.assert_array_equal(exact, model.log_prob(image))


def test_categorical_inverts_the_distribution_function():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    logits = tf.constant(np.log(p + 1e-30), tf.float32)[None]
    u = tf.constant([1e-6, 0.09, 0.11, 0.69, 0.71, 1 - 1e-7])
    drawn = categorical(tf.tile(logits, [6, 1]), u)
    np.testing.assert_array_equal(drawn, [0, 0, 2, 2, 3, 3])
