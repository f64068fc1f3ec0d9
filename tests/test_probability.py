"""Densities and divergences against closed forms and scipy in float64."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen import probability

RNG = np.random.default_rng(0)


def test_log_normal_pdf_is_scipys_density():
    x, mean = RNG.normal(size=(2, 5, 3, 2))
    logvar = RNG.normal(size=(5, 3, 2))
    expected = stats.norm.logpdf(x, mean, np.exp(logvar / 2)).sum((1, 2))
    ours = probability.log_normal_pdf(*map(tf.constant, (x, mean, logvar)))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_kl_normal_matches_monte_carlo():
    mean, logvar = np.array([[0.7, -1.2]]), np.array([[-0.5, 0.4]])
    z = mean + np.exp(logvar / 2) * RNG.normal(size=(400_000, 2))
    log_ratio = stats.norm.logpdf(z, mean, np.exp(logvar / 2)).sum(1)
    log_ratio -= stats.norm.logpdf(z).sum(1)
    error = log_ratio.std() / math.sqrt(len(z))
    exact = probability.kl_normal(tf.constant(mean), tf.constant(logvar))
    assert abs(exact.numpy()[0] - log_ratio.mean()) < 4 * error


def test_kl_normal_is_the_difference_of_the_two_expectations():
    mean, logvar = map(tf.constant, RNG.normal(size=(2, 6, 4)))
    difference = probability.expected_log_posterior(
        logvar
    ) - probability.expected_log_prior(mean, logvar)
    np.testing.assert_allclose(
        probability.kl_normal(mean, logvar), difference, rtol=1e-12
    )


@pytest.mark.parametrize('which', ['prior', 'posterior'])
def test_expected_log_densities_match_quadrature(which):
    mean, logvar = 0.8, -0.6
    deviation = math.exp(logvar / 2)
    z = np.linspace(mean - 12 * deviation, mean + 12 * deviation, 20_001)
    q = stats.norm.pdf(z, mean, deviation)
    density = {
        'prior': stats.norm.logpdf(z),
        'posterior': stats.norm.logpdf(z, mean, deviation),
    }[which]
    expected = np.trapezoid(q * density, z)
    m, s = tf.constant([[mean]]), tf.constant([[logvar]])
    ours = {
        'prior': lambda: probability.expected_log_prior(m, s),
        'posterior': lambda: probability.expected_log_posterior(s),
    }[which]()
    np.testing.assert_allclose(ours.numpy()[0], expected, rtol=1e-5)


def test_the_notes_penalty_is_twice_kl_if_s_is_the_log_variance():
    mean, s = map(tf.constant, RNG.normal(size=(2, 6, 4)))
    penalty = tf.reduce_sum(tf.exp(s) - (1 + s) + mean**2, axis=1)
    np.testing.assert_allclose(
        penalty, 2 * probability.kl_normal(mean, s), rtol=1e-12
    )
    # If s were a log standard deviation, the formula would not hold.
    other = 2 * probability.kl_normal(mean, 2 * s)
    assert np.all(np.abs(penalty - other) > 1e-3)


def test_log_bernoulli_sums_to_one_over_all_images():
    logits = tf.constant(RNG.normal(size=(1, 2, 2, 1)))
    images = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    log_p = probability.log_bernoulli(
        tf.constant(images.reshape(-1, 2, 2, 1)), tf.repeat(logits, 16, 0)
    )
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-12)


def test_log_bernoulli_is_finite_at_extreme_logits():
    log_p = probability.log_bernoulli(
        tf.ones([1, 2]), tf.constant([[-1000.0, 1000.0]])
    )
    np.testing.assert_allclose(log_p, [-1000.0])


def test_log_mean_exp_does_not_overflow():
    values = tf.constant([[1000.0, -1000.0], [1000.0, -1002.0]])
    expected = [1000.0, -1000.0 + math.log((1 + math.exp(-2)) / 2)]
    np.testing.assert_allclose(
        probability.log_mean_exp(values), expected, rtol=1e-6
    )


def test_discrete_kl_of_the_notes():
    p, q = tf.constant([0.2, 0.4, 0.4]), tf.constant([0.4, 0.2, 0.4])
    np.testing.assert_allclose(
        probability.kl_discrete(p, q), 0.2 * math.log(2), rtol=1e-6
    )
    assert f'{probability.kl_discrete(p, q).numpy():.4f}' == '0.1386'


def test_cross_entropy_is_entropy_plus_kl():
    p, q = RNG.dirichlet(np.ones(5), size=(2, 7))
    np.testing.assert_allclose(
        probability.cross_entropy(p, q),
        stats.entropy(p, axis=1) + stats.entropy(p, q, axis=1),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        probability.entropy(p), stats.entropy(p, axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        probability.kl_discrete(p, q), stats.entropy(p, q, axis=1), rtol=1e-9
    )


def test_kl_is_asymmetric_and_jensen_shannon_is_symmetric():
    p = tf.constant([0.1, 0.9], tf.float64)
    q = tf.constant([0.6, 0.4], tf.float64)
    kl = probability.kl_discrete
    assert abs(kl(p, q) - kl(q, p)) > 0.01
    np.testing.assert_allclose(
        probability.jensen_shannon(p, q), probability.jensen_shannon(q, p)
    )


def test_jensen_shannon_is_log_2_where_supports_are_disjoint():
    p, q = tf.constant([0.3, 0.7, 0, 0]), tf.constant([0, 0, 0.5, 0.5])
    np.testing.assert_allclose(
        probability.jensen_shannon(p, q), math.log(2), rtol=1e-6
    )
    mixed = RNG.dirichlet(np.ones(4), size=(2, 100))
    js = probability.jensen_shannon(*mixed).numpy()
    assert np.all(js >= 0) and np.all(js < math.log(2))


def test_bits_per_dim_of_uniform_bytes_is_eight():
    nats = 28 * 28 * math.log(256)
    assert probability.bits_per_dim(nats, (28, 28, 1)) == pytest.approx(8.0)


def test_categorical_inverts_the_distribution_function():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    logits = tf.constant(np.log(p + 1e-30), tf.float32)[None]
    u = tf.constant([1e-6, 0.09, 0.11, 0.69, 0.71, 1 - 1e-7])
    drawn = probability.categorical(tf.tile(logits, [6, 1]), u)
    np.testing.assert_array_equal(drawn, [0, 0, 2, 2, 3, 3])
