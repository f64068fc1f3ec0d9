"""A user's mistake gives one line and exit status 2, and loses nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import processes
import pytest
import tiny
from PIL import Image
from wrong_cases import CASES

from tfgen.export import saved_model
from tfgen.training import workdir
from tfgen.training.run import train

WITHOUT_DATA = ('benchmark', 'load_export', 'game', 'serve', 'two_lines')


def _png(file, size):
    Image.fromarray(np.zeros(size, np.uint8)).save(file)


@pytest.fixture(scope='module')
def places(tmp_path_factory, data_dir):
    """Returns the folders that the cases need: name -> path."""
    root = tmp_path_factory.mktemp('places')
    names = 'empty flat corrupt sizes one damaged untrained broken compared'
    names += ' binary odd half colour palette pattern'
    paths = {name: root / name for name in names.split()}
    for path in paths.values():
        path.mkdir()
    made = 'new run file reshaped moved unknown newer'
    paths |= {name: root / name for name in made.split()}
    config, images = tiny.load('cvae', data_dir)
    model = train(config, images, paths['run'])
    for i in range(12):
        _png(paths['flat'] / f'{i}.png', [8, 8])
        _png(paths['corrupt'] / f'{i}.png', [8, 8])
        _png(paths['sizes'] / f'{i}.png', [8, 8 + i])
    _png(paths['one'] / 'a.png', [8, 8])
    (paths['corrupt'] / '1.png').write_bytes(b'not a picture')
    (paths['damaged'] / 'config.json').write_text('{"preset": ')
    (paths['binary'] / 'config.json').write_bytes(b'\xff\xfe\x00')
    (paths['odd'] / 'config.json').write_text(
        '{"preset": "cvae_digits", "fields": [1]}'
    )
    for place in ('train/a', 'train/b', 'test'):
        (paths['half'] / place).mkdir(parents=True)
        _png(paths['half'] / place / '0.png', [8, 8])
    paths['file'].write_text('')
    paths['loop'] = root / 'loop'
    paths['loop'].symlink_to(paths['loop'])
    workdir.write_config(paths['untrained'], config)
    compared = paths['compared'] / 'R1' / 'ring' / '0'
    compared.parent.mkdir(parents=True)
    workdir.write_config(compared, config)
    (compared / 'compared.json').write_text('{}')
    shutil.copytree(paths['run'], paths['reshaped'])
    shutil.copytree(paths['run'], paths['moved'])
    file = paths['moved'] / 'config.json'
    stored = json.loads(file.read_text())
    stored['spec']['split_sizes']['train'] += 1
    file.write_text(json.dumps(stored))
    for name, change in (
        ('unknown', {'model': 'OldVAE'}),
        ('newer', {'fields': {'flow_layers': 3}}),
    ):
        shutil.copytree(paths['run'], paths[name])
        file = paths[name] / 'config.json'
        stored = json.loads(file.read_text())
        file.write_text(json.dumps(stored | change))
    for i in range(4):
        _png(paths['colour'] / f'{i}.png', [8, 8, 3])
    (paths['palette'] / 'pixel_color.txt').write_text('0 1 2 0\n' * 4)
    (paths['palette'] / 'colormap.txt').write_text('1 2 3\n' * 3)
    file = paths['reshaped'] / 'config.json'
    stored = json.loads(file.read_text())
    stored['fields']['latent_size'] = 4
    file.write_text(json.dumps(stored))
    saved_model.export(model, config, 30, images, paths['broken'])
    (paths['broken'] / '1' / 'saved_model.pb').write_bytes(b'damaged')
    paths['pattern'] = paths['pattern'] / '[1]'
    (paths['pattern'] / '1').mkdir(parents=True)
    return paths


@pytest.fixture(scope='module')
def outcomes(places, data_dir):
    """Runs all cases: name -> (exit status, stderr); checks the folders."""
    cases = []
    for script, arguments, _ in CASES.values():
        arguments = [a.format(**places) for a in arguments]
        known = any(a.startswith('--data_dir') for a in arguments)
        if not known and script not in WITHOUT_DATA:
            arguments.append(f'--data_dir={data_dir}')
        cases.append([sys.executable, tiny.script(script), *arguments])
    before = _snapshot(places)
    # Blocks the network on every machine.
    env = os.environ | dict.fromkeys(
        ['http_proxy', 'https_proxy'], 'http://127.0.0.1:9'
    )
    found = [processes.outcome(case, env=env) for case in cases]
    results = {
        name: (done.returncode, done.stderr)
        for name, done in zip(CASES, found, strict=True)
    }
    results['unchanged'] = before == _snapshot(places)
    return results


def _snapshot(places):
    return {
        str(f): f.read_bytes() if f.is_file() else None
        for path in places.values()
        for f in [path, *sorted(path.rglob('*'))]
        if f.exists()
    }


def test_there_are_at_least_forty_wrong_uses():
    assert len(CASES) >= 40


@pytest.mark.parametrize('name', CASES)
def test_a_wrong_use_is_one_clear_line_and_status_2(name, outcomes):
    status, stderr = outcomes[name]
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith('error: ')
    assert CASES[name][2] in lines[0]
    assert status == 2


def test_wrong_uses_leave_every_folder_as_it_was(outcomes):
    assert outcomes['unchanged']


def test_the_same_from_a_fresh_process(tmp_path):
    script = str(tiny.script('train'))
    done = subprocess.run(
        [sys.executable, script, '--preset=vea', f'--workdir={tmp_path}/x'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown preset 'vea'")
    assert done.stderr.count('\n') == 1
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize(
    'encoding',
    [
        'ascii',
        pytest.param('latin-1', marks=pytest.mark.wide),
        pytest.param('utf-8:strict', marks=pytest.mark.wide),
    ],
)
def test_names_that_a_terminal_cannot_show_are_escaped(encoding):
    encoding, _, errors = encoding.partition(':')
    options = {'encoding': encoding, 'errors': errors or 'strict'}
    code = (
        'from tfgen.commands import cli\n'
        "cli.run(lambda: print('caf\\udce9 \u732b'))"
    )
    done = processes.run(
        [sys.executable, '-c', code],
        setup=f'import sys; sys.stdout.reconfigure(**{options!r})',
    )
    assert done.stdout.startswith('caf\\udce9')


def test_what_does_not_fit_into_memory_is_one_line():
    code = (
        'from tfgen.commands import cli\n'
        'def main(): raise MemoryError\n'
        'cli.run(main)'
    )
    done = processes.outcome([sys.executable, '-c', code])
    assert done.returncode == 2
    assert done.stderr.startswith('error: out of memory')
    assert done.stderr.count('\n') == 1


@pytest.mark.parametrize('script', ['train', 'evaluate', 'sample', 'export'])
def test_help_shows_the_flags_that_must_be_given(script):
    done = processes.outcome([sys.executable, tiny.script(script), '--help'])
    assert '--workdir:' in done.stdout and '--data_dir:' in done.stdout


def test_a_reader_of_the_output_may_go():
    command = [sys.executable, tiny.script('train'), '--list_presets']
    reading, writing = os.pipe()
    os.close(reading)
    process = processes.start(command, stdout=writing, stderr=processes.PIPE)
    os.close(writing)
    assert process.communicate()[1] == ''
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize(
    ('cluster', 'said'),
    [
        ('{}', 'another worker has ended (Gone)'),
        ('', 'the storage does not answer (Gone)'),
    ],
)
def test_what_a_lost_worker_leaves_is_one_line(cluster, said):
    code = (
        'from tfgen.commands import cli\n'
        'import tensorflow as tf\n'
        'def main(): raise tf.errors.UnavailableError(None, None, "Gone")\n'
        'cli.run(main)'
    )
    env = os.environ | {'TF_CONFIG': cluster}
    done = processes.outcome([sys.executable, '-c', code], env=env)
    assert done.returncode == 2
    (line,) = [x for x in done.stderr.splitlines() if x.startswith('error')]
    assert said in line
