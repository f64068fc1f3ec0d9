"""Presets: parsing of settings, numbers of parameters."""

import dataclasses
import json

import pytest
import tiny

from tfgen import presets
from tfgen.data import ImageSpec, PaletteSpec, SoundSpec, spec_from_dict
from tfgen.errors import UserError
from tfgen.evaluation import records
from tfgen.training import workdir

SPECS = {
    'digits': ImageSpec(height=8, width=8, levels=17, num_classes=10),
    'mnist': ImageSpec(height=28, width=28, num_classes=10),
    'binarized_mnist': ImageSpec(height=28, width=28, levels=2),
    'palette:pokemon_creation': PaletteSpec(
        name='palette',
        height=20,
        width=20,
        levels=167,
        palette=((0, 0, 0),) * 167,
    ),
    'tones': SoundSpec(length=2048, sample_rate=8000, num_classes=10),
    'spoken_digit': SoundSpec(length=4096, sample_rate=8000, num_classes=10),
}


# Numbers of parameters of presets without a record.
UNRECORDED = {
    'pixelrnn_mnist': 85_378,
    'gated_pixelcnn_mnist': 209_730,
    'cvae_mnist': 262_433,
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
    if 'image_size' in preset.hints():
        preset = presets.get(name, ['image_size=8,8'])
    fields = json.loads(json.dumps(dataclasses.asdict(preset)))
    model = presets.classes.name_of(preset.model)
    assert presets.restore(model, fields) == preset


def test_a_config_survives_its_file(tmp_path, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    workdir.write_config(tmp_path, config)
    assert workdir.read_config(tmp_path) == config


@pytest.mark.parametrize('name', presets.PRESETS)
def test_parameter_counts_are_as_recorded(name):
    preset, record = presets.PRESETS[name], records.read().get(name)
    if record is None:
        if name not in UNRECORDED:
            pytest.skip(f'no record of {name} in {records.folder()}')
        record = {'num_parameters': UNRECORDED[name]}
    if 'spec' in record:  # earlier records have none
        spec = spec_from_dict(record['spec'])
    else:
        spec = SPECS[preset.dataset]
        if getattr(preset, 'binarization', 'none') != 'none':
            spec = dataclasses.replace(spec, levels=2)
    model = preset.build(spec)
    assert model.num_parameters() == record['num_parameters']


def test_a_preset_trains_as_long_as_its_record():
    for name, record in records.read().items():
        made, preset = record['training'], presets.PRESETS[name]
        length = made['steps'], made['batch_size']
        assert (preset.steps, preset.batch_size) == length, name


def test_every_preset_is_in_the_tables():
    for lines in (records.table(), records.markdown()):
        for name in presets.PRESETS:
            assert any(name in line for line in lines)


def test_a_palette_needs_a_model_of_categories():
    for name in ('cvae_digits', 'dcgan_digits'):
        with pytest.raises(UserError, match='name colours by index'):
            presets.get(name, ['conditional=false']).build(
                SPECS['palette:pokemon_creation']
            )


def test_bernoulli_needs_binary_images():
    preset = presets.get('cvae_digits', ['likelihood=bernoulli'])
    with pytest.raises(UserError, match="binarization='dynamic'"):
        preset.build(SPECS['digits'])


def test_conditional_needs_labels():
    preset = presets.get('conv_vae_mnist', ['conditional=true'])
    with pytest.raises(UserError, match='has no labels'):
        preset.build(SPECS['binarized_mnist'])
