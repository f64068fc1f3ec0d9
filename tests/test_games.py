"""Pictures of GAN training: scripts, history, TensorBoard metrics."""

import importlib.util
import json
import sys

import numpy as np
import processes
import pytest
import tiny
from PIL import Image

from tfgen.commands import cli
from tfgen.errors import UserError
from tfgen.training.history import events

SMALL = ['--set=generator_units=8', '--set=discriminator_units=8']


def _script(name, *flags):
    command = [sys.executable, str(tiny.script(name))]
    return processes.run([*command, *map(str, flags)]).stdout


def test_the_table_of_modes_goes_on_and_keeps_other_rows(tmp_path):
    record = tmp_path / 'modes.json'
    flags = [
        '--seeds=1',
        '--jobs=1',
        '--steps=3',
        f'--workdir={tmp_path / "runs"}',
    ]
    flags += [f'--record={tmp_path}']
    out = _script('compare', '--row=R1', '--row=BiGAN', *flags)
    assert out.count('seed 0') == 4 and '| BiGAN |' in out
    first = json.loads(record.read_text())
    # The data have 8 of 8 modes, 25 of 25, and the share within 3 deviations.
    data = first['rows']['data']['values']
    assert data['ring']['modes'] == [8]
    assert data['grid']['modes'] == [25]
    assert np.mean(data['grid']['quality']) == pytest.approx(0.989, abs=0.01)
    # The config of an earlier tfgen lacks the newest field.
    file = tmp_path / 'runs' / 'R1' / 'ring' / '0' / 'config.json'
    stored = json.loads(file.read_text())
    assert stored['fields'].pop('self_modulation') is False
    file.write_text(json.dumps(stored))
    out = _script('compare', '--row=R1', '--row=minimax', *flags)
    assert 'R1, ring' not in out and out.count('minimax, ring') == 1
    wrong = [a.replace('--steps=3', '--steps=4') for a in flags]
    with pytest.raises(AssertionError, match='holds a run with other settings'):
        _script('compare', '--row=R1', *wrong)
    rows = json.loads(record.read_text())['rows']
    assert list(rows) == ['data', 'minimax', 'BiGAN', 'R1']
    assert rows['BiGAN'] == first['rows']['BiGAN']
    assert rows['minimax']['settings'] == 'gan loss=minimax penalty=none'


def test_two_lines_are_told_apart(tmp_path):
    _script(
        'two_lines', f'--output={tmp_path}', f'--record={tmp_path}', '--steps=3'
    )
    rows = json.loads((tmp_path / 'two_lines.json').read_text())['rows']
    assert rows[0]['distance'] == 0 and rows[-1]['distance'] == 1
    assert Image.open(tmp_path / 'two_lines.png').width > 300


def test_the_game_in_one_dimension_is_drawn_from_one_run(tmp_path):
    out = _script('game', f'--workdir={tmp_path}', '--stages=2,5')
    assert 'continuing at step 2' in out
    assert Image.open(tmp_path / 'game.png').width > 500
    # The run is already beyond the first stage.
    with pytest.raises(AssertionError, match='beyond the first stage, 2'):
        _script('game', f'--workdir={tmp_path}', '--stages=2,5')


def test_curves_need_a_library_and_say_so(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='pip install matplotlib'):
        cli.require_matplotlib()


@pytest.fixture(scope='module')
def ring(tmp_path_factory):
    """Returns a short run on the ring, trained with --metrics."""
    directory = tmp_path_factory.mktemp('ring')
    _script(
        'train',
        '--preset=gan_ring',
        f'--workdir={directory}',
        '--set=steps=4',
        '--set=checkpoint_every=2',
        '--metrics=modes',
        *SMALL,
    )
    return directory


def test_a_run_on_points_is_measured_by_its_game_and_its_modes(ring):
    _script('evaluate', f'--workdir={ring}', '--num_draws=2')
    figures = json.loads((ring / 'metrics.json').read_text())['figures']
    assert {'d_real', 'd_fake', 'modes', 'quality'} <= {*figures}
    assert figures['modes']['num_draws'] == 2


def test_figures_are_written_while_a_run_trains(ring):
    found = {}
    for file in (ring / 'summaries').iterdir():
        for _, event in events(file):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    for name in ('modes', 'quality', 'reverse_kl'):
        assert found[f'metrics/{name}'] == [2, 4]


def test_a_runs_history_is_a_strip_and_moves(ring):
    _script('sample', f'--workdir={ring}', '--kind=history,samples')
    frames = sorted((ring / 'samples').glob('*.png'))
    one = Image.open(frames[0])
    # The points and, beside them, the discriminator's scores on the plane.
    assert len(frames) == 2 and one.width == 2 * one.height
    strip = Image.open(ring / 'history.png')
    assert strip.size == (2 * one.width, one.height)
    moving = Image.open(ring / 'history.gif')
    assert moving.n_frames == 2 and moving.size == one.size
    assert Image.open(ring / 'samples.png').size == one.size


def test_neighbours_stand_below_the_samples(data_dir, tmp_path):
    processes.run(tiny.train_command('vae_gan', tmp_path, data_dir))
    flags = [f'--workdir={tmp_path}', f'--data_dir={data_dir}', '--count=7']
    _script('sample', *flags, '--kind=neighbours')
    drawn = Image.open(tmp_path / 'neighbours.png')
    assert drawn.width > 3 * drawn.height
