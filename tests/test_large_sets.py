"""Stored sets too large for memory are read by random access."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from stored import described, image_feature, labelled, store

from tfgen import data
from tfgen.data import readers
from tfgen.data.embedded import digits
from tfgen.data.readers import base
from tfgen.errors import UserError

LABEL = tfds.features.ClassLabel(names=['cat', 'dog', 'eel'])


def _by_access(path, rows):
    place = store(
        path,
        {
            'image': image_feature(),
            'label': tfds.features.ClassLabel(num_classes=9),
        },
        {'train': rows},
        file_format='array_record',
    )
    return readers.open_images('mine', place, None, memory_limit=10)


def test_a_large_set_has_a_fingerprint_of_a_sample(tmp_path):
    sources = [
        _by_access(tmp_path / str(value), labelled([0, 1, 2] * 99, value))
        for value in (7, 8)
    ]
    assert all(isinstance(s.splits['test'], base.RandomAccess) for s in sources)
    assert sources[0].fingerprint != sources[1].fingerprint
    assert len(sources[0].splits['test']) == 30
    assert 'train 267, test 30' in described(_data_of(sources[0]))


def _data_of(source):
    height, width, channels = source.shape
    spec = data.ImageSpec(
        name='mine',
        height=height,
        width=width,
        channels=channels,
        num_classes=9,
        split_sizes={k: len(v) for k, v in source.splits.items()},
        class_names=source.class_names,
    )
    return data.Data(spec, source)


def test_a_large_set_with_a_label_of_no_class_opens_without(tmp_path):
    _by_access(tmp_path, labelled([5] * 20))
    file = tmp_path / 'mine' / '1.0.0' / 'features.json'
    file.write_text(file.read_text().replace('"9"', '"3"'))
    for names in file.parent.glob('*.labels.txt'):
        names.unlink()
    source = readers.open_images('mine', str(tmp_path), None, memory_limit=10)
    assert source.class_names == ()
    assert '20 of 20 in train are not 0 to 2' in source.notes[0]
    assert source.gather('train', tf.constant([1]))[1] is None


def test_a_large_set_with_an_unlabelled_test_split_holds_out(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'label': LABEL},
        {'train': labelled([0, 1, 2] * 10), 'test': labelled([-1] * 5)},
        file_format='array_record',
    )
    source = readers.open_images('mine', place, None, memory_limit=10)
    assert source.class_names == ('cat', 'dog', 'eel')
    assert len(source.splits['test']) == 3
    assert 'split test (5 examples) has no labels' in source.notes[0]


@pytest.mark.parametrize('memory_limit', [10, 1 << 30])
def test_sixteen_bits_are_read_from_array_records(tmp_path, memory_limit):
    values = np.linspace(0, 65535, 48).astype(np.uint16).reshape(4, 4, 3)
    place = store(
        tmp_path,
        {'image': image_feature(np.uint16, 3)},
        {'train': [{'image': values}] * 10},
        file_format='array_record',
    )
    source = readers.open_images('mine', place, None, memory_limit)
    images, _ = source.gather('train', tf.constant([3]))
    np.testing.assert_array_equal(images[0], np.round(values / 257))


@pytest.mark.parametrize('memory_limit', [10, 1 << 30])
def test_a_damaged_array_record_is_one_line(tmp_path, memory_limit):
    place = store(
        tmp_path,
        {'image': image_feature()},
        {'train': [{'image': np.zeros([4, 4, 1], np.uint8)}] * 10},
        file_format='array_record',
    )
    (file,) = (tmp_path / 'mine' / '1.0.0').glob('*.array_record*')
    file.write_bytes(b'')
    with pytest.raises(UserError, match='cannot be read'):
        readers.open_images('mine', place, None, memory_limit)
    file.unlink()
    with pytest.raises(UserError, match='cannot be read'):
        readers.open_images('mine', place, None, memory_limit)


def test_a_large_set_without_random_access_says_what_to_build(tmp_path):
    digits.Digits(data_dir=str(tmp_path)).download_and_prepare()
    with pytest.raises(UserError, match='file_format=array_record'):
        readers.open_images('digits', str(tmp_path), None, memory_limit=10)


# Sounds.
