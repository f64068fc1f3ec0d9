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
      measures: names among `applicable`; None for all of these.

    Raises:
      UserError: a measure that there is not, or that does not apply.
    """
    settings = settings or Settings()
    arguments.check_for(Settings, **vars(settings))
    known = applicable(model, examples)
    for name in measures or ():
        if name not in known:
            raise UserError(
                f'measure {name!r} does not apply to this model: use '
                f'{", ".join(known)}'
            )
    return {
        name: figure
        for measure in known
        if measures is None or measure in measures
        for name, figure in MEASURES[measure]
        .figures(model, examples, settings)
        .items()
    }
