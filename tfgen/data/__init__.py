"""Data sets by name; see data.sets."""

from tfgen.data.sets import (
    BINARIZATIONS,
    AudioData,
    AudioSpec,
    Data,
    DataSpec,
    ImageData,
    absolute,
    load,
    load_audio,
    shuffled,
    spec_from_dict,
)

__all__ = [
    'BINARIZATIONS',
    'AudioData',
    'AudioSpec',
    'Data',
    'DataSpec',
    'ImageData',
    'absolute',
    'load',
    'load_audio',
    'shuffled',
    'spec_from_dict',
]
