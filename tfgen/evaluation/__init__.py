"""What a trained model is worth: figures for metrics.json.

Each file of this folder holds the MEASURES of one kind. Those that apply to a
model are found by asking them; nothing else knows their names.
"""

import importlib
import pkgutil
from collections.abc import Sequence

from tfgen import arguments
from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.evaluation.base import Figures, Measure, Settings
from tfgen.models.base import Model

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for found in pkgutil.iter_modules(__path__)
    for measure in getattr(
        importlib.import_module(f'{__name__}.{found.name}'), 'MEASURES', ()
    )
}


def applicable(model: Model, examples: Data) -> list[str]:
    """Names of the measures that apply to a model on a data set."""
    return [
        name
        for name, measure in MEASURES.items()
        if measure.applies(model, examples.spec)
    ]


def chosen(
    model: Model, examples: Data, measures: Sequence[str] | None = None
) -> list[Measure]:
    """The measures of these names; for None, those taken by default.

    Raises:
      UserError: a measure that there is not, or that does not apply.
    """
    known = applicable(model, examples)
    for name in measures or ():
        if name not in known:
            raise UserError(
                f'measure {name!r} does not apply to this model: use '
                f'{", ".join(known)}'
            )
    return [
        MEASURES[name]
        for name in known
        if (
            MEASURES[name].by_default(model, examples.spec)
            if measures is None
            else name in measures
        )
    ]


def evaluate(
    model: Model,
    examples: Data,
    settings: Settings | None = None,
    measures: Sequence[str] | None = None,
) -> Figures:
    """The figures of a model over one split, by name.

    Args:
      model, examples: what is measured.
      settings: how.
      measures: names among `applicable`; see `chosen`.

    Raises:
      UserError: see `chosen`; a measure that needs features and has none.
    """
    settings = settings or Settings()
    values = {k: v for k, v in vars(settings).items() if k != 'features'}
    arguments.check_for(Settings, **values)
    found = {}
    for measure in chosen(model, examples, measures):
        if measure.needs_features and settings.features is None:
            raise UserError(
                f'measure {measure.name!r} compares images in features: pass '
                'Settings(features=...)'
            )
        found |= measure.figures(model, examples, settings)
    return found
