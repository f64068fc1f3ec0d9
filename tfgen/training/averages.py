"""The moving average of a model's weights."""

import tensorflow as tf

from tfgen.models.contracts.model import Model
from tfgen.models.contracts.updates import Batch, Mean, Terms, Update
from tfgen.noise import Noise
from tfgen.training import checkpoints


class Average(Update):
    """Keeps a moving average of every weight, after all other updates.

    Construct it inside the strategy's scope.

    Args:
      model: the model whose weights are averaged.
      decay: share of the old average in the new one.
    """

    name = 'average'
    repeats = 0

    def __init__(self, model: Model, decay: float):
        self._variables, self._decay = model.variables, decay
        self._averages = [
            tf.Variable(
                v.value,
                trainable=False,
                # All replicas compute the same value.
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for v in self._variables
        ]

    def saved(self) -> dict:
        return {checkpoints.AVERAGES: self._averages}

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, list[tf.Tensor]]:
        return {}, []

    def apply(self, totals: list[tf.Tensor], step: tf.Tensor) -> None:
        # At first the average covers fewer steps, so that the initial weights
        # do not stay in it.
        done = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + done) / (10.0 + done))
        for average, v in zip(self._averages, self._variables, strict=True):
            value = tf.convert_to_tensor(v.value)
            if not value.dtype.is_floating:  # the state of a generator
                average.assign(value)
                continue
            average.assign(value + decay * (average - value))

    def use(self) -> None:
        """Assigns the averages to the weights."""
        for average, v in zip(self._averages, self._variables, strict=True):
            v.assign(average)
