"""Machines without a home, a place for temporary files, or UTF-8."""

import contextlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import processes
import pytest
import tiny

import tfgen
from tfgen import data, storage
from tfgen.data.readers import prepared
from tfgen.errors import UserError
from tfgen.evaluation import classifiers, features
from tfgen.export import saved_model
from tfgen.training import run, warm_start, workdir

TRAIN = ['--preset=cvae_digits', '--set=steps=2', '--set=filters=2']
# Simulates a user without an entry in the list of users.
NOBODY = """
import pwd
def unknown(number): raise KeyError(number)
pwd.getpwuid = unknown
"""
NOWHERE = '/dev/null/nowhere'


@pytest.fixture(scope='module')
def ascii_alone():
    """Returns processes whose locale has no letters beyond ASCII."""
    env = os.environ | {'LC_ALL': 'C', 'PYTHONUTF8': '0'}
    with contextlib.closing(processes.Forks(env=env)) as forks:
        yield forks


def _command(name, *arguments):
    return [sys.executable, tiny.script(name), *arguments]


def _assert_one_line(done, *words):
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith('error: ')
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    'setup,changes',
    [
        (NOBODY, {}),
        pytest.param(
            '',
            {'HOME': NOWHERE, 'TMPDIR': NOWHERE},
            marks=pytest.mark.wide,
        ),
    ],
    ids=['no home', 'no home and no TMPDIR that can be written'],
)
def test_an_embedded_set_needs_no_home(setup, changes, tmp_path):
    env = {k: v for k, v in os.environ.items() if k != 'HOME'} | changes
    forks = processes.Forks(setup, env)

    def script(name, *arguments):
        return forks.outcome(_command(name, *arguments), cwd=tmp_path)

    for name, *arguments in (
        ['train', *TRAIN, '--workdir=run'],
        ['evaluate', '--workdir=run', '--limit=4', '--metrics=bounds'],
        ['sample', '--workdir=run', '--kind=reconstruction'],
        ['export', '--workdir=run', '--model_dir=model'],
    ):
        done = script(name, *arguments)
        assert done.returncode == 0, done.stderr
    # No files that belong into a home were created here.
    assert {f.name for f in tmp_path.iterdir()} == {'run', 'model'}
    done = script('train', *TRAIN, '--dataset=mnist', '--workdir=other')
    _assert_one_line(done, '--data_dir')
    arguments = ['--workdir=run', '--limit=20', '--metrics=fidelity']
    _assert_one_line(script('evaluate', *arguments), '--cache_dir')
    arguments = ['--workdir=other', '--metrics=fidelity']
    _assert_one_line(script('train', *TRAIN, *arguments), '--cache_dir')
    done = script('train', *TRAIN, '--workdir=~/run')
    _assert_one_line(done, '~/run' if setup else NOWHERE)
    forks.close()
    assert {f.name for f in tmp_path.iterdir()} == {'run', 'model'}


@pytest.mark.parametrize('name', ['digits', 'moon_phases', 'tones'])
def test_an_embedded_set_is_the_same_without_a_folder(name, data_dir, tmp_path):
    (tmp_path / 'file').write_text('')
    load = data.load_audio if name == 'tones' else data.load
    here, there = load(name, data_dir), load(name, str(tmp_path / 'file' / 'x'))
    assert here.spec == there.spec
    first, second = (
        next(iter(d.train(0, 8)))[d.spec.key].numpy() for d in (here, there)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    'name,arguments',
    [
        ('train', [*TRAIN, '--workdir=caf\u00e9']),
        ('serve', ['--model_dir=caf\u00e9']),
        *(
            pytest.param(*case, marks=pytest.mark.wide)
            for case in (
                ('evaluate', ['--workdir=caf\u00e9']),
                ('sample', ['--model_dir=caf\u00e9']),
                ('export', ['--workdir=x', '--model_dir=caf\u00e9']),
            )
        ),
    ],
)
def test_a_path_that_a_locale_cannot_write_is_one_line(
    name, arguments, ascii_alone, tmp_path
):
    command = _command(name, *arguments)
    done = ascii_alone.outcome(command, cwd=tmp_path)
    _assert_one_line(done, 'encoding of this locale', 'PYTHONUTF8=1')
    assert not list(tmp_path.iterdir())


