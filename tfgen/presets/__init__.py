"""Presets by name: complete descriptions of what to train.

A preset does not state where a run happens: its workdir and its devices. Every
field can be changed with `--set field=value`. Each file of this folder has the
PRESETS of one family of models. results/<preset>.json holds the figures that a
run of the preset has reached (evaluation.records).
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Sequence

from tfgen import arguments
from tfgen.errors import UserError
from tfgen.presets import settings
from tfgen.presets.settings import Preset

PRESETS: dict[str, Preset] = {
    name: preset
    for found in pkgutil.iter_modules(__path__)
    for name, preset in getattr(
        importlib.import_module(f'{__name__}.{found.name}'), 'PRESETS', {}
    ).items()
}


def get(name: str, texts: Sequence[str] = ()) -> Preset:
    """A preset by name, with `field=value` settings applied.

    Raises:
      UserError: unknown name or field, or a value of the wrong type.
    """
    preset, changes = _named(name), {}
    for text in texts:
        field, equals, value = text.partition('=')
        if not equals:
            raise UserError(
                f'--set {text!r} has no value: write --set field=value'
            )
        changes[field] = value
    return settings.changed(preset, changes, name)


def restore(name: str, fields: dict) -> Preset:
    """Rebuilds a preset from the fields that config.json holds.

    Args:
      name: of the preset.
      fields: from `dataclasses.asdict`, by way of JSON.

    Raises:
      UserError: unknown name, or fields that do not fit this version.
    """
    preset = _named(name)
    hints = preset.hints()
    # Older configurations also contain the results of the preset's own run.
    fields = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in fields.items()
        if k not in ('parameters', 'expect')
    }
    for field, value in fields.items():
        if field in hints and not arguments.fits(hints[field], value):
            raise UserError(
                f'the configuration of preset {name!r} has {field}={value!r}: '
                'restore its file'
            )
    try:
        return dataclasses.replace(preset, **fields)
    except TypeError as error:
        raise UserError(
            f'the configuration of preset {name!r} does not fit this version '
            f'of tfgen ({error}): train again in another workdir'
        ) from None


def _named(name):
    """The preset of a name; UserError if there is none."""
    if name not in PRESETS:
        raise UserError(
            f'unknown preset {name!r}: use one of {", ".join(PRESETS)}'
        )
    return PRESETS[name]
