"""Executes the notebooks of docs/notebooks/ and writes them with their outputs.

    python scripts/experiments/notebooks.py            all
    python scripts/experiments/notebooks.py 3_pixel_by_pixel

The source of a notebook is the .py file beside it, in jupytext's percent form.
"""

import os
import pathlib
import sys

import jupytext
import nbclient
import nbformat

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'notebooks'
_SECONDS = 1800  # of a cell


def read(source: pathlib.Path) -> nbformat.NotebookNode:
    """The notebook of a source file, without outputs."""
    notebook = jupytext.read(source)
    notebook.metadata.clear()
    notebook.metadata['kernelspec'] = {
        'display_name': 'Python 3',
        'language': 'python',
        'name': 'python3',
    }
    for number, cell in enumerate(notebook.cells):
        cell['id'] = f'cell-{number}'  # equal sources give equal files
        cell.metadata.clear()
    return notebook


def execute(source: pathlib.Path, folder: pathlib.Path):
    """Executes a source file in `folder`; returns the notebook."""
    notebook = read(source)
    nbclient.NotebookClient(
        notebook,
        timeout=_SECONDS,
        resources={'metadata': {'path': str(folder)}},
    ).execute()
    return notebook


def main(names) -> None:
    for source in sorted(FOLDER.glob('*.py')):
        if names and source.stem not in names:
            continue
        print(source.stem, flush=True)
        notebook = execute(source, FOLDER)
        for cell in notebook.cells:
            cell.metadata.clear()
            if cell.cell_type == 'code':
                cell.outputs = [o for o in cell.outputs if not _is_noise(o)]
        file = source.with_suffix('.ipynb')
        file.write_text(nbformat.writes(notebook) + '\n')


def _is_noise(output):
    """Whether an output is TensorFlow's remarks about the machine."""
    return output.output_type == 'stream' and output.name == 'stderr'


if __name__ == '__main__':
    # The lines of the progress are those of a file, not of a terminal.
    os.environ.setdefault('PYTHONUNBUFFERED', '1')
    main(sys.argv[1:])
