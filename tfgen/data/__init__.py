"""Data sets by name; see data.sets and data.specs."""

from tfgen.data.given import from_examples, save_arrays
from tfgen.data.given.files import as_examples, like
from tfgen.data.given.streams import Streamed
from tfgen.data.opening import open_any
from tfgen.data.sets import (
    ARRAYS,
    absolute,
    load,
    load_audio,
    load_partly_labelled,
    load_points,
    load_text,
    without_folders,
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
    'ARRAYS',
    'Data',
    'ImageSpec',
    'PaletteSpec',
    'PartlyLabelledSpec',
    'PointSpec',
    'SoundSpec',
    'Spec',
    'Streamed',
    'SymbolSpec',
    'absolute',
    'as_examples',
    'from_examples',
    'like',
    'load',
    'load_audio',
    'load_partly_labelled',
    'load_points',
    'load_text',
    'open_any',
    'save_arrays',
    'shuffled',
    'spec_from_dict',
    'without_folders',
]
