"""Records of runs, as evaluate.py writes and the tables read them."""

import dataclasses
import json
import shutil
import sys

import processes
import pytest
import tiny

from tfgen import presets
from tfgen.data import spec_from_dict
from tfgen.errors import UserError
from tfgen.evaluation import recording, records
from tfgen.evaluation.base import Settings
from tfgen.export import trained
from tfgen.training import workdir


@pytest.fixture(scope='module')
def record(tmp_path_factory):
    """Returns the record of a whole run of the shortest preset."""
    folder = tmp_path_factory.mktemp('record')
    scripts, workdir_ = tiny.ROOT / 'scripts', f'--workdir={folder / "run"}'
    command = [sys.executable, scripts / 'train.py', workdir_]
    processes.run([*command, '--preset=gaussian_two_moons'])
    command = [sys.executable, scripts / 'evaluate.py', workdir_]
    processes.run([*command, f'--record={folder / "results"}'])
    return folder / 'results' / 'gaussian_two_moons.json'


def test_a_record_has_figures_and_how_they_were_come_by(record):
    found = json.loads(record.read_text())
    preset = presets.PRESETS['gaussian_two_moons']
    training = found['training']
    assert training['steps'] == preset.steps == found['step']
    assert '--preset=gaussian_two_moons' in training['command']
    assert training['seconds'] >= 0 and 'commit' in training
    (curve,) = training['curve'].values()
    assert [step for step, _ in curve] == [100, 200]
    assert spec_from_dict(found['spec']).name == 'two_moons'
    for name in ('date', 'machine', 'seed', 'num_examples'):
        assert found[name] is not None
    # The workdir contains the same figures.
    metrics = record.parents[1] / 'run' / 'metrics.json'
    assert json.loads(metrics.read_text())['figures'] == found['figures']


def test_the_tables_read_it(record, monkeypatch):
    monkeypatch.setattr(records, 'folder', lambda: record.parent)
    for lines, name in (
        (records.table(), 'NLL'),
        (records.markdown(), 'negative log likelihood'),
    ):
        (line,) = [x for x in lines if 'gaussian_two_moons' in x]
        assert f'{name} 1.9' in line and 'nats' in line
        assert all(len(x) <= 80 for x in records.table())
        assert sum('not run' in x for x in lines) == len(presets.PRESETS) - 1


def test_the_command_repeats_the_run(record):
    config = workdir.read_config(record.parents[1] / 'run')
    assert config.preset == presets.get(config.name)


def test_a_run_that_began_with_other_weights_is_no_record(
    record, tmp_path, monkeypatch
):
    path = record.parents[1] / 'run'
    config = workdir.read_config(path)
    warm = dataclasses.replace(config, init_from='/somewhere')
    recording.require_whole(path, config, config.preset.steps, Settings(), None)
    with pytest.raises(UserError, match='init_from=/somewhere'):
        recording.require_whole(
            path, warm, config.preset.steps, Settings(), None
        )
    # A warm start from a whole run of a preset is accepted.
    warm = dataclasses.replace(config, init_from=str(path))
    recording.require_whole(path, warm, config.preset.steps, Settings(), None)
    recording.write(tmp_path / 'warm.json', path, warm, {'step': 200})
    written = json.loads((tmp_path / 'warm.json').read_text())['training']
    assert '--init_from=runs/gaussian_two_moons' in written['command']
    # The table of the docs mentions the warm start.
    warmed = json.loads(record.read_text()) | {'training': written}
    (tmp_path / record.name).write_text(json.dumps(warmed))
    monkeypatch.setattr(records, 'folder', lambda: tmp_path)
    lines = records.markdown()
    assert sum('from gaussian_two_moons' in line for line in lines) == 1
    shutil.copytree(path, tmp_path / 'part')
    for file in (tmp_path / 'part' / 'checkpoints').glob('*-200*'):
        file.unlink()
    warm = dataclasses.replace(config, init_from=str(tmp_path / 'part'))
    with pytest.raises(UserError, match=r'init_from=.*part'):
        recording.require_whole(
            path, warm, config.preset.steps, Settings(), None
        )


def test_it_is_published_with_its_card(record, tmp_path):
    command = [sys.executable, tiny.script('publish_pretrained')]
    command += [
        f'--workdir={record.parents[1] / "run"}',
        f'--pretrained={tmp_path}',
    ]
    other = tmp_path / 'other' / record.name
    other.parent.mkdir()
    other.write_text(json.dumps(json.loads(record.read_text()) | {'seed': 5}))
    done = processes.outcome([*command, f'--results={other.parent}'])
    assert done.returncode == 2 and 'records seed 5' in done.stderr
    shutil.rmtree(other.parent)
    command += [f'--results={record.parent}']
    done = processes.outcome([*command, '--largest=10'])
    assert done.returncode == 2 and 'and may have 10: publish a smaller' in (
        done.stderr
    )
    assert not list(tmp_path.iterdir())
    processes.run(command)
    place = tmp_path / 'gaussian_two_moons'
    assert trained.load(str(place)).step == 200
    text = (place / 'README.md').read_text()
    for figure in records.figures(json.loads(record.read_text())):
        assert figure in text
