"""Shared fixtures, and the check that tests raise every user message."""

import ast
import ctypes
import gc
import os
import pathlib
import shutil
import signal
import tempfile
from unittest import mock

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# This process and the scripts that it starts use equally many threads, because
# TensorFlow splits sums by their number, which changes the last bit.
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '2')
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
# The folder where each process of a test run notes the messages it has raised.
os.environ.setdefault('TFGEN_TEST_RAISED', tempfile.mkdtemp(prefix='raised-'))

import pytest
import raised

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Prepared TFDS sets beside the checkout, on machines that have them.
PREPARED = ROOT.parent / 'shared' / 'tfds'

# TensorFlow is imported by the test files alone, because the process that deals
# them to the workers does not need it.
raised.watch()


def pytest_addoption(parser):
    parser.addoption(
        '--part',
        default='1/1',
        metavar='K/N',
        help='Of all files, every N-th from the K-th on.',
    )

    parser.addoption(
        '--all',
        action='store_true',
        help='Also the tests marked as wide: claims over all models.',
    )


def pytest_collection_modifyitems(config, items):
    """Deselects the wide tests unless --all is given."""
    if config.option.all:
        return
    wide = [item for item in items if item.get_closest_marker('wide')]
    config.hook.pytest_deselected(items=wide)
    items[:] = [item for item in items if not item.get_closest_marker('wide')]


def pytest_collection_finish():
    """Takes the objects of the imported libraries out of garbage collection.

    They stay; looking for garbage among them takes a tenth of the time.
    """
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path, config):
    """Ignores the files of other parts of the suite."""
    files = sorted(collection_path.parent.glob('test_*.py'))
    if collection_path not in files:
        return None
    part, parts = _part(config)
    return files.index(collection_path) % parts != part - 1 or None


def _part(config):
    return map(int, config.option.part.split('/'))


@pytest.fixture(scope='module', autouse=True)
def _free_memory():
    """Frees memory after each file, or a worker would keep twice its need."""
    yield
    gc.collect()  # Python's own collections become rare
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # GNU's
    if trim:
        trim(0)


@pytest.fixture
def heard():
    """Restores the usual effect of signals, here and in child processes.

    Under nohup, or in the background of a shell, some signals are ignored, and
    child processes inherit that.
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
    """Returns the folder where the embedded data sets are prepared."""
    return str(tmp_path_factory.mktemp('tfds'))


@pytest.fixture(scope='session')
def prepared():
    """Returns a folder with mnist, fashion_mnist and binarized_mnist."""
    if not PREPARED.is_dir():
        pytest.skip(f'no prepared data sets in {PREPARED}')
    return str(PREPARED)


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory, data_dir):
    """(model, jit) -> folder of an uninterrupted run, trained on demand."""
    import tiny

    from tfgen.training import run

    made = {}

    def directory(model, jit):
        if (model, jit) not in made:
            path = tmp_path_factory.mktemp(f'{model}_{jit}') / 'run'
            config, examples = tiny.load(model, data_dir)
            run.train(config, examples, path, jit=jit)
            made[model, jit] = path
        return made[model, jit]

    return directory


@pytest.fixture(scope='session')
def exported(tmp_path_factory, data_dir):
    """name -> folder of an untrained small model, exported on demand."""
    import tiny

    from tfgen.export import saved_model

    made = {}

    def directory(name):
        if name not in made:
            folder = tmp_path_factory.mktemp('exported') / name
            config, examples = tiny.load(name, data_dir)
            # test_exported.py compares exports with their models; that takes
            # half of the time.
            with mock.patch.object(saved_model, '_verify'):
                saved_model.export(config.build(), config, 0, examples, folder)
            made[name] = folder
        return made[name]

    return directory


@pytest.fixture(scope='module')
def models(request, exported, tmp_path_factory):
    """Returns a folder with the small models that a test file lists."""
    folder = tmp_path_factory.mktemp('models')
    for name in request.module.MODELS:
        shutil.copytree(exported(name), folder / name)
    return folder


@pytest.fixture(scope='module')
def port(models, tmp_path_factory):
    """Returns the port of a server of these models, where others may learn."""
    import processes

    runs = tmp_path_factory.mktemp('runs')
    server, number, _ = processes.start_server(models, f'--runs_dir={runs}')
    yield number
    server.kill()
    server.wait()


@pytest.fixture(scope='module')
def browser():
    import pages

    with pages.chromium() as found:
        yield found


@pytest.fixture
def visit(browser, port):
    """Opens pages of the server; none of them may complain."""
    import pages

    with pages.visits(browser, port) as page:
        yield page


def pytest_sessionfinish(session, exitstatus):
    """Fails a whole run if no test raised some message to users.

    Code that never ran may crash, or its message may be wrong.
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
    if number < parts:  # only the last part sees the notes of all
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
    """Returns the line numbers of the `UserError(...)` calls in a file."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'UserError'
    ]


@pytest.fixture(scope='module')
def bucket_server():
    """A bucket for the tests of a file."""
    if shutil.which('openssl') is None:
        pytest.skip('the bucket needs openssl')
    import buckets

    bucket = buckets.Bucket()
    yield bucket
    bucket.close()


@pytest.fixture
def bucket(bucket_server):
    """The bucket gs://test, without faults at first."""
    bucket_server.faults()
    yield bucket_server
    bucket_server.faults()
