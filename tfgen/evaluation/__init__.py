"""Metrics of trained models; their results go into metrics.json.

Each file of this folder defines METRICS of one kind. Every metric says whether
it applies to a model; no other code lists the names of metrics.
"""

import importlib
import pkgutil
from collections.abc import Sequence

from tfgen import arguments
from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.evaluation.base import Evaluation, Metric, Settings
from tfgen.models.contracts.model import Model

METRICS: dict[str, Metric] = {
    metric.name: metric
    for found in pkgutil.iter_modules(__path__)
    for metric in getattr(
        importlib.import_module(f'{__name__}.{found.name}'), 'METRICS', ()
    )
}


def applicable(model: Model, examples: Data) -> list[str]:
    """Names of the metrics that apply to a model on a data set."""
    return [
        name
        for name, metric in METRICS.items()
        if metric.applies(model, examples)
    ]


def chosen(
    model: Model,
    examples: Data,
    metrics: Sequence[str] | None = None,
    settings: Settings | None = None,
) -> list[Metric]:
    """The metrics of the given names.

    Args:
      model, examples: the model and data to measure.
      metrics: names among `applicable`; None takes the default metrics without
        those that are `left_out`.
      settings: how to measure; None for the defaults.

    Raises:
      UserError: a metric is unknown, does not apply, or needs other examples;
        a setting is impossible; no default metric is left.
    """
    settings = settings or Settings()
    values = {k: v for k, v in vars(settings).items() if k != 'features'}
    arguments.check_for(Settings, **values)
    examples.count(settings.split)
    known = applicable(model, examples)
    for name in metrics or ():
        if name not in known:
            why = 'does not apply to this model or data'
            if name not in METRICS:
                why = 'does not exist'
            raise UserError(f'metric {name!r} {why}: use {", ".join(known)}')
    if metrics is None:
        lacking = left_out(model, examples, settings)
        usual = _usual(model, examples)
        found = [metric for metric in usual if metric.name not in lacking]
        if not found:
            reasons = '; '.join(f'{k}: {v}' for k, v in lacking.items())
            raise UserError(f'nothing can be measured; {reasons}')
        return found
    for name in metrics:
        lack = METRICS[name].lack(examples, settings)
        if lack:
            raise UserError(f'{name}: {lack}')
    return [METRICS[name] for name in known if name in metrics]


def left_out(
    model: Model, examples: Data, settings: Settings
) -> dict[str, str]:
    """The default metrics that these examples do not allow: name -> why."""
    lacking = {
        metric.name: metric.lack(examples, settings)
        for metric in _usual(model, examples)
    }
    return {name: lack for name, lack in lacking.items() if lack}


def _usual(model, examples):
    """The metrics that are computed if none is named."""
    return [
        METRICS[name]
        for name in applicable(model, examples)
        if METRICS[name].by_default(model)
    ]


def evaluate(
    model: Model,
    examples: Data,
    settings: Settings | None = None,
    metrics: Sequence[str] | None = None,
) -> Evaluation:
    """The results of a model on one split, by name.

    Args:
      model, examples: the model and data to measure.
      settings: how to measure; None for the defaults.
      metrics: names among `applicable`; see `chosen`.

    Raises:
      UserError: see `chosen`; a metric needs features and has none.
    """
    settings, found = settings or Settings(), Evaluation()
    taken = chosen(model, examples, metrics, settings)
    for metric in taken:
        if metric.needs_features and settings.features is None:
            raise UserError(
                f'metric {metric.name!r} compares images in features: pass '
                'Settings(features=...)'
            )
    for metric in taken:
        found |= metric.compute(model, examples, settings)
    return found
