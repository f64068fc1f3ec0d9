"""GAN losses: pure functions of a discriminator's scores, one per example.

A score is any real number; it is high if the discriminator takes the example
for data. The loss decides its meaning: the logit of D(x) = sigmoid(score), the
probability that x is real; the value of Wasserstein's critic; or minus an
energy. -log D is computed as softplus(-score), which stays finite where sigmoid
has already rounded to 0 or 1.

Source: Goodfellow et al. 2014, as the notes derive the loss; the other losses
name their papers. `LOSSES` has the names of all losses.

A loss of your own is a function (scores, role) -> the loss of each example,
[B]. The role is 'real' or 'fake' for the discriminator's losses on data and on
samples, 'generator' for the generator's on samples, and 'encoder' for the
encoder's on data (BiGAN alone). This is the hinge loss:

    def hinge(scores, role):
        if role == 'real':
            return tf.nn.relu(1.0 - scores)
        if role == 'fake':
            return tf.nn.relu(1.0 + scores)
        return scores if role == 'encoder' else -scores
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from tfgen.losses import own

# Scores [B] -> the loss of each example, [B], which is minimised.
PerExample = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Loss:
    """The losses that the networks of a GAN minimise, as functions of scores.

    Attributes:
      real, fake: the discriminator's, on data and on samples.
      generator: the generator's, on its samples.
      encoder: an encoder's, on data that it has encoded (BiGAN). It is the
        generator's loss with the labels of data and samples exchanged.
      logits: whether a score is the logit of a probability.
    """

    real: PerExample
    fake: PerExample
    generator: PerExample
    encoder: PerExample
    logits: bool = False


def real_loss(real_logits: tf.Tensor) -> tf.Tensor:
    """-log D(x), the term of a real example in -V(D, G): [B] -> [B]."""
    return tf.nn.softplus(-real_logits)


def fake_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log(1 - D(G(z))), the term of a sample in -V(D, G): [B] -> [B]."""
    return tf.nn.softplus(fake_logits)


def generator_minimax(fake_logits: tf.Tensor) -> tf.Tensor:
    """log(1 - D(G(z))), the generator's term of V(D, G): [B] -> [B].

    Its gradient vanishes where the discriminator wins (D(G(z)) near 0).
    """
    return -tf.nn.softplus(fake_logits)


def encoder_minimax(real_logits: tf.Tensor) -> tf.Tensor:
    """log D(x, E(x)), the encoder's term of V(D, E, G): [B] -> [B].

    Source: Donahue et al. 2017, equation 2.
    """
    return -tf.nn.softplus(-real_logits)


def generator_non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)): [B] -> [B].

    It has the fixed point of `generator_minimax` and a strong gradient early.
    If D is optimal, the gradient is that of KL(pg || pdata) - 2 JS (Arjovsky
    and Bottou 2017, theorem 2.5), whose two terms pull in opposite directions.
    """
    return tf.nn.softplus(-fake_logits)


def least_squares(target: float) -> PerExample:
    """(score - target)^2 / 2: [B] -> [B].

    Source: Mao et al. 2017, equation 9. The discriminator's target is 1 for
    data and 0 for samples; the generator's is 1.
    """
    return lambda scores: 0.5 * tf.square(scores - target)


def minus_score(scores: tf.Tensor) -> tf.Tensor:
    """-score, the loss of a network that raises the score: [B] -> [B].

    Source: Arjovsky et al. 2017, equation 3. The critic maximises
    E f(x) - E f(G(z)), the Wasserstein distance if f is 1-Lipschitz. A penalty
    must keep f 1-Lipschitz.
    """
    return -scores


def plus_score(scores: tf.Tensor) -> tf.Tensor:
    """score, the loss of a network that lowers the score: [B] -> [B]."""
    return tf.identity(scores)


def hinge_real(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 - score) of data: [B] -> [B].

    Source: Lim and Ye 2017; Miyato et al. 2018, equation 16.
    """
    return tf.nn.relu(1.0 - scores)


def hinge_fake(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 + score) of samples: [B] -> [B]."""
    return tf.nn.relu(1.0 + scores)


def energy(scores: tf.Tensor) -> tf.Tensor:
    """max(0, -score), which EBGAN calls D(x), never below 0: [B] -> [B].

    If the score is minus the error of an auto-encoder, this is the error.
    """
    return tf.nn.relu(-scores)


def margin_fake(margin: float) -> PerExample:
    """max(0, m - D(G(z))) of a sample's energy D: [B] -> [B].

    Source: Zhao et al. 2017, equation 1. The generator's loss, equation 2, is
    the energy.
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
_ROLES = ('real', 'fake', 'generator', 'encoder')


def loss(chosen: str | Callable, margin: float = 1.0) -> Loss:
    """The losses of a GAN.

    Args:
      chosen: one of LOSSES, or a function of your own.
      margin: m of 'margin', in the units of its energy.

    Raises:
      UserError: your function does not give one number per example.
    """
    if chosen == 'margin':
        below = margin_fake(margin)
        return Loss(energy, below, energy, below)
    if chosen in LOSSES:
        return _LOSSES[chosen]
    function = own.per_example(chosen, 'loss', ('scores', 'role'))
    for role in _ROLES:
        function(tf.zeros([2]), role)  # its shape is checked now
    real, fake, generator, encoder = (
        functools.partial(_of_role, function, role) for role in _ROLES
    )
    return Loss(real, fake, generator, encoder)


def _of_role(function, role, scores):
    """The loss of scores in a role, [B] -> [B]."""
    return function(scores, role)


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
    """The estimate (V + log 4) / 2 in nats, a term per pair: [B], [B] -> [B].

    max_D V = 2 JS(data, generator) - log 4. So the mean of the terms estimates
    JS if D is optimal, and a lower bound on JS for any other D. It is 0 at
    equilibrium (D = 1/2 everywhere), and never above log 2.
    """
    return 0.5 * (value(real_logits, fake_logits) + math.log(4.0))


def wasserstein_estimate(
    real_scores: tf.Tensor, fake_scores: tf.Tensor
) -> tf.Tensor:
    """f(x) - f(G(z)) of each pair: [B], [B] -> [B].

    If f is 1-Lipschitz, the mean estimates a lower bound on the Wasserstein
    distance. Its unit is that of the examples as the network sees them. With
    clipped weights, the distance is multiplied by an unknown factor.
    """
    return real_scores - fake_scores
