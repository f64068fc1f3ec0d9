"""Data sets by name; see data.sets and data.specs."""

from tfgen.data.sets import (
    absolute,
    load,
    load_audio,
    load_partly_labelled,
    load_points,
    load_text,
)
from tfgen.data.specs import (
    ImageSpec,
    PaletteSpec,
    PartlyLabelledSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
    spec_from_dict,
)
from tfgen.data.stream import Data, shuffled

__all__ = [
    'Data',
    'ImageSpec',
    'PaletteSpec',
    'PartlyLabelledSpec',
    'PointSpec',
    'SoundSpec',
    'Spec',
    'SymbolSpec',
    'absolute',
    'load',
    'load_audio',
    'load_partly_labelled',
    'load_points',
    'load_text',
    'shuffled',
    'spec_from_dict',
]
