"""Adversarial losses against closed forms, on discrete distributions."""

import math

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.losses import adversarial

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


SCORES = np.array([-2.0, -0.25, 0.0, 0.5, 3.0])


def _softplus(x):
    return np.log1p(np.exp(x))


def test_every_loss_is_its_formula():
    s = SCORES
    for name, real, fake, generator in (
        ('minimax', _softplus(-s), _softplus(s), -_softplus(s)),
        ('non_saturating', _softplus(-s), _softplus(s), _softplus(-s)),
        ('least_squares', (s - 1) ** 2 / 2, s**2 / 2, (s - 1) ** 2 / 2),
        ('wasserstein', -s, s, -s),
        ('hinge', [3, 1.25, 1, 0.5, 0], [0, 0.75, 1, 1.5, 4], -s),
        # Energies 2, 0.25, 0, 0, 0 and a margin of 1.5.
        ('margin', [2, 0.25, 0, 0, 0], [0, 1.25, 1.5, 1.5, 1.5], None),
    ):
        loss = adversarial.loss(name, margin=1.5)
        scores = tf.constant(s)
        np.testing.assert_allclose(loss.real(scores), real)
        np.testing.assert_allclose(loss.fake(scores), fake)
        np.testing.assert_allclose(
            loss.generator(scores), real if generator is None else generator
        )
        # The encoder's loss is G's with real and fake exchanged.
        encoder = {'minimax': -_softplus(-s), 'hinge': s}.get(name, fake)
        np.testing.assert_allclose(loss.encoder(scores), encoder)
    assert {*adversarial.LOSSES} == {
        'minimax',
        'non_saturating',
        'least_squares',
        'wasserstein',
        'hinge',
        'margin',
    }


def test_a_discriminators_loss_lifts_data_and_a_generators_its_samples():
    # This checks the sign of each term.
    for name in adversarial.LOSSES:
        loss = adversarial.loss(name, margin=2.0)
        score = tf.constant([-0.5])
        for part, sign in (
            (loss.real, -1),
            (loss.fake, 1),
            (loss.generator, -1),
        ):
            with tf.GradientTape() as tape:
                tape.watch(score)
                value = part(score)
            slope = float(tape.gradient(value, score)[0])
            wanted = -sign if name == 'least_squares' and sign > 0 else sign
            assert np.sign(slope) == wanted, (name, part)


def test_wasserstein_estimate_is_the_distance_for_the_best_critic():
    # Between N(0, 1) and N(3, 1) the best 1-Lipschitz critic is f(x) = -x.
    x = RNG.normal(size=20_000)
    share = adversarial.wasserstein_estimate(-x, -(x[::-1] + 3.0))
    np.testing.assert_allclose(np.mean(share), 3.0, atol=0.05)
