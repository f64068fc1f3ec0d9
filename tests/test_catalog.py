"""TFDS sets of unusual features: read right or refused in one line."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from conftest import PREPARED

from tfgen import data
from tfgen.data import digits, readers
from tfgen.data.readers import base
from tfgen.errors import UserError

CASES = PREPARED.parent / 'cases' / 'tfds'
LABEL = tfds.features.ClassLabel(names=['cat', 'dog', 'eel'])


def _store(path, features, splits, name='mine', **options):
    """Writes a TFDS set: splits maps names to lists of examples."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name,
        '1.0.0',
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: tf.data.Dataset.from_tensor_slices(
                {k: np.stack([e[k] for e in examples]) for k in features}
            )
            for split, examples in splits.items()
        },
        data_dir=path,
        **options,
    )
    return str(path)


def _image(dtype=np.uint8, channels=1):
    return tfds.features.Image(shape=(4, 4, channels), dtype=dtype)


def _examples(labels, value=7, key='label', **more):
    return [
        {
            'image': np.full([4, 4, 1], value, np.uint8),
            key: np.int64(label),
            **more,
        }
        for label in labels
    ]


def _said(images):
    return '\n'.join(images.describe())


def test_images_of_sixteen_bits_are_scaled(tmp_path):
    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4, 1)
    place = _store(
        tmp_path,
        {'image': _image(np.uint16)},
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
    place = _store(
        tmp_path,
        {'image': _image(channels=4)},
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
    place = _store(
        tmp_path,
        {'image': _image(dtype, channels)},
        {'train': [{'image': image}] * 10},
    )
    with pytest.raises(UserError, match=complaint):
        data.load('mine', place)


def test_a_test_split_without_labels_is_replaced_and_named(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'label': LABEL},
        {
            'train': _examples([0, 1, 2] * 10),
            'test': _examples([-1] * 5),
        },
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {'train': 27, 'test': 3}
    said = 'split test (5 examples) has no labels (they are -1, not 0 to 2)'
    assert said in _said(images)


@pytest.mark.parametrize('split,label', [('train', -1), ('test', 3)])
def test_labels_of_no_class_open_the_set_without_labels(tmp_path, split, label):
    splits = {'train': [0, 1, 2] * 4, 'test': [0, 1, 2]}
    splits[split][1] = label
    place = _store(
        tmp_path,
        # TFDS itself refuses to write a label beyond the classes.
        {'image': _image(), 'label': tfds.features.ClassLabel(num_classes=9)},
        {k: _examples(v) for k, v in splits.items()},
    )
    file = tmp_path / 'mine' / '1.0.0' / 'features.json'
    file.write_text(file.read_text().replace('"9"', '"3"'))
    for names in file.parent.glob('*.labels.txt'):
        names.unlink()
    images = data.load('mine', place)
    assert images.spec.num_classes == 0
    assert 'label' not in next(iter(images.train(0, 4)))
    said = _said(images)
    assert 'opened without labels' in said and 'conditional=false' in said
    assert f'such as {label}' in said


def _supervise(path, *keys):
    """Notes supervised keys in a stored set."""
    file = path / 'mine' / '1.0.0' / 'dataset_info.json'
    info = json.loads(file.read_text())
    items = [{'featureKey': key} for key in keys]
    info['supervisedKeys'] = {'tuple': {'items': items}}
    file.write_text(json.dumps(info))


@pytest.mark.parametrize('supervised', [False, True])
def test_the_label_may_have_any_name(tmp_path, supervised):
    features, more = {'image': _image(), 'animal': LABEL}, {}
    if supervised:
        # 'label' is another one; the set says which is meant.
        features['label'] = tfds.features.ClassLabel(num_classes=5)
        more['label'] = np.int64(4)
    examples = _examples([0, 1, 2] * 10, key='animal', **more)
    place = _store(tmp_path, features, {'train': examples})
    if supervised:
        _supervise(tmp_path, 'image', 'animal')
    images = data.load('mine', place)
    assert images.spec.class_names == ('cat', 'dog', 'eel')
    (batch,) = images.evaluation('test', 3)
    assert sorted(batch['label'].numpy()) == [0, 1, 2]
    # A run that began before goes on with what it saw.
    old = data.load('mine', place, edition=1).spec
    assert old.num_classes == (5 if supervised else 0)


def test_several_labels_of_which_none_is_the_sets_own_are_named(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'one': LABEL, 'two': LABEL},
        {'train': _examples([0, 1] * 10, key='one', two=np.int64(1))},
    )
    images = data.load('mine', place)
    assert images.spec.num_classes == 0
    assert 'one, two are several' in _said(images)


def test_what_is_left_of_the_stored_splits_is_named(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'label': LABEL},
        {
            'train': _examples([0, 1, 2] * 4),
            'val': _examples([0] * 5),
            'unsupervised': _examples([0] * 6),
        },
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {'train': 12, 'test': 5}
    assert 'left out: split unsupervised (6 examples)' in _said(images)
    assert 'the test split is stored split val' in _said(images)


def test_a_second_image_of_each_example_is_named(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'mask': _image()},
        {
            'train': [
                {k: np.zeros([4, 4, 1], np.uint8) for k in ('image', 'mask')}
            ]
            * 10
        },
    )
    assert 'left out: images mask' in _said(data.load('mine', place))


