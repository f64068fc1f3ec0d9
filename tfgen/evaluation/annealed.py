"""log p(x) of a VAE by annealed importance sampling, to check its bounds.

Source: Neal 2001; Wu et al. 2017 (On the Quantitative Analysis of
Decoder-Based Generative Models), section 3.
"""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data
from tfgen.evaluation.base import Metric, Results, Settings, nats
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.noise import BatchNoise

_CHAINS = 16  # per example
# Examples if no limit is set: each costs as much as thousands of draws.
_IMAGES = 20
_TEMPERATURES = 1000
_LEAPS = 10  # leapfrog steps of a Hamiltonian transition
_ACCEPTED = 0.65  # the acceptance rate that tuning aims at


class Annealed(Metric):
    """An upper bound on -log p(x) that needs no q(z|x).

    Chains move from the prior to p(z|x) by transitions that leave
    p(z) p(x|z)^t invariant. t grows from 0 to 1 along a sigmoid. The mean
    weight of the chains is an unbiased estimate of p(x), so its expected log
    is below log p(x). A first run tunes the step sizes. A second run keeps
    them and gives the weights. (Departure: Wu et al. tune during the run, so
    their estimate is no longer a bound.)

    It uses the first 20 examples, if no limit is set.
    """

    name = 'annealed'

    def by_default(self, model: Model) -> bool:
        return False  # it takes minutes for a few images

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, VariationalAutoEncoder)

    def compute(
        self, model: VariationalAutoEncoder, examples: Data, settings: Settings
    ) -> Results:
        limit = settings.limit or _IMAGES
        found, size = [], settings.batch_size
        for batch in examples.evaluation(settings.split, size, limit):
            repeated = {
                k: tf.repeat(v, _CHAINS, axis=0) for k, v in batch.items()
            }
            example = repeated[examples.spec.key]
            label = repeated.get('label')

            def log_likelihood(z, example=example, label=label):
                return model.log_likelihood(example, z, label)

            weights = log_weights(
                log_likelihood,
                [len(example), model.latent_size],
                [settings.seed, len(found)],
            )
            weights = tf.reshape(weights, [-1, _CHAINS])
            found.append(-probability.log_mean_exp(weights, axis=1).numpy())
        figure = nats(np.concatenate(found), examples.spec, model.is_density)
        return {'annealed_bound': figure}


def log_weights(
    log_likelihood, shape, seed, temperatures: int = _TEMPERATURES
) -> tf.Tensor:
    """Logs of unbiased estimates of p(x) = E p(x|z), z ~ N(0, 1).

    Args:
      log_likelihood: z [R, K] -> log p(x|z) [R].
      shape: R, the number of chains, and K.
      seed: two integers.
      temperatures: steps from the prior to the posterior.

    Returns:
      float32 [R], one for each chain.
    """
    # Temperatures are close to each other at both ends; Wu et al., section 4.1.
    ends = tf.sigmoid(tf.linspace(-4.0, 4.0, temperatures + 1))
    betas = (ends - ends[0]) / (ends[-1] - ends[0])
    steps = tf.fill([temperatures], 0.1)
    run = tf.function(_run, autograph=False)
    options = (log_likelihood, shape, betas)
    _, steps = run(*options, steps, _keys(seed, 0, temperatures), True)
    weights, _ = run(*options, steps, _keys(seed, 1, temperatures), False)
    return weights


def _keys(seed, phase, temperatures):
    """Seeds for T temperatures, and one for the initial z: int64 [T + 1, 2].

    `phase` is 0 for the run that tunes, and 1 for the run that measures.
    """
    first, batch = seed
    numbers = np.arange(temperatures + 1) + batch * (temperatures + 1)
    firsts = np.full_like(numbers, 2 * first + phase)
    return tf.constant(np.stack([firsts, numbers], axis=1))


def _run(log_likelihood, shape, betas, steps, keys, tune):
    """Runs R chains over T temperatures.

    Args:
      log_likelihood: z [R, K] -> log p(x|z) [R].
      shape: R, K.
      betas: float32 [T + 1], from 0 to 1.
      steps: step size at each temperature, [T].
      keys: of `_keys`.
      tune: whether to adapt the step sizes.

    Returns:
      Log weights [R], and the final step sizes [T].
    """
    rows, size = shape
    last = steps.shape[0] - 1

    def body(number, z, weights, steps):
        """One temperature: weighs the chains, then moves them."""
        before, beta, step = betas[number], betas[number + 1], steps[number]
        weights += (beta - before) * log_likelihood(z)
        noise = BatchNoise(keys[number], rows)
        z, accepted = _transition(log_likelihood, z, beta, step, noise)
        if tune:
            step *= tf.where(accepted > _ACCEPTED, 1.02, 0.98)
            following = tf.minimum(number + 1, last)
            steps = tf.tensor_scatter_nd_update(steps, [[following]], [step])
        return number + 1, z, weights, steps

    z = BatchNoise(keys[-1], rows).normal('z', [size])
    _, _, weights, steps = tf.while_loop(
        lambda number, *_: number <= last,
        body,
        (0, z, tf.zeros([rows]), steps),
    )
    return weights, steps


def _transition(log_likelihood, z, beta, step, noise):
    """A Hamiltonian Monte Carlo step that leaves p(z) p(x|z)^beta invariant.

    Source: Neal 2011, section 5.3.

    Returns:
      The new z [R, K], and the share of chains that accepted it.
    """

    def energy(z):
        """-log (p(z) p(x|z)^beta): [R, K] -> [R]."""
        prior = probability.log_normal_pdf(z, 0.0, 0.0)
        return -prior - beta * log_likelihood(z)

    def slope(z):
        """The gradient of the energy: [R, K] -> [R, K]."""
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = tf.reduce_sum(energy(z))
        return tape.gradient(total, z)

    # Step sizes vary at random: trajectories of one length may return to where
    # they began.
    step *= 0.5 + noise.uniform('step', [1])
    momentum = noise.normal('momentum', z.shape[1:])
    place, moving = z, momentum - 0.5 * step * slope(z)
    for leap in range(_LEAPS):
        place += step * moving
        half = 0.5 if leap == _LEAPS - 1 else 1.0
        moving -= half * step * slope(place)

    def kinetic(momentum):
        return 0.5 * tf.reduce_sum(tf.square(momentum), axis=1)

    change = energy(z) + kinetic(momentum) - energy(place) - kinetic(moving)
    u = noise.uniform('accepted', [])
    taken = tf.math.log(u) < change
    return tf.where(taken[:, None], place, z), tf.reduce_mean(
        tf.cast(taken, tf.float32)
    )


METRICS = (Annealed(),)
