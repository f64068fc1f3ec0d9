"""Properties of PixelRNNs only; test_exact.py has the others."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import ImageSpec, PaletteSpec
from tfgen.errors import UserError
from tfgen.models.pixelrnn import PixelRNN

# Variant -> options of PixelRNN.
VARIANTS = {
    'lstm': {'cell': 'lstm'},
    'gru': {'cell': 'gru'},
    'row_lstm': {'cell': 'row_lstm'},
    'diagonal_bilstm': {'cell': 'diagonal_bilstm'},
    'pixelcnn': {'cell': 'pixelcnn'},
    'gated_pixelcnn': {'cell': 'pixelcnn', 'gated': True},
}
RADIUS = 2  # of the first convolution's kernel in these tests
EVERY = pytest.mark.parametrize('variant', VARIANTS)


def _model(shape, **options):
    """Returns a model with random weights that are not small."""
    height, width, channels = shape
    spec = ImageSpec(
        height=height,
        width=width,
        channels=channels,
        levels=options.pop('levels', 2),
        num_classes=2,
    )
    model = PixelRNN(
        spec, **{'units': 12, 'num_layers': 2, 'kernel_size': 5} | options
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


def test_probabilities_over_all_colour_images_sum_to_one():
    model = _model([1, 2, 3], levels=3, conditional=True)
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
    """Whether value i reaches the logits of value j, [values, values]."""
    size = int(np.prod(shape))
    reached = np.zeros([size] * 2, bool)
    # Several images, since a ReLU may block the path in one of them.
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
    """Returns the expected `_reach`: value i reaches every later value.

    The last pixel of a row is an exception, as in the paper. The next row sees
    it only through the kernel of the first convolution. Its own features do not
    contain it (mask A).
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
    # The kernel moves one column to the right with each row upwards.
    y, x, to_y, to_x = np.indices(shape[:2] * 2).reshape(4, *expected.shape)
    blind = (y < to_y) & (x > to_x + (to_y - y))
    np.testing.assert_array_equal(plain, expected & ~blind)


def test_a_palette_of_another_size_than_its_levels_is_refused():
    spec = PaletteSpec(height=2, width=2, levels=2, palette=((0, 0, 0),) * 2)
    with pytest.raises(UserError, match='levels=0'):
        PixelRNN(spec, levels=3, units=2)
