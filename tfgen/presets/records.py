"""What the presets have reached, from the records of their runs.

`scripts/evaluate.py --record=results` writes a record; nobody else does.
"""

import json
import math
import pathlib
import re

from tfgen import files, presets

# Of a model that has many.
_HEADLINES = (
    'accuracy',
    'given_1',
    'given_2',
    'given_3',
    'label_agreement',
    'frechet_distance',
    'coverage',
    'modes',
    'quality',
)


def folder() -> pathlib.Path:
    """results/, of a clone or of an installed tfgen."""
    return files.packaged('results')


def read() -> dict[str, dict]:
    """Preset -> its record, of those that have one."""
    files = {name: folder() / f'{name}.json' for name in presets.PRESETS}
    return {
        name: json.loads(file.read_text())
        for name, file in files.items()
        if file.exists()
    }


def table() -> list[str]:
    """A line for every preset: data, size, length, figure."""
    found = read()
    return [
        f'{name:26}{preset.model.__name__:18}{preset.dataset:25} '
        f'{getattr(preset, "binarization", "none"):10}'
        f'{"given label" if preset.conditional else "":12}'
        f'{_length(preset, found.get(name)):20} {_reached(found.get(name))}'
        for name, preset in presets.PRESETS.items()
    ]


def markdown() -> list[str]:
    """The same as a table of the README."""
    found = read()
    lines = [
        '| preset | model | data | parameters | steps x batch | reached |',
        '|---|---|---|---|---|---|',
    ]
    for name, preset in presets.PRESETS.items():
        record = found.get(name)
        label = ', given label' if preset.conditional else ''
        size = f'{record["num_parameters"]:,}' if record else ''
        cells = (
            f'`{name}`',
            preset.model.__name__,
            f'{preset.dataset}{label}',
            size,
            _length(preset, record),
            '; '.join(figures(record)) if record else 'not run',
        )
        lines.append(f'| {" | ".join(cells)} |')
    return lines


def figures(record: dict) -> list[str]:
    """The figures of a record in words; of many, those that say most."""
    found = record['figures']
    names = [name for name in _HEADLINES if name in found]
    if len(found) < 4 or not names:
        names = list(found)
    return [f'{n.replace("_", " ")} {_number(found[n])}' for n in names]


def _reached(record):
    if not record:
        return 'not run'
    return f'{record["num_parameters"]:,} parameters, {figures(record)[-1]}'


def _length(preset, record):
    """Steps x batch of the recorded run, or of the preset if not run."""
    made = record['training'] if record else vars(preset)
    return f'{made["steps"]:,} x {made["batch_size"]}{_origin(record)}'


def _origin(record):
    """Whose weights the run began with; '' if they were its own."""
    command = record['training']['command'] if record else ''
    found = re.search(r'--init_from=runs/(\w+)', command)
    return f' from {found[1]}' if found else ''


def _number(figure):
    """Mean, error and unit, to two digits of the error."""
    mean, error = figure['mean'], figure['standard_error']
    unit = f' {figure["unit"]}' if figure.get('unit') else ''
    # (Equal draws have an error that is but rounding.)
    if not error or error < 1e-9 * abs(mean):
        return f'{mean:.4g}{unit}'
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f'{mean:,.{digits}f} +- {error:,.{digits}f}{unit}'
