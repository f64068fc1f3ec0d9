"""Updates: the moves of one training step.

Computing statistics and applying updates are separate. First, `compute` gives
statistics of the rows of one replica. They are this replica's shares of means
over the global batch: the sum over streams and replicas gives the means. Then
`apply` moves the variables: an optimizer takes a step, or values are assigned.

Each call of a model's `updates()` makes new updates. The training loop keeps
the updates of one call.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from tfgen import optimizers
from tfgen.data.stream import batches_of
from tfgen.errors import UserError
from tfgen.gradients import with_gradients
from tfgen.layers import own
from tfgen.noise import Noise

Batch = dict[str, tf.Tensor]
Terms = dict[str, tf.Tensor]
# Per-example values [B, ...] -> this replica's share of their mean over the
# global batch, [...]. The loop provides it, so no update can use the wrong
# number of replicas.
Mean = Callable[[tf.Tensor], tf.Tensor]


class Run(Protocol):
    """The settings of a run that an update depends on; see presets."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def schedule(self) -> str: ...

    @property
    def beta_1(self) -> float: ...

    @property
    def optimizer(self) -> Any: ...

    @property
    def steps(self) -> int: ...

    @property
    def batch_size(self) -> int: ...


class Update(abc.ABC):
    """One move in every training step.

    Attributes:
      name: 'generator', 'discriminator'; 'model' if it is the only one.
      repeats: how often it runs per step, each time on a new batch. 0 means
        once, without a batch, after all other updates.
    """

    name: str
    repeats: int = 1

    def build(self, run: Run) -> None:
        """Makes optimizers and variables, in the strategy's scope."""
        del run

    def saved(self) -> dict:
        """State that a checkpoint must hold besides the model, by name."""
        return {}

    @abc.abstractmethod
    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, Any]:
        """Computes the statistics of some rows of a batch.

        XLA may compile this function, so it assigns nothing but the running
        statistics of its layers.

        Args:
          batch: the rows of this replica, or of one of its streams.
          noise: one row per example.
          mean: turns per-example values into a share of their global mean. All
            results of this function must be results of `mean`, or linear in
            them.

        Returns:
          Scalar terms to report, by name, and a nest of tensors for `apply`.
        """

    @abc.abstractmethod
    def apply(self, totals: Any, step: tf.Tensor) -> None:
        """Moves the variables, in the replica context of tf.distribute.

        Args:
          totals: the second result of `compute`, for this replica's rows.
            This function first adds them over the replicas.
          step: int64, the training step.
        """


@dataclasses.dataclass
class GradientUpdate(Update):
    """An optimizer's step on the sum of the terms, averaged over the batch.

    Attributes:
      loss_terms: (batch, noise) -> named float32 [B] terms.
      variables: the variables to move.
      learning_rate, beta_1: of this update; None takes those of the run.
      window: (first, end): the update moves variables from step `first` until
        before step `end`; None is the end of the run. The learning rate
        schedule covers the window.
    """

    name: str
    loss_terms: Callable[[Batch, Noise], Terms]
    variables: Sequence[keras.Variable]
    repeats: int = 1
    learning_rate: float | None = None
    beta_1: float | None = None
    window: tuple[int, int | None] = (0, None)
    optimizer: keras.optimizers.Optimizer | None = None

    def build(self, run: Run) -> None:
        rate, beta_1 = self.learning_rate, self.beta_1
        rate = run.learning_rate if rate is None else rate
        beta_1 = run.beta_1 if beta_1 is None else beta_1
        first, last = self.window
        last = run.steps if last is None else last
        if first >= last:
            raise UserError(
                f'steps={run.steps} end before the update {self.name} starts, '
                f'at step {first}: use more steps'
            )
        count = (last - first) * self.repeats
        if run.schedule == 'cosine':
            rate = keras.optimizers.schedules.CosineDecay(rate, count)
        if self.window != (0, None):
            rate = _Window(rate, first * self.repeats, count)
        self.optimizer = optimizers.make(run.optimizer, self.name, rate, beta_1)
        self.optimizer.build(self.variables)

    def saved(self) -> dict:
        return {f'{self.name}_optimizer': self.optimizer}

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, list[tf.Tensor]]:
        """Computes the means of the terms, and the gradients of their sum."""

        def loss():
            with own.training(noise):
                return sum_of_means(self.loss_terms(batch, noise), mean)

        return with_gradients(loss, self.variables)

    def apply(self, totals: list[tf.Tensor], step: tf.Tensor) -> None:
        # The optimizer adds over the replicas.
        self.optimizer.apply(totals, self.variables)


