"""Models with an exact likelihood, autoregressive models among them."""

import abc
import dataclasses

import tensorflow as tf

from tfgen import probability
from tfgen.models.contracts.capabilities import takes_a_count
from tfgen.models.contracts.model import Model, Signature
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.noise import Noise


class LikelihoodModel(Model):
    """A model that computes log p(x) exactly and is trained to maximise it.

    A subclass defines `log_prob` and `sample`. It also defines `updates` if it
    is not trained by gradients.
    """

    @abc.abstractmethod
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws examples: [B, *spec.shape] in the data's range.

        B is the number of rows of `noise`.
        """

    @abc.abstractmethod
    def log_prob(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p(example | label) in nats, exact: [B, *spec.shape] -> [B].

        If the examples have levels and `is_density` is False, p is a
        probability, so the result is <= 0. Otherwise p is a density.
        """

    @property
    def is_density(self) -> bool:
        """Whether p is a density, although the examples have levels.

        If so, p is a density over the data's range, and bits per dimension
        include the width of a level.
        """
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
    """p(x) = product over t of p(x_t | earlier values), each of N levels.

    A subclass defines one network for whole examples (`_logits`). It may also
    define a sampling loop (`_generate`) that costs less than running the
    network for each value. This class derives everything else from these two.
    """

    # N. A subclass may use fewer levels than the data have.
    levels: int
    # Name of the noise from which values are drawn.
    draws = 'values'

    # Methods that a subclass defines or overrides.

    def to_levels(self, example: tf.Tensor) -> tf.Tensor:
        """[B, *spec.shape] -> int32 levels of the same shape, 0 .. N - 1."""
        return self.spec.to_levels(example, self.levels)

    def to_example(self, levels: tf.Tensor) -> tf.Tensor:
        """The inverse of `to_levels`: one value for each level."""
        return self.spec.to_example(levels, self.levels)

    @abc.abstractmethod
    def _logits(
        self, levels: tf.Tensor, label: tf.Tensor | None, noise: Noise | None
    ) -> tf.Tensor:
        """log p of each level given the earlier values, up to a constant.

        The logits of a value must not depend on that value or on later ones.

        Args:
          levels: int32 [B, *spec.shape].
          label: [B] if the model is conditional.
          noise: for dropout; None for no dropout.

        Returns:
          float32 [B, *spec.shape, N].
        """

    def _generate(
        self, noise: Noise, label: tf.Tensor | None, given: tf.Tensor | None
    ) -> tf.Tensor:
        """Draws value after value: int32 [B, *spec.shape].

        This version runs the whole network for each value. A subclass that can
        compute only the new values overrides it. For each value,
        probability.categorical takes its logits and its own element of
        `uniforms(noise)`.

        Args:
          noise: one row per example.
          label: [B] if the model is conditional.
          given: int32 [B, *spec.shape], the known levels, and -1 for a value to
            draw; None if no value is known.
        """
        shape, size = [-1, *self.spec.shape], self.spec.dimensions
        uniforms = tf.reshape(self.uniforms(noise), [-1, size])
        if given is None:
            given = tf.fill(tf.shape(uniforms), -1)
        given = tf.reshape(given, [-1, size])

        def next_value(t, levels):
            """Draws value t of all rows; `levels` is int32 [B, values]."""
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

    # Methods that follow from these.

    def signatures(self) -> dict[str, Signature]:
        # A sample is a completion with nothing known, so they share a graph.
        found = super().signatures()
        sample = dataclasses.replace(found['sample'], derived_from='complete')
        return found | {'sample': sample}

    def uniforms(self, noise: Noise) -> tf.Tensor:
        """The numbers in (0, 1) that decide the draws: [B, *spec.shape]."""
        return noise.uniform(self.draws, self.spec.shape)

    def _log_prob(
        self, levels: tf.Tensor, label: tf.Tensor | None, noise: Noise | None
    ) -> tf.Tensor:
        """log p(levels | label) in nats: [B]; dropout if `noise` is given."""
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

    @takes_a_count
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """Draws one example per row; each value is that of a level."""
        return self.to_example(self._generate(noise, label, None))

    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws the values that `mask` hides, each given all earlier values.

        A known value after a hidden one cannot influence it, because
        p(x_t | later values) is not tractable. For the arguments see
        Completing.
        """
        given = tf.where(mask > 0.5, self.to_levels(example), -1)
        drawn = self._generate(noise, label, given)
        return tf.where(mask > 0.5, example, self.to_example(drawn))
