"""The documents agree with the code."""

import pathlib
import re
import sys
import types

import pytest
import tiny

from tfgen.evaluation import records

DOCS = sorted((tiny.ROOT / 'docs').glob('*.md')) + [tiny.ROOT / 'README.md']


def _blocks(name, language='python'):
    text = (tiny.ROOT / name).read_text()
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def test_the_worked_example_is_the_code_that_is_tested():
    named = [b for b in _blocks('docs/design.md') if b.startswith('# t')]
    assert len(named) == 5
    for block in named:
        title, code = block.split('\n', 1)
        assert code.strip() in (tiny.ROOT / title[2:]).read_text()


@pytest.mark.parametrize(
    ('error', 'words'),
    [(None, '0.9933'), (0, '0.9933'), (8e-17, '0.9933'), (0.0123, None)],
)
def test_a_figure_has_two_digits_of_its_error(error, words):
    figures = {'accuracy': {'mean': 0.993266, 'standard_error': error}}
    record = {'figures': figures, 'preset': 'classifier_digits'}
    (found,) = records.figures(record)
    assert found.endswith(words or '0.993 +- 0.012')


@pytest.mark.parametrize('document', DOCS, ids=lambda d: d.name)
def test_links_lead_to_files(document):
    for link in re.findall(r'\]\(([^)#\s]+)\)', document.read_text()):
        if '://' not in link:
            assert (document.parent / link).exists(), link


def test_the_tests_that_the_lecture_names_are_there():
    text = (tiny.ROOT / 'docs' / 'lecture.md').read_text()
    tests = ''.join(
        f.read_text() for f in pathlib.Path(__file__).parent.glob('test_*.py')
    )
    for name in set(re.findall(r'`(test_\w+)', text)):
        assert f'def {name}(' in tests, name


@pytest.mark.parametrize('name', ['README.md', 'docs/data.md'])
def test_the_python_of_a_document_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in _blocks(name):
        exec(block, {})


def test_the_page_about_python_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType('page')  # functions are found in modules
    monkeypatch.setitem(sys.modules, 'page', page)
    for block in _blocks('docs/python.md'):
        exec(block, vars(page))
    assert (tmp_path / 'interpolation.png').exists()
    assert (tmp_path / 'exports' / 'mine' / '1').is_dir()
    assert not (tmp_path / 'runs' / 'wrong').exists()


def test_the_readme_fits_a_newcomer():
    assert len((tiny.ROOT / 'README.md').read_text().splitlines()) <= 160
