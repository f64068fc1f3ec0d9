"""Loading of pretrained models, runs and exports."""

import json
import re
import sys

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from PIL import Image

import tfgen
from tfgen.errors import UserError
from tfgen.evaluation import records
from tfgen.export import pretrained, saved_model, surroundings
from tfgen.training import workdir

_LARGEST, _ALL = 4 * 2**20, 24 * 2**20


@pytest.mark.parametrize('name', pretrained.names())
def test_a_pretrained_model_is_what_its_card_says(name):
    model = tfgen.load(name)
    record = records.read()[name]
    assert model.config.name == name
    assert model.step == record['step']
    card = (pretrained.folder() / name / 'README.md').read_text()
    for said in (
        *records.figures(record),
        record['training']['command'],
        record['training']['commit'],
        f'{record["num_parameters"]:,} parameters',
    ):
        assert said in ' '.join(card.split())
    files = [f for f in (pretrained.folder() / name).rglob('*') if f.is_file()]
    size = sum(f.stat().st_size for f in files if f.suffix != '.md')
    assert size < _LARGEST
    assert re.search(rf'{size:,} bytes', card)
    # What the explorer shows of the test set.
    file = pretrained.folder() / name / '1' / surroundings.FILE
    assert file.stat().st_size < 200_000
    around = json.loads(file.read_text())
    for found in around['numbers'].values():
        assert len(found['edges']) == len(found['counts']) + 1
        assert sum(found['counts']) >= 100
    # The facts contain nothing about the machine.
    info = json.loads(
        (pretrained.folder() / name / '1' / saved_model.INFO).read_text()
    )
    assert not [v for v in info.values() if str(v).startswith('/')]


def test_pretrained_models_are_small():
    files = [f for f in pretrained.folder().rglob('*') if f.is_file()]
    assert pretrained.names()
    assert sum(f.stat().st_size for f in files) < _ALL


def test_a_run_and_its_export_serve_the_same(uninterrupted, tmp_path):
    run = uninterrupted('cvae', 'off')
    config = workdir.read_config(run)
    live, step = config.restore(run)
    saved_model.export(
        live, config, step, config.load_data(), tmp_path / 'export'
    )
    models = [
        tfgen.load(str(path))
        for path in (run, tmp_path / 'export', tmp_path / 'export' / '1')
    ]
    assert models[0].folder == run
    first, *others = (
        model['sample'](seed=[1, 2], label=[3, 7])['image'] for model in models
    )
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-6)
    assert models[0].model() is models[0].live
    with pytest.raises(UserError, match='holds no Keras model: pass its run'):
        models[1].model()
    for model in models:
        assert model.step == step == 30
        with pytest.raises(UserError, match="serves no 'paint': it serves"):
            model['paint']
        with pytest.raises(UserError, match="also needs 'label'"):
            model['sample'](seed=[1])
        with pytest.raises(UserError, match="takes no 'lable'"):
            model['sample'](seed=[1], label=[1], lable=[1])
        with pytest.raises(tf.errors.InvalidArgumentError, match='must be in'):
            model['sample'](seed=[1], label=[10])


def test_a_pretrained_model_is_drawn_by_its_name(tmp_path):
    picture = tmp_path / 'x.png'
    script = tiny.script('sample')
    flags = ['--model_dir=gmm_two_moons', f'--output={picture}', '--count=50']
    processes.run([sys.executable, script, *flags])
    # The samples, and beside them the density.
    width, height = Image.open(picture).size
    assert width == 2 * height


def test_a_folder_of_ones_own_comes_before_a_pretrained_one(
    uninterrupted, tmp_path, monkeypatch
):
    run = uninterrupted('cvae', 'off')
    monkeypatch.chdir(tmp_path)
    config = workdir.read_config(run)
    model, step = config.restore(run)
    folder = tmp_path / 'cvae_digits'
    folder.mkdir()  # an empty folder does not count as a model
    assert tfgen.load('cvae_digits').step != step
    saved_model.export(model, config, step, config.load_data(), folder)
    assert tfgen.load('cvae_digits').step == step


def test_no_such_model_is_told_by_those_that_there_are(tmp_path):
    with pytest.raises(UserError, match='no trained model'):
        tfgen.load('cvae_digit')
    with pytest.raises(UserError, match='no trained model'):
        tfgen.load('~nobody_of_that_name/run')
    with pytest.raises(UserError, match='holds no exported model'):
        tfgen.load(str(tmp_path))
