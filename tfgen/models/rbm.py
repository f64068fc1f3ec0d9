"""Restricted Boltzmann machine.

Source: Smolensky 1986; Hinton 2002 (contrastive divergence); Tieleman 2008
(persistent chains); Salakhutdinov and Murray 2008 (the partition function by
annealed importance sampling).
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import Size
from tfgen.data.specs import ImageSpec
from tfgen.gradients import with_gradients
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.latent import LatentModel
from tfgen.models.contracts.model import (
    Signature,
    require_binary,
)
from tfgen.models.contracts.updates import (
    Batch,
    GradientUpdate,
    Terms,
    Update,
    sum_of_means,
)
from tfgen.noise import BatchNoise, IndexNoise, Noise

# Largest number of hidden units whose states are enumerated.
MOST_EXACT = 16
# Standard deviation of the initial weights (Hinton 2010, section 8).
_START = 0.01


class RBM(LatentModel):
    """p(v, h) = exp(v^T W h + b^T v + c^T h) / Z, with binary v and h.

    Given one layer, the units of the other are independent. Training lowers the
    free energy of data and raises the free energy at the end of a Gibbs chain.
    The difference has the gradient of contrastive divergence.

    The code is p(h = 1 | v), and decoding gives p(v = 1 | h).

    Args:
      spec: of binary images; D pixels.
      hidden_size: K units. With at most 16, `exact_log_partition` enumerates
        their states.
      gibbs_steps: k of CD-k, or steps of the persistent chains per update.
      persistent: whether chains continue from the last update (PCD), with one
        chain for each row of a batch; otherwise each chain starts from data.
      sampling_steps: steps of the chain that draws a sample.
    """

    spec_types = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        hidden_size: Size = 500,
        gibbs_steps: Size = 1,
        persistent: bool = True,
        sampling_steps: Size = 1000,
    ):
        super().__init__(spec)
        self.latent_size = hidden_size
        self.gibbs_steps, self.persistent = gibbs_steps, persistent
        self.sampling_steps = sampling_steps
        size = spec.dimensions
        self.kernel = self.add_weight(
            [size, hidden_size],
            keras.initializers.RandomNormal(stddev=_START),
            name='kernel',
        )
        self.visible_bias = self.add_weight([size], 'zeros', name='visible')
        self.hidden_bias = self.add_weight(
            [hidden_size], 'zeros', name='hidden'
        )
        # The log-odds of each pixel in data: the start of b and of annealing.
        self.marginal = self.add_weight(
            [size], 'zeros', name='marginal', trainable=False
        )

    @classmethod
    def check(cls, spec: ImageSpec, **settings: Any) -> None:
        super().check(spec, **settings)
        require_binary(cls, spec)

    @classmethod
    def code_size(cls, settings: Mapping[str, Any]) -> int:
        return settings['hidden_size']

    # The two layers.

    def hidden_logits(self, visible: tf.Tensor) -> tf.Tensor:
        """log-odds of h = 1: [B, D] -> [B, K]."""
        return tf.matmul(visible, self.kernel) + self.hidden_bias

    def visible_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """log-odds of v = 1: [B, K] -> [B, D]."""
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.matmul(hidden, kernel, transpose_b=True) + self.visible_bias

    def free_energy(self, visible: tf.Tensor) -> tf.Tensor:
        """-log sum over h of exp(-energy): [B, D] -> [B], in nats.

        p(v) = exp(-free energy) / Z.
        """
        hidden = tf.nn.softplus(self.hidden_logits(visible))
        linear = tf.linalg.matvec(visible, self.visible_bias)
        return -linear - tf.reduce_sum(hidden, axis=1)

    def gibbs(self, visible: tf.Tensor, noise: Noise) -> tf.Tensor:
        """Draws h given v, then v given h: [B, D] -> [B, D]."""
        u = noise.uniform('hidden', [self.latent_size])
        hidden = _drawn(self.hidden_logits(visible), u)
        u = noise.uniform('visible', [self.spec.dimensions])
        return _drawn(self.visible_logits(hidden), u)

    # Methods of the contracts.

    def encode(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """p(h = 1 | v): [B, H, W, C] -> [B, K]."""
        return tf.sigmoid(self.hidden_logits(self._flat(example)))

    def decode(self, z: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """States or probabilities of h, [B, K] -> logits of v, [B, H, W, C]."""
        return self._shaped(self.visible_logits(z))

    def values(self, decoded: tf.Tensor) -> tf.Tensor:
        """p(v = 1 | h): [B, H, W, C]."""
        return tf.sigmoid(decoded)

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """The end of a Gibbs chain that starts from independent pixels."""
        visible = _drawn(
            tf.convert_to_tensor(self.marginal),
            noise.uniform('start', [self.spec.dimensions]),
        )
        # Each row has a counter that starts at 63 random bits. Each step of the
        # chain takes its noise from the next number.
        bits = tf.cast(noise.bits('chain', [2]), tf.uint64)
        first = tf.bitwise.left_shift(bits[:, 0], 31) + bits[:, 1]

        def step(number, visible):
            counter = first + tf.cast(number, tf.uint64)
            return number + 1, self.gibbs(visible, IndexNoise(counter, 'gibbs'))

        _, visible = tf.while_loop(
            lambda number, _: number < self.sampling_steps, step, (0, visible)
        )
        return self._shaped(visible)

    def initialize_from(self, batch: Batch, noise: Noise) -> None:
        """Sets the biases of v for independent pixels (Hinton 2010, 8.1)."""
        visible = self._flat(batch['image'])
        # One white and one black image are added to the counts, so that no
        # pixel has probability 0 or 1.
        share = (tf.reduce_sum(visible, axis=0) + 1.0) / (len(visible) + 2.0)
        logits = tf.math.log(share) - tf.math.log1p(-share)
        self.marginal.assign(logits)
        self.visible_bias.assign(logits)

    def loss_terms(
        self, batch: Batch, noise: Noise, chain: tf.Tensor | None = None
    ) -> Terms:
        """Free energy of data minus that of the end of a chain: [B].

        Only the gradient matters. It is an estimate of the gradient of -log p,
        biased because the chain lags behind the model.

        Args:
          batch, noise: see Model.
          chain: the end of the chain, [B, D]; None starts one at the data.
        """
        data = self._flat(batch['image'])
        if chain is None:
            chain = self.chain(data, noise)
        return {
            'data': self.free_energy(data),
            'chain': -self.free_energy(chain),
        }

    def chain(self, visible: tf.Tensor, noise: Noise) -> tf.Tensor:
        """The state after k steps of Gibbs sampling: [B, D] -> [B, D]."""
        for number in range(self.gibbs_steps):
            visible = self.gibbs(visible, noise.scope(f'gibbs{number}'))
        return tf.stop_gradient(visible)

    def updates(self) -> tuple[Update, ...]:
        if not self.persistent:
            return super().updates()
        return (Persistent(self),)

    def signatures(self) -> dict[str, Signature]:
        """Adds `score`: log p(v) up to the constant log Z."""
        score = Signature(self._serve_score, (self.spec.key,))
        return super().signatures() | {'score': score}

    def _serve_score(self, example):
        return {'score': -self.free_energy(self._flat(example))}

    def _flat(self, image):
        """[B, H, W, C] -> [B, D]."""
        return tf.reshape(image, [-1, self.spec.dimensions])

    def _shaped(self, visible):
        """[B, D] -> [B, H, W, C]."""
        return tf.reshape(visible, [-1, *self.spec.shape])

    # The partition function.

    def exact_log_partition(self) -> float:
        """log Z in nats, summed over all states of h.

        Raises:
          ValueError: h has more than 16 units.
        """
        if self.latent_size > MOST_EXACT:
            raise ValueError(
                f'{self.latent_size} hidden units have too many states to '
                f'enumerate: at most {MOST_EXACT}'
            )
        count = 1 << self.latent_size
        states = (np.arange(count)[:, None] >> np.arange(self.latent_size)) & 1
        states = states.astype(np.float64)
        logits = states @ self.kernel.numpy().T + self.visible_bias.numpy()
        terms = np.logaddexp(0, logits).sum(1) + states @ self.hidden_bias
        return float(np.logaddexp.reduce(terms))

    def annealed_log_partition(
        self, chains: int = 100, temperatures: int = 10_000, seed: int = 0
    ) -> tuple[float, float]:
        """Estimates log Z in nats by annealed importance sampling.

        The annealing goes from independent pixels, t = 0, to this machine, t =
        1 (Salakhutdinov and Murray 2008, section 3). Each weight is an unbiased
        estimate of Z.

        Returns:
          log Z, and its standard error: that of the log of the mean weight, to
          first order.
        """
        weights = tf.function(self._log_weights, autograph=False)(
            chains, temperatures, seed
        )
        weights = weights.numpy().astype(np.float64)
        log_mean = np.logaddexp.reduce(weights) - np.log(chains)
        relative = np.exp(weights - log_mean)
        error = relative.std(ddof=1) / np.sqrt(chains)
        return float(log_mean), float(error)

    def _log_weights(self, chains, temperatures, seed):
        """Log importance weights of the chains: [chains]."""
        base = tf.convert_to_tensor(self.marginal)
        betas = tf.linspace(0.0, 1.0, temperatures + 1)

        def log_weight(visible, beta):
            """Log of the unnormalised p(v) at a temperature: [chains]."""
            hidden = tf.nn.softplus(beta * self.hidden_logits(visible))
            bias = (1.0 - beta) * base + beta * self.visible_bias
            linear = tf.linalg.matvec(visible, bias)
            return linear + tf.reduce_sum(hidden, axis=1)

        def body(number, visible, weights):
            """Updates the weights, then moves the chains to the next beta."""
            weights += log_weight(visible, betas[number + 1])
            weights -= log_weight(visible, betas[number])
            key = tf.stack([tf.constant(seed), number + 1])
            noise, beta = BatchNoise(key, chains), betas[number + 1]
            u = noise.uniform('hidden', [self.latent_size])
            hidden = _drawn(beta * self.hidden_logits(visible), u)
            logits = (1.0 - beta) * base + beta * self.visible_logits(hidden)
            u = noise.uniform('visible', [self.spec.dimensions])
            return number + 1, _drawn(logits, u), weights

        noise = BatchNoise(tf.constant([seed, 0]), chains)
        visible = _drawn(base, noise.uniform('start', [self.spec.dimensions]))
        first = tf.reduce_sum(tf.nn.softplus(base))
        first += self.latent_size * tf.math.log(2.0)
        _, _, weights = tf.while_loop(
            lambda number, *_: number < temperatures,
            body,
            (0, visible, tf.fill([chains], first)),
        )
        return weights


class Persistent(GradientUpdate):
    """The update of an RBM with persistent chains (PCD)."""

    def __init__(self, model: RBM):
        super().__init__('model', model.loss_terms, model.trainable_variables)
        self._model = model

    def build(self, run) -> None:
        super().build(run)
        # One chain per row of the global batch, on every replica. The chains
        # start at zeros, which a few steps of Gibbs sampling forget.
        self._chains = tf.Variable(
            tf.zeros([run.batch_size, self._model.spec.dimensions]),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def saved(self) -> dict:
        return super().saved() | {'chains': self._chains}

    def compute(self, batch, noise, mean):
        chain = self._model.chain(noise.own(self._chains), noise)

        def loss():
            terms = self._model.loss_terms(batch, noise, chain)
            return sum_of_means(terms, mean)

        shown, gradients = with_gradients(loss, self.variables)
        return shown, [*gradients, noise.placed(chain)]

    def apply(self, totals, step) -> None:
        *gradients, chains = totals
        super().apply(gradients, step)
        replica = tf.distribute.get_replica_context()
        self._chains.assign(
            replica.all_reduce(tf.distribute.ReduceOp.SUM, chains)
        )


def _drawn(logits, uniform):
    """Draws 0 or 1 from log-odds, by uniform numbers of the same shape."""
    return tf.cast(uniform < tf.sigmoid(logits), tf.float32)
