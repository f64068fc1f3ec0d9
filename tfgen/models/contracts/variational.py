"""What follows for every VAE whose q(z|x) is normal and whose prior N(0, 1).

Source: Kingma and Welling 2014; the notes' CVAE code; Burda et al. 2016 for
several draws (IWAE).
"""

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfgen import probability, replicas
from tfgen.data.specs import Spec
from tfgen.errors import UserError
from tfgen.models.contracts.latent import Bounded
from tfgen.models.contracts.model import SingleUpdate
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms, Update
from tfgen.noise import Noise


class Variational(Bounded, SingleUpdate):
    """Bounds log p(x) by draws of q(z|x), and is trained to raise the bound.

    A subclass gives `encode`, `decode` and `log_likelihood`, and has these
    among its settings:

      kl: 'analytic' uses the closed form of KL(q(z|x) || p(z)),
        'monte_carlo' the notes' estimate log q(z|x) - log p(z) at the drawn
        z; both have the same expectation.
      beta: weight of the rate (Higgins et al. 2017); 0 leaves an auto-encoder.
      importance_samples: k draws of z for each example. Above 1 training
        maximises the importance weighted bound log (1/k) sum of w, w = p(x, z)
        / q(z|x) (Burda et al. 2016, equation 8), and the others have no
        meaning.
      free_bits: nats that each number of z may say at no cost, which keeps it
        from falling silent: sum over z of max(free_bits, mean of KL over the
        batch) (Kingma et al. 2016, equation 15).
      kl_warmup: steps over which the weight of the rate rises from 0
        in a run (Bowman et al. 2016, section 3.1; Sonderby et al. 2016); 0
        for none.
    """

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        super().check(spec, **settings)
        if settings['importance_samples'] == 1:
            return
        plain = {'beta': 1.0, 'free_bits': 0.0, 'kl_warmup': 0}
        for name, value in plain.items():
            if settings[name] != value:
                raise UserError(
                    f'{name}={settings[name]} changes a rate that several '
                    'importance_samples do not have: use --set '
                    f'{name}={value} or --set importance_samples=1'
                )

    def reparameterize(
        self, mean: tf.Tensor, logvar: tf.Tensor, noise: Noise
    ) -> tf.Tensor:
        """z = eps * exp(logvar / 2) + mean: [B, K]."""
        eps = noise.normal('eps', [self.latent_size])
        return eps * tf.exp(logvar * 0.5) + mean

    def rate(
        self, mean: tf.Tensor, logvar: tf.Tensor, z: tf.Tensor
    ) -> tf.Tensor:
        """KL(q(z|x) || p(z)) in nats, exact or estimated at z: [B]."""
        return tf.reduce_sum(self._rates(mean, logvar, z), axis=1)

    def _rates(self, mean, logvar, z):
        """The same of each number of z: [B, K]."""

        def flat(numbers):
            return tf.reshape(numbers, [-1, 1])

        shape, mean, logvar = tf.shape(mean), flat(mean), flat(logvar)
        if self.settings['kl'] == 'analytic':
            rates = probability.kl_normal(mean, logvar)
        else:
            rates = probability.log_normal_pdf(flat(z), mean, logvar)
            rates -= probability.log_normal_pdf(flat(z), 0.0, 0.0)
        return tf.reshape(rates, shape)

    def _terms(self, example, label, noise):
        """log p(x|z) in nats, [B], and the rate of each number, [B, K]."""
        mean, logvar = self.encode(example, label)
        z = self.reparameterize(mean, logvar, noise)
        rates = self._rates(mean, logvar, z)
        return self.log_likelihood(example, z, label), rates

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-ELBO = distortion + rate, each in nats: [B].

        The rate as `beta` and `free_bits` have it, and in a run `kl_warmup`.
        With several draws the importance weighted bound, alone.
        """
        example, label = batch[self.spec.key], batch.get('label')
        settings = self.settings
        if settings['importance_samples'] > 1:
            weights = self.log_weights(
                example, label, noise, settings['importance_samples']
            )
            return {'bound': -probability.log_mean_exp(weights)}
        log_likelihood, rates = self._terms(example, label, noise)
        if settings['free_bits']:
            # (Where it is free its gradient is 0.)
            means = replicas.mean(tf.reduce_mean(rates, axis=0))
            free = settings['free_bits']
            rates = tf.where(means > free, rates, free)
        rate = settings['beta'] * tf.reduce_sum(rates, axis=1)
        return {'distortion': -log_likelihood, 'rate': rate}

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """The means of `free_bits`."""
        return settings.get('free_bits', 0.0) > 0.0

    def updates(self) -> tuple[Update, ...]:
        (descent,) = super().updates()
        if self.settings['kl_warmup']:
            descent.loss_terms = functools.partial(self._warming, descent)
        return (descent,)

    def _warming(
        self, descent: GradientUpdate, batch: Batch, noise: Noise
    ) -> Terms:
        """The loss, its rate as far as the run is: [B]."""
        step = tf.convert_to_tensor(descent.optimizer.iterations)
        weight = tf.cast(step, tf.float32) / self.settings['kl_warmup']
        terms = self.loss_terms(batch, noise)
        return terms | {'rate': terms['rate'] * tf.minimum(weight, 1.0)}

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
        mean, logvar = self.encode(example, label)
        eps = noise.normal('eps', [num_samples, self.latent_size])

        def repeated(x):
            return None if x is None else tf.repeat(x, num_samples, axis=0)

        def flat(x):
            return tf.reshape(x, [-1, self.latent_size])

        z = flat(eps * tf.exp(logvar * 0.5)[:, None] + mean[:, None])
        log_joint = self.log_likelihood(
            repeated(example), z, repeated(label)
        ) + probability.log_normal_pdf(z, 0.0, 0.0)
        log_q = probability.log_normal_pdf(z, repeated(mean), repeated(logvar))
        return tf.transpose(tf.reshape(log_joint - log_q, [-1, num_samples]))
