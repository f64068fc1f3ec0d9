"""GAN losses: pure functions of discriminator logits, one number per example.

The discriminator's logit d(x) means D(x) = sigmoid(d(x)), the probability
that x is real. -log D is computed as softplus(-d), which stays finite where
sigmoid has already rounded to 0 or 1.

Source of all formulas: Goodfellow et al. 2014, as the notes derive them.
"""

import math

import tensorflow as tf


def real_loss(real_logits: tf.Tensor) -> tf.Tensor:
    """-log D(x), what a real example adds to -V(D, G): [B] -> [B]."""
    return tf.nn.softplus(-real_logits)


def fake_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log(1 - D(G(z))), what a fake adds to -V(D, G): [B] -> [B]."""
    return tf.nn.softplus(fake_logits)


def generator_minimax(fake_logits: tf.Tensor) -> tf.Tensor:
    """log(1 - D(G(z))), the generator's share of V(D, G): [B] -> [B].

    Its gradient vanishes where the discriminator wins (D(G(z)) near 0).
    """
    return -tf.nn.softplus(fake_logits)


def generator_non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)): same fixed point, strong gradient early: [B] -> [B]."""
    return tf.nn.softplus(-fake_logits)


def optimal_discriminator(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """D*(x) = p(x) / (p(x) + q(x)) for data density p, generator density q."""
    return p / (p + q)


def value(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """log D(x) + log(1 - D(G(z))) of each pair: [B], [B] -> [B].

    Its mean estimates V(D, G).
    """
    return -real_loss(real_logits) - fake_loss(fake_logits)


def jensen_shannon_estimate(
    real_logits: tf.Tensor, fake_logits: tf.Tensor
) -> tf.Tensor:
    """(V + log 4) / 2 in nats, the share of each pair: [B], [B] -> [B].

    max_D V = 2 JS(data, generator) - log 4, so the mean estimates JS if D is
    optimal, and a lower bound on it for any other D. At equilibrium (D = 1/2
    everywhere) it is 0; it is never above log 2.
    """
    return 0.5 * (value(real_logits, fake_logits) + math.log(4.0))
