"""Folders of pictures are read right or refused; omissions are reported."""

import os

import numpy as np
import pytest
from conftest import PREPARED
from PIL import Image
from tiny import save_picture

from tfgen import data
from tfgen.data.readers import base, folder
from tfgen.errors import UserError

CASES = PREPARED.parent / 'cases'


def _open(path, **options):
    return data.load(f'folder:{path}', **options)


def _all(images):
    """Returns [(uint8 array, label)] of all images."""
    rows = []
    for split in ('train', 'test'):
        for batch in images.evaluation(split, 1000):
            labels = batch.get('label', np.zeros(len(batch['image'])))
            pixels = np.round(batch['image'].numpy() * 255).astype(int)
            rows += list(zip(pixels, np.asarray(labels), strict=True))
    return rows


def test_one_colour_picture_makes_all_colour(tmp_path):
    for i in range(5):
        save_picture(tmp_path / f'{i}.png', 40 + i)
    save_picture(tmp_path / '5.png', np.full([8, 8, 3], (9, 200, 30), np.uint8))
    images = _open(tmp_path)
    assert images.spec.channels == 3
    colours = {tuple(pixels[0, 0].tolist()) for pixels, _ in _all(images)}
    assert colours == {(40 + i,) * 3 for i in range(5)} | {(9, 200, 30)}


def test_colour_is_decided_by_type_not_by_values(tmp_path):
    for i in range(3):
        save_picture(tmp_path / f'{i}.png', np.full([8, 8, 3], i, np.uint8))
    assert _open(tmp_path).spec.channels == 3


def test_all_that_pillow_decodes_is_read_and_the_rest_is_counted(tmp_path):
    endings = ['png', 'webp', 'tif', 'tiff', 'bmp', 'gif', 'JPG', 'ppm', 'tga']
    for ending in endings:
        save_picture(tmp_path / f'x.{ending}')
    for name in ('notes.txt', 'more.txt', 'clip.mpg', 'README', 'x.svg'):
        (tmp_path / name).write_text('')
    images = _open(tmp_path)
    assert sum(images.spec.split_sizes.values()) == len(endings)
    said = '\n'.join(images.describe())
    assert '1 .mpg, 1 .svg, 2 .txt, 1 without ending' in said


def test_names_that_begin_with_a_dot_do_not_count(tmp_path):
    for kind in ('cat', 'dog'):
        for i in range(3):
            save_picture(tmp_path / kind / f'{i}.png')
        (tmp_path / kind / '._0.png').write_bytes(b'resource fork')
        (tmp_path / kind / '.DS_Store').write_bytes(b'')
    save_picture(tmp_path / '.ipynb_checkpoints' / '0.png')
    images = _open(tmp_path)
    assert images.spec.class_names == ('cat', 'dog')
    assert sum(images.spec.split_sizes.values()) == 6
    assert len(images.describe()) == 1


def test_nested_folders_belong_to_their_class(tmp_path):
    for kind, level in (('cat', 10), ('dog', 200)):
        for place in ('', 'deep', 'deep/er', 'other'):
            save_picture(tmp_path / kind / place / 'x.png', level)
    images = _open(tmp_path)
    assert images.spec.class_names == ('cat', 'dog')
    rows = _all(images)
    assert len(rows) == 8
    assert all((pixels.max() > 100) == label for pixels, label in rows)


def test_a_link_back_up_is_not_followed_for_ever(tmp_path):
    for i in range(3):
        save_picture(tmp_path / 'x' / 'a' / f'{i}.png')
    (tmp_path / 'x' / 'a' / 'up').symlink_to(tmp_path / 'x' / 'a')
    assert sum(_open(tmp_path / 'x').spec.split_sizes.values()) == 3


