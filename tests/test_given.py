"""Data given in Python: arrays, tf.data, random-access sources, .npz files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import data
from tfgen.data import ImageSpec, PointSpec, SoundSpec, SymbolSpec
from tfgen.data.given import checks, files, random_access, streams
from tfgen.errors import UserError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, [30, 6, 5, 1], dtype=np.uint8)
BYTES[0, 0, 0, 0] = 255
LABELS = np.arange(30) % 3
POINTS = RNG.normal(size=[30, 2])
ALL = (ImageSpec, PointSpec)


def _train(found, rows=8):
    """The first training batch, as arrays."""
    (batch,) = found.train(0, rows).take(1)
    return {k: v.numpy() for k, v in batch.items()}


class Source:
    """Examples and labels by index."""

    def __init__(self, *arrays):
        self.arrays, self.read = arrays, 0

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        self.read += 1
        row = tuple(a[index] for a in self.arrays)
        return row if len(row) > 1 else row[0]


class Batches(keras.utils.PyDataset):
    """Examples and labels in batches of 7."""

    def __len__(self):
        return -(-len(BYTES) // 7)

    def __getitem__(self, index):
        part = slice(7 * index, 7 * index + 7)
        return BYTES[part], LABELS[part]


# Kinds, shapes and values.


@pytest.mark.parametrize(
    ('array', 'kinds', 'kind', 'levels', 'shape'),
    [
        (BYTES, ALL, ImageSpec, 256, (6, 5, 1)),
        (BYTES[..., 0], ALL, ImageSpec, 256, (6, 5, 1)),
        (BYTES / 255, ALL, ImageSpec, 256, (6, 5, 1)),
        (np.repeat(BYTES, 3, 3), ALL, ImageSpec, 256, (6, 5, 3)),
        (BYTES > 100, ALL, ImageSpec, 2, (6, 5, 1)),
        ((BYTES > 100).astype(float), ALL, ImageSpec, 2, (6, 5, 1)),
        ((BYTES > 100).astype('uint8'), ALL, ImageSpec, 2, (6, 5, 1)),
        (POINTS, ALL, PointSpec, 0, (2,)),
        (np.tanh(POINTS), (SoundSpec,), SoundSpec, 65536, (2,)),
        (np.int16([[5, -7]] * 4), (SoundSpec,), SoundSpec, 65536, (2,)),
        (np.array([[0, 3, 1]] * 4), (SymbolSpec,), SymbolSpec, 4, (3,)),
        (['ab', 'b', 'aab'], (SymbolSpec,), SymbolSpec, 3, (3,)),
    ],
)
def test_the_kind_follows_from_the_array(array, kinds, kind, levels, shape):
    found = data.from_examples(array, None, kinds)
    assert type(found.spec) is kind and found.spec.shape == shape
    assert getattr(found.source, 'levels', 0) == levels
    batch = _train(found)
    assert batch[found.spec.key].shape == (8, *shape)
    assert found.spec.valid(tf.constant(batch[found.spec.key]))[0]


def test_floats_that_are_bytes_are_read_exactly():
    bytes_, floats = (
        data.from_examples(a, None, ALL) for a in (BYTES, BYTES / 255)
    )
    np.testing.assert_array_equal(
        _train(bytes_)['image'], _train(floats)['image']
    )
    assert bytes_.spec.fingerprint == floats.spec.fingerprint
    rounded = data.from_examples(RNG.random([9, 4, 4]), None, ALL)
    assert any('rounded to 256 levels' in x for x in rounded.describe())


def test_a_split_of_two_values_has_the_levels_of_the_other():
    binary = (BYTES[:4] > 100) / 1.0
    found = data.from_examples((BYTES / 255, binary), None, ALL)
    (batch,) = found.evaluation('test', 4)
    np.testing.assert_array_equal(batch['image'], binary)


def test_strings_are_padded_and_share_one_alphabet():
    found = data.from_examples((['ab', 'c'], ['b']), None, (SymbolSpec,))
    assert found.spec.alphabet == ('', 'a', 'b', 'c')
    (batch,) = found.evaluation('train', 2)
    texts = found.spec.encode(batch['symbols']).numpy()
    assert texts.tolist() == [b'ab', b'c']


# Forms of the same examples.

ARRAYS = data.from_examples(BYTES, LABELS)


@pytest.mark.parametrize(
    'form',
    [
        (BYTES, LABELS),
        {'image': BYTES, 'label': LABELS},
        {'train': (BYTES, LABELS)},
        tf.data.Dataset.from_tensor_slices((BYTES, LABELS)),
        tf.data.Dataset.from_tensor_slices((BYTES, LABELS)).batch(7),
        tf.data.Dataset.from_tensor_slices({'image': BYTES, 'label': LABELS}),
    ],
    ids=['pair', 'dict', 'splits', 'examples', 'batches', 'dicts'],
)
def test_every_form_gives_the_same_batches(form):
    found = data.from_examples(form)
    assert found.spec == ARRAYS.spec
    for name, value in _train(ARRAYS).items():
        np.testing.assert_array_equal(_train(found)[name], value)


def test_a_test_split_is_the_one_that_is_given():
    splits = ((BYTES[:20], LABELS[:20]), (BYTES[20:], LABELS[20:]))
    for form, labels in (
        (splits, None),
        ((BYTES[:20], BYTES[20:]), (LABELS[:20], LABELS[20:])),
        (dict(zip(('train', 'test'), splits, strict=True)), None),
    ):
        found = data.from_examples(form, labels)
        assert found.spec.split_sizes == {'test': 10, 'train': 20}
        (batch,) = found.evaluation('test', 10)
        np.testing.assert_array_equal(batch['label'], LABELS[20:])


def test_labels_may_be_strings_and_have_names():
    named = data.from_examples(BYTES, np.array(['x', 'a', 'c'])[LABELS])
    assert named.spec.class_names == ('a', 'c', 'x')
    told = data.from_examples(BYTES, LABELS, class_names=['u', 'v', 'w', 'z'])
    assert told.spec.num_classes == 4
    one = data.from_examples(BYTES, (LABELS == 1)[:, None])
    assert one.spec.num_classes == 2


@pytest.mark.parametrize('source', [Source(BYTES, LABELS), Batches()])
def test_a_source_is_read_by_index_and_every_epoch_has_each_example(source):
    found = data.from_examples(source)
    assert type(found.spec) is ImageSpec and found.spec.num_classes == 3
    size = found.spec.split_sizes['train']
    assert size == 27
    seen = np.concatenate(
        [b['image'] for b in found.train(0, 9).take(3)], axis=0
    )
    assert len(np.unique(seen.reshape(27, -1), axis=0)) == 27
    (resumed,) = found.train(0, 9, start=2).take(1)
    np.testing.assert_array_equal(resumed['image'], seen[18:])
    rows = {BYTES[i].tobytes(): LABELS[i] for i in range(30)}
    for image, label in zip(resumed['image'], resumed['label'], strict=True):
        stored = np.round(image.numpy() * 255).astype(np.uint8)
        assert rows[stored.tobytes()] == label


def test_a_source_is_not_read_whole_when_it_is_opened():
    many = Source(np.broadcast_to(BYTES[:1], [300_000, 6, 5, 1]))
    found = data.from_examples((many, Source(BYTES)))
    assert many.read < 100 and found.spec.split_sizes['train'] == 300_000


def test_sources_of_floats_keep_their_scale_where_all_are_0_and_1():
    images = np.concatenate([BYTES / 255, (BYTES > 100) / 1.0])
    found = data.from_examples((Source(images), Source(images)))
    (batch,) = found.evaluation('train', 60)
    np.testing.assert_allclose(batch['image'], images, atol=1e-6)


def test_a_large_dataset_is_streamed_in_its_order(monkeypatch):
    monkeypatch.setattr(streams, 'MEMORY_LIMIT', 500)
    monkeypatch.setattr(streams, '_HELD_OUT', 5)
    pairs = tf.data.Dataset.from_tensor_slices((BYTES, LABELS))
    found = data.from_examples(pairs)
    assert isinstance(found, data.Streamed)
    assert found.spec.split_sizes == {'test': 5}
    assert any(' classes, from 5 examples' in s for s in found.describe())
    first, second = found.train(0, 10).take(2)
    np.testing.assert_allclose(first['image'], BYTES[5:15] / 255, rtol=1e-6)
    np.testing.assert_array_equal(second['label'], LABELS[15:25])
    (resumed,) = found.train(0, 10, start=1).take(1)
    np.testing.assert_array_equal(resumed['image'], second['image'])
    # Two replicas share the rows of a batch in order.
    context = tf.distribute.InputContext(1, 0, 2)
    halves = [*found.train(0, 10, context=context).take(2)]
    together = np.concatenate([h['image'] for h in halves])
    np.testing.assert_array_equal(together, first['image'])
    with pytest.raises(UserError, match='random-access source'):
        found.train(0, 10, whole_epochs=True)
    with pytest.raises(UserError, match='leave labels out'):
        data.from_examples(pairs, LABELS)
    endless = tf.data.Dataset.from_tensor_slices(BYTES).repeat()
    assert isinstance(data.from_examples(endless), data.Streamed)


def test_batches_of_a_static_size_are_batches():
    points = POINTS.astype(np.float32) / np.abs(POINTS).max()
    single = tf.data.Dataset.from_tensor_slices(points)
    for dataset in (
        single.batch(5, drop_remainder=True),
        single.batch(5, drop_remainder=True).shuffle(2).prefetch(1).cache(),
    ):
        found = data.from_examples(dataset, None, ALL)
        assert isinstance(found.spec, PointSpec)
        assert sum(found.spec.split_sizes.values()) == len(points) // 5 * 5


# Files.


def test_arrays_survive_their_file(tmp_path):
    file = tmp_path / 'data.npz'
    for given, labels, kinds in (
        (BYTES, LABELS, ALL),
        (POINTS, None, ALL),
        (['ab', 'b', 'aab'], None, (SymbolSpec,)),
        (np.tanh(POINTS), None, (SoundSpec,)),
    ):
        first = data.from_examples(given, labels, kinds)
        data.save_arrays(file, first)
        again = files.load_arrays(f'arrays:{file}', file, kinds)
        assert again.spec.fingerprint == first.spec.fingerprint
        assert again.spec.split_sizes == first.spec.split_sizes
        for name, value in _train(first).items():
            np.testing.assert_array_equal(_train(again)[name], value)


def test_a_file_of_keras_is_read(tmp_path):
    file = tmp_path / 'mnist.npz'
    np.savez(file, x_train=BYTES, y_train=LABELS, x_test=BYTES, y_test=LABELS)
    found = data.open_any(f'arrays:{file}', None, ALL, None)
    assert found.spec.split_sizes == {'train': 30, 'test': 30}
    assert found.spec.name == f'arrays:{file}'


def test_examples_are_taken_as_they_are_given():
    spec = ARRAYS.spec
    expected = BYTES[:4] / 255.0
    for given in (BYTES[:4], BYTES[:4, ..., 0], expected):
        found = data.as_examples(spec, given)
        np.testing.assert_allclose(found, expected, atol=1e-7)
    lines = data.from_examples(['ab', 'c'], None, (SymbolSpec,)).spec
    rows = data.as_examples(lines, ['c', 'a'])
    assert [lines.alphabet[i] for i in rows[:, 0]] == ['c', 'a']
    for wrong, said in (
        (['abc'], '3 letters, and the model takes 2'),
        (['x'], "the letter 'x'"),
    ):
        with pytest.raises(UserError, match=said):
            data.as_examples(lines, wrong)
    for wrong, said in (
        (BYTES[:, :3], 'have shape'),
        (BYTES * 1.0 - 300.0, 'check their scale'),
    ):
        with pytest.raises(UserError, match=said):
            data.as_examples(spec, wrong)


# Wrong data: one line each, with the remedy.

NAN = np.where(BYTES > 250, np.nan, BYTES / 255)
RAGGED = [np.zeros([4, 4]), np.zeros([5, 4])]
WRONG = {
    'floats in 0..255': (BYTES * 1.0, None, 'pass images / 255'),
    'floats in 0..16': (BYTES % 17 * 1.0, None, 'pass images / 16'),
    'floats in -1..1': (BYTES / 127.5 - 1, None, r'\(images \+ 1\) / 2'),
    'floats of any scale': (BYTES * 9.0, None, r'scale them to \[0, 1\]'),
    'NaN': (NAN, None, 'np.nan_to_num'),
    'integers': (BYTES.astype(int), None, r"images.astype\('uint8'\)"),
    'large integers': (BYTES.astype(int) * 9, None, 'uint8 in 0..255'),
    'channels first': (np.moveaxis(np.repeat(BYTES, 3, 3), 3, 1), None,
                       r'np.moveaxis\(images, 1, -1\)'),
    'alpha': (np.repeat(BYTES, 4, 3), None, r'images\[..., :3\]'),
    'grey and alpha': (np.repeat(BYTES, 2, 3), None, r'images\[..., :1\]'),
    'five channels': (np.repeat(BYTES, 5, 3), None, 'pass grey images'),
    'objects': (np.array(RAGGED, object), None, r'np.stack\(examples\)'),
    'ragged': (RAGGED, None, r'np.stack\(examples\)'),
    'complex': (POINTS * 1j, None, 'pass numbers'),
    'one number': (3.0, None, 'pass an array'),
    'nothing': (BYTES[:0], None, 'are empty'),
    'flat numbers': (POINTS[:, 0], None, r'pass examples\[:, None\]'),
    'five dimensions': (BYTES[None], None, 'images are'),
    'flat images': (BYTES.reshape(30, 30), None, 'pass images of shape'),
    'flat squares': (np.zeros([9, 64], int), None, r'reshape\(-1, 8, 8\)'),
    'strings': (['a', 'b'], None, 'the model takes'),
    'strings in rows': ([['a'], ['b']], None, 'pass a flat list'),
    'one example': (BYTES[:1], None, 'too few'),
    'negative labels': (BYTES, LABELS - 1, 'return_inverse=True'),
    'labels too large': (BYTES, LABELS * 999, 'return_inverse=True'),
    'one-hot labels': (BYTES, np.eye(3)[LABELS], r'labels.argmax\(axis=1\)'),
    'labels in a cube': (BYTES, np.zeros([30, 1, 1]), 'one label per'),
    'float labels': (BYTES, LABELS * 1.0, r'labels.astype\(int\)'),
    'few labels': (BYTES, LABELS[:9], '30 examples and 9 labels'),
    'ragged labels': (BYTES, [[1], [2, 3]], r'np.stack\(labels\)'),
    'labels twice': ({'image': BYTES, 'label': LABELS}, LABELS,
                     'labels already'),
    'labels of one split': ({'train': (BYTES, LABELS), 'test': BYTES}, None,
                            'has labels and the other'),
    'labels that are no pair': ((BYTES, BYTES), LABELS, 'labels is no pair'),
    'unknown split': ({'train': BYTES, 'dev': BYTES}, None, 'use train'),
    'a pair in a split': ({'train': (BYTES, BYTES)}, None,
                          r'pass \(examples, labels\)'),
    'an endless split': ((BYTES, tf.data.Dataset.range(1).repeat()), None,
                         'has no end'),
    'many keys': ({'image': BYTES, 'depth': BYTES}, None, 'has the keys'),
    'splits of two shapes': ((BYTES, BYTES[:, :3]), None, 'one shape'),
    'a source with labels': (Source(BYTES), LABELS, 'leave labels out'),
    'two sources with labels': ((Source(BYTES), Source(BYTES)),
                                (LABELS, LABELS), 'leave labels out'),
    'items of three': (Source(BYTES, LABELS, LABELS), None, 'tuples of 3'),
    'items of many keys': (Source([{'a': 1, 'b': 2}] * 9), None,
                           'have the keys'),
    'empty dataset': (tf.data.Dataset.from_tensor_slices(BYTES).take(0), None,
                      'is empty'),
    'triples': (tf.data.Dataset.from_tensors((1, 2, 3)), None, 'tuples of 3'),
    'dicts of many keys': (tf.data.Dataset.from_tensors({'a': 1, 'b': 2}), None,
                           'have the keys'),
    'dataset of two shapes': (
        tf.data.Dataset.from_generator(
            lambda: iter([BYTES[0], BYTES[0, :3]]),
            output_signature=tf.TensorSpec([None, 5, 1], tf.uint8),
        ).map(lambda x: (x, 0)), None, 'tf.image.resize'),
    'dataset without a shape': (
        tf.data.Dataset.from_generator(
            lambda: iter(BYTES), output_signature=tf.TensorSpec(None, tf.uint8)
        ), None, 'tf.ensure_shape'),
}  # fmt: skip


def test_there_are_at_least_forty_wrong_arrays():
    assert len(WRONG) >= 40


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_array_is_one_line_with_its_remedy(name):
    given, labels, said = WRONG[name]
    with pytest.raises(UserError, match=said) as error:
        data.from_examples(given, labels, ALL)
    assert '\n' not in str(error.value) and '--' not in str(error.value)


@pytest.mark.parametrize(
    ('given', 'kinds', 'said'),
    [
        (BYTES.reshape(30, 30), (SoundSpec,), 'pass .N, T.'),
        (POINTS * 9, (SoundSpec,), 'np.abs'),
        (-np.ones([4, 3], int), (SymbolSpec,), 'number them from 0'),
        (np.full([4, 3], 70_000), (SymbolSpec,), '65,536 symbols'),
        (['', ''], (SymbolSpec,), 'all strings are empty'),
        (Source(['ab', 'b', 'ba']), (SymbolSpec,), 'has no alphabet'),
    ],
)
def test_wrong_sounds_and_symbols_are_one_line(given, kinds, said):
    with pytest.raises(UserError, match=said):
        data.from_examples(given, None, kinds)


def test_class_names_need_labels_and_are_enough():
    letters = np.array(['x', 'a', 'c'])[LABELS]
    told = data.from_examples(BYTES, letters, class_names=['x', 'a', 'c'])
    assert told.spec.class_names == ('x', 'a', 'c')
    with pytest.raises(UserError, match='pass labels of these classes'):
        data.from_examples(BYTES, letters, class_names=['x', 'a'])
    with pytest.raises(UserError, match='there are no labels'):
        data.from_examples(BYTES, class_names=['a'])
    with pytest.raises(UserError, match='there are 2 names'):
        data.from_examples(BYTES, LABELS, class_names=['a', 'b'])


def test_a_source_that_changes_says_so():
    """A later row may be unlike the first ones."""
    images = np.repeat(BYTES, 3, axis=0)
    large = [*images, *np.zeros([1, 7, 5, 1], np.uint8)]
    for source, said in (
        (Source(large), 'one shape'),
        (Source([*(images > 100), images[0]]), '256 levels'),
    ):
        rows = {'train': source, 'test': source}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(random_access, 'sample_rows', lambda n: [0, 1])
            found, _ = random_access.open_source(rows, ALL, None)
        with pytest.raises((tf.errors.OpError, UserError)):
            found.gather('train', tf.constant([len(source) - 1], tf.int64))
        assert said in str(found.splits['train'].failure)


@pytest.mark.parametrize(
    ('content', 'said'),
    [(b'nothing', 'cannot be read'), (None, 'name them x_train')],
)
def test_a_wrong_file_is_one_line(content, said, tmp_path):
    file = tmp_path / 'x.npz'
    if content:
        file.write_bytes(content)
    else:
        np.savez(file, weights=BYTES)
    with pytest.raises(UserError, match=said):
        data.open_any(f'arrays:{file}', None, ALL, None)


def test_data_by_name_take_no_labels_and_arrays_no_size():
    with pytest.raises(UserError, match='labels of its own'):
        data.open_any('digits', LABELS, ALL, None)
    with pytest.raises(UserError, match='are not resized'):
        data.open_any(BYTES, None, ALL, None, image_size=(4, 4))
    with pytest.raises(UserError, match='pass them again in Python'):
        data.open_any('arrays', None, ALL, None)


def test_checks_know_their_kinds():
    assert set(checks.KINDS) == {ImageSpec, PointSpec, SoundSpec, SymbolSpec}
