"""Data sets by name; see data.sets and data.kinds."""

from tfgen.data.kinds import (
    ImageSpec,
    PaletteSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
    spec_from_dict,
)
from tfgen.data.sets import (
    Data,
    absolute,
    load,
    load_audio,
    load_points,
    load_text,
    shuffled,
)

__all__ = [
    'Data',
    'ImageSpec',
    'PaletteSpec',
    'PointSpec',
    'SoundSpec',
    'Spec',
    'SymbolSpec',
    'absolute',
    'load',
    'load_audio',
    'load_points',
    'load_text',
    'shuffled',
    'spec_from_dict',
]