def test_an_empty_set_is_refused(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image()},
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


def test_a_truncated_record_is_one_line(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image()},
        {'train': [{'image': np.zeros([4, 4, 1], np.uint8)}] * 10},
    )
    (file,) = (tmp_path / 'mine' / '1.0.0').glob('*.tfrecord*')
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match='cannot be read'):
        data.load('mine', place)


def test_a_pixel_beyond_the_levels_is_refused(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image()},
        {'train': [{'image': np.full([4, 4, 1], 9, np.uint8)}] * 10},
        name='binarized_mnist',
    )
    with pytest.raises(UserError, match='a pixel of 9 where 2 levels'):
        readers.open_images('binarized_mnist', place, None)


def test_the_fingerprint_of_a_stored_set_follows_its_values(tmp_path):
    prints = set()
    for number, value in enumerate((7, 8, 7)):
        place = _store(
            tmp_path / str(number),
            {'image': _image(), 'label': LABEL},
            {'train': _examples([0, 1, 2] * 4, value)},
        )
        prints.add(data.load('mine', place).spec.fingerprint)
    assert len(prints) == 2


# Sets that do not fit into memory.


def _by_access(path, examples):
    place = _store(
        path,
        {'image': _image(), 'label': tfds.features.ClassLabel(num_classes=9)},
        {'train': examples},
        file_format='array_record',
    )
    return readers.open_images('mine', place, None, memory_limit=10)


def test_a_large_set_has_a_fingerprint_of_a_sample(tmp_path):
    sources = [
        _by_access(tmp_path / str(value), _examples([0, 1, 2] * 99, value))
        for value in (7, 8)
    ]
    assert all(isinstance(s.splits['test'], base.RandomAccess) for s in sources)
    assert sources[0].fingerprint != sources[1].fingerprint
    assert len(sources[0].splits['test']) == 30
    assert 'train 267, test 30' in _said(_data_of(sources[0]))


def _data_of(source):
    spec = data.DataSpec(
        'mine',
        *source.shape,
        256,
        9,
        'none',
        {k: len(v) for k, v in source.splits.items()},
        class_names=source.class_names,
    )
    return data.ImageData(spec, source)


def test_a_large_set_with_a_label_of_no_class_opens_without(tmp_path):
    _by_access(tmp_path, _examples([5] * 20))
    file = tmp_path / 'mine' / '1.0.0' / 'features.json'
    file.write_text(file.read_text().replace('"9"', '"3"'))
    for names in file.parent.glob('*.labels.txt'):
        names.unlink()
    source = readers.open_images('mine', str(tmp_path), None, memory_limit=10)
    assert source.class_names == ()
    assert '20 of 20 in train are not 0 to 2' in source.notes[0]
    assert source.gather('train', tf.constant([1]))[1] is None


def test_a_large_set_with_an_unlabelled_test_split_holds_out(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'label': LABEL},
        {'train': _examples([0, 1, 2] * 10), 'test': _examples([-1] * 5)},
        file_format='array_record',
    )
    source = readers.open_images('mine', place, None, memory_limit=10)
    assert source.class_names == ('cat', 'dog', 'eel')
    assert len(source.splits['test']) == 3
    assert 'split test (5 examples) has no labels' in source.notes[0]


@pytest.mark.parametrize('memory_limit', [10, 1 << 30])
def test_sixteen_bits_are_read_from_array_records(tmp_path, memory_limit):
    values = np.linspace(0, 65535, 48).astype(np.uint16).reshape(4, 4, 3)
    place = _store(
        tmp_path,
        {'image': _image(np.uint16, 3)},
        {'train': [{'image': values}] * 10},
        file_format='array_record',
    )
    source = readers.open_images('mine', place, None, memory_limit)
    images, _ = source.gather('train', tf.constant([3]))
    np.testing.assert_array_equal(images[0], np.round(values / 257))


