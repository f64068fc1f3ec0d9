"""Densities, divergences and bounds: pure functions, in nats.

Every density returns one number per example of a batch. The event dimensions
are those after the first. Discrete distributions lie along the last dimension.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

_LOG_2PI = math.log(2.0 * math.pi)


def sum_event(values: tf.Tensor) -> tf.Tensor:
    """Sums all dimensions but the first: [B, ...] -> [B]."""
    return tf.reduce_sum(values, axis=tf.range(1, tf.rank(values)))


def log_normal_pdf(
    sample: tf.Tensor, mean: tf.Tensor, logvar: tf.Tensor
) -> tf.Tensor:
    """log N(sample; mean, exp(logvar)), summed over the event: [B, ...] -> [B].

    Source: the notes' `log_normal_pdf`. The notes sum over axis 1. Here all
    event dimensions are summed, so that images work as well as vectors.

    Args:
      sample: float [B, ...].
      mean, logvar: broadcastable to `sample`; logvar = log(variance).
    """
    return sum_event(
        -0.5 * (_LOG_2PI + logvar + tf.square(sample - mean) * tf.exp(-logvar))
    )


def kl_normal(mean: tf.Tensor, logvar: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) in nats: [B, ...] -> [B].

    Source: Kingma and Welling 2014, appendix B; the notes'
    (-log s^2 + m^2 + s^2 - 1) / 2, summed over the dimensions.
    """
    return 0.5 * sum_event(tf.square(mean) + tf.exp(logvar) - 1.0 - logvar)


def kl_normals(
    mean: tf.Tensor,
    logvar: tf.Tensor,
    prior_mean: tf.Tensor,
    prior_logvar: tf.Tensor,
) -> tf.Tensor:
    """KL between two normals, q || prior, in nats: [B, ...] -> [B].

    q is N(mean, exp(logvar)), the prior N(prior_mean, exp(prior_logvar)). With
    a prior N(0, 1) this is `kl_normal`.
    """
    scaled = tf.square(mean - prior_mean) * tf.exp(-prior_logvar)
    ratio = logvar - prior_logvar
    return 0.5 * sum_event(scaled + tf.exp(ratio) - 1.0 - ratio)


def expected_log_prior(mean: tf.Tensor, logvar: tf.Tensor) -> tf.Tensor:
    """E log p(z) for z ~ N(mean, exp(logvar)), p = N(0, 1): [B, ...] -> [B].

    -(log 2 pi + m^2 + s^2) / 2 per dimension. The notes print this formula
    under E log q(z|x), and `expected_log_posterior` under E log p(z). Their
    difference is correct.
    """
    return -0.5 * sum_event(_LOG_2PI + tf.square(mean) + tf.exp(logvar))


def expected_log_posterior(logvar: tf.Tensor) -> tf.Tensor:
    """E log q(z) for z ~ q = N(m, exp(logvar)): [B, ...] -> [B].

    -(log 2 pi + 1 + log s^2) / 2 per dimension, the negative entropy.
    """
    return -0.5 * sum_event(_LOG_2PI + 1.0 + logvar)


def log_bernoulli(image: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """log P(image | logits) of independent binary values: [B, ...] -> [B].

    Args:
      image: float [B, ...], each value 0 or 1. For values in between the result
        is the notes' cross-entropy and no longer a log-probability.
      logits: float [B, ...], log-odds of a 1.
    """
    # log sigmoid(l) = l - softplus(l) and log(1 - sigmoid(l)) = -softplus(l).
    return sum_event(image * logits - tf.nn.softplus(logits))


def log_categorical(level: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """log P(level | logits) of independent values: [B, ...] -> [B].

    Args:
      level: integers [B, ...] in 0 .. N - 1.
      logits: float [B, ..., N], log p of each level up to a constant.
    """
    return -sum_event(
        tf.nn.sparse_softmax_cross_entropy_with_logits(level, logits)
    )


def log_mean_exp(values: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """log of the mean of exp(values) along `axis`, without overflow.

    For log-weights log p(x, z_s) - log q(z_s | x) it is the importance weighted
    bound on log p(x) (Burda et al. 2016, equation 8).
    """
    count = tf.cast(tf.shape(values)[axis], values.dtype)
    return tf.reduce_logsumexp(values, axis=axis) - tf.math.log(count)


def categorical(logits: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Draws by inverting the distribution function: [B, N], [B] -> int32 [B].

    Each draw uses one uniform in (0, 1). Equal uniforms give equal draws,
    except for rounding at a bound. Some logits may be -inf, but not all.
    """
    # Not tf.nn.softmax: its oneDNN kernel takes 70 microseconds to start, which
    # is as long as all other work for a pixel.
    weights = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))
    cumulative = tf.cumsum(weights, axis=-1)
    # The last bound is left out, so rounding cannot give a level above N - 1.
    below = cumulative[:, :-1] <= uniforms[:, None] * cumulative[:, -1:]
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)


def entropy(p: tf.Tensor) -> tf.Tensor:
    """H(P) = -sum P log P: [..., N] -> [...]; 0 log 0 counts as 0."""
    return -tf.reduce_sum(tf.math.xlogy(p, p), axis=-1)


def cross_entropy(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """H(P, Q) = -sum P log Q = H(P) + KL(P || Q): [..., N] -> [...].

    Infinite where Q is 0 and P is not.
    """
    return -tf.reduce_sum(tf.math.xlogy(p, q), axis=-1)


def kl_discrete(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """KL(P || Q) = sum P log(P / Q): [..., N] -> [...]; >= 0, asymmetric."""
    return cross_entropy(p, q) - entropy(p)


def jensen_shannon(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """JS(P, Q) = (KL(P || M) + KL(Q || M)) / 2 with M = (P + Q) / 2.

    [..., N] -> [...]. It is symmetric, 0 for P = Q, and at most log 2, which it
    reaches for disjoint supports.
    """
    mixture = 0.5 * (p + q)
    return 0.5 * (kl_discrete(p, mixture) + kl_discrete(q, mixture))


def bits_per_dim(nats: float, shape: Sequence[int]) -> float:
    """Converts nats per example to bits per value of an example of `shape`."""
    return nats / (math.prod(shape) * math.log(2.0))
