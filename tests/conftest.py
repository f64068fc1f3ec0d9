"""Fixtures that several test files share, and the watch over messages."""

import ast
import ctypes
import gc
import os
import pathlib
import signal
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# As many threads in this process as in the scripts that it starts: TensorFlow
# cuts its sums by their number, which shows in the last bit.
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '2')
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
# Where every process of a test run notes which messages it has raised.
os.environ.setdefault('TFGEN_TEST_RAISED', tempfile.mkdtemp(prefix='raised-'))

import pytest
import raised
import tiny

from tfgen.training import run

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Prepared TFDS sets beside the checkout, on machines that have them.
PREPARED = ROOT.parent / 'shared' / 'tfds'

raised.watch()


def pytest_addoption(parser):
    parser.addoption(
        '--part',
        default='1/1',
        metavar='K/N',
        help='Of all files, every N-th from the K-th on.',
    )


def pytest_ignore_collect(collection_path, config):
    """True for a file of another part."""
    files = sorted(collection_path.parent.glob('test_*.py'))
    if collection_path not in files:
        return None
    part, parts = _part(config)
    return files.index(collection_path) % parts != part - 1 or None


def _part(config):
    return map(int, config.option.part.split('/'))


@pytest.fixture(scope='module', autouse=True)
def _free_memory():
    """After each file: else a worker keeps twice of what it needs."""
    yield
    gc.collect()  # which Python does ever less often
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # GNU's
    if trim:
        trim(0)


@pytest.fixture
def heard():
    """Signals have their usual effect, here and in processes begun here.

    Under nohup, or in a shell's background, some are ignored, and the children
    of a process ignore what it ignores.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {s: signal.signal(s, handler) for s, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory):
    """A folder into which the embedded set is prepared."""
    return str(tmp_path_factory.mktemp('tfds'))


@pytest.fixture(scope='session')
def prepared():
    """A folder with mnist, fashion_mnist and binarized_mnist."""
    if not PREPARED.is_dir():
        pytest.skip(f'no prepared data sets in {PREPARED}')
    return str(PREPARED)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory, data_dir):
    """Directory of an undisturbed run by (model, jit), trained on demand."""
    made = {}

    def directory(model, jit):
        if (model, jit) not in made:
            path = tmp_path_factory.mktemp(f'{model}_{jit}') / 'run'
            config, examples = tiny.load(model, data_dir)
            run.train(config, examples, path, jit=jit)
            made[model, jit] = path
        return made[model, jit]

    return directory


def pytest_sessionfinish(session, exitstatus):
    """A whole run fails if a message to users was raised by no test.

    A message that was never raised may crash, or say the wrong thing.
    """
    config = session.config
    part = config.args != [str(ROOT / 'tests')] and config.args != ['tests']
    selected = (
        config.option.keyword
        or config.option.markexpr
        or config.option.collectonly
    )
    number, parts = _part(config)
    if hasattr(config, 'workerinput') or part or selected or exitstatus:
        return
    if number < parts:  # the last one sees what all have noted
        return
    seen = raised.seen()
    silent = [
        f'{file.relative_to(ROOT)}:{line}'
        for file in sorted(ROOT.glob('*/**/*.py'))
        if file.relative_to(ROOT).parts[0] in ('tfgen', 'scripts')
        for line in _raises(file)
        if (str(file), line) not in seen
    ]
    if silent:
        print('\nno test raises these messages:', *silent, sep='\n  ')
        session.exitstatus = 1


def _raises(file):
    """Lines of the `UserError(...)` calls of a file."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'UserError'
    ]
