"""Specs: one file per kind of example, with everything specific to it."""

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

# Records of runs do not name the class of their spec, so one of its fields
# identifies it. A subclass stands before its base class.
_BY_FIELD = {
    'num_labels': PartlyLabelledSpec,
    'palette': PaletteSpec,
    'height': ImageSpec,
    'sample_rate': SoundSpec,
    'alphabet': SymbolSpec,
    'size': PointSpec,
}


def spec_from_dict(fields: dict) -> Spec:
    """The inverse of Spec.as_dict, also after a round trip through JSON.

    Raises:
      TypeError: no spec has these fields.
    """
    # Older records of images without a palette have an empty `palette`.
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
    """Turns lists back into tuples: JSON stores tuples as lists."""
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
