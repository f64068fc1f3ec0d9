"""Stored sets of sounds are read right or refused in one line."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from conftest import PREPARED
from stored import described

from tfgen import data
from tfgen.errors import UserError

CASES = PREPARED.parent / 'cases' / 'tfds'
LABEL = tfds.features.ClassLabel(names=['cat', 'dog', 'eel'])


def _sounds(path, dtype, sounds, rate=8000, others=(), **options):
    audio = tfds.features.Audio(shape=(None,), dtype=dtype, sample_rate=rate)

    def generate():
        for sound in sounds:
            other = dict.fromkeys(others, np.zeros(3, dtype))
            yield {'audio': np.asarray(sound, dtype)} | other

    keys = ('audio', *others)
    examples = tf.data.Dataset.from_generator(
        generate,
        output_signature=dict.fromkeys(keys, tf.TensorSpec([None], dtype)),
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        'sounds',
        '1.0.0',
        features=tfds.features.FeaturesDict(dict.fromkeys(keys, audio)),
        split_datasets={'train': examples},
        data_dir=path,
        **options,
    )
    return str(path)


@pytest.mark.parametrize(
    'dtype,sound,expected',
    [
        (np.uint8, [128, 0, 192], [0.0, -1.0, 0.5]),
        (np.int8, [0, -128, 64], [0.0, -1.0, 0.5]),
        (np.int16, [0, -(2**15), 2**14], [0.0, -1.0, 0.5]),
        (np.int64, [0, -(2**15), 2**14], [0.0, -1.0, 0.5]),
    ],
)
def test_sounds_have_the_scale_of_their_type(tmp_path, dtype, sound, expected):
    place = _sounds(tmp_path, dtype, [sound] * 10)
    sounds = data.load_audio('sounds', place, 4)
    (batch,) = sounds.evaluation('test', 1)
    # Quiet sounds of 8 and of 16 bits are not confused.
    np.testing.assert_array_equal(batch['audio'][0], [*expected, 0.0])


def test_sounds_of_unknown_scale_are_refused(tmp_path):
    # 24 bits stored in 32, quiet enough to look like 16.
    place = _sounds(tmp_path, np.int32, [[1, 2, 3]] * 10)
    with pytest.raises(UserError, match='int32 sounds'):
        data.load_audio('sounds', place, 4)


def test_sounds_without_samples_are_left_out_and_counted(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2], []] * 10)
    sounds = data.load_audio('sounds', place, 4)
    assert sum(sounds.spec.split_sizes.values()) == 10
    assert 'left out: 10 of train that have no samples' in described(sounds)
    place = _sounds(tmp_path / 'empty', np.int16, [[]] * 10)
    with pytest.raises(UserError, match='no sound with samples'):
        data.load_audio('sounds', place, 4)


def test_a_second_sound_of_each_example_is_named(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2]] * 10, others=['accompaniment'])
    sounds = data.load_audio('sounds', place, 4)
    (batch,) = sounds.evaluation('train', 1).take(1)
    assert batch['audio'][0].numpy().tolist() == [2**-15, 2**-14, 0, 0]
    assert 'left out: sounds accompaniment of each example' in described(sounds)


def test_sounds_are_read_from_array_records(tmp_path):
    place = _sounds(
        tmp_path, np.int16, [[1, 2]] * 10, file_format='array_record'
    )
    (batch,) = (
        data.load_audio('sounds', place, 4).evaluation('train', 1).take(1)
    )
    assert batch['audio'][0].numpy().tolist() == [2**-15, 2**-14, 0, 0]


@pytest.mark.parametrize('value', [2**15, -(2**15) - 1, -(2**63)])
def test_sounds_beyond_sixteen_bits_are_refused(tmp_path, value):
    place = _sounds(tmp_path, np.int64, [[1, 2, 3, value]] * 10)
    with pytest.raises(UserError, match='more than 16 bits'):
        data.load_audio('sounds', place, 2)


def test_a_sound_needs_its_rate_and_its_memory(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2]] * 10, rate=None)
    with pytest.raises(UserError, match='does not state its sample rate'):
        data.load_audio('sounds', place, 4)
    place = _sounds(tmp_path / 'minus', np.int16, [[1, 2]] * 10, rate=-5)
    with pytest.raises(UserError, match='does not state its sample rate'):
        data.load_audio('sounds', place, 4)
    place = _sounds(tmp_path / 'x', np.int16, [[1, 2]] * 10)
    with pytest.raises(UserError, match='set a smaller audio_length'):
        data.load_audio('sounds', place, 1 << 30)


def test_a_truncated_sound_is_one_line(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2]] * 10)
    (file,) = (tmp_path / 'sounds' / '1.0.0').glob('*.tfrecord*')
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match='cannot be read'):
        data.load_audio('sounds', place, 4)


def test_sounds_of_eight_bits_that_failed_once():
    if not CASES.is_dir():
        pytest.skip(f'no {CASES}')
    sounds = data.load_audio('snd_uint8', str(CASES), 400)
    (batch,) = sounds.evaluation('train', 100)
    # The mean is near 0, and the loudness is kept.
    assert abs(float(tf.reduce_mean(batch['audio']))) < 0.05
    assert 0.3 < float(tf.reduce_max(batch['audio'])) <= 1.0
