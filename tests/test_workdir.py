"""The config of a run: settings, classes, data."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tiny
from PIL import Image

from tfgen.errors import UserError
from tfgen.export import saved_model, signatures
from tfgen.training import workdir
from tfgen.training.run import train

SHORT = ['steps=10', 'schedule=constant']


@pytest.fixture
def pictures(tmp_path):
    """Returns a folder of pictures of two classes."""
    for kind, level in (('cat', 40), ('dog', 220)):
        (tmp_path / 'pics' / kind).mkdir(parents=True)
        for i in range(10):
            pixels = np.full([8, 8], level + i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'pics' / kind / f'{i}.png')
    return tmp_path / 'pics'


def _load(place, *extra, model='cvae'):
    return tiny.load(model, None, f'dataset=folder:{place}', *SHORT, *extra)


def _train(place, directory, *extra):
    config, images = _load(place, *extra)
    return train(config, images, directory)


def _rename(pictures):
    (pictures / 'cat').rename(pictures / 'zebra')


def _replace(pictures):
    for file in (pictures / 'cat').iterdir():
        Image.fromarray(np.zeros([8, 8], np.uint8)).save(file)


def _add(pictures):
    (pictures / 'cat' / '10.png').write_bytes(
        (pictures / 'cat' / '9.png').read_bytes()
    )


@pytest.mark.parametrize(
    'change,said',
    [
        (_rename, 'class names dog, zebra instead of cat, dog'),
        (_replace, 'other examples, or other names of files'),
        (_add, 'split sizes train 18, test 3 instead of train 18, test 2'),
    ],
)
def test_a_run_does_not_go_on_with_changed_data(
    change, said, pictures, tmp_path
):
    run = tmp_path / 'run'
    _train(pictures, run)
    before = (run / 'config.json').read_text()
    change(pictures)
    with pytest.raises(UserError, match=said):
        _train(pictures, run, 'steps=20')
    with pytest.raises(UserError, match=said):
        workdir.read_config(run).load_data()
    assert (run / 'config.json').read_text() == before


def test_a_path_is_the_same_however_it_is_written(
    pictures, tmp_path, monkeypatch
):
    run = tmp_path / 'run'
    monkeypatch.chdir(tmp_path)
    _train('pics', run)
    stored = json.loads((run / 'config.json').read_text())
    assert stored['fields']['dataset'] == 'folder:pics'  # as the user wrote it
    assert stored['data_path'] == f'folder:{pictures}'
    monkeypatch.chdir(os.sep)
    assert workdir.read_config(run).load_data().spec.height == 8
    _train(pictures, run, 'steps=20')
    monkeypatch.setenv('HOME', str(tmp_path))
    _train('~/pics', run, 'steps=30')
    # A moved set is still the same set.
    pictures.rename(tmp_path / 'moved')
    config = workdir.read_config(run)
    with pytest.raises(UserError, match='does not exist'):
        config.load_data()
    moved = f'folder:{tmp_path}/moved'
    assert config.load_data(dataset=moved).spec.height == 8
    _train(tmp_path / 'moved', run, 'steps=40')
    assert workdir.read_config(run).restore(run)[1] == 40
    assert workdir.read_config(run).load_data().spec.height == 8


def test_another_folder_is_another_run(pictures, tmp_path):
    run = tmp_path / 'run'
    _train(pictures, run)
    _replace(pictures)
    pictures.rename(tmp_path / 'other')
    with pytest.raises(UserError, match='was trained with dataset='):
        _train(tmp_path / 'other', run, 'steps=20')


def test_config_json_holds_no_record_of_another_run(tmp_path, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    workdir.write_config(tmp_path, config)
    stored = json.loads((tmp_path / 'config.json').read_text())
    assert not {'parameters', 'expect'} & stored['fields'].keys()
    assert workdir.read_config(tmp_path) == config


@pytest.mark.parametrize('relative', [False, True])
def test_an_export_names_its_classes_and_no_path(
    relative, pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config, images = _load('pics' if relative else pictures, model='dcgan')
    config = dataclasses.replace(config, data_dir=str(tmp_path / 'tfds'))
    made = saved_model.export(
        config.build(), config, 0, images, tmp_path / 'export'
    )
    text = (made / saved_model.INFO).read_text()
    assert str(tmp_path) not in text
    stored = json.loads(text)
    assert stored['spec']['class_names'] == ['cat', 'dog']
    assert stored['fields']['dataset'] == 'folder:pics'
    functions, info = saved_model.load(tmp_path / 'export')
    assert set(functions) == set(signatures.functions(config.build()))
    again = workdir.Config.from_dict(info)
    assert again.load_data().spec.class_names == ('cat', 'dog')


@pytest.mark.parametrize(
    'changed',
    [
        {'seed': 'x'},
        {'seed': -5},
        {'seed': None},
        {'precision': 'float16'},
        {'data_path': 5},
        {'filters': 3},
        {'filters': []},
        {'dataset': None},
        {'image_size': [8]},
        {'conditional': 'yes'},
        {'steps': True},
    ],
)
def test_a_configuration_that_was_edited_wrongly_is_refused(changed, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    stored = json.loads(json.dumps(config.as_dict()))
    assert workdir.Config.from_dict(stored) == config
    ((key, value),) = changed.items()
    (stored if key in stored else stored['fields'])[key] = value
    with pytest.raises(UserError, match=key.split('_')[-1]):
        workdir.Config.from_dict(stored)