@pytest.mark.parametrize(
    'train,test', [('Train', 'TEST'), ('train', 'val'), ('training', 'Valid')]
)
def test_splits_are_known_by_their_names(tmp_path, train, test):
    for kind in 'ab':
        for i in range(4):
            save_picture(tmp_path / train / kind / f'{i}.png')
        save_picture(tmp_path / test / kind / '0.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 8, 'test': 2}
    assert images.spec.class_names == ('a', 'b')
    assert f'the test split is {test}/' in images.describe()[0]


def test_what_lies_beside_the_splits_is_counted(tmp_path):
    for place in ('train', 'test', 'val', 'extra/deep'):
        for i in range(3):
            save_picture(tmp_path / place / f'{i}.png')
    save_picture(tmp_path / 'loose.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 3, 'test': 3}
    said = images.describe()[1]
    for part in ('extra/ (3 pictures)', 'val/ (3 pic', 'beside train/ (1 pic'):
        assert part in said


def test_two_folders_for_one_split_are_refused(tmp_path):
    for place in ('train', 'Train'):
        save_picture(tmp_path / place / '0.png')
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip('this disk does not tell capitals')
    with pytest.raises(UserError, match='has both'):
        _open(tmp_path)


def test_a_class_without_pictures_is_named(tmp_path):
    for i in range(3):
        save_picture(tmp_path / 'a' / f'{i}.png')
    (tmp_path / 'b').mkdir()
    images = _open(tmp_path)
    assert images.spec.class_names == ('a',)
    assert "b', which holds no pictures" in images.describe()[1]


def test_a_class_of_test_pictures_alone_is_named(tmp_path):
    for place in ('train/a', 'train/b', 'test/b', 'test/c'):
        save_picture(tmp_path / place / '0.png')
    images = _open(tmp_path)
    assert "class 'c' has no training picture" in images.describe()[-1]


def test_classes_are_in_natural_order(tmp_path):
    names = ['1', '2', '10', 'a2', 'a10', 'b']
    for name in names:
        for i in range(2):
            save_picture(tmp_path / name / f'{i}.png')
    assert list(_open(tmp_path).spec.class_names) == names


@pytest.mark.parametrize('split', ['test', 'val', 'Validation_set'])
def test_a_split_without_training_pictures_is_refused(tmp_path, split):
    save_picture(tmp_path / split / 'cat' / 'x.png')
    save_picture(tmp_path / 'other' / 'cat' / 'x.png')
    with pytest.raises(UserError, match=f'has {split}/ and no train/'):
        _open(tmp_path)


def test_files_outside_the_splits_are_counted(tmp_path):
    for split in ('train_images', 'test_images'):
        for i in range(2):
            save_picture(tmp_path / split / f'{i}.png')
    for file in ('labels.csv', 'extra/a.heic', 'train_images/b.txt'):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text('')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 2, 'test': 2}
    said = 'files that are no pictures (1 .csv, 1 .heic, 1 .txt)'
    assert said in images.describe()[1]


def test_a_second_link_to_a_folder_is_counted(tmp_path):
    for i in range(3):
        save_picture(tmp_path / 'cat' / 'x' / f'{i}.png')
    (tmp_path / 'cat' / 'y').symlink_to(tmp_path / 'cat' / 'x')
    images = _open(tmp_path)
    assert sum(images.spec.split_sizes.values()) == 3
    assert '1 links to folders' in images.describe()[1]


def test_a_pipe_is_no_picture(tmp_path):
    save_picture(tmp_path / 'a.png')
    os.mkfifo(tmp_path / 'b.png')
    with pytest.raises(UserError, match=r'b\.png.* is no regular file'):
        _open(tmp_path)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    save_picture(tmp_path / 'a.png')
    with pytest.raises(UserError, match=r'a\.png.* is a file'):
        _open(tmp_path / 'a.png')
    with pytest.raises(UserError, match='names no path'):
        data.load('folder:')


def test_a_size_that_no_memory_holds_is_refused(tmp_path):
    save_picture(tmp_path / 'a.png')
    with pytest.raises(UserError, match='100000,100000 has more than'):
        _open(tmp_path, image_size=(100000, 100000))


def test_several_frames_are_named(tmp_path):
    frames = [Image.new('L', (8, 8), 90 * i) for i in range(3)]
    for i in range(3):
        frames[0].save(
            tmp_path / f'{i}.gif', save_all=True, append_images=frames[1:]
        )
    (line,) = _open(tmp_path).describe()[1:]
    assert 'several frames' in line and "0.gif' and 2 more" in line


def test_a_picture_that_is_too_large_is_named(tmp_path, monkeypatch):
    for i in range(3):
        save_picture(tmp_path / f'{i}.png')
    save_picture(tmp_path / 'scan.png', size=(40, 40))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    images = _open(tmp_path, image_size=(8, 8))
    (line,) = images.describe()[1:]
    assert 'more than 1,000 pixels' in line and 'scan.png' in line
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
    with pytest.raises(UserError, match=r'scan.png.* more than 1,000 pixels'):
        _open(tmp_path, image_size=(8, 8))


def test_what_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    for i in range(3):
        save_picture(tmp_path / f'{i}.png')

    def denied(*_):
        raise PermissionError(13, 'Permission denied')

    with monkeypatch.context() as patch:
        patch.setattr(folder.pathlib.Path, 'read_bytes', denied)
        with pytest.raises(UserError, match=r'0\.png.*Permission') as error:
            _open(tmp_path)
        assert 'remove' not in str(error.value)
    monkeypatch.setattr(folder.pathlib.Path, 'iterdir', denied)
    with pytest.raises(UserError, match=r'cannot be read \(Permission'):
        _open(tmp_path)


# The examples held out of a set without a test split.


def _random_labels(seed):
    random = np.random.default_rng(seed)
    return random.integers(0, random.integers(1, 30), random.integers(2, 400))


@pytest.mark.parametrize('seed', range(20))
def test_a_tenth_is_held_out_of_every_class(seed):
    labels = _random_labels(seed)
    sizes = np.bincount(labels)
    if sizes.max() == 1:
        pytest.skip('one example of each class')
    rows = base.hold_out('x', len(labels), labels)
    joined = np.concatenate([rows['train'], rows['test']])
    np.testing.assert_array_equal(np.sort(joined), np.arange(len(labels)))
    held = np.bincount(labels[rows['test']], minlength=len(sizes))
    assert np.all(held[sizes > 0] < sizes[sizes > 0])
    assert held.sum() == -(-len(labels) // 10) or np.all(held >= sizes - 1)
    if sizes.min() > 1:
        assert np.all(np.abs(held - held.sum() * sizes / len(labels)) < 1)


def test_what_is_held_out_does_not_follow_the_order():
    rows = base.hold_out('x', 1000, None)['test']
    assert len(rows) == 100
    # With ten views of each object, every view is held out sometimes.
    assert set(rows % 10) == set(range(10))
    again = base.hold_out('x', 1000, None)['test']
    np.testing.assert_array_equal(rows, again)
    # These must never change, or a resumed run would train on test examples.
    assert rows[:8].tolist() == [4, 13, 17, 42, 69, 70, 74, 77]


def test_classes_of_one_picture_are_trained_not_tested(tmp_path):
    for kind, count in (('a', 1), ('b', 9), ('c', 10), ('d', 1)):
        for i in range(count):
            save_picture(tmp_path / kind / f'{i}.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 18, 'test': 3}
    assert 'a: 1, b: ' in images.describe()[0]
    for kind in 'bc':
        for file in (tmp_path / kind).iterdir():
            if file.name != '0.png':
                file.unlink()
    with pytest.raises(UserError, match='one example of each class'):
        _open(tmp_path)


# Data sets and runs.


def test_the_fingerprint_follows_every_change(tmp_path):
    def fingerprint():
        return _open(tmp_path).spec.fingerprint

    for kind in ('cat', 'dog'):
        for i in range(5):
            save_picture(tmp_path / kind / f'{i}.png', 50 + i)
    first = fingerprint()
    assert first == fingerprint()
    save_picture(tmp_path / 'cat' / '2.png', 53)
    second = fingerprint()
    (tmp_path / 'cat' / '2.png').rename(tmp_path / 'cat' / '9.png')
    third = fingerprint()
    (tmp_path / 'cat').rename(tmp_path / 'eel')
    assert len({first, second, third, fingerprint()}) == 4


def _levels(rows):
    """Returns the number of grey levels of the first picture."""
    return len(np.unique(rows[0][0]))


@pytest.mark.parametrize(
    'case,check',
    [
        ('png16_grey', lambda i, rows: _levels(rows) >= 16),
        ('rgba_hidden_noise', lambda i, rows: i.spec.channels == 3),
        (
            'exif_rotation',
            lambda i, rows: all(r[0][0].min() > r[0][-1].max() for r in rows),
        ),
        ('webp_mixed', lambda i, rows: len(rows) == 20),
        ('macos', lambda i, rows: len(i.describe()) == 1),
        ('hidden_folder', lambda i, rows: len(i.spec.class_names) == 2),
        ('lone_class', lambda i, rows: len(rows) == 21),
        ('first_grey', lambda i, rows: i.spec.channels == 3),
        ('val_not_test', lambda i, rows: 'val/' in i.describe()[0]),
        ('empty_class', lambda i, rows: "b', which" in i.describe()[1]),
    ],
)
def test_inputs_that_failed_once(case, check):
    if not (CASES / case).is_dir():
        pytest.skip(f'no {CASES / case}')
    images = _open(CASES / case)
    assert check(images, _all(images))


def test_names_need_not_be_utf8(tmp_path):
    for i in range(3):
        save_picture(tmp_path / 'x' / f'{i}.png')
    name = os.fsencode(tmp_path / 'x') + b'/caf\xe9.png'
    os.rename(os.fsencode(tmp_path / 'x' / '0.png'), name)
    assert sum(_open(tmp_path / 'x').spec.split_sizes.values()) == 3


def test_a_folder_above_the_splits_is_refused(tmp_path):
    for place in ('train/cat', 'train/dog', 'test/cat'):
        save_picture(tmp_path / 'pets' / place / '0.png')
    with pytest.raises(UserError, match=r'name folder:.*/pets'):
        _open(tmp_path)


def test_a_class_called_train_is_not_taken_for_the_split(tmp_path):
    for kind in ('bus', 'car', 'train'):
        for i in range(3):
            save_picture(tmp_path / kind / f'{i}.png')
    with pytest.raises(UserError, match='rename train/ if it is a class'):
        _open(tmp_path)


def test_a_link_back_up_does_not_bring_other_classes(tmp_path):
    for kind in 'ab':
        for i in range(4):
            save_picture(tmp_path / kind / f'{i}.png')
    (tmp_path / 'a' / 'up').symlink_to(tmp_path)
    images = _open(tmp_path)
    assert sum(images.spec.split_sizes.values()) == 8
    assert len(_all(images)) == 8


def test_equal_classes_have_equal_luck():
    labels = np.repeat(np.arange(200), 4)
    held = np.bincount(labels[base.hold_out('x', 800, labels)['test']])
    assert held.max() == 1 and held.sum() == 80
    # Not the first 80 classes: both halves hold out about as many.
    assert 25 < held[:100].sum() < 55


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    with pytest.raises(UserError, match='File name too long'):
        _open(tmp_path / ('x' * 300))
    with pytest.raises(UserError, match='does not exist'):
        _open('~nobody-of-that-name/x')
