"""p(x|z): what the output of a decoder says about an example.

Source: Kingma and Welling 2014, appendix C; the notes, whose decoder gives
mu(z) and sigma(z).
"""

import abc
import math
from collections.abc import Callable

import tensorflow as tf

from tfgen import probability
from tfgen.data.specs import PaletteSpec, Spec

# The smallest deviation that is learned: the width of a level of a byte.
# Without it, training could shrink s towards 0 around the grey levels, and the
# density would grow without bound.
FLOOR = 1.0 / 256.0
_MIN_LOGVAR = 2.0 * math.log(FLOOR)
# log s^2 where the training of a learned s begins.
START = -2.0


class OutputDistribution(abc.ABC):
    """A distribution of examples whose parameters are a decoder's output.

    Args:
      spec: of the examples.

    Attributes:
      shape: of the decoder's output, without the batch.
      is_density: whether it is a density, and not a probability.
    """

    is_density = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.shape: tuple[int, ...] = tuple(spec.shape)

    @abc.abstractmethod
    def mean(self, output: tf.Tensor) -> tf.Tensor:
        """E[x|z]: [B, *shape] -> [B, *spec.shape]."""

    @abc.abstractmethod
    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """log p(x|z) in nats: [B, *spec.shape], [B, *shape] -> [B]."""


class Bernoulli(OutputDistribution):
    """Binary values; the output is the log-odds of a 1."""

    is_density = False

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(output)

    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return probability.log_bernoulli(example, output)


class Normal(OutputDistribution):
    """N(output, s^2).

    Args:
      spec: of the examples.
      logvar: gives log s^2, one number for all values and all z.
    """

    def __init__(self, spec: Spec, logvar: Callable[[], tf.Tensor]):
        super().__init__(spec)
        self._logvar = logvar

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return output

    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return probability.log_normal_pdf(example, output, self._logvar())


class NormalOfEachValue(OutputDistribution):
    """N(mu(z), sigma(z)^2), with a deviation for each value.

    The last axis of the output holds mu, then r. log sigma^2 is r, smoothly
    kept above the floor.
    """

    def __init__(self, spec: Spec):
        super().__init__(spec)
        self.shape = (*spec.shape[:-1], 2 * spec.shape[-1])

    def parameters(self, output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """mu(z) and log sigma(z)^2, [B, *spec.shape] each."""
        mean, r = tf.split(output, 2, axis=-1)
        return mean, _MIN_LOGVAR + tf.nn.softplus(r - _MIN_LOGVAR)

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return self.parameters(output)[0]

    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return probability.log_normal_pdf(example, *self.parameters(output))


class Categorical(OutputDistribution):
    """One of N levels, or colours of a palette, for each value.

    The last axis of the output holds N logits of the first channel, then of the
    next.
    """

    is_density = False

    def __init__(self, spec: Spec):
        super().__init__(spec)
        self.shape = (*spec.shape[:-1], spec.shape[-1] * spec.levels)

    def _logits(self, output):
        """[B, *shape] -> [B, *spec.shape, N]."""
        return tf.reshape(output, [-1, *self.spec.shape, self.spec.levels])

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        """The mean level; for a palette, the most probable colour."""
        logits, levels = self._logits(output), self.spec.levels
        if isinstance(self.spec, PaletteSpec):
            return self.spec.to_example(tf.argmax(logits, axis=-1), levels)
        values = self.spec.to_example(tf.range(levels), levels)
        return tf.reduce_sum(tf.nn.softmax(logits) * values, axis=-1)

    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        levels = self.spec.to_levels(example, self.spec.levels)
        return probability.log_categorical(levels, self._logits(output))


class Own(OutputDistribution):
    """A density of the user whose mean is the output.

    Args:
      spec: of the examples.
      log_density: (x, output) -> log p(x|z) in nats, [B].
    """

    def __init__(
        self,
        spec: Spec,
        log_density: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ):
        super().__init__(spec)
        self._log_density = log_density

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return output

    def log_prob(self, example: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return self._log_density(example, output)


def learned_logvar(variable: tf.Variable) -> tf.Tensor:
    """log s^2 for a learned s: the variable, but not below the floor."""
    logvar = tf.maximum(tf.convert_to_tensor(variable), _MIN_LOGVAR)
    return tf.cast(logvar, tf.float32)
