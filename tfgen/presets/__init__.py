"""Presets by name: descriptions of what to train.

A preset of PRESETS is complete, and has a data set. The sizes of a preset of
GENERIC follow from the data; see presets.generic.

A preset does not state where a run happens: its workdir and its devices. Every
field can be changed with `--set field=value`. Each file of this folder has the
PRESETS of one family of models. results/<preset>.json holds the figures that a
run of the preset has reached (evaluation.records).
"""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfgen import arguments, objects
from tfgen.data import Spec
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model
from tfgen.presets import classes, settings
from tfgen.presets.generic import GENERIC
from tfgen.presets.settings import Preset

_MODULES = [
    importlib.import_module(f'{__name__}.{found.name}')
    for found in pkgutil.iter_modules(__path__)
]
# Title -> names of the presets of one family of models.
FAMILIES: dict[str, list[str]] = {
    module.__doc__.partition('\n')[0].rstrip('.'): list(module.PRESETS)
    for module in _MODULES
    if hasattr(module, 'PRESETS')
}
PRESETS: dict[str, Preset] = {
    name: preset
    for module in _MODULES
    for name, preset in getattr(module, 'PRESETS', {}).items()
}


def get(name: str, texts: Sequence[str] = ()) -> Preset:
    """A preset by name, with `field=value` settings applied.

    Raises:
      UserError: unknown name or field, or a value of the wrong type.
    """
    return settings.changed(_named(name), parse(texts), name)


def parse(texts: Sequence[str]) -> dict[str, str]:
    """field -> value of `field=value` settings.

    Raises:
      UserError: a setting has no value.
    """
    changes = {}
    for text in texts:
        field, equals, value = text.partition('=')
        if not equals:
            raise UserError(
                f'--set {text!r} has no value: write --set field=value'
            )
        changes[field] = value
    return changes


def with_values(name: str, values: Mapping[str, Any]) -> Preset:
    """A preset by name, with fields set to values.

    Raises:
      UserError: unknown name or field, or a value of the wrong type.
    """
    preset = _named(name)
    settings.require_fields(preset, values, name)
    values = {k: tuple(v) if type(v) is list else v for k, v in values.items()}
    hints = preset.hints()
    arguments.check({name: hints[name] for name in values}, values)
    values = {k: _fixed(v) for k, v in values.items()}
    return dataclasses.replace(preset, **values)


def rates(model: type[Model]) -> dict[str, float]:
    """The learning rate and beta_1 of the generic preset of a class."""
    generic = (one.preset for one in GENERIC.values())
    own = (one for one in generic if issubclass(model, one.model))
    found = next(own, Preset())
    return {'learning_rate': found.learning_rate, 'beta_1': found.beta_1}


def halve_cores(name: str, preset: Preset) -> bool:
    """Whether strategies.make should halve the cores for a preset.

    A generic preset decides before its sizes are known, so that a resumed run
    has the threads of the first one.
    """
    generic = name in GENERIC and name not in PRESETS
    return (GENERIC[name].preset if generic else preset).halve_cores


def with_sizes(
    name: str, preset: Preset, spec: Spec, chosen: Collection[str] = ()
) -> Preset:
    """A generic preset with sizes for the data; any other preset as it is.

    Args:
      name: of the preset.
      preset: from `get` or `with_values`.
      spec: of the data.
      chosen: names of the fields that the user has set, and which stay.
    """
    if name in PRESETS or name not in GENERIC:
        return preset
    return GENERIC[name].with_sizes(preset, spec, chosen)


def restore(model: str, fields: dict) -> Preset:
    """Rebuilds a preset from the fields that config.json holds.

    The preset need not be among PRESETS.

    Args:
      model: name of the model's class; see presets.classes.
      fields: from `dataclasses.asdict`, by way of JSON. A field that is not
        there has its default.

    Raises:
      UserError: unknown class, or fields that do not fit this version.
    """
    kind = settings.of(classes.find(model))
    hints = kind.hints()
    fields = {k: _fixed(v) for k, v in fields.items()}
    for field, value in fields.items():
        if field in hints and not arguments.fits(hints[field], value):
            raise UserError(
                f'a stored configuration of {model} has {field}={value!r}: '
                'restore its file'
            )
    try:
        return kind(**fields)
    except TypeError as error:
        raise UserError(
            f'a stored configuration of {model} does not fit this version '
            f'of tfgen ({error}): train again in another workdir'
        ) from None


def _fixed(value):
    """A list as a tuple, and a Python object in its stored form."""
    value = objects.serialize(value)
    return tuple(value) if isinstance(value, list) else value


def _named(name):
    """The preset of a name; UserError if there is none."""
    if name in PRESETS:
        return PRESETS[name]
    if name in GENERIC:
        return GENERIC[name].preset
    near = difflib.get_close_matches(name, [*PRESETS, *GENERIC], 3, 0.0)
    raise UserError(
        f'unknown preset {name!r}: did you mean {", ".join(near)}? '
        'tfgen list shows all'
    )
