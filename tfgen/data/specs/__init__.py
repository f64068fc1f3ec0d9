"""The kinds of examples; all that is particular to one is said in its file."""

from tfgen.data.specs.base import Spec
from tfgen.data.specs.image import (
    Binarization,
    ImageSpec,
    PaletteSpec,
    PartlyLabelledSpec,
)
from tfgen.data.specs.point import PointSpec
from tfgen.data.specs.sound import SoundSpec
from tfgen.data.specs.symbols import SymbolSpec

# By a field that no other kind has, the more particular first: records of runs
# name no kind.
_BY_FIELD = {
    'num_labels': PartlyLabelledSpec,
    'palette': PaletteSpec,
    'height': ImageSpec,
    'sample_rate': SoundSpec,
    'alphabet': SymbolSpec,
    'size': PointSpec,
}


def spec_from_dict(fields: dict) -> Spec:
    """The inverse of Spec.as_dict, also after a way through JSON.

    Raises:
      TypeError: `fields` are of no kind.
    """
    # (Older records of images have `palette` where there is none.)
    fields = {
        name: _tuples(value)
        for name, value in fields.items()
        if name != 'palette' or value
    }
    for field, kind in _BY_FIELD.items():
        if field in fields:
            return kind(**fields)
    raise TypeError(f'no kind of example has the fields {sorted(fields)}')


def _tuples(value):
    """Lists, as JSON has them, as tuples."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return value


__all__ = [
    'Binarization',
    'ImageSpec',
    'PaletteSpec',
    'PartlyLabelledSpec',
    'PointSpec',
    'SoundSpec',
    'Spec',
    'SymbolSpec',
    'spec_from_dict',
]
