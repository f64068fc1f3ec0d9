"""Data sets: values, order, binarization, folders, errors."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from conftest import PREPARED
from PIL import Image

from tfgen import data
from tfgen.data import readers
from tfgen.data.embedded import digits, points, tones
from tfgen.data.readers import base
from tfgen.errors import UserError


@pytest.fixture(scope='module')
def embedded(data_dir):
    return data.load('digits', data_dir)


def _positions(*positions):
    return tf.constant(positions, tf.int64)


def _folder(path, count, size=(10, 12), mode='RGB'):
    path.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shape = size if mode == 'L' else (*size, 3)
    for i in range(count):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels, mode).save(path / f'{i:03}.png')


def test_digits_are_scikit_learns(embedded):
    from sklearn import datasets

    source = datasets.load_digits()
    read = {
        split: list(embedded.evaluation(split, 1000).unbatch())
        for split in ('train', 'test')
    }
    assert (len(read['train']), len(read['test'])) == (1500, 297)
    pixels = sorted(
        (np.round(x['image'].numpy()[..., 0] * 16).tobytes(), int(x['label']))
        for split in read.values()
        for x in split
    )
    expected = sorted(
        (image.astype(np.float32).tobytes(), label)
        for image, label in zip(source.images, source.target, strict=True)
    )
    assert pixels == expected
    assert embedded.spec.levels == digits.LEVELS


def test_every_epoch_sees_each_example_once():
    size = 37
    for epoch in range(3):
        positions = tf.range(epoch * size, (epoch + 1) * size, dtype=tf.int64)
        indices = data.shuffled(positions, size, seed=5).numpy()
        assert sorted(indices) == list(range(size))


def test_epochs_and_seeds_differ_and_batches_do_not_matter():
    size = 200
    whole = data.shuffled(tf.range(400, dtype=tf.int64), size, 1).numpy()
    assert np.mean(whole[:200] == whole[200:]) < 0.1
    other = data.shuffled(tf.range(400, dtype=tf.int64), size, 2).numpy()
    assert np.mean(whole == other) < 0.1
    some = data.shuffled(_positions(399, 5, 200), size, 1).numpy()
    np.testing.assert_array_equal(some, whole[[399, 5, 200]])


def test_stream_resumes_at_any_batch(data_dir):
    embedded = data.load('digits', data_dir, 'dynamic')
    whole = list(embedded.train(3, 32).take(60))
    for start in (1, 47, 59):  # 47 is beyond the first epoch
        (resumed,) = embedded.train(3, 32, start).take(1)
        for key, value in resumed.items():
            np.testing.assert_array_equal(value, whole[start][key])


def test_whole_epochs_begin_with_a_batch_and_count_every_example_once(data_dir):
    # 1,500 examples in batches of 64: 36 rows pad the last batch.
    embedded = data.load('digits', data_dir)
    (whole,) = embedded.train(3, 3000).take(1)
    images = whole['image'].numpy()
    for first in (0, 24):
        stream = embedded.train(3, 64, first, whole_epochs=True).take(24)
        batches = list(stream)
        weight = np.concatenate([b['weight'] for b in batches])
        found = np.concatenate([b['image'] for b in batches])[weight > 0]
        order = images[:1500] if first == 0 else images[1500:]
        np.testing.assert_array_equal(found, order)
        np.testing.assert_allclose(weight.mean(), 1.0, rtol=1e-6)
        assert (batches[-1]['weight'].numpy() == 0).sum() == 36


@pytest.mark.parametrize('workers', [1, 2])
def test_replicas_share_out_the_global_batch(data_dir, workers):
    embedded = data.load('digits', data_dir, 'dynamic')
    whole = list(embedded.train(0, 12).take(2))
    parts = []
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, 4)
        local = 4 // workers
        parts.append(
            list(embedded.train(0, 12, context=context).take(2 * local))
        )
    for number in range(2):
        local = 4 // workers
        images = [
            part['image']
            for worker in parts
            for part in worker[number * local : (number + 1) * local]
        ]
        np.testing.assert_array_equal(
            tf.concat(images, 0), whole[number]['image']
        )


def test_binarizations(data_dir):
    grey = data.load('digits', data_dir).evaluation('test', 297)
    (grey,) = grey
    drawn = {
        name: data.load('digits', data_dir, name)
        for name in ('dynamic', 'threshold')
    }
    (threshold,) = drawn['threshold'].evaluation('test', 297)
    np.testing.assert_array_equal(threshold['image'], grey['image'] > 0.5)
    (dynamic,) = drawn['dynamic'].evaluation('test', 297)
    assert set(np.unique(dynamic['image'])) == {0.0, 1.0}
    assert abs(np.mean(dynamic['image'] - grey['image'])) < 0.01
    # Each example has one fixed image, for every batch size.
    first = next(iter(drawn['dynamic'].evaluation('test', 10)))
    np.testing.assert_array_equal(first['image'], dynamic['image'][:10])


def test_dynamic_binarization_is_fresh_in_every_epoch(data_dir):
    embedded = data.load('digits', data_dir, 'dynamic')
    (one,) = embedded.train(0, 1500).take(1)
    (two,) = embedded.train(0, 1500, start=1).take(1)
    order = [
        data.shuffled(tf.range(s, s + 1500, dtype=tf.int64), 1500, 0).numpy()
        for s in (0, 1500)
    ]
    images = [np.empty([1500, 64]) for _ in range(2)]
    for batch, rows, image in zip((one, two), order, images, strict=True):
        image[rows] = batch['image'].numpy().reshape(1500, 64)
    differing = np.mean(images[0] != images[1])
    assert 0.05 < differing < 0.3


def test_static_requires_a_binary_set(data_dir, prepared):
    with pytest.raises(UserError, match='17 levels'):
        data.load('digits', data_dir, 'static')
    spec = data.load('binarized_mnist', prepared, 'static').spec
    assert (spec.levels, spec.num_classes) == (2, 0)
    assert spec.split_sizes == {'train': 50_000, 'test': 10_000}


def test_a_prepared_tfds_set_is_read_whole(prepared):
    mnist = data.load('mnist', prepared)
    assert mnist.spec.shape == (28, 28, 1)
    assert mnist.spec.split_sizes == {'train': 60_000, 'test': 10_000}
    batch = next(iter(mnist.evaluation('test', 100)))
    assert batch['image'].shape == (100, 28, 28, 1)
    assert batch['label'].numpy()[:5].tolist() == [2, 0, 4, 8, 7]


@pytest.mark.parametrize('layout', ['flat', 'classes', 'splits'])
def test_folder_layouts(tmp_path, layout):
    if layout == 'flat':
        _folder(tmp_path / 'x', 20)
    elif layout == 'classes':
        _folder(tmp_path / 'x' / 'cat', 15)
        _folder(tmp_path / 'x' / 'dog', 5)
    else:
        _folder(tmp_path / 'x' / 'train' / 'cat', 9)
        _folder(tmp_path / 'x' / 'train' / 'dog', 9)
        _folder(tmp_path / 'x' / 'test' / 'dog', 2)
    spec = data.load(f'folder:{tmp_path}/x').spec
    assert spec.split_sizes == {'train': 18, 'test': 2}
    assert spec.shape == (10, 12, 3)
    assert spec.num_classes == (0 if layout == 'flat' else 2)


def test_images_of_a_folder_keep_their_values(tmp_path):
    _folder(tmp_path / 'x' / 'train', 3, mode='L')
    _folder(tmp_path / 'x' / 'test', 2, mode='L')
    (test,) = data.load(f'folder:{tmp_path}/x').evaluation('test', 10)
    first = np.asarray(Image.open(tmp_path / 'x' / 'test' / '000.png'))
    np.testing.assert_array_equal(
        np.round(test['image'][0, ..., 0] * 255), first
    )


def test_images_of_many_sizes_need_image_size(tmp_path):
    _folder(tmp_path / 'x' / 'a', 6, (8, 20))
    _folder(tmp_path / 'x' / 'b', 6, (30, 16))
    with pytest.raises(UserError, match='image_size'):
        data.load(f'folder:{tmp_path}/x')
    resized = data.load(f'folder:{tmp_path}/x', image_size=(8, 8))
    assert resized.spec.shape == (8, 8, 3)


def test_fit_crops_the_centre():
    image = np.zeros([4, 10, 1], np.uint8)
    image[:, 3:7] = 200
    np.testing.assert_array_equal(
        base.fit(image, (2, 2)), np.full([2, 2, 1], 200)
    )


def test_a_set_too_large_for_memory_is_read_by_random_access(tmp_path):
    builder = digits.Digits(data_dir=str(tmp_path), file_format='array_record')
    builder.download_and_prepare()
    source = readers.open_images(
        'digits', str(tmp_path), None, memory_limit=1000
    )
    assert isinstance(source.splits['train'], base.RandomAccess)
    in_memory = readers.open_images('digits', str(tmp_path), None)
    indices = _positions(5, 1, 1400)
    for ours, theirs in zip(
        source.gather('train', indices),
        in_memory.gather('train', indices),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    spec = data.load('digits', str(tmp_path)).spec
    (batch,) = data.Data(spec, source).train(0, 8).take(1)
    (same,) = data.Data(spec, in_memory).train(0, 8).take(1)
    np.testing.assert_array_equal(batch['image'], same['image'])


def test_a_set_that_is_not_there_fails_fast(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError('no route to host')

    monkeypatch.setattr('urllib.request.urlopen', unreachable)
    with pytest.raises(UserError, match='tfds build cifar10'):
        data.load('cifar10', str(tmp_path))


def test_a_set_that_cannot_be_prepared_is_one_line(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError('the disk\nis gone')

    monkeypatch.setattr(digits.Digits, 'download_and_prepare', fail)
    with pytest.raises(UserError, match=r'cannot be prepared .* the disk is'):
        data.load('digits', str(tmp_path))


def test_loose_images_beside_classes_are_refused(tmp_path):
    _folder(tmp_path / 'x' / 'a', 6)
    _folder(tmp_path / 'x' / 'b', 6)
    Image.new('RGB', (12, 10)).save(tmp_path / 'x' / 'loose.png')
    with pytest.raises(UserError, match='loose images'):
        data.load(f'folder:{tmp_path}/x')


@pytest.mark.parametrize('suffix', ['bmp', 'jpg', 'png'])
def test_grey_pictures_of_every_format_are_read(tmp_path, suffix):
    for i in range(4):
        Image.new('L', (8, 8), 100).save(tmp_path / f'{i}.{suffix}')
    (batch,) = data.load(f'folder:{tmp_path}').evaluation('test', 4).take(1)
    assert batch['image'].shape == (1, 8, 8, 1)
    np.testing.assert_allclose(batch['image'] * 255, 100, atol=1)


def _palette_folder(path, pixels, colours):
    path.mkdir()
    (path / 'pixel_color.txt').write_text(pixels)
    (path / 'colormap.txt').write_text(colours)
    return f'palette:{path}'


COLOURS = '255 255 255\n10 20 30\n40 50 60\n'


def test_a_palette_is_read_as_indices(tmp_path):
    lines = [f'{i % 3} 1 2 0' for i in range(20)]
    name = _palette_folder(tmp_path / 'p', '\n'.join(lines) + '\n', COLOURS)
    images = data.load(name)
    assert images.spec.palette == ((255, 255, 255), (10, 20, 30), (40, 50, 60))
    assert images.spec.shape == (2, 2, 1) and images.spec.levels == 3
    assert images.spec.split_sizes == {'train': 18, 'test': 2}
    (train,) = images.evaluation('train', 20)
    (test,) = images.evaluation('test', 10)
    index = np.concatenate([train['image'], test['image']])
    index = np.round(index * 2).reshape(20, 4).astype(int).tolist()
    assert sorted(index) == sorted([i % 3, 1, 2, 0] for i in range(20))
    with pytest.raises(UserError, match='binarization=threshold'):
        data.load(name, binarization='threshold')
    with pytest.raises(UserError, match='image_size'):
        data.load(name, image_size=(8, 8))


@pytest.mark.parametrize(
    'pixels,colours,message',
    [
        ('0 1 2\n', COLOURS, 'square'),
        ('0 1 2 3\n' * 2, COLOURS, 'index of 3'),
        ('0 1 2 -1\n' * 2, COLOURS, 'index of -1'),
        ('0 1 2 0\n0 1\n', COLOURS, 'equally long'),
        ('0 1 2 x\n', COLOURS, 'whole numbers'),
        ('', COLOURS, 'no numbers'),
        ('0 0 0 0\n' * 2, '1 2 3\n', 'one colour'),
        ('0 1 2 0\n' * 2, '1 2\n', 'R G B'),
        ('0 1 2 0\n' * 2, COLOURS + '1 2 256\n', '0..255'),
    ],
)
def test_a_broken_palette_is_named(tmp_path, pixels, colours, message):
    with pytest.raises(UserError, match=message):
        data.load(_palette_folder(tmp_path / 'p', pixels, colours))


def test_a_palette_is_text_however_its_lines_end(tmp_path):
    lines = ['0 1 2 0', '', '1\x0c1 2\u20280'] * 2
    for number, end in enumerate(('\n', '\r\n', '\r')):
        name = _palette_folder(tmp_path / str(number), '', COLOURS)
        text = '\ufeff' + end.join(lines)
        file = tmp_path / str(number) / 'pixel_color.txt'
        file.write_bytes(text.encode())
        assert data.load(name).spec.split_sizes == {'train': 3, 'test': 1}
    file.write_bytes('0 1 2 0\n'.encode('utf-16'))
    with pytest.raises(UserError, match='iconv -f utf-16 -t utf-8'):
        data.load(name)


def test_the_lectures_own_palette():
    path = PREPARED.parent / 'pokemon_creation'
    if not path.is_dir():
        pytest.skip(f'no {path}')
    spec = data.load(f'palette:{path}').spec
    assert spec.shape == (20, 20, 1) and spec.levels == 167
    assert sum(spec.split_sizes.values()) == 792


@pytest.fixture(scope='module')
def embedded_tones(data_dir):
    return data.load_audio('tones', data_dir, 2048)


def test_tones_have_the_pitch_of_their_label(embedded_tones):
    (batch,) = embedded_tones.evaluation('test', 100)
    audio, label = batch['audio'].numpy(), batch['label'].numpy()
    assert np.abs(audio).max() <= 1 and sorted(set(label)) == list(range(10))
    spectrum = np.abs(np.fft.rfft(audio, 8 * 2048))
    frequency = np.arange(spectrum.shape[1]) * 8000 / (8 * 2048)
    for row, pitch in zip(
        spectrum, np.array(tones._PITCHES)[label], strict=True
    ):
        # The strongest line is one of the harmonics.
        strongest = frequency[row.argmax()] / pitch
        assert abs(strongest - round(strongest)) < 0.03


def test_sounds_are_cut_and_filled_up(data_dir, embedded_tones):
    (whole,) = embedded_tones.evaluation('test', 100)
    for length in (100, 3000):
        (batch,) = data.load_audio('tones', data_dir, length).evaluation(
            'test', 100
        )
        audio = batch['audio'].numpy()
        assert audio.shape == (100, length)
        common = min(length, 2048)
        np.testing.assert_array_equal(
            audio[:, :common], whole['audio'].numpy()[:, :common]
        )
        np.testing.assert_array_equal(audio[:, common:], 0.0)


def test_spoken_digits_are_16_bit_sounds(prepared):
    sounds = data.load_audio('spoken_digit', prepared, 2000)
    assert sounds.spec.sample_rate == 8000 and sounds.spec.num_classes == 10
    assert sounds.spec.split_sizes == {'train': 2250, 'test': 250}
    (batch,) = sounds.evaluation('test', 250)
    levels = batch['audio'].numpy() * 2**15
    np.testing.assert_array_equal(levels, np.round(levels))
    assert 0.2 < np.abs(batch['audio']).max() <= 1.0


@pytest.mark.parametrize(
    'sound,complaint',
    [
        (np.zeros([9], np.float32), 'has float32 sounds'),
        (np.zeros([9, 2], np.int64), r'sounds of shape \(None, 2\)'),
        (np.full([9], 1 << 20), 'more than 16 bits'),
    ],
)
def test_other_sounds_than_16_bit_mono_are_refused(tmp_path, sound, complaint):
    audio = tfds.features.Audio(
        shape=(None, *sound.shape[1:]), dtype=sound.dtype, sample_rate=8000
    )
    examples = tf.data.Dataset.from_tensors({'audio': sound})
    tfds.dataset_builders.store_as_tfds_dataset(
        'sounds',
        '1.0.0',
        features=tfds.features.FeaturesDict({'audio': audio}),
        split_datasets={'train': examples.repeat(10)},
        data_dir=tmp_path,
    )
    with pytest.raises(UserError, match=complaint):
        data.load_audio('sounds', str(tmp_path), 9)


def test_an_image_set_has_no_audio(data_dir):
    with pytest.raises(UserError, match='has no audio'):
        data.load_audio('digits', data_dir)
    with pytest.raises(UserError, match='has no image'):
        data.load('tones', data_dir)


def test_stacks_are_three_images_of_the_set(data_dir, embedded):
    stacks = data.load('stacked_digits', data_dir)
    assert stacks.spec.shape == (8, 8, 3) and stacks.spec.num_classes == 1000
    assert stacks.spec.class_names[407] == '4 0 7'
    for split in ('train', 'test'):
        known = {}
        for example in embedded.evaluation(split, 1).unbatch():
            known[example['image'].numpy().tobytes()] = int(example['label'])
        (batch,) = stacks.evaluation(split, 50, 50)
        for image, label in zip(batch['image'], batch['label'], strict=True):
            digits = [known[image[..., c].numpy().tobytes()] for c in range(3)]
            assert digits[0] * 100 + digits[1] * 10 + digits[2] == int(label)
    # All digits occur in all channels, and the splits differ.
    (many,) = stacks.evaluation('train', 2000, 2000)
    labels = many['label'].numpy()
    assert {*(labels // 100)} == {*(labels % 10)} == {*range(10)}
    assert len({*labels}) > 800


def test_what_cannot_be_stacked_is_refused(data_dir):
    colour = dataclasses.replace(
        readers.open_images('digits', data_dir, None), shape=(8, 8, 3)
    )
    with pytest.raises(UserError, match='stacked_mnist or stacked_digits'):
        readers.stacked.stack('stacked_colours', colour)


def test_training_sees_the_labels_of_a_few_and_no_others(data_dir):
    few = data.load_partly_labelled('digits', data_dir, num_labels=30)
    whole = data.load('digits', data_dir)
    seen, stream = {}, few.train(3, 100)
    for batch in stream.take(15):  # an epoch
        assert set(batch) == {'image', 'labelled_image', 'labelled_label'}
        for image, label in zip(
            batch['labelled_image'].numpy(),
            batch['labelled_label'].numpy(),
            strict=True,
        ):
            seen.setdefault(image.tobytes(), int(label))
    assert len(seen) == 30
    assert np.bincount(list(seen.values())).tolist() == [3] * 10
    truth = {
        x['image'].numpy().tobytes(): int(x['label'])
        for x in whole.evaluation('train', 1500).unbatch()
    }
    assert all(truth[image] == label for image, label in seen.items())
    # Another seed reorders the same labelled examples.
    (other,) = few.train(4, 200).take(1)
    assert {x.tobytes() for x in other['labelled_image'].numpy()} == {*seen}
    (test,) = few.evaluation('test', 300)
    assert len(test['label']) == 297
    # The images come in the same order as in fully labelled runs.
    (first,), (same,) = few.train(3, 100).take(1), whole.train(3, 100).take(1)
    np.testing.assert_array_equal(first['image'], same['image'])


def test_bells_have_their_density():
    distribution = points.TOY_DISTRIBUTIONS['bells']
    x = np.linspace(-3, 3, 3001, dtype=np.float32)[:, None]
    density = np.exp(distribution.log_prob(tf.constant(x)).numpy())
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=1e-4)
    assert data.load_points('bells').spec.shape == (1,)
