"""Unrolling: a loss as it will be after the next steps of another update.

Source: Metz et al. 2017 (Unrolled GAN), equations 7 and 8.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from tfgen import replicas
from tfgen.errors import UserError
from tfgen.gradients import with_gradients
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms
from tfgen.noise import Noise

# Added under Adam's square root, whose slope at 0 is infinite.
_SAFE = 1e-16
LossTerms = Callable[[Batch, Noise], Terms]


def unrolled(terms: LossTerms, other: GradientUpdate, steps: int) -> LossTerms:
    """The loss `terms` as it will be after `steps` more steps of `other`.

    Each step is one of Adam, on the same batch and noise. The first one starts
    from the current moments of the other update's optimizer. The steps are
    differentiated, so the gradient of the result includes the response of
    `other`. Nothing is assigned, not even statistics of batch norm: these move
    when `other` itself runs.

    The paper's equations have plain gradient steps; its experiments use Adam.

    Args:
      terms: (batch, noise) -> per-example terms of one update.
      other: the other update, already built. Its terms may depend on the
        variables of this update.
      steps: K.
    """

    def looked_ahead(batch, noise):
        """`terms` at the variables that `other` will have."""
        adam, variables = other.optimizer, list(other.variables)
        if not isinstance(adam, keras.optimizers.Adam):
            raise UserError(
                'unrolled_steps look ahead by steps of Adam, and the optimizer '
                f'of {other.name} is {type(adam).__name__}: use --set '
                'optimizer=adam'
            )
        index = [adam._get_variable_index(v) for v in variables]
        values = [tf.convert_to_tensor(v) for v in variables]
        first = [tf.convert_to_tensor(adam._momentums[i]) for i in index]
        second = [tf.convert_to_tensor(adam._velocities[i]) for i in index]
        done = tf.cast(tf.convert_to_tensor(adam.iterations), tf.float32)
        rate = tf.convert_to_tensor(adam.learning_rate)
        for number in range(1, steps + 1):
            slopes = _slopes(other, variables, values, batch, noise)
            first = _mixed(first, slopes, adam.beta_1)
            second = _mixed(second, map(tf.square, slopes), adam.beta_2)
            time = done + number
            # Kingma and Ba 2015, the form at the end of section 2.
            scale = rate * tf.sqrt(1.0 - tf.pow(adam.beta_2, time))
            scale /= 1.0 - tf.pow(adam.beta_1, time)
            values = [
                v - scale * m / (tf.sqrt(s + _SAFE) + adam.epsilon)
                for v, m, s in zip(values, first, second, strict=True)
            ]
            values = [
                variable.constraint(v) if variable.constraint else v
                for variable, v in zip(variables, values, strict=True)
            ]
        with _instead(variables, values):
            return terms(batch, noise)

    return looked_ahead


def _slopes(update, variables, values, batch, noise):
    """Gradients of the mean loss of `update` over the global batch."""

    def total():
        with _instead(variables, values):
            terms = update.loss_terms(batch, noise).values()
        return functools.reduce(tf.add, map(tf.reduce_mean, terms)), None

    _, slopes = with_gradients(total, values)
    return [replicas.mean(tf.convert_to_tensor(s)) for s in slopes]


def _mixed(old, new, share):
    """share * old + (1 - share) * new, for each pair of tensors."""
    return [
        share * a + (1.0 - share) * b for a, b in zip(old, new, strict=True)
    ]


def _instead(variables, values):
    """A scope in which `values` replace `variables`."""
    return keras.StatelessScope(
        state_mapping=list(zip(variables, values, strict=True))
    )
