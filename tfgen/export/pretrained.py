"""The trained models that come with tfgen, as exports in pretrained/."""

import pathlib

from tfgen import storage


def folder() -> pathlib.Path:
    """The folder pretrained/ of a clone or of an installed tfgen."""
    return storage.packaged('pretrained')


def names() -> list[str]:
    """The names of the pretrained models."""
    return sorted(f.name for f in folder().glob('*') if (f / '1').is_dir())