def test_names_of_classes_need_no_locale(ascii_alone, tmp_path):
    for name in ('\u732b', '\u72ac'):
        for i in range(6):
            tiny.save_picture(tmp_path / 'set' / name / f'{i}.png')
    for command in (
        _command('train', *TRAIN, '--dataset=folder:set', '--workdir=run'),
        _command('sample', '--workdir=run'),
    ):
        done = ascii_alone.outcome(
            command,
            cwd=tmp_path,
            setup='import sys; sys.stdout.reconfigure(encoding="ascii")',
        )
        assert done.returncode == 0, done.stderr


def test_streams_that_are_closed_or_full_lose_nothing(tmp_path):
    def train(name):
        return _command('train', *TRAIN, f'--workdir={tmp_path / name}')

    def close():
        for number in range(3):
            os.close(number)

    # A real process, because Python looks at its streams when it starts.
    assert not subprocess.run(train('closed'), preexec_fn=close).returncode
    made = {f.name for f in (tmp_path / 'closed' / 'checkpoints').iterdir()}
    assert 'checkpoint-2.index' in made
    with open('/dev/full', 'w') as full:
        process = processes.start(
            train('full'), stdout=full, stderr=processes.PIPE
        )
        _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith('error: ') and 'No space left' in errors
    assert errors.count('\n') == 1


ADDRESS = 's3://bucket/run'  # TensorFlow does not read S3


@pytest.mark.parametrize('address', [ADDRESS, pathlib.Path(ADDRESS)])
def test_python_takes_no_address_for_a_path(address, data_dir, monkeypatch):
    config, examples = tiny.load('cvae', data_dir)
    model, text = config.build(), str(address)
    monkeypatch.chdir('/dev')  # where no file may be created
    for use in (
        lambda: tfgen.load(address),
        lambda: run.train(config, examples, address),
        lambda: workdir.read_config(address),
        lambda: workdir.Config.of('cvae_digits', config.preset, data_dir=text),
        lambda: workdir.Config.of(
            'cvae_digits', config.preset, data_dir=data_dir, init_from=text
        ),
        lambda: warm_start.begin_from(model, text),
        lambda: saved_model.export(model, config, 1, examples, address),
        lambda: saved_model.load(address),
        lambda: data.load('digits', text),
        lambda: data.load(f'folder:{text}'),
        lambda: data.load_audio('tones', text),
        lambda: data.load_text(f'lines:{text}'),
        lambda: data.absolute(f'text:{text}'),
        lambda: features.of_saved_model(address),
        lambda: classifiers.features(config, address, data_dir),
    ):
        with pytest.raises(UserError, match='is an address'):
            use()
    with pytest.raises(UserError, match='is an address'):
        data.load(ADDRESS)
    monkeypatch.setenv('XDG_CACHE_HOME', text)
    with pytest.raises(UserError, match='is an address'):
        storage.default_cache()
    monkeypatch.setattr(prepared.constants, 'DATA_DIR', text)
    with pytest.raises(UserError, match='is an address'):
        data.load('mnist')


def test_a_path_is_what_its_user_wrote(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert storage.place('~/a b\nc') == tmp_path / 'a b\nc'
    assert storage.place('~nobody-of-this-name/x').name == 'x'
    assert storage.place('C:/x') == pathlib.Path('C:/x')
    assert storage.place('./gs:/x') == pathlib.Path('gs:/x')
    assert storage.place('caf\udce9', tensorflow=False).name == 'caf\udce9'
    for text in ('a\0b', '\udce9', 'file:///x'):
        with pytest.raises(UserError):
            storage.place(text)
