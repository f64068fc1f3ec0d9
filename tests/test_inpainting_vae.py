"""The inpainting VAE against the integral over its prior."""

import itertools

import numpy as np
import tensorflow as tf
import tiny
from scipy import stats

from tfgen import probability
from tfgen.data import ImageSpec
from tfgen.models.masks import quadrants, random_quadrants
from tfgen.noise import BatchNoise

SPEC = ImageSpec(height=2, width=2, levels=2)
HIDDEN = np.array(list(itertools.product([0, 1], repeat=3)), np.float32)


def test_its_bound_closes_on_the_integral_over_the_prior():
    model = tiny.build('inpainting_vae', SPEC, latent_size=1)
    mask = np.broadcast_to(quadrants(2, 2, tf.constant([1])), [8, 2, 2, 1])
    images = np.ones([8, 2, 2, 1], np.float32)
    images[mask == 0] = HIDDEN.ravel()
    images, mask = tf.constant(images), tf.constant(mask)
    seen = tf.concat([images * mask, mask], axis=-1)[:1]
    mean, logvar = (v.numpy() for v in tf.split(model.prior(seen), 2, axis=1))
    places = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    z = tf.constant(mean + np.exp(logvar / 2) * places[:, None], tf.float32)
    logits = model._decode(z, tf.repeat(seen, len(z), axis=0)).numpy()
    log_p = np.stack([-np.logaddexp(0, logits), -np.logaddexp(0, -logits)])
    exact = []
    for image in images.numpy():
        each = np.where(image == 1, log_p[1], log_p[0])
        each = (each * (1 - mask[0].numpy())).reshape(len(z), -1).sum(1)
        exact.append(np.log(np.exp(each).mean()))
    np.testing.assert_allclose(np.exp(exact).sum(), 1.0, rtol=1e-5)
    noise = BatchNoise(tf.constant([0, 1]), 8)
    weights = model.log_weights(images, mask, noise, 50_000)
    found = probability.log_mean_exp(weights)
    np.testing.assert_allclose(found, exact, atol=0.03)
    assert np.all(weights.numpy().mean(0) < exact)


def test_quadrants_are_those_of_the_paper():
    found = quadrants(4, 6, tf.constant([0, 1, 2, 3])).numpy()[..., 0]
    assert found.shape == (4, 4, 6)
    np.testing.assert_array_equal(found.sum((1, 2)), [0, 6, 12, 18])
    assert found[1, 3, 0] == 1 and found[2, 0, 0] == 1  # lower left, left
    assert np.all(found[3, :2, 3:] == 0)  # upper right hidden
    assert np.all(found[1] <= found[2]) and np.all(found[2] <= found[3])


def test_any_one_to_three_quadrants_are_visible():
    # The halves of 5 x 3 differ in size.
    noise = BatchNoise(tf.constant([0, 1]), 6000)
    masks = random_quadrants(5, 3, noise).numpy()[..., 0]
    corners = masks[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    counts = corners.sum(1)
    for count, ways in ((1, 4), (2, 6), (3, 4)):
        found = corners[counts == count]
        assert abs(len(found) - 2000) < 200
        kinds, often = np.unique(found, axis=0, return_counts=True)
        assert len(kinds) == ways
        assert np.all(abs(often - 2000 / ways) < 120)
    # The halves are the paper's.
    lower_left = np.all(corners == [0, 0, 1, 0], axis=1)
    expected = quadrants(5, 3, tf.constant([1])).numpy()[0, ..., 0]
    assert np.all(masks[lower_left] == expected)
    each = [masks[np.all(corners == row, axis=1)][0] for row in np.eye(4)]
    np.testing.assert_array_equal(sum(each), 1.0)
    np.testing.assert_array_equal(
        np.einsum('bc,chw->bhw', corners, np.stack(each)), masks
    )


def test_kl_of_two_normals_matches_a_mean_over_draws():
    random = np.random.default_rng(0)
    mean, logvar, other, width = (
        tf.constant(random.normal(size=[1, 3]), tf.float32) for _ in range(4)
    )
    z = mean + tf.exp(logvar / 2) * random.normal(size=[200_000, 3])
    off = probability.log_normal_pdf(z, mean, logvar)
    off -= probability.log_normal_pdf(z, other, width)
    found = probability.kl_normals(mean, logvar, other, width)
    error = float(tf.math.reduce_std(off)) / 200_000**0.5
    assert abs(float(found[0]) - float(tf.reduce_mean(off))) < 4 * error
    zero = tf.zeros([1, 3])
    np.testing.assert_allclose(
        probability.kl_normals(mean, logvar, zero, zero),
        probability.kl_normal(mean, logvar),
        rtol=1e-6,
    )
