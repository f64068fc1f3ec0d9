"""Models with an exact likelihood, and those that draw value after value."""

import abc
import dataclasses

import tensorflow as tf

from tfgen import probability
from tfgen.models.contracts.model import Model, Signature
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.noise import Noise


class LikelihoodModel(Model):
    """A model that says log p(x) exactly, and is trained to raise it.

    A subclass gives `log_prob` and `sample`; one that is not trained by
    gradients gives its own `updates` as well.
    """

    @abc.abstractmethod
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """[B, *spec.shape] in the data's range; B is the noise's."""

    @abc.abstractmethod
    def log_prob(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p(example | label) in nats, exact: [B, *spec.shape] -> [B].

        A probability, and so <= 0, where the examples have levels; else a
        density.
        """

    @property
    def is_density(self) -> bool:
        """Whether p is a density on the data's range although these have
        levels, so that bits count the width of one."""
        return False

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(x) in nats: [B]."""
        log_prob = self.log_prob(batch[self.spec.key], batch.get('label'))
        return {'negative_log_likelihood': -log_prob}

    def signatures(self) -> dict[str, Signature]:
        return super().signatures() | {
            'log_prob': Signature(
                self._serve_log_prob, self.with_label(self.spec.key)
            )
        }

    def _serve_log_prob(self, example, label=None):
        return {'log_prob': self.log_prob(example, label)}


class Autoregressive(LikelihoodModel):
    """p(x) = product over t of p(x_t | earlier values), values of N levels.

    A subclass gives one network for whole examples (`_logits`) and, if it can
    draw at a smaller cost than that of the network for each value, a loop that
    does (`_generate`); all else is made of these here.
    """

    # N; a subclass may take fewer than the data have.
    levels: int
    # The name of the noise that decides the draws.
    draws = 'values'

    # What a subclass gives.

    def to_levels(self, example: tf.Tensor) -> tf.Tensor:
        """[B, *spec.shape] -> int32, the same shape, in 0 .. N - 1."""
        return self.spec.to_levels(example, self.levels)

    def to_example(self, levels: tf.Tensor) -> tf.Tensor:
        """The inverse of `to_levels`: one value for each level."""
        return self.spec.to_example(levels, self.levels)

    @abc.abstractmethod
    def _logits(
        self, levels: tf.Tensor, label: tf.Tensor | None, noise: Noise | None
    ) -> tf.Tensor:
        """log p of each level given the earlier values, up to a constant.

        int32 [B, *spec.shape] -> float32 [B, *spec.shape, N]; with `noise`
        under dropout. The logits of a value must not depend on it, nor on any
        later one.
        """

    def _generate(
        self, noise: Noise, label: tf.Tensor | None, given: tf.Tensor | None
    ) -> tf.Tensor:
        """Draws value after value: int32 [B, *spec.shape].

        Here the whole network runs for each value; a subclass that can
        compute only what is new overrides this. Each value is
        probability.categorical of its logits and of its own number of
        `uniforms(noise)`. `given`, of the same shape, holds the known levels
        and -1 elsewhere.
        """
        shape, size = [-1, *self.spec.shape], self.spec.dimensions
        uniforms = tf.reshape(self.uniforms(noise), [-1, size])
        if given is None:
            given = tf.fill(tf.shape(uniforms), -1)
        given = tf.reshape(given, [-1, size])

        def next_value(t, levels):
            logits = self._logits(tf.reshape(levels, shape), label, None)
            logits = tf.reshape(logits, [-1, size, logits.shape[-1]])[:, t]
            level = probability.categorical(logits, uniforms[:, t])
            level = tf.where(given[:, t] < 0, level, given[:, t])
            return t + 1, tf.where(tf.range(size) == t, level[:, None], levels)

        _, levels = tf.while_loop(
            lambda t, _: t < size,
            next_value,
            (0, tf.zeros_like(uniforms, tf.int32)),
            maximum_iterations=size,
        )
        return tf.reshape(levels, shape)

    # What follows.

    def signatures(self) -> dict[str, Signature]:
        # A sample is a completion of which nothing is known.
        found = super().signatures()
        sample = dataclasses.replace(found['sample'], derived_from='complete')
        return found | {'sample': sample}

    def uniforms(self, noise: Noise) -> tf.Tensor:
        """What decides the draws: [B, *spec.shape] in (0, 1)."""
        return noise.uniform(self.draws, self.spec.shape)

    def _log_prob(
        self, levels: tf.Tensor, label: tf.Tensor | None, noise: Noise | None
    ) -> tf.Tensor:
        """log p(levels | label) in nats: [B]; with `noise` under dropout."""
        return probability.log_categorical(
            levels, self._logits(levels, label, noise)
        )

    def log_prob(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log P(levels of example | label) in nats, exact: [B], <= 0."""
        return self._log_prob(self.to_levels(example), label, None)

    def logits(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p of each level given the earlier values, up to a constant.

        [B, *spec.shape] -> float32 [B, *spec.shape, N].
        """
        return self._logits(self.to_levels(example), label, None)

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        levels = self.to_levels(batch[self.spec.key])
        log_prob = self._log_prob(levels, batch.get('label'), noise)
        return {'negative_log_likelihood': -log_prob}

    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """One draw per row, each value at one of the levels."""
        return self.to_example(self._generate(noise, label, None))

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws what `mask` hides, each value given all earlier ones.

        A known value behind a hidden one cannot influence it: the model
        offers no tractable p(x_t | future). Else see Completing.
        """
        given = tf.where(mask > 0.5, self.to_levels(example), -1)
        drawn = self._generate(noise, label, given)
        return tf.where(mask > 0.5, example, self.to_example(drawn))
