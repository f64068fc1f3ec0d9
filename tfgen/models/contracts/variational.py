"""Variational auto-encoders: the ELBO, and the objectives based on it.

Source: Kingma and Welling 2014; the notes' CVAE code; Burda et al. 2016 for
several draws (IWAE).
"""

import abc
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfgen import probability, replicas
from tfgen.data.specs import Spec
from tfgen.errors import UserError
from tfgen.models.contracts.latent import LatentVariableModel
from tfgen.models.contracts.model import Signature
from tfgen.models.contracts.updates import (
    Batch,
    GradientUpdate,
    Terms,
    Update,
)
from tfgen.noise import Noise

# The settings of the objective, and the values at which they have no effect. A
# model has those settings that its constructor takes.
_PLAIN = {
    'kl': 'analytic',
    'beta': 1.0,
    'importance_samples': 1,
    'free_bits': 0.0,
    'kl_warmup': 0,
}


class VariationalAutoEncoder(LatentVariableModel):
    """Maximises a lower bound on log p(x), computed from draws of q(z|x).

    p(z) is N(0, 1), and q(z|x) is normal with independent numbers. A subclass
    defines `encode`, `decode`, `log_likelihood` and `is_density`. A subclass
    with another q (HierarchicalVAE) also defines `elbo`, `log_weights` and
    `loss_terms`. The objective has these settings, if the constructor takes
    them:

      kl: 'analytic' uses the closed form of KL(q(z|x) || p(z)),
        'monte_carlo' the notes' estimate log q(z|x) - log p(z) at the drawn
        z. Both have the same expectation.
      beta: weight of the rate (Higgins et al. 2017); 0 leaves an auto-encoder.
      importance_samples: k, draws of z for each example. With k > 1, training
        maximises the importance weighted bound, log of the mean of w over the
        draws, where w = p(x, z) / q(z|x) (Burda et al. 2016, equation 8). The
        other settings then have no meaning.
      free_bits: nats of rate that each dimension of z may use at no cost, which
        prevents posterior collapse. The rate becomes the sum, over the
        dimensions of z, of max(free_bits, mean of KL over the batch) (Kingma et
        al. 2016, equation 15).
      kl_warmup: steps over which the weight of the rate rises from 0 in a
        training run (Bowman et al. 2016, section 3.1; Sonderby et al. 2016);
        0 for none.
    """

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        objective = _PLAIN | settings
        if objective['importance_samples'] == 1:
            return
        for name in ('kl', 'beta', 'free_bits', 'kl_warmup'):
            if objective[name] != _PLAIN[name]:
                raise UserError(
                    f'{name}={objective[name]} has no effect with several '
                    f'importance_samples: use --set {name}={_PLAIN[name]} or '
                    '--set importance_samples=1'
                )

    @property
    def objective(self) -> dict[str, Any]:
        """The settings of the objective."""
        return {k: self.settings.get(k, v) for k, v in _PLAIN.items()}

    @abc.abstractmethod
    def log_likelihood(
        self,
        example: tf.Tensor,
        z: tf.Tensor,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """log p(x|z) in nats: [B]."""

    @property
    @abc.abstractmethod
    def is_density(self) -> bool:
        """Whether p(x|z) is a density and not a probability.

        The density is on the data's range.
        """

    @property
    def output_size(self) -> int:
        """Numbers that the decoder gives for an example."""
        return self.spec.dimensions

    def reparameterize(
        self, mean: tf.Tensor, logvar: tf.Tensor, noise: Noise
    ) -> tf.Tensor:
        """Draws z = eps * exp(logvar / 2) + mean: [B, K]."""
        eps = noise.normal('eps', [self.latent_size])
        return eps * tf.exp(logvar * 0.5) + mean

    def rate(
        self, mean: tf.Tensor, logvar: tf.Tensor, z: tf.Tensor
    ) -> tf.Tensor:
        """KL(q(z|x) || p(z)) in nats, exact or estimated at z: [B]."""
        return tf.reduce_sum(self._rates(mean, logvar, z), axis=1)

    def _rates(self, mean, logvar, z):
        """The rate of each number of z, in nats: [B, K]."""

        def flat(numbers):
            """[B, K] -> [B K, 1]."""
            return tf.reshape(numbers, [-1, 1])

        shape, mean, logvar = tf.shape(mean), flat(mean), flat(logvar)
        if self.objective['kl'] == 'analytic':
            rates = probability.kl_normal(mean, logvar)
        else:
            rates = probability.log_normal_pdf(flat(z), mean, logvar)
            rates -= probability.log_normal_pdf(flat(z), 0.0, 0.0)
        return tf.reshape(rates, shape)

    def _terms(self, example, label, noise):
        """log p(x|z) in nats, [B], and the rate of each number of z, [B, K]."""
        mean, logvar = self.encode(example, label)
        z = self.reparameterize(mean, logvar, noise)
        rates = self._rates(mean, logvar, z)
        return self.log_likelihood(example, z, label), rates

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-ELBO = distortion + rate, each in nats: [B].

        `beta` and `free_bits` modify the rate; in a run, `kl_warmup` does too.
        With several draws, the only term is minus the importance weighted
        bound.
        """
        example, label = batch[self.spec.key], batch.get('label')
        settings = self.objective
        if settings['importance_samples'] > 1:
            weights = self.log_weights(
                example, label, noise, settings['importance_samples']
            )
            return {'bound': -probability.log_mean_exp(weights)}
        log_likelihood, rates = self._terms(example, label, noise)
        if settings['free_bits']:
            # A rate below `free` is replaced by a constant without gradient.
            means = replicas.mean(tf.reduce_mean(rates, axis=0))
            free = settings['free_bits']
            rates = tf.where(means > free, rates, free)
        rate = settings['beta'] * tf.reduce_sum(rates, axis=1)
        return {'distortion': -log_likelihood, 'rate': rate}

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """Whether `free_bits` needs means over the global batch."""
        free = settings.get('free_bits', 0.0) > 0.0
        return free or super().cross_replica(settings)

    def updates(self) -> tuple[Update, ...]:
        if not self.objective['kl_warmup']:
            return super().updates()

        def loss_terms(batch, noise):
            """The loss, with this step's weight of the rate: [B]."""
            step = tf.convert_to_tensor(update.optimizer.iterations)
            weight = tf.cast(step, tf.float32) / self.objective['kl_warmup']
            terms = self.loss_terms(batch, noise)
            return terms | {'rate': terms['rate'] * tf.minimum(weight, 1.0)}

        update = GradientUpdate('model', loss_terms, self.trainable_variables)
        return (update,)

    def elbo(
        self, example: tf.Tensor, label: tf.Tensor | None, noise: Noise
    ) -> tf.Tensor:
        """E log p(x|z) - KL(q(z|x) || p(z)) <= log p(x), one draw: [B]."""
        log_likelihood, rates = self._terms(example, label, noise)
        return log_likelihood - tf.reduce_sum(rates, axis=1)

    def log_weights(
        self,
        example: tf.Tensor,
        label: tf.Tensor | None,
        noise: Noise,
        num_samples: int,
    ) -> tf.Tensor:
        """log p(x, z_s) - log q(z_s|x) for S draws of q: [S, B].

        Their mean estimates the ELBO. Their log-mean-exp estimates the tighter
        importance weighted bound (Burda et al. 2016, equation 8).
        """
        mean, logvar = self.encode(example, label)
        eps = noise.normal('eps', [num_samples, self.latent_size])

        def repeated(x):
            """Repeats each row S times: [B, ...] -> [B S, ...]."""
            return None if x is None else tf.repeat(x, num_samples, axis=0)

        def flat(x):
            """[..., K] -> [B S, K]."""
            return tf.reshape(x, [-1, self.latent_size])

        z = flat(eps * tf.exp(logvar * 0.5)[:, None] + mean[:, None])
        log_joint = self.log_likelihood(
            repeated(example), z, repeated(label)
        ) + probability.log_normal_pdf(z, 0.0, 0.0)
        log_q = probability.log_normal_pdf(z, repeated(mean), repeated(logvar))
        return tf.transpose(tf.reshape(log_joint - log_q, [-1, num_samples]))

    def signatures(self) -> dict[str, Signature]:
        inputs = self.with_label(self.spec.key, 'seed')
        return super().signatures() | {
            'elbo': Signature(self._serve_elbo, inputs)
        }

    def _serve_elbo(self, example, noise, label=None):
        return {'elbo': self.elbo(example, label, noise)}
