"""PixelRNN: probabilities, causality, sampling and completion."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfgen import probability
from tfgen.models.pixelrnn import PixelRNN
from tfgen.noise import BatchNoise, RowNoise

# Every variant: the options of a PixelRNN.
VARIANTS = {
    'lstm': {'cell': 'lstm'},
    'gru': {'cell': 'gru'},
    'row_lstm': {'cell': 'row_lstm'},
    'diagonal_bilstm': {'cell': 'diagonal_bilstm'},
    'pixelcnn': {'cell': 'pixelcnn'},
    'gated_pixelcnn': {'cell': 'pixelcnn', 'gated': True},
}
RADIUS = 2  # of the first convolution's window in these tests
EVERY = pytest.mark.parametrize('variant', VARIANTS)


def _model(shape, **options):
    """A model with random weights that are not small."""
    model = PixelRNN(
        shape, **{'units': 12, 'num_layers': 2, 'kernel_size': 5} | options
    )
    random = np.random.default_rng(4)
    for v in model.trainable_variables:
        scale = 0.9 / np.sqrt(max(1, np.prod(v.shape[:-1])))
        v.assign(random.normal(size=v.shape) * scale)
    return model


def _images(count, shape, levels):
    random = np.random.default_rng(5)
    image = random.integers(0, levels, [count, *shape]) / (levels - 1)
    return tf.constant(image, tf.float32)


@EVERY
def test_probabilities_over_all_binary_images_sum_to_one(variant):
    model = _model([2, 2, 1], **VARIANTS[variant])
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


@EVERY
@pytest.mark.parametrize('shape,levels', [((3, 4, 1), 2), ((2, 3, 3), 4)])
def test_each_value_sees_exactly_the_earlier_ones(variant, shape, levels):
    model = _model(shape, **VARIANTS[variant], levels=levels)
    expected = _expected_reach(shape, RADIUS)
    np.testing.assert_array_equal(_reach(model, shape, levels), expected)


def _reach(model, shape, levels):
    """Which value reaches the logits of which: [values, values]."""
    size = int(np.prod(shape))
    reached = np.zeros([size] * 2, bool)
    # Several images: a rectifier may close the way in one of them.
    images = _images(16, shape, levels)
    before = model.logits(images).numpy().reshape(16, size, levels)
    for i in range(size):
        changed = images.numpy().reshape(16, size)
        changed[:, i] = (changed[:, i] + 1 / (levels - 1)) % (
            levels / (levels - 1)
        )
        after = model.logits(tf.reshape(tf.constant(changed), images.shape))
        after = after.numpy().reshape(16, size, levels)
        reached[i] = np.any(after != before, axis=(0, 2))
    return reached


def _expected_reach(shape, radius):
    """Value i reaches every later value and none before i + 1.

    But a row's last pixel is seen from the next row through the first window
    alone: its own features were made before it was known (mask A), as in the
    paper.
    """
    size = int(np.prod(shape))
    expected = np.triu(np.ones([size, size], bool), k=1)
    pixels = expected.reshape(*shape, *shape)
    for y in range(shape[0] - 1):
        pixels[y, -1, :, y + 1, : shape[1] - 1 - radius] = False
    return expected


def test_gated_pixelcnn_sees_to_the_upper_right():
    shape = (3, 8, 1)
    options = {'cell': 'pixelcnn', 'num_layers': 7, 'kernel_size': 3}
    expected = _expected_reach(shape, 1)
    gated = _reach(_model(shape, **options, gated=True), shape, 2)
    np.testing.assert_array_equal(gated, expected)
    plain = _reach(_model(shape, **options), shape, 2)
    # Its windows move a column to the right with each row upwards.
    y, x, to_y, to_x = np.indices(shape[:2] * 2).reshape(4, *expected.shape)
    blind = (y < to_y) & (x > to_x + (to_y - y))
    np.testing.assert_array_equal(plain, expected & ~blind)


@EVERY
@pytest.mark.parametrize(
    'shape,levels,classes,palette',
    [
        ((4, 3, 1), 2, 0, None),
        ((3, 3, 3), 5, 4, None),
        ((3, 4, 1), 3, 0, ((1, 2, 3), (4, 5, 6), (7, 8, 9))),
    ],
)
def test_incremental_sampling_equals_the_whole_network(
    variant, shape, levels, classes, palette
):
    model = _model(
        shape,
        **VARIANTS[variant],
        levels=levels,
        num_classes=classes,
        palette=palette,
    )
    noise = RowNoise(tf.range(6))
    label = tf.range(6) % classes if classes else None
    fast = model.sample(noise, label).numpy()
    uniforms = noise.uniform('pixels', [shape[0] * shape[1], shape[2]])
    slow = np.zeros([6, *shape], np.float32)
    for t, (y, x) in enumerate(np.ndindex(*shape[:2])):
        for c in range(shape[2]):
            logits = model.logits(tf.constant(slow), label)[:, y, x, c]
            level = probability.categorical(logits, uniforms[:, t, c])
            slow[:, y, x, c] = level.numpy() / (levels - 1)
    np.testing.assert_allclose(fast, slow, atol=1e-6)
    assert len(np.unique(fast)) > 1


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
    random = np.random.default_rng(6)
    image = tf.constant(random.random([3, 4, 5, 3]), tf.float32)
    mask = tf.constant(random.random([3, 4, 5, 1]) > 0.5, tf.float32)
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
