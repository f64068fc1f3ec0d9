"""Hierarchical VAE: bounds against the exact integral."""

import itertools

import numpy as np
import tensorflow as tf
import tiny
from scipy import stats

from tfgen import probability
from tfgen.data import ImageSpec
from tfgen.evaluation import annealed
from tfgen.models.hierarchical_vae import HierarchicalVAE
from tfgen.noise import BatchNoise

SPEC = ImageSpec(height=2, width=2, levels=2)
IMAGES = np.array(
    list(itertools.product([0, 1], repeat=4)), np.float32
).reshape(-1, 2, 2, 1)


def _model(**settings):
    return tiny.build(
        'hierarchical_vae', SPEC, low_size=1, top_size=1, **settings
    )


def _exact(model):
    """Returns log p of every image, [16], by a sum over a grid of z."""
    places = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    z = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    logits = model.decode(tf.constant(z, tf.float32)).numpy().astype(np.float64)
    logits = logits.reshape(-1, 4)
    log_p = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    x = IMAGES.reshape(-1, 4)
    each = np.exp(x @ log_p[0].T + (1 - x) @ log_p[1].T)
    return np.log(each.mean(1))


def test_the_bounds_close_on_the_exact_log_prob():
    model = _model()
    exact = _exact(model)
    np.testing.assert_allclose(np.exp(exact).sum(), 1.0, rtol=1e-6)
    noise = BatchNoise(tf.constant([0, 1]), len(IMAGES))
    weights = model.log_weights(tf.constant(IMAGES), None, noise, 20_000)
    many = probability.log_mean_exp(weights).numpy()
    np.testing.assert_allclose(many, exact, atol=0.03)
    few = probability.log_mean_exp(
        tf.reshape(weights, [4000, 5, len(IMAGES)]), axis=1
    )
    bound = weights.numpy().mean(0)
    assert np.all(bound < few.numpy().mean(0))
    assert np.all(few.numpy().mean(0) < exact + 0.01)
    assert (exact - bound).max() > 0.05


def test_annealed_importance_needs_no_q():
    model = _model()
    model.to_low.trainable_variables[-1].assign_add([9.0, 3.0])  # a bad q
    chains = tf.repeat(tf.constant(IMAGES), 64, axis=0)
    weights = annealed.log_weights(
        lambda z: model.log_likelihood(chains, z), [len(chains), 2], [0, 5], 200
    )
    found = probability.log_mean_exp(tf.reshape(weights, [16, 64]), axis=1)
    np.testing.assert_allclose(found, _exact(model), atol=0.05)


def test_samples_are_as_likely_as_the_model_says():
    # A sample shows the mean of p(x|z); each pixel is drawn from it.
    model = _model()
    noise = BatchNoise(tf.constant([0, 2]), 100_000)
    shown = model.sample(noise).numpy().mean(0)
    expected = np.tensordot(np.exp(_exact(model)), IMAGES, 1)
    np.testing.assert_allclose(shown, expected, atol=0.01)


def test_encoding_and_decoding_along_the_means_are_those_of_the_networks():
    model = _model(importance_samples=1)
    image = tf.constant(IMAGES)
    mean, _ = model.encode(image)
    low, _ = tf.split(model.to_low(image), 2, axis=1)
    np.testing.assert_allclose(
        model.decode(mean), model.from_low(low), atol=1e-4
    )


def test_one_draw_trains_the_elbo():
    model = HierarchicalVAE(SPEC, 2, 2, 4, 4)
    noise = BatchNoise(tf.constant([0, 2]), len(IMAGES))
    terms = model.loss_terms({'image': tf.constant(IMAGES)}, noise)
    elbo = model.elbo(tf.constant(IMAGES), None, noise)
    np.testing.assert_allclose(
        -elbo, terms['distortion'] + terms['rate'], rtol=1e-5
    )


def test_means_of_both_layers_are_those_of_the_posterior():
    # Not the means of z, whose lower part is only what `top` leaves open.
    model = _model()
    image, noise = tf.constant(IMAGES), BatchNoise(tf.constant([0, 3]), 16)
    top, low = model.posterior_means(image, None, noise).numpy().T
    mean, logvar = np.split(model.to_low(image).numpy(), 2, axis=1)
    np.testing.assert_allclose(low, mean[:, 0], rtol=1e-5)
    # Integrates over `low` by quantiles of its normal distribution.
    places = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    drawn = (mean + np.exp(0.5 * logvar) * places).reshape(-1, 1)
    means = model.to_top(tf.constant(drawn, tf.float32)).numpy()[:, 0]
    expected = means.reshape(16, -1)
    error = expected.std(1) / 8.0  # 64 draws
    assert np.all(np.abs(top - expected.mean(1)) < 4.5 * error + 1e-4)
    assert np.abs(top - model.encode(image)[0][:, 0]).max() > 1e-3