def sum_of_means(terms: Terms, mean: Mean) -> tuple[tf.Tensor, Terms]:
    """The sum of the means of loss terms [B], and these means by name."""
    means = {name: mean(values) for name, values in terms.items()}
    # tf.add_n would add in no fixed order.
    return functools.reduce(tf.add, means.values()), means


class _Window(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate for `count` steps from step `first` on; else 0."""

    def __init__(self, rate, first: int, count: int):
        self._rate, self._first, self._count = rate, first, count

    def __call__(self, step):
        done = tf.convert_to_tensor(step) - self._first
        rate = self._rate(done) if callable(self._rate) else self._rate
        within = (done >= 0) & (done < self._count)
        return tf.where(within, rate, 0.0)


@dataclasses.dataclass
class EpochUpdate(Update):
    """Assigns values computed from means over all examples, once an epoch.

    For models with `whole_epochs`; see data.stream.

    Attributes:
      examples: the number of examples in an epoch.
      shapes: of the means, by name.
      statistics: (batch, noise) -> named [B] terms to report, and float64 sums
        over the rows, by the names of `shapes`. Each row is weighted by
        batch['weight']. The update turns the sums into means over an epoch.
      variables: the variables to assign.
      solve: means over an epoch, by name -> new values of `variables`.
    """

    name: str
    examples: int
    shapes: Mapping[str, Sequence[int]]
    statistics: Callable[[Batch, Noise], tuple[Terms, Terms]]
    variables: Sequence[keras.Variable]
    solve: Callable[[Mapping[str, tf.Tensor]], Sequence[tf.Tensor]]
    repeats: int = 1

    def build(self, run: Run) -> None:
        self._parts = batches_of(self.examples, run.batch_size)
        self._means = [
            tf.Variable(
                tf.zeros(shape, tf.float64),
                trainable=False,
                # All replicas add the same numbers.
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for shape in self.shapes.values()
        ]

    def saved(self) -> dict:
        return {f'{self.name}_means': self._means}

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, list[tf.Tensor]]:
        terms, sums = self.statistics(batch, noise)
        shown = {name: mean(values) for name, values in terms.items()}
        # Turns a sum over these rows into a share of the global mean.
        rows = tf.ones_like(batch['weight'], tf.float64)
        share = mean(rows) / tf.reduce_sum(rows)
        return shown, [share * sums[name] for name in self.shapes]

    def apply(self, totals: list[tf.Tensor], step: tf.Tensor) -> None:
        replica = tf.distribute.get_replica_context()
        totals = replica.all_reduce(tf.distribute.ReduceOp.SUM, totals)
        means = [
            mean + total / self._parts
            for mean, total in zip(self._means, totals, strict=True)
        ]
        last = (step + 1) % self._parts == 0
        # Replicas cannot synchronise inside a branch, so no branch assigns.
        values = tf.cond(
            last,
            lambda: self.solve(dict(zip(self.shapes, means, strict=True))),
            lambda: [tf.convert_to_tensor(v) for v in self.variables],
        )
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        for variable, mean in zip(self._means, means, strict=True):
            variable.assign(tf.where(last, tf.zeros_like(mean), mean))


@dataclasses.dataclass
class BatchUpdate(Update):
    """Assigns values computed from means over a batch, such as moments.

    Attributes:
      statistics: (batch, noise) -> named [B, ...]; those of shape [B] are
        also reported as terms.
      assign: a function of (means over the global batch by name, step) that
        assigns the variables.
    """

    name: str
    statistics: Callable[[Batch, Noise], Terms]
    assign: Callable[[Mapping[str, tf.Tensor], tf.Tensor], None]
    repeats: int = 1

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, Terms]:
        found = self.statistics(batch, noise)
        means = {name: mean(values) for name, values in found.items()}
        shown = {k: v for k, v in means.items() if v.shape.rank == 0}
        return shown, means

    def apply(self, totals: Terms, step: tf.Tensor) -> None:
        replica = tf.distribute.get_replica_context()
        means = replica.all_reduce(
            tf.distribute.ReduceOp.SUM, list(totals.values())
        )
        self.assign(dict(zip(totals, means, strict=True)), step)


class PostUpdate(Update):
    """Assigns values that depend on the weights, after all other updates.

    Args:
      functions: assign variables; they are called in the replica context.
    """

    repeats = 0

    def __init__(self, name: str, functions: Sequence[Callable[[], None]]):
        self.name, self._functions = name, functions

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, list[tf.Tensor]]:
        return {}, []

    def apply(self, totals: list[tf.Tensor], step: tf.Tensor) -> None:
        for function in self._functions:
            function()
