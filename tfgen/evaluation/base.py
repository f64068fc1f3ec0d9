"""The base class of metrics, with their settings and results."""

import abc
import dataclasses
import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.arguments import Size
from tfgen.data import Data, Spec
from tfgen.evaluation.features import Features
from tfgen.models.contracts.model import Model


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
      split: 'test' or 'train'.
      batch_size: rows of a batch. It changes no result, except through the
        noise of a bound.
      num_samples: S, draws of z per example for the bounds.
      seed: of the noise.
      limit: only the first `limit` examples.
      num_generated: samples in one set, for metrics of samples; None for as
        many as the metric's protocol says.
      num_draws: sets of samples, over which mean and deviation are taken.
      features: the space in which images are compared; see
        evaluation.features.
    """

    split: str = 'test'
    batch_size: Size = 100
    num_samples: Size = 500
    seed: int = 0
    limit: Size | None = None
    num_generated: Size | None = None
    num_draws: Size = 3
    features: Features | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """The number that a metric gives.

    Attributes:
      value: the number.
      error: its standard error; None where it is not known.
      unit: 'nats', ...; '' for a pure number.
      details: more numbers that belong to it, by name.
    """

    value: float
    error: float | None = None
    unit: str = ''
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        error = '' if self.error is None else f' +- {self.error:.4f}'
        rates = ''.join(
            f', {value:.4f} {name.replace("_per_", "/")}'
            for name, value in self.details.items()
            if '_per_' in name
        )
        return f'{self.value:.4f}{error} {self.unit}{rates}'.rstrip()

    def __repr__(self) -> str:
        return f'<{self}>'

    def as_dict(self) -> dict:
        """Its form in metrics.json."""
        unit = {'unit': self.unit} if self.unit else {}
        error = {'standard_error': self.error}
        values = {**unit, 'mean': self.value, **error, **self.details}
        # JSON has no infinity and no NaN.
        return {
            name: None if isinstance(x, float) and not math.isfinite(x) else x
            for name, x in values.items()
        }


Results = dict[str, Result]


class Evaluation(Results):
    """Results by name, in the order in which they were computed."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return '\n'.join(
            f'{name:{width}}  {result}' for name, result in self.items()
        )


class Metric(abc.ABC):
    """A measurement of a trained model.

    Attributes:
      name: its name in the flag --metrics.
      needs_features: whether it compares images in Settings.features.
    """

    name: str
    needs_features: ClassVar[bool] = False

    def by_default(self, model: Model) -> bool:
        """Whether to compute it if it applies and the user names no metric."""
        return True

    @abc.abstractmethod
    def applies(self, model: Model, examples: Data) -> bool:
        """Whether it can be computed for the model on these examples."""

    def lack(self, examples: Data, settings: Settings) -> str:
        """Why the examples do not suffice, with the remedy; '' if they do.

        This is asked before any work.
        """
        return ''

    @abc.abstractmethod
    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        """The results by name, measured as `settings` say."""


def too_few(
    examples: Data, settings: Settings, least: int, purpose: str
) -> str:
    """A message that fewer than `least` examples exist; '' if enough do.

    Args:
      examples, settings: the data, and which split and how much of it is used.
      least: the number of examples that are needed.
      purpose: begins the message.

    Returns:
      A message with the remedy, or ''.
    """
    split, sizes = settings.split, examples.spec.split_sizes
    count = examples.count(split, settings.limit)
    if count >= least:
        return ''
    remedy = 'add examples'
    if examples.count(split) >= least:
        remedy = f'use --limit={least} or more'
    else:
        other = next((k for k, size in sizes.items() if size >= least), None)
        remedy = f'evaluate --split={other}, or {remedy}' if other else remedy
    return (
        f'{purpose}, {least} or more, and there {"is" if count == 1 else "are"}'
        f' {count} of the {split} split: {remedy}'
    )


def mean(values: npt.ArrayLike, unit: str = '') -> Result:
    """The mean over examples, [B], with its standard error."""
    values = np.asarray(values, np.float64)
    error = None
    if len(values) > 1:
        error = float(values.std(ddof=1) / math.sqrt(len(values)))
    return Result(float(values.mean()), error, unit)


def nats(values: np.ndarray, spec: Spec, is_density: bool = False) -> Result:
    """The mean of -log p in nats over examples, and its rates.

    Args:
      values: -log p of each example, [B].
      spec: of the examples; it defines the rates, such as bits/dim.
      is_density: whether p is a density on the data's range. The rates then
        include the width of a level: P(level) is about density times width.
    """
    figure = mean(values, 'nats')
    width = spec.level_width() if is_density else 0.0
    rates = {} if width is None else spec.rates(figure.value + width)
    return dataclasses.replace(figure, details=rates)


def batches(examples: Data, settings: Settings) -> tf.data.Dataset:
    """The batches of the examples that `settings` select."""
    return examples.evaluation(
        settings.split, settings.batch_size, settings.limit
    )
