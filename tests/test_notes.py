"""Checks by computation what docs/lecture.md says about errors in the notes."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfgen import probability
from tfgen.data.embedded import moons
from tfgen.layers import discriminators
from tfgen.losses import adversarial
from tfgen.models.contracts.capabilities import Encoding, GenerativeModel
from tfgen.models.gan import GAN
from tfgen.models.pixelrnn import PixelRNN


def test_kl_of_equals_is_0():
    p = tf.constant([0.2, 0.4, 0.4])
    assert probability.kl_discrete(p, p).numpy() == 0


def test_jensen_shannon_is_at_most_1_bit():
    # For supports that do not overlap, it is log 2 nats.
    p, q = tf.constant([1.0, 0.0]), tf.constant([0.0, 1.0])
    nats = probability.jensen_shannon(p, q).numpy()
    assert nats / math.log(2) == pytest.approx(1)
    assert nats < 0.7


def test_a_density_may_be_above_1():
    x, logvar = tf.zeros([1, 1]), tf.fill([1, 1], 2 * math.log(0.1))
    log_p = probability.log_normal_pdf(x, tf.zeros([1, 1]), logvar)
    assert math.exp(log_p.numpy()[0]) == pytest.approx(3.989, rel=1e-3)


def test_the_best_d_is_no_distribution():
    x = np.linspace(-30, 30, 6001)[:, None]
    zeros = np.zeros_like(x)
    p, q = (
        np.exp(probability.log_normal_pdf(x, zeros + m, zeros + s).numpy())
        for m, s in ((0.0, 0.5), (1.0, 0.0))
    )
    d = adversarial.optimal_discriminator(p, q)
    assert np.trapezoid(p, x[:, 0]) == pytest.approx(1, rel=1e-6)
    assert d.min() >= 0 and d.max() <= 1
    assert np.trapezoid(d, x[:, 0]) > 30


def test_the_slope_of_the_penalty_is_exp_s_minus_1():
    s = tf.linspace(-2.0, 2.0, 9)
    with tf.GradientTape() as tape:
        tape.watch(s)
        penalty = tf.exp(s) - (1.0 + s)
    slope = tape.gradient(penalty, s)
    np.testing.assert_allclose(slope, tf.exp(s) - 1.0, atol=1e-6)
    assert penalty[4] == slope[4] == 0 and np.argmin(penalty) == 4
    # The slope alone, as a penalty, would be lowest at variance 0.
    assert np.argmin(slope) == 0


def test_squared_error_is_a_likelihood_at_fixed_variance_alone():
    size, errors = 50, np.array([0.5, 2.0])  # mean squared errors
    x = np.sqrt(errors)[:, None] * np.ones([2, size])
    means = np.zeros_like(x)

    def nats(logvar):
        logvar = np.broadcast_to(np.reshape(logvar, [-1, 1]), x.shape)
        return -probability.log_normal_pdf(x, means, logvar).numpy()

    for logvar in (-1.0, 0.0, 1.0):
        fixed = size / 2 * errors / math.exp(logvar)
        assert np.ptp(nats(logvar) - fixed) == pytest.approx(0, abs=1e-9)
    # At the best variance of each, the nats depend on the error's logarithm.
    best = np.diff(nats(np.log(errors)))[0]
    assert best == pytest.approx(size / 2 * math.log(4))


def test_l1_makes_zeros_and_l2_does_not():
    w = np.linspace(-2, 2, 4001)
    error = (w - 0.3) ** 2 / 2
    assert abs(w[np.argmin(error + 0.5 * np.abs(w))]) < 1e-9
    assert w[np.argmin(error + 0.5 * w**2)] == pytest.approx(0.15, abs=1e-3)


def test_between_two_targets_squared_error_wants_their_cross_fade():
    half, full = moons.moon(math.pi / 2), moons.moon(math.pi)
    three_quarters = moons.moon(0.75 * math.pi)

    def loss(picture):
        return sum(float(np.sum((picture - m) ** 2)) for m in (half, full))

    grey = (half + full) / 2
    assert loss(grey) < loss(three_quarters)
    assert loss(grey) <= min(loss(moons.moon(p)) for p in np.linspace(0, 3.1))
    assert np.any(np.abs(grey - 0.5) < 1e-6)


def test_a_generative_model_needs_no_encoder():
    for model in (GAN, PixelRNN):
        assert issubclass(model, GenerativeModel)
        assert not issubclass(model, Encoding)
        assert not hasattr(model, 'encode')


def test_an_energy_is_minus_the_error_of_an_auto_encoder():
    shown = tf.constant([[[1.0, 0.0]], [[0.5, 0.5]]])
    energy = discriminators.Energy(
        lambda code: tf.reshape(code, [-1, 1, 2]),
        offset=False,
        regularization=None,
    )
    code = tf.constant([[1.0, 0.0], [0.5, 1.5]])
    for _ in range(2):  # equal both times, so nothing is random
        np.testing.assert_allclose(energy(code, seen=shown), [0.0, -0.5])


def _slope(function, logits):
    """The gradient by the logits of q, in float64."""
    logits = tf.constant(logits, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = function(tf.nn.softmax(logits))
    return tape.gradient(value, logits).numpy()


def _at_the_best_d(loss, divergence):
    """Gradients of a loss, with D optimal and held fixed, and of a divergence.

    Args:
      loss: of the generator, of scores.
      divergence: of data p and samples q.
    """
    random = np.random.default_rng(0)
    p = tf.nn.softmax(tf.constant(random.normal(size=40)))
    logits = random.normal(size=40)
    # The logit of D* = p / (p + q).
    score = tf.math.log(p) - tf.math.log(tf.nn.softmax(tf.constant(logits)))
    losses = loss(score)
    return (
        _slope(lambda q: tf.reduce_sum(q * losses), logits),
        _slope(lambda q: divergence(p, q), logits),
    )


def test_minus_log_d_has_the_gradient_of_kl_minus_2_js():
    """Arjovsky and Bottou 2017, theorem 2.5."""
    loss = adversarial.generator_non_saturating
    ours, theirs = _at_the_best_d(
        loss,
        lambda p, q: (
            probability.kl_discrete(q, p) - 2 * probability.jensen_shannon(p, q)
        ),
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-16)
    # KL alone has another gradient.
    _, kl = _at_the_best_d(loss, lambda p, q: probability.kl_discrete(q, p))
    assert np.abs(ours - kl).max() > 1e-3


def test_the_minimax_loss_has_the_gradient_of_2_js():
    ours, theirs = _at_the_best_d(
        adversarial.generator_minimax,
        lambda p, q: 2 * probability.jensen_shannon(p, q),
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-16)


def test_the_bound_is_minus_the_kl_of_the_joint_distributions():
    """KL(data(x) q(z|x) || p(z) p(x|z)) = -E[L_b] - H(data), by sums."""
    random = np.random.default_rng(2)

    def table(*shape):
        """Random distributions along the last axis."""
        return tf.nn.softmax(tf.constant(random.normal(size=shape)))

    data, q, prior, p = table(6), table(6, 4), table(4), table(4, 6)
    ours = data[:, None] * q  # [x, z]
    model = prior * tf.transpose(p)
    joint = probability.kl_discrete(
        tf.reshape(ours, [-1]), tf.reshape(model, [-1])
    )
    bound = tf.reduce_sum(q * tf.math.log(tf.transpose(p)), axis=1)
    bound -= probability.kl_discrete(q, prior[None])
    entropy = probability.entropy(data)
    expected = -tf.reduce_sum(data * bound) - entropy
    assert joint.numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    # It is the KL of the examples plus that of the posteriors.
    marginal = tf.reduce_sum(model, axis=1)
    posterior = model / marginal[:, None]
    parts = probability.kl_discrete(data, marginal) + tf.reduce_sum(
        data * probability.kl_discrete(q, posterior)
    )
    assert joint.numpy() == pytest.approx(parts.numpy(), abs=1e-14)
