"""The scripts of the demonstrations on the way to the VAE."""

import json
import sys

import numpy as np
import processes
import pytest
import tiny
from PIL import Image


def _script(name, *flags):
    command = [sys.executable, str(tiny.script(name))]
    return processes.run([*command, *map(str, flags)]).stdout


def test_components_are_chosen_by_what_each_more_is_worth(tmp_path):
    out = _script(
        'components',
        f'--workdir={tmp_path}',
        '--dataset=ring',
        '--most=2',
        '--steps=20',
    )
    rows = [line.split() for line in out.splitlines() if line.startswith('  ')]
    assert [row[0] for row in rows] == ['1', '2']
    assert sum('lowest' in line for line in out.splitlines()) == 1
    free, nats = int(rows[1][1]), float(rows[1][2])
    expected = 2e6 * nats + free * np.log(1e6)
    assert float(rows[1][4]) == pytest.approx(expected, rel=1e-4)


def test_a_demonstration_is_drawn_alone(tmp_path):
    # The earlier results of other demonstrations stay in the file.
    (tmp_path / 'lecture.json').write_text('{"codes": {"date": "then"}}')
    _script(
        'lecture',
        f'--workdir={tmp_path}',
        f'--output={tmp_path}',
        '--only=penalty',
    )
    assert Image.open(tmp_path / 'penalty.png').width > 300
    found = json.loads((tmp_path / 'lecture.json').read_text())
    assert found['codes'] == {'date': 'then'} != found['penalty']
    with pytest.raises(AssertionError, match="unknown demonstration 'x'"):
        _script('lecture', f'--workdir={tmp_path}', '--only=x')


def test_the_space_of_codes_is_drawn_by_the_command(tmp_path, data_dir):
    processes.run(tiny.train_command('autoencoder', tmp_path, data_dir))
    kinds = 'interpolation,traversal,map,projector'
    flags = [f'--workdir={tmp_path}', f'--data_dir={data_dir}']
    out = _script('sample', *flags, f'--kind={kinds}')
    _script('sample', *flags, '--kind=attributes', '--labels=3,5')
    for name in (*kinds.split(',')[:-1], 'attributes'):
        assert Image.open(tmp_path / f'{name}.png').width > 100
    for name in ('interpolation', 'traversal'):
        assert Image.open(tmp_path / f'{name}.gif').n_frames > 10
    assert (tmp_path / 'projector' / 'projector_config.pbtxt').exists()
    assert str(tmp_path / 'projector') in out
