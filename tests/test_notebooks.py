"""The notebooks of docs/notebooks/ run, and are those of their sources."""

import importlib.util
import pathlib
import sys

import processes
import pytest
import tiny

nbformat = pytest.importorskip('nbformat', reason="pip install '.[notebooks]'")
pytest.importorskip('jupytext', reason="pip install '.[notebooks]'")
pytest.importorskip('nbclient', reason="pip install '.[notebooks]'")

SOURCES = sorted((tiny.ROOT / 'docs' / 'notebooks').glob('*.py'))
# One in a kernel of its own; the others as scripts, which is faster.
IN_A_KERNEL = ('1_first_steps',)


@pytest.fixture(scope='module')
def notebooks():
    """Returns scripts/experiments/notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location(
        'notebooks', tiny.script('notebooks')
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('source', SOURCES, ids=lambda s: s.stem)
def test_a_notebook_is_that_of_its_source_and_has_pictures(source, notebooks):
    made = nbformat.reads(
        source.with_suffix('.ipynb').read_text(), as_version=4
    )
    wanted = notebooks.read(source)
    assert [(c.cell_type, c.source) for c in made.cells] == [
        (c.cell_type, c.source) for c in wanted.cells
    ]
    outputs = [
        o for c in made.cells if c.cell_type == 'code' for o in c.outputs
    ]
    assert outputs and not any(o.output_type == 'error' for o in outputs)
    assert '/root' not in str(made) and '/work' not in str(made)


@pytest.mark.parametrize(
    'source',
    [
        pytest.param(s, marks=() if s.stem in IN_A_KERNEL else pytest.mark.wide)
        for s in SOURCES
    ],
    ids=lambda s: s.stem,
)
def test_a_notebook_runs(source, notebooks, tmp_path, monkeypatch):
    monkeypatch.setenv('TFGEN_QUICK', '1')
    monkeypatch.setenv('PYTHONPATH', str(tiny.ROOT))
    made = notebooks.execute(source, tmp_path)
    kinds = {
        kind
        for cell in made.cells
        if cell.cell_type == 'code'
        for output in cell.outputs
        for kind in output.get('data', {})
    }
    assert 'text/plain' in kinds


@pytest.mark.parametrize(
    'source',
    [s for s in SOURCES if s.stem not in IN_A_KERNEL],
    ids=lambda s: s.stem,
)
def test_its_cells_run_from_top_to_bottom(source, tmp_path, monkeypatch):
    monkeypatch.setenv('TFGEN_QUICK', '1')
    monkeypatch.setenv('PYTHONPATH', str(tiny.ROOT))
    processes.run([sys.executable, pathlib.Path(source)], cwd=tmp_path)
