"""Rewrites the tables of the documents from the records in results/.

    python scripts/experiments/tables.py

A table is found in its document by its heading row. tests/test_figures.py
compares the numbers in prose with the records.
"""

import json
import pathlib
import re

from tfgen.evaluation import records

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> None:
    for name in DOCUMENTS:
        file = ROOT / name
        file.write_text(renewed(name))
        print(file)


def renewed(name: str) -> str:
    """Returns the text of a document with its tables renewed."""
    text = (ROOT / name).read_text()
    for make in DOCUMENTS[name]:
        lines = make(text)
        # Fails unless exactly one table has this heading.
        (old,) = re.findall(rf'^{re.escape(lines[0])}\n(?:\|.*\n)+', text, re.M)
        text = text.replace(old, '\n'.join([*lines, '']))
    return text


def _of_presets(text):
    """Returns the table of the presets that the text already lists."""
    shown = set(re.findall(r'^\| (`\w+`) \|', text, re.M))
    head, line, *rows = records.markdown()
    return [head, line, *(r for r in rows if r.split(' | ')[0][2:] in shown)]


def _compared(name):
    """Returns the function that makes the table of a comparison."""
    return lambda _: records.compared(
        {row: c['values'] for row, c in _result(name)['rows'].items()}
    )


def _families(data):
    """Returns the function that makes the table of families on a data set."""
    return lambda _: records.compared(
        {
            row: {data: found['values'][data]}
            for row, found in _result('families')['rows'].items()
            if data in found['values']
        }
    )


def _serving(_):
    """Returns the table of requests of one row per second.

    Signatures that return files are left out.
    """
    return [
        '| model | signature | 1 client | 16 clients |',
        '|---|---|---|---|',
        *(
            f'| `{model}` | `{signature}` | {one:,.0f} | {many:,.0f} |'
            for model, found in _result('benchmark')['serving'].items()
            if isinstance(found, dict)
            for signature, measured in found.items()
            if not signature.endswith(('_png', '_wav', '_txt'))
            for one, many in [measured['requests_per_second'].values()]
        ),
    ]


def _result(name):
    return json.loads((records.folder() / f'{name}.json').read_text())


DOCUMENTS = {
    'README.md': (_of_presets,),
    'docs/presets.md': (lambda _: records.markdown(whole=True),),
    'docs/results.md': (lambda _: records.beside_published(),),
    'docs/gan.md': tuple(map(_compared, ('modes', 'stacked', 'images'))),
    'docs/serve.md': (_serving,),
    'docs/families.md': (_families('digits'), _families('mnist')),
    'docs/lecture.md': (_compared('cells'),),
}


if __name__ == '__main__':
    main()
