"""The game's closed forms, on discrete distributions."""

import math

import numpy as np
import tensorflow as tf

from tfgen import adversarial, probability

RNG = np.random.default_rng(1)
P, Q = RNG.dirichlet(np.ones(6), size=2)


def _value(logits):
    """V(D, G) where x has density P and G(z) has density Q."""
    real = adversarial.real_loss(tf.constant(logits))
    fake = adversarial.fake_loss(tf.constant(logits))
    return -float(tf.reduce_sum(P * real) + tf.reduce_sum(Q * fake))


def test_losses_are_the_logarithms_of_d():
    logits = RNG.normal(size=10)
    d = 1 / (1 + np.exp(-logits))
    for loss, expected in (
        (adversarial.real_loss, -np.log(d)),
        (adversarial.fake_loss, -np.log(1 - d)),
        (adversarial.generator_minimax, np.log(1 - d)),
        (adversarial.generator_non_saturating, -np.log(d)),
    ):
        np.testing.assert_allclose(loss(tf.constant(logits)), expected)


def test_losses_are_finite_where_sigmoid_has_rounded():
    extreme = tf.constant([-1000.0, 1000.0])
    for loss in (
        adversarial.real_loss,
        adversarial.fake_loss,
        adversarial.generator_minimax,
        adversarial.generator_non_saturating,
    ):
        assert np.all(np.isfinite(loss(extreme)))


def test_optimal_discriminator_maximises_the_value():
    best = adversarial.optimal_discriminator(P, Q)
    np.testing.assert_allclose(best, P / (P + Q))
    logits = np.log(best / (1 - best))
    top = _value(logits)
    for _ in range(50):
        assert _value(logits + 0.3 * RNG.normal(size=6)) < top


def test_optimal_discriminator_gives_jensen_shannon():
    logits = np.log(P / Q)  # the logit of P / (P + Q)
    js = float(probability.jensen_shannon(P, Q))
    np.testing.assert_allclose(_value(logits), 2 * js - math.log(4))
    share = adversarial.jensen_shannon_estimate(
        tf.constant(logits)[:, None], tf.constant(logits)[None]
    )
    weights = P[:, None] * Q[None]
    np.testing.assert_allclose(tf.reduce_sum(weights * share), js)


def test_jensen_shannon_estimate_is_zero_at_equilibrium():
    zero = tf.zeros([3])
    np.testing.assert_allclose(
        adversarial.jensen_shannon_estimate(zero, zero), 0.0, atol=1e-7
    )


def test_minimax_saturates_and_non_saturating_does_not():
    logits = tf.constant([-10.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        minimax = adversarial.generator_minimax(logits)
        other = adversarial.generator_non_saturating(logits)
    assert abs(tape.gradient(minimax, logits)[0]) < 1e-4
    assert abs(tape.gradient(other, logits)[0]) > 0.99
