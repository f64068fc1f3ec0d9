"""Opens any data set for a model: by its name, or data given in Python."""

from collections.abc import Callable, Sequence
from typing import Any

from tfgen import arguments, storage
from tfgen.data import readers, sets
from tfgen.data.embedded import points
from tfgen.data.given import from_examples, load_arrays
from tfgen.data.readers import prepared
from tfgen.data.specs import (
    ImageSpec,
    PaletteSpec,
    PartlyLabelledSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
)
from tfgen.data.stream import Data
from tfgen.errors import UserError

_LOADERS: dict[type[Spec], Callable[..., Data]] = {
    ImageSpec: sets.load,
    PaletteSpec: sets.load,
    PartlyLabelledSpec: sets.load_partly_labelled,
    SoundSpec: sets.load_audio,
    PointSpec: sets.load_points,
    SymbolSpec: sets.load_text,
}


def arguments_of(
    spec_types: Sequence[type[Spec]],
) -> dict[str, tuple[Any, Any]]:
    """Settings of data sets of these kinds: name -> (type, default)."""
    return {
        name: argument
        for kind in spec_types
        for name, argument in arguments.of(_LOADERS[kind]).items()
        if name != 'data_dir'
    }


def open_any(
    data: Any,
    labels: Any,
    spec_types: Sequence[type[Spec]],
    data_dir: str | None,
    **settings: Any,
) -> Data:
    """Opens a data set for a model of examples of `spec_types`.

    The name of a toy distribution or of a text is opened as such, even if the
    model takes other kinds; the model then refuses it. Any other name is opened
    as the first of `spec_types`.

    Args:
      data: a name, a Data, or what `from_examples` takes.
      labels: of given examples.
      spec_types: the specs that the model accepts.
      data_dir: where TFDS keeps prepared sets; None for its default.
      settings: the values of `arguments_of(spec_types)`.

    Raises:
      UserError: the data cannot be opened.
    """
    if isinstance(data, Data):
        if labels is not None:
            raise UserError('data contain their labels: leave labels out')
        return data
    if isinstance(data, str):
        if labels is not None:
            raise UserError(
                f'data set {data!r} has labels of its own: leave labels out'
            )
        return _named(data, spec_types, data_dir, settings)
    return from_examples(
        data, labels, spec_types, **_of_given(settings, spec_types)
    )


def _named(name, spec_types, data_dir, settings):
    """Opens a data set by its name."""
    if not name:
        raise UserError("data set '' has no name: use --dataset=NAME")
    prefix, _, path = name.partition(':')
    if name == sets.ARRAYS:
        raise UserError(
            'the examples of this run were given in Python, and are not in its '
            'workdir: pass them again in Python, for example '
            'tfgen.load(workdir).evaluate(data=...)'
        )
    if prefix == sets.ARRAYS and path:
        place = storage.place(path, tensorflow=False)
        return load_arrays(
            name, place, spec_types, **_of_given(settings, spec_types)
        )
    loader = _LOADERS[spec_types[0]]
    if '://' in name and prefix not in (*readers.PATHS, *sets.TEXTS):
        prepared.refuse_address(name)
    if name in points.TOY_DISTRIBUTIONS:
        loader = sets.load_points
    elif name == 'numerals' or prefix in sets.TEXTS:
        loader = sets.load_text
    own = arguments.of(loader)
    named = {k: v for k, v in settings.items() if k in own}
    return loader(name, data_dir, **named)


def _of_given(settings, spec_types):
    """The settings that examples given in Python have."""
    if settings.get('image_size'):
        raise UserError(
            f'image_size is {settings["image_size"]}, and arrays are not '
            'resized: pass tf.image.resize(images, image_size), or images of '
            'that size'
        )
    found = {'binarization': settings.get('binarization', 'none')}
    if PartlyLabelledSpec in spec_types:
        found['num_labels'] = settings['num_labels']
    return found
