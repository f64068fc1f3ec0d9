"""TFDS sets with unusual features are read right or refused in one line."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from conftest import PREPARED
from stored import described, image_feature, labelled, store

from tfgen import data
from tfgen.data import readers
from tfgen.errors import UserError

CASES = PREPARED.parent / 'cases' / 'tfds'
LABEL = tfds.features.ClassLabel(names=['cat', 'dog', 'eel'])


def test_images_of_sixteen_bits_are_scaled(tmp_path):
    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4, 1)
    place = store(
        tmp_path,
        {'image': image_feature(np.uint16)},
        {'train': [{'image': ramp}] * 10},
    )
    (batch,) = data.load('mine', place).evaluation('test', 1).take(1)
    np.testing.assert_array_equal(
        np.round(batch['image'][0].numpy() * 255), np.round(ramp / 257)
    )


def test_transparent_images_lie_on_black(tmp_path):
    image = np.full([4, 4, 4], 200, np.uint8)
    image[0, ..., 3] = 0
    image[1, ..., 3] = 255
    image[2:, ..., 3] = 51
    place = store(
        tmp_path,
        {'image': image_feature(channels=4)},
        {'train': [{'image': image}] * 10},
    )
    images = data.load('mine', place)
    assert images.spec.shape == (4, 4, 3)
    (batch,) = images.evaluation('test', 1).take(1)
    levels = np.round(batch['image'][0, :, 0, 0].numpy() * 255)
    np.testing.assert_array_equal(levels, [0, 200, 40, 40])


@pytest.mark.parametrize(
    'dtype,channels,complaint',
    [
        (np.float32, 1, 'float32 images'),
        (np.uint8, 2, 'images of 2 channels'),
    ],
)
def test_other_images_are_refused(tmp_path, dtype, channels, complaint):
    image = np.zeros([4, 4, channels], dtype)
    place = store(
        tmp_path,
        {'image': image_feature(dtype, channels)},
        {'train': [{'image': image}] * 10},
    )
    with pytest.raises(UserError, match=complaint):
        data.load('mine', place)


def test_a_test_split_without_labels_is_replaced_and_named(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'label': LABEL},
        {
            'train': labelled([0, 1, 2] * 10),
            'test': labelled([-1] * 5),
        },
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {'train': 27, 'test': 3}
    said = 'split test (5 examples) has no labels (they are -1, not 0 to 2)'
    assert said in described(images)


@pytest.mark.parametrize('split,label', [('train', -1), ('test', 3)])
def test_labels_of_no_class_open_the_set_without_labels(tmp_path, split, label):
    splits = {'train': [0, 1, 2] * 4, 'test': [0, 1, 2]}
    splits[split][1] = label
    place = store(
        tmp_path,
        # TFDS refuses to write a label beyond the classes.
        {
            'image': image_feature(),
            'label': tfds.features.ClassLabel(num_classes=9),
        },
        {k: labelled(v) for k, v in splits.items()},
    )
    file = tmp_path / 'mine' / '1.0.0' / 'features.json'
    file.write_text(file.read_text().replace('"9"', '"3"'))
    for names in file.parent.glob('*.labels.txt'):
        names.unlink()
    images = data.load('mine', place)
    assert images.spec.num_classes == 0
    assert 'label' not in next(iter(images.train(0, 4)))
    found = described(images)
    assert 'opened without labels' in found and 'conditional=false' in found
    assert f'such as {label}' in found


def _supervise(path, *keys):
    """Writes supervised keys into a stored set."""
    file = path / 'mine' / '1.0.0' / 'dataset_info.json'
    info = json.loads(file.read_text())
    items = [{'featureKey': key} for key in keys]
    info['supervisedKeys'] = {'tuple': {'items': items}}
    file.write_text(json.dumps(info))


@pytest.mark.parametrize('supervised', [False, True])
def test_the_label_may_have_any_name(tmp_path, supervised):
    features, more = {'image': image_feature(), 'animal': LABEL}, {}
    if supervised:
        # A second label feature; the supervised keys say which one counts.
        features['label'] = tfds.features.ClassLabel(num_classes=5)
        more['label'] = np.int64(4)
    rows = labelled([0, 1, 2] * 10, key='animal', **more)
    place = store(tmp_path, features, {'train': rows})
    if supervised:
        _supervise(tmp_path, 'image', 'animal')
    images = data.load('mine', place)
    assert images.spec.class_names == ('cat', 'dog', 'eel')
    (batch,) = images.evaluation('test', 3)
    assert sorted(batch['label'].numpy()) == [0, 1, 2]


def test_several_labels_of_which_none_is_the_sets_own_are_named(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'one': LABEL, 'two': LABEL},
        {'train': labelled([0, 1] * 10, key='one', two=np.int64(1))},
    )
    images = data.load('mine', place)
    assert images.spec.num_classes == 0
    assert 'one, two are several' in described(images)


def test_what_is_left_of_the_stored_splits_is_named(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'label': LABEL},
        {
            'train': labelled([0, 1, 2] * 4),
            'val': labelled([0] * 5),
            'unsupervised': labelled([0] * 6),
        },
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {'train': 12, 'test': 5}
    assert 'left out: split unsupervised (6 examples)' in described(images)
    assert 'the test split is stored split val' in described(images)


def test_a_second_image_of_each_example_is_named(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'mask': image_feature()},
        {
            'train': [
                {k: np.zeros([4, 4, 1], np.uint8) for k in ('image', 'mask')}
            ]
            * 10
        },
    )
    assert 'left out: images mask' in described(data.load('mine', place))


def test_an_empty_set_is_refused(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature()},
        {'train': [{'image': np.zeros([4, 4, 1], np.uint8)}] * 2},
    )
    file = tmp_path / 'mine' / '1.0.0' / 'dataset_info.json'
    text = file.read_text()
    file.write_text(
        text.replace(
            '"shardLengths": [\n        "2"', '"shardLengths": [\n        "0"'
        )
    )
    assert file.read_text() != text
    with pytest.raises(UserError, match='has no examples'):
        data.load('mine', place)


@pytest.mark.parametrize('where', ['in a record', 'between two'])
def test_a_truncated_record_is_one_line(tmp_path, where):
    place = store(
        tmp_path,
        {'image': image_feature()},
        {'train': [{'image': np.zeros([4, 4, 1], np.uint8)}] * 10},
    )
    (file,) = (tmp_path / 'mine' / '1.0.0').glob('*.tfrecord*')
    content = file.read_bytes()
    length = 16 + int.from_bytes(content[:8], 'little')  # with its checksums
    cut = 20 if where == 'in a record' else length
    assert len(content) == 10 * length
    file.write_bytes(content[:-cut])
    with pytest.raises(UserError, match='cannot be read'):
        data.load('mine', place)


def test_a_pixel_beyond_the_levels_is_refused(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature()},
        {'train': [{'image': np.full([4, 4, 1], 9, np.uint8)}] * 10},
        name='binarized_mnist',
    )
    with pytest.raises(UserError, match='a pixel of 9 where 2 levels'):
        readers.open_images('binarized_mnist', place, None)


def test_the_fingerprint_of_a_stored_set_follows_its_values(tmp_path):
    prints = set()
    for number, value in enumerate((7, 8, 7)):
        place = store(
            tmp_path / str(number),
            {'image': image_feature(), 'label': LABEL},
            {'train': labelled([0, 1, 2] * 4, value)},
        )
        prints.add(data.load('mine', place).spec.fingerprint)
    assert len(prints) == 2


# Sets that do not fit into memory.


def test_damaged_notes_of_a_set_are_one_line(tmp_path):
    place = store(tmp_path, {'image': image_feature()}, {'train': _images(10)})
    info = tmp_path / 'mine' / '1.0.0' / 'dataset_info.json'
    info.write_text(info.read_text()[:50])
    with pytest.raises(UserError, match='cannot be opened'):
        data.load('mine', place)
    (tmp_path / 'mine' / '1.0.0' / 'features.json').unlink()
    with pytest.raises(UserError, match=r"'mine' in .*prepare it again"):
        data.load('mine', place)


def _images(count):
    return [{'image': np.zeros([4, 4, 1], np.uint8)}] * count


@pytest.mark.parametrize(
    'splits,train,test',
    [
        (('testing', 'training'), 'training', 'testing'),
        (('Test', 'Train'), 'Train', 'Test'),
        (('test', 'fold'), 'fold', 'test'),
        (('test', 'validation'), 'test', 'validation'),
    ],
)
def test_stored_splits_are_known_by_their_names(tmp_path, splits, train, test):
    sizes = dict(zip(splits, (5, 20), strict=True))
    place = store(
        tmp_path,
        {'image': image_feature()},
        {split: _images(size) for split, size in sizes.items()},
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {
        'train': sizes[train],
        'test': sizes[test],
    }
    assert f'the training split is {train}' in described(images)
    assert f'the test split is stored split {test}' in described(images)


def test_a_label_that_is_no_class_is_named(tmp_path):
    place = store(
        tmp_path,
        {'image': image_feature(), 'label': tfds.features.Scalar(np.int64)},
        {'train': labelled([0, 1] * 5)},
    )
    images = data.load('mine', place)
    assert 'opened without labels: label is no ClassLabel' in described(images)


def test_a_weight_is_not_taken_for_the_label(tmp_path):
    place = store(
        tmp_path,
        {
            'image': image_feature(),
            'breed': LABEL,
            'animal': LABEL,
            'weight': tfds.features.Scalar(np.float32),
        },
        {
            'train': [
                e | {'animal': np.int64(2), 'weight': np.float32(1)}
                for e in labelled([0, 1] * 5, key='breed')
            ]
        },
    )
    _supervise(tmp_path, 'image', 'animal', 'weight')
    (batch,) = data.load('mine', place).evaluation('train', 9).take(1)
    assert set(batch['label'].numpy()) == {2}


@pytest.mark.parametrize(
    'case,expected',
    [
        ('odd_test_minus', 'a tenth of train is held out'),
        ('odd_uint16', '3 classes'),
        ('odd_key', '3 classes'),
        ('odd_splits', 'split fold_b (24 examples)'),
    ],
)
def test_sets_that_failed_once(case, expected):
    if not CASES.is_dir():
        pytest.skip(f'no {CASES}')
    assert expected in described(data.load(case, str(CASES)))
