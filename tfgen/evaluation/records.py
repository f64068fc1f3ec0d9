"""Tables of the presets' figures, read from the records of their runs.

Only `scripts/evaluate.py --record=results` writes a record.
"""

import json
import math
import pathlib
import re
import statistics

from tfgen import presets, storage
from tfgen.evaluation.published import PUBLISHED

# If a record has many figures, these are shown.
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
# The figures that longer tables show as well.
_MORE = ('precision', 'recall', 'density', 'reverse_kl', 'distinct_lines')
_COUNTS = ('modes', 'active_units', 'distinct_lines')
# One of these stands for a whole record.
_MAIN = (
    'accuracy',
    'frechet_distance',
    'modes',
    'given_3',
    'well_formed',
    'midpoint_error',
)
# Names of figures in few letters.
_SHORT = {
    'negative_log_likelihood': 'NLL',
    'importance_bound': 'bound',
    'squared_error': 'error',
    'label_agreement': 'agreement',
    'midpoint_error': 'midpoint',
    'end_error': 'end',
}
_WORDS = {
    'negative_log_likelihood': 'exact -log p(x)',
    'frechet_distance': 'Frechet',
    'kernel_distance': 'kernel',
    'reverse_kl': 'reverse KL',
    'sampling_kl': 'sampling KL',
    'given_1': 'bound, 1 quadrant given',
    'given_2': 'bound, 2 given',
    'given_3': 'bound, 3 given',
}


def folder() -> pathlib.Path:
    """The folder results/ of a clone or of an installed tfgen."""
    return storage.packaged('results')


def read() -> dict[str, dict]:
    """Preset -> its record, for presets that have one."""
    files = {name: folder() / f'{name}.json' for name in presets.PRESETS}
    return {
        name: json.loads(file.read_text())
        for name, file in files.items()
        if file.exists()
    }


def table() -> list[str]:
    """The presets by family, in lines of at most 80 letters."""
    found = read()
    lines = ['  preset                    data            weights  reached']
    lines += ['', 'Generic: the sizes follow from your data']
    for name, generic in presets.GENERIC.items():
        lines.append(f'  {name:26}{generic.preset.model.__name__}')
    for title, names in presets.FAMILIES.items():
        lines += ['', title]
        for name in names:
            preset, record = presets.PRESETS[name], found.get(name)
            data = _cut(preset.dataset.rpartition(':')[2], 16)
            size = _count(record['num_parameters']) if record else ''
            reached = _reached(record) if record else 'not run'
            lines.append(f'  {name:26}{data:16}{size:>7}  {reached}')
    return lines


def _cut(text, length):
    """`text`, shortened to less than `length` letters."""
    return text if len(text) < length else f'{text[: length - 2]}.'


def _count(number):
    """'140', '37.9K', '2.8M'."""
    for unit, size in (('M', 1e6), ('K', 1e3)):
        if number >= size:
            return f'{number / size:.1f}{unit}'
    return str(number)


def markdown(whole: bool = False) -> list[str]:
    """The lines of a Markdown table of all presets, for the README.

    Args:
      whole: adds the binarization, the time and the day of each run, and more
        of its figures, for docs/presets.md.
    """
    found = read()
    heads = ['preset', 'model', 'data', 'parameters', 'steps x batch']
    heads += ['time', 'day'] if whole else []
    lines = _head(*heads, 'reached')
    for name, preset in presets.PRESETS.items():
        record = found.get(name)
        steps, batch_size = _length(preset, record)
        data = preset.dataset
        data += ', given label' if preset.conditional else ''
        cells = [
            f'`{name}`',
            preset.model.__name__,
            data,
            f'{record["num_parameters"]:,}' if record else '',
            f'{steps:,} x {batch_size}{_origin(record)}',
        ]
        if whole:
            how = getattr(preset, 'binarization', 'none')
            how = record['binarization'] if record else how
            cells[2] += f', {how}' if how in ('static', 'dynamic') else ''
            cells += _when(record)
        cells.append('; '.join(figures(record, whole)) if record else 'not run')
        lines.append(_row(*cells))
    return lines


def beside_published() -> list[str]:
    """The lines of a Markdown table: published figures beside the records."""
    found = read()
    lines = _head('preset', 'data', 'figure', 'reached', 'published')
    for name, others in PUBLISHED.items():
        for figure in dict.fromkeys(o.figure for o in others):
            record = found[name]
            binary = record['binarization']
            data = _data_of(record)
            data += f', {binary}' if binary in ('static', 'dynamic') else ''
            value = record['figures'][figure]
            theirs = [o.words() for o in others if o.figure == figure]
            cells = _word(figure), _number(value) + _details(figure, value)
            lines.append(_row(f'`{name}`', data, *cells, '; '.join(theirs)))
    return lines


