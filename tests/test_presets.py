"""Presets: parsing of settings, sizes of the models."""

import dataclasses
import json

import pytest
import tiny

from tfgen import presets
from tfgen.data import AudioSpec, DataSpec
from tfgen.errors import UserError
from tfgen.presets import settings
from tfgen.training import workdir

SPECS = {
    'digits': DataSpec('digits', 8, 8, 1, 17, 10, 'none', {}),
    'mnist': DataSpec('mnist', 28, 28, 1, 256, 10, 'none', {}),
    'binarized_mnist': DataSpec(
        'binarized_mnist', 28, 28, 1, 2, 0, 'static', {}
    ),
    'palette:pokemon_creation': DataSpec(
        'palette', 20, 20, 1, 167, 0, 'none', {}, ((0, 0, 0),) * 167
    ),
    'tones': AudioSpec('tones', 2048, 8000, 10, {}),
    'spoken_digit': AudioSpec('spoken_digit', 4096, 8000, 10, {}),
}


def test_settings_are_parsed_by_the_fields_type():
    preset = presets.get(
        'cvae_digits',
        [
            'latent_size=3',
            'learning_rate=1e-4',
            'conditional=false',
            'filters=8,16,32',
            'image_size=32,24',
            'dataset=folder:a=b',
        ],
    )
    assert preset.latent_size == 3 and preset.learning_rate == 1e-4
    assert preset.conditional is False
    assert preset.filters == (8, 16, 32) and preset.image_size == (32, 24)
    assert preset.dataset == 'folder:a=b'
    assert presets.get('cvae_digits', ['image_size=none']).image_size is None


@pytest.mark.parametrize('name', presets.PRESETS)
def test_a_preset_survives_json(name):
    preset = presets.PRESETS[name]
    if isinstance(preset, settings.ImagePreset):
        preset = presets.get(name, ['image_size=8,8'])
    fields = json.loads(json.dumps(dataclasses.asdict(preset)))
    assert presets.restore(name, fields) == preset


def test_a_config_survives_its_file(tmp_path, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    workdir.write_config(tmp_path, config)
    assert workdir.read_config(tmp_path) == config


@pytest.mark.parametrize('name', presets.PRESETS)
def test_parameter_counts_are_as_recorded(name):
    preset = presets.PRESETS[name]
    model = preset.build(SPECS[preset.dataset])
    assert model.num_parameters() == preset.parameters


def test_a_palette_is_for_a_pixelrnn():
    for name in ('cvae_digits', 'dcgan_digits'):
        with pytest.raises(UserError, match='names colours by index'):
            presets.get(name, ['conditional=false']).build(
                SPECS['palette:pokemon_creation']
            )


def test_bernoulli_needs_binary_images():
    preset = presets.get('cvae_digits', ['likelihood=bernoulli'])
    with pytest.raises(UserError, match='binarization=dynamic'):
        preset.build(SPECS['digits'])


def test_conditional_needs_labels():
    preset = presets.get('cvae_mnist', ['conditional=true'])
    with pytest.raises(UserError, match='has no labels'):
        preset.build(SPECS['binarized_mnist'])
