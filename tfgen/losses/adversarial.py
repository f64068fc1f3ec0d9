"""GAN losses: pure functions of a discriminator's scores, one per example.

A score is any real number, high for what is taken for data. What it means
is the loss's business: the logit of D(x) = sigmoid(score), the probability
that x is real; the value of Wasserstein's critic; minus an energy. -log D is
computed as softplus(-score), which stays finite where sigmoid has already
rounded to 0 or 1.

Source: Goodfellow et al. 2014 as the notes derive it, and for the others the
papers that are named at each. `LOSSES` has them by name.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

# Scores [B] -> what each adds to a loss that is minimised, [B].
PerExample = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Loss:
    """What the players of a GAN minimise, of scores.

    Attributes:
      real, fake: the discriminator's, of data and of samples.
      generator: the generator's, of its samples.
      encoder: an encoder's, of data that it has encoded: the generator's with
        the labels exchanged (BiGAN).
      logits: whether a score is the logit of a probability.
    """

    real: PerExample
    fake: PerExample
    generator: PerExample
    encoder: PerExample
    logits: bool = False


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


def encoder_minimax(real_logits: tf.Tensor) -> tf.Tensor:
    """log D(x, E(x)), an encoder's share of V(D, E, G): [B] -> [B].

    Donahue et al. 2017, equation 2.
    """
    return -tf.nn.softplus(-real_logits)


def generator_non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)): same fixed point, strong gradient early: [B] -> [B].

    Its gradient, where D is optimal, is that of KL(pg || pdata) - 2 JS
    (Arjovsky and Bottou 2017, theorem 2.5): it pulls two ways.
    """
    return tf.nn.softplus(-fake_logits)


def least_squares(target: float) -> PerExample:
    """(score - target)^2 / 2: [B] -> [B].

    Mao et al. 2017, equation 9: the discriminator's target is 1 for data and
    0 for samples, the generator's is 1.
    """
    return lambda scores: 0.5 * tf.square(scores - target)


def minus_score(scores: tf.Tensor) -> tf.Tensor:
    """-score, for who wants it high: [B] -> [B].

    Arjovsky et al. 2017, equation 3: the critic maximises E f(x) - E f(G(z)),
    the Wasserstein distance if f is 1-Lipschitz; that it is, is a penalty's
    business.
    """
    return -scores


def plus_score(scores: tf.Tensor) -> tf.Tensor:
    """score, for who wants it low: [B] -> [B]."""
    return tf.identity(scores)


def hinge_real(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 - score) of data: [B] -> [B].

    Lim and Ye 2017; Miyato et al. 2018, equation 16.
    """
    return tf.nn.relu(1.0 - scores)


def hinge_fake(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 + score) of samples: [B] -> [B]."""
    return tf.nn.relu(1.0 + scores)


def energy(scores: tf.Tensor) -> tf.Tensor:
    """max(0, -score): what EBGAN calls D(x), which is never below 0: [B].

    Of an auto-encoder, whose score is minus its error, it is the error.
    """
    return tf.nn.relu(-scores)


def margin_fake(margin: float) -> PerExample:
    """max(0, m - D(G(z))) of a sample's energy D: [B] -> [B].

    Zhao et al. 2017, equation 1; equation 2, the generator's, is the energy.
    """
    return lambda scores: tf.nn.relu(margin - energy(scores))


_LOSSES = {
    'minimax': Loss(
        real_loss, fake_loss, generator_minimax, encoder_minimax, True
    ),
    'non_saturating': Loss(
        real_loss, fake_loss, generator_non_saturating, fake_loss, True
    ),
    'least_squares': Loss(
        least_squares(1.0),
        least_squares(0.0),
        least_squares(1.0),
        least_squares(0.0),
    ),
    'wasserstein': Loss(minus_score, plus_score, minus_score, plus_score),
    'hinge': Loss(hinge_real, hinge_fake, minus_score, plus_score),
}
LOSSES = (*_LOSSES, 'margin')


def loss(name: str, margin: float = 1.0) -> Loss:
    """The loss of a name among LOSSES.

    Args:
      margin: m of 'margin', in the units of its energy.
    """
    if name == 'margin':
        below = margin_fake(margin)
        return Loss(energy, below, energy, below)
    return _LOSSES[name]


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


def wasserstein_estimate(
    real_scores: tf.Tensor, fake_scores: tf.Tensor
) -> tf.Tensor:
    """f(x) - f(G(z)), the share of each pair: [B], [B] -> [B].

    Its mean estimates the Wasserstein distance from below, in the units of
    the examples (as the network sees them), where f is 1-Lipschitz; with
    clipped weights it is the distance times an unknown factor.
    """
    return real_scores - fake_scores