def compared(values: dict) -> list[str]:
    """A Markdown table for scripts/experiments/compare.py.

    Args:
      values: row -> data set -> figure -> its values, one per seed; None for a
        run that was not finite. Rows differ in one setting.

    Returns:
      Lines. Several seeds are shown by mean and deviation (n - 1) over them.
    """
    sets = next(iter(values.values()))
    heads = [
        f'{name}: {_word(figure)}' if not number else _word(figure)
        for name, cell in sets.items()
        for number, figure in enumerate(cell)
    ]
    lines = _head('row', *heads)
    for row, cells in values.items():
        shown = [
            _over_seeds(figure, found)
            for cell in cells.values()
            for figure, found in cell.items()
        ]
        lines.append(_row(row, *shown))
    return lines


def figures(record: dict, whole: bool = False) -> list[str]:
    """The figures of a record in words; if it has many, the main ones."""
    found = record['figures']
    wanted = (*_HEADLINES, *_MORE) if whole else _HEADLINES
    names = [name for name in wanted if name in found]
    if len(found) < 4 or not any(name in _HEADLINES for name in names):
        names = list(found)
    return [
        f'{name.replace("_", " ")} {_number(found[name])}'
        f'{_details(name, found[name]) if whole else ""}'
        for name in names
    ]


def _head(*cells):
    """The two first lines of a Markdown table."""
    return [_row(*cells), f'|{"---|" * len(cells)}']


def _row(*cells):
    """A line of a Markdown table."""
    return f'| {" | ".join(cells)} |'


def _word(figure):
    """The name of a figure in a table."""
    return _WORDS.get(figure, figure.replace('_', ' '))


def _reached(record):
    """The main figure of a record, in few letters."""
    found = record['figures']
    name = next((n for n in _MAIN if n in found), [*found][-1])
    word = _SHORT.get(name, _word(name))
    return f'{word} {_number(record["figures"][name])}'


def _length(preset, record):
    """Steps and batch size of the recorded run, or else of the preset.

    The preset may have changed since the run.
    """
    if not record:
        return preset.steps, preset.batch_size
    return record['training']['steps'], record['training']['batch_size']


def _when(record):
    """How long the training took, and the day on which it was measured."""
    if not record:
        return '', ''
    seconds = record['training']['seconds']
    if seconds < 100:
        return f'{seconds} s', record['date']
    return f'{seconds / 60:.0f} min', record['date']


def _data_of(record):
    """The data set of a record; a path is cut to its folder's name."""
    return re.sub(':.*/', ':', record['dataset'])


def _origin(record):
    """' from PRESET' if the run started from another run's weights, else ''."""
    command = record['training']['command'] if record else ''
    found = re.search(r'--init_from=runs/(\w+)', command)
    return f' from {found[1]}' if found else ''


def _number(figure):
    """Mean, error and unit of a figure, to two digits of the error."""
    mean, error = figure['mean'], figure['standard_error']
    unit = f' {figure["unit"]}' if figure.get('unit') else ''
    # If all draws are equal, the error consists of rounding only.
    if not error or error < 1e-9 * abs(mean):
        return f'{mean:.4g}{unit}'
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f'{mean:,.{digits}f} +- {error:,.{digits}f}{unit}'


def _details(name, figure):
    """The details of a figure in words: rates, totals, draws, errors."""
    said = ''
    for detail, words in (
        ('bits_per_dim', '{:.3f} bits/dim'),
        ('bits_per_sample', '{:.2f} bits/sample'),
        ('of', 'of {:,}'),
        ('num_samples', 'S = {:,}'),
        ('errors', '{:,} errors'),
    ):
        # Only counts need their total, 'of'.
        if detail in figure and (detail != 'of' or name in _COUNTS):
            said += f', {words.format(figure[detail])}'
    return said


def _over_seeds(figure, values):
    """Mean and deviation (n - 1) over seeds; None counts as not finite."""
    known = [v for v in values if v is not None]
    lost = len(values) - len(known)
    text = _spread(figure, known) if known else ''
    return f'{text} ({lost} not finite)'.strip() if lost else text


def _spread(figure, values):
    """Mean and deviation of finite values, in the digits of `figure`."""
    share = figure == 'quality'
    values = [100 * v if share else v for v in values]
    mean, unit = statistics.fmean(values), ' %' if share else ''
    if len(values) == 1:
        whole = mean == round(mean)
        place = 0 if whole else math.floor(math.log10(abs(mean)))
        digits = 0 if whole else min(3, 2 - place)
        return f'{mean:,.{max(0, digits)}f}{unit}'
    deviation = statistics.stdev(values)
    if figure.endswith('_kl'):
        return f'{mean:.2f} +- {deviation:.2f}'
    if not deviation:
        return f'{mean:,.4g}{unit}'
    place = math.floor(math.log10(deviation))
    digits = 0 if place >= 1 else min(2, max(1, -place))
    return f'{mean:,.{digits}f} +- {deviation:,.{digits}f}{unit}'