@pytest.mark.parametrize('memory_limit', [10, 1 << 30])
def test_a_damaged_array_record_is_one_line(tmp_path, memory_limit):
    place = _store(
        tmp_path,
        {'image': _image()},
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


def test_damaged_notes_of_a_set_are_one_line(tmp_path):
    place = _store(tmp_path, {'image': _image()}, {'train': _images(10)})
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
    place = _store(
        tmp_path,
        {'image': _image()},
        {split: _images(size) for split, size in sizes.items()},
    )
    images = data.load('mine', place)
    assert images.spec.split_sizes == {
        'train': sizes[train],
        'test': sizes[test],
    }
    assert f'the training split is {train}' in _said(images)
    assert f'the test split is stored split {test}' in _said(images)


def test_a_label_that_is_no_class_is_named(tmp_path):
    place = _store(
        tmp_path,
        {'image': _image(), 'label': tfds.features.Scalar(np.int64)},
        {'train': _examples([0, 1] * 5)},
    )
    images = data.load('mine', place)
    assert 'opened without labels: label is no ClassLabel' in _said(images)


def test_a_weight_is_not_taken_for_the_label(tmp_path):
    place = _store(
        tmp_path,
        {
            'image': _image(),
            'breed': LABEL,
            'animal': LABEL,
            'weight': tfds.features.Scalar(np.float32),
        },
        {
            'train': [
                e | {'animal': np.int64(2), 'weight': np.float32(1)}
                for e in _examples([0, 1] * 5, key='breed')
            ]
        },
    )
    _supervise(tmp_path, 'image', 'animal', 'weight')
    (batch,) = data.load('mine', place).evaluation('train', 9).take(1)
    assert set(batch['label'].numpy()) == {2}


def test_a_large_set_without_random_access_says_what_to_build(tmp_path):
    digits.Digits(data_dir=str(tmp_path)).download_and_prepare()
    with pytest.raises(UserError, match='file_format=array_record'):
        readers.open_images('digits', str(tmp_path), None, memory_limit=10)


# Sounds.


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
    # A quiet sound of 8 bits is not taken for one of 16, nor the other way.
    np.testing.assert_array_equal(batch['audio'][0], [*expected, 0.0])


def test_sounds_of_unknown_scale_are_refused(tmp_path):
    # 24 bits in 32, quiet enough to pass for 16.
    place = _sounds(tmp_path, np.int32, [[1, 2, 3]] * 10)
    with pytest.raises(UserError, match='int32 sounds'):
        data.load_audio('sounds', place, 4)


def test_sounds_without_samples_are_left_out_and_counted(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2], []] * 10)
    sounds = data.load_audio('sounds', place, 4)
    assert sum(sounds.spec.split_sizes.values()) == 10
    assert 'left out: 10 of train that have no samples' in _said(sounds)
    place = _sounds(tmp_path / 'empty', np.int16, [[]] * 10)
    with pytest.raises(UserError, match='no sound with samples'):
        data.load_audio('sounds', place, 4)


def test_a_second_sound_of_each_example_is_named(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2]] * 10, others=['accompaniment'])
    sounds = data.load_audio('sounds', place, 4)
    (batch,) = sounds.evaluation('train', 1).take(1)
    assert batch['audio'][0].numpy().tolist() == [2**-15, 2**-14, 0, 0]
    assert 'left out: sounds accompaniment of each example' in _said(sounds)


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
        data.load_audio('sounds', place, 1 << 40)


def test_a_truncated_sound_is_one_line(tmp_path):
    place = _sounds(tmp_path, np.int16, [[1, 2]] * 10)
    (file,) = (tmp_path / 'sounds' / '1.0.0').glob('*.tfrecord*')
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match='cannot be read'):
        data.load_audio('sounds', place, 4)


@pytest.mark.parametrize(
    'case,said',
    [
        ('odd_test_minus', 'a tenth of train is held out'),
        ('odd_uint16', '3 classes'),
        ('odd_key', '3 classes'),
        ('odd_splits', 'split fold_b (24 examples)'),
    ],
)
def test_sets_that_failed_once(case, said):
    if not CASES.is_dir():
        pytest.skip(f'no {CASES}')
    assert said in _said(data.load(case, str(CASES)))


def test_sounds_of_eight_bits_that_failed_once():
    if not CASES.is_dir():
        pytest.skip(f'no {CASES}')
    sounds = data.load_audio('snd_uint8', str(CASES), 400)
    (batch,) = sounds.evaluation('train', 100)
    # Around silence, and as loud as they are.
    assert abs(float(tf.reduce_mean(batch['audio']))) < 0.05
    assert 0.3 < float(tf.reduce_max(batch['audio'])) <= 1.0
