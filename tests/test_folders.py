"""Folders of pictures: read right or refused, and nothing left out unsaid."""

import os
import struct
import zlib

import numpy as np
import pytest
from conftest import PREPARED
from PIL import Image

from tfgen import data
from tfgen.errors import UserError
from tfgen.readers import base, folder, picture

CASES = PREPARED.parent / 'cases'


def _open(path, **options):
    return data.load(f'folder:{path}', **options)


def _save(file, pixels=100, size=(8, 8), **options):
    """One picture; `pixels` is an array, or one grey level for all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, int):
        pixels = np.full(size, pixels, np.uint8)
    Image.fromarray(pixels).save(file, **options)


def _all(images):
    """Every image in bytes and its label: [(array, label)]."""
    rows = []
    for split in ('train', 'test'):
        for batch in images.evaluation(split, 1000):
            labels = batch.get('label', np.zeros(len(batch['image'])))
            pixels = np.round(batch['image'].numpy() * 255).astype(int)
            rows += list(zip(pixels, np.asarray(labels), strict=True))
    return rows


def _decoded(file):
    return picture.decode(file, file.read_bytes())


@pytest.mark.parametrize('ending', ['png', 'tif', 'pgm'])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, ending):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    file = tmp_path / f'x.{ending}'
    if ending == 'pgm':
        file.write_bytes(b'P5 8 8 65535\n' + ramp.astype('>u2').tobytes())
    else:
        _save(file, ramp)
    pixels = _decoded(file).pixels
    assert pixels.shape == (8, 8, 1)
    np.testing.assert_array_equal(pixels[..., 0], np.round(ramp / 257))


@pytest.mark.parametrize(
    'values', [np.zeros([4, 4], np.int32), np.zeros([4, 4], np.float32)]
)
def test_pixels_of_unknown_range_are_refused(tmp_path, values):
    _save(tmp_path / 'x.tif', values)
    with pytest.raises(UserError, match=r'x.tif.* 32-bit pixels'):
        _decoded(tmp_path / 'x.tif')


def _with_alpha(mode, alpha):
    noise = np.random.default_rng(0).integers(0, 256, [8, 8, 4], np.uint8)
    noise[..., 3] = alpha
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize(
    'mode,ending', [('RGBA', 'png'), ('LA', 'png'), ('RGBA', 'webp')]
)
def test_transparency_lies_on_black(tmp_path, mode, ending):
    file = tmp_path / f'x.{ending}'
    options = {'lossless': True, 'exact': True} if ending == 'webp' else {}
    _with_alpha(mode, 0).save(file, **options)
    assert _decoded(file).pixels.max() == 0
    image = _with_alpha(mode, 128)
    image.save(file, **options)
    colours = np.asarray(image)[..., :-1].astype(float)
    expected = colours * 128 / 255
    assert np.abs(_decoded(file).pixels - expected).max() <= 1


def test_a_transparent_colour_of_a_palette_lies_on_black(tmp_path):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    image = image.convert('P')
    image.putpalette([200, 100, 50] * 256)
    image.save(tmp_path / 'x.png', transparency=5)
    pixels = _decoded(tmp_path / 'x.png').pixels
    assert pixels[0, 5].tolist() == [0, 0, 0]
    assert pixels[0, 6].tolist() == [200, 100, 50]


@pytest.mark.parametrize('dtype,clear', [(np.uint8, 9), (np.uint16, 2313)])
def test_a_transparent_grey_level_lies_on_black(tmp_path, dtype, clear):
    values = np.full([8, 8], clear, dtype)
    values[0] = np.iinfo(dtype).max
    _save(tmp_path / 'x.png', values, transparency=clear)
    pixels = _decoded(tmp_path / 'x.png').pixels
    assert pixels.shape[-1] == 1
    assert pixels[0].min() == 255 and pixels[1:].max() == 0


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    lying = np.zeros([6, 10], np.uint8)
    lying[0, 0] = 255  # where the row 0 and the column 0 of the tag meet
    exif = Image.Exif()
    exif[0x0112] = orientation
    _save(tmp_path / 'x.png', lying, exif=exif)
    pixels = _decoded(tmp_path / 'x.png').pixels[..., 0]
    # EXIF 2.3, tag 274: sides on which row 0 and column 0 are seen.
    corners = {1: 'tl', 2: 'tr', 3: 'br', 4: 'bl'}
    corners |= {5: 'tl', 6: 'tr', 7: 'br', 8: 'bl'}
    vertical, horizontal = corners[orientation]
    seen = (0 if vertical == 't' else -1, 0 if horizontal == 'l' else -1)
    assert pixels.shape == ((6, 10) if orientation < 5 else (10, 6))
    assert pixels[seen] == 255 and pixels.sum() == 255


def test_one_colour_picture_makes_all_colour(tmp_path):
    for i in range(5):
        _save(tmp_path / f'{i}.png', 40 + i)
    _save(tmp_path / '5.png', np.full([8, 8, 3], (9, 200, 30), np.uint8))
    images = _open(tmp_path)
    assert images.spec.channels == 3
    colours = {tuple(pixels[0, 0].tolist()) for pixels, _ in _all(images)}
    assert colours == {(40 + i,) * 3 for i in range(5)} | {(9, 200, 30)}


def test_colour_is_decided_by_type_not_by_values(tmp_path):
    for i in range(3):
        _save(tmp_path / f'{i}.png', np.full([8, 8, 3], i, np.uint8))
    assert _open(tmp_path).spec.channels == 3


def test_all_that_pillow_decodes_is_read_and_the_rest_is_counted(tmp_path):
    endings = ['png', 'webp', 'tif', 'tiff', 'bmp', 'gif', 'JPG', 'ppm', 'tga']
    for ending in endings:
        _save(tmp_path / f'x.{ending}')
    for name in ('notes.txt', 'more.txt', 'clip.mpg', 'README', 'x.svg'):
        (tmp_path / name).write_text('')
    images = _open(tmp_path)
    assert sum(images.spec.split_sizes.values()) == len(endings)
    said = '\n'.join(images.describe())
    assert '1 .mpg, 1 .svg, 2 .txt, 1 without ending' in said


def test_names_that_begin_with_a_dot_do_not_count(tmp_path):
    for kind in ('cat', 'dog'):
        for i in range(3):
            _save(tmp_path / kind / f'{i}.png')
        (tmp_path / kind / '._0.png').write_bytes(b'resource fork')
        (tmp_path / kind / '.DS_Store').write_bytes(b'')
    _save(tmp_path / '.ipynb_checkpoints' / '0.png')
    images = _open(tmp_path)
    assert images.spec.class_names == ('cat', 'dog')
    assert sum(images.spec.split_sizes.values()) == 6
    assert len(images.describe()) == 1


def test_nested_folders_belong_to_their_class(tmp_path):
    for kind, level in (('cat', 10), ('dog', 200)):
        for place in ('', 'deep', 'deep/er', 'other'):
            _save(tmp_path / kind / place / 'x.png', level)
    images = _open(tmp_path)
    assert images.spec.class_names == ('cat', 'dog')
    rows = _all(images)
    assert len(rows) == 8
    assert all((pixels.max() > 100) == label for pixels, label in rows)


def test_a_link_back_up_is_not_followed_for_ever(tmp_path):
    for i in range(3):
        _save(tmp_path / 'x' / 'a' / f'{i}.png')
    (tmp_path / 'x' / 'a' / 'up').symlink_to(tmp_path / 'x' / 'a')
    assert sum(_open(tmp_path / 'x').spec.split_sizes.values()) == 3


@pytest.mark.parametrize(
    'train,test', [('Train', 'TEST'), ('train', 'val'), ('training', 'Valid')]
)
def test_splits_are_known_by_their_names(tmp_path, train, test):
    for kind in 'ab':
        for i in range(4):
            _save(tmp_path / train / kind / f'{i}.png')
        _save(tmp_path / test / kind / '0.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 8, 'test': 2}
    assert images.spec.class_names == ('a', 'b')
    assert f'the test split is {test}/' in images.describe()[0]


def test_what_lies_beside_the_splits_is_counted(tmp_path):
    for place in ('train', 'test', 'val', 'extra/deep'):
        for i in range(3):
            _save(tmp_path / place / f'{i}.png')
    _save(tmp_path / 'loose.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 3, 'test': 3}
    said = images.describe()[1]
    for part in ('extra/ (3 pictures)', 'val/ (3 pic', 'beside train/ (1 pic'):
        assert part in said


def test_two_folders_for_one_split_are_refused(tmp_path):
    for place in ('train', 'Train'):
        _save(tmp_path / place / '0.png')
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip('this disk does not tell capitals')
    with pytest.raises(UserError, match='has both'):
        _open(tmp_path)


def test_a_class_without_pictures_is_named(tmp_path):
    for i in range(3):
        _save(tmp_path / 'a' / f'{i}.png')
    (tmp_path / 'b').mkdir()
    images = _open(tmp_path)
    assert images.spec.class_names == ('a',)
    assert "b', which holds no pictures" in images.describe()[1]


def test_a_class_of_test_pictures_alone_is_named(tmp_path):
    for place in ('train/a', 'train/b', 'test/b', 'test/c'):
        _save(tmp_path / place / '0.png')
    images = _open(tmp_path)
    assert "class 'c' has no training picture" in images.describe()[-1]


def test_classes_are_in_natural_order(tmp_path):
    names = ['1', '2', '10', 'a2', 'a10', 'b']
    for name in names:
        for i in range(2):
            _save(tmp_path / name / f'{i}.png')
    assert list(_open(tmp_path).spec.class_names) == names
    # Runs that began before keep the numbers that they gave to labels.
    assert list(_open(tmp_path, edition=1).spec.class_names) == sorted(names)


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
        _save(tmp_path / f'{i}.png')
    _save(tmp_path / 'scan.png', size=(40, 40))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    images = _open(tmp_path, image_size=(8, 8))
    (line,) = images.describe()[1:]
    assert 'more than 1,000 pixels' in line and 'scan.png' in line
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
    with pytest.raises(UserError, match=r'scan.png.* more than 1,000 pixels'):
        _open(tmp_path, image_size=(8, 8))


def test_what_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    for i in range(3):
        _save(tmp_path / f'{i}.png')

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


# What is held out where a set has no test split.


def _random_labels(seed):
    random = np.random.default_rng(seed)
    return random.integers(0, random.integers(1, 30), random.integers(2, 400))


@pytest.mark.parametrize('seed', range(20))
def test_a_tenth_is_held_out_of_every_class(seed):
    labels = _random_labels(seed)
    sizes = np.bincount(labels)
    if sizes.max() == 1:
        pytest.skip('one example of each class')
    rows = base.hold_out('x', len(labels), labels, 2)
    joined = np.concatenate([rows['train'], rows['test']])
    np.testing.assert_array_equal(np.sort(joined), np.arange(len(labels)))
    held = np.bincount(labels[rows['test']], minlength=len(sizes))
    assert np.all(held[sizes > 0] < sizes[sizes > 0])
    assert held.sum() == -(-len(labels) // 10) or np.all(held >= sizes - 1)
    if sizes.min() > 1:
        assert np.all(np.abs(held - held.sum() * sizes / len(labels)) < 1)


def test_what_is_held_out_does_not_follow_the_order():
    rows = base.hold_out('x', 1000, None, 2)['test']
    assert len(rows) == 100
    # Ten views of each object: every view is held out sometimes.
    assert set(rows % 10) == set(range(10))
    again = base.hold_out('x', 1000, None, 2)['test']
    np.testing.assert_array_equal(rows, again)
    # For ever the same, or a continued run would train on what it was tested.
    assert rows[:8].tolist() == [4, 13, 17, 42, 69, 70, 74, 77]
    before = base.hold_out('x', 40, None, 1)['test']
    assert before.tolist() == [0, 10, 20, 30]


def test_classes_of_one_picture_are_trained_not_tested(tmp_path):
    for kind, count in (('a', 1), ('b', 9), ('c', 10), ('d', 1)):
        for i in range(count):
            _save(tmp_path / kind / f'{i}.png')
    images = _open(tmp_path)
    assert images.spec.split_sizes == {'train': 18, 'test': 3}
    assert 'a: 1, b: ' in images.describe()[0]
    for kind in 'bc':
        for file in (tmp_path / kind).iterdir():
            if file.name != '0.png':
                file.unlink()
    with pytest.raises(UserError, match='one example of each class'):
        _open(tmp_path)


# What belongs to a run.


def test_the_fingerprint_follows_every_change(tmp_path):
    def fingerprint():
        return _open(tmp_path).spec.fingerprint

    for kind in ('cat', 'dog'):
        for i in range(5):
            _save(tmp_path / kind / f'{i}.png', 50 + i)
    first = fingerprint()
    assert first == fingerprint()
    _save(tmp_path / 'cat' / '2.png', 53)
    second = fingerprint()
    (tmp_path / 'cat' / '2.png').rename(tmp_path / 'cat' / '9.png')
    third = fingerprint()
    (tmp_path / 'cat').rename(tmp_path / 'eel')
    assert len({first, second, third, fingerprint()}) == 4


def _levels(rows):
    """How many grey levels the first picture has."""
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


def _png_with_clear_level(file, depth, kind, row, clear):
    """A PNG of one row, written by the specification."""

    def chunk(name, body):
        return (
            struct.pack('>I', len(body))
            + name
            + body
            + struct.pack('>I', zlib.crc32(name + body))
        )

    width = 4
    header = struct.pack('>IIBBBBB', width, 1, depth, kind, 0, 0, 0)
    file.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'tRNS', clear)
        + chunk(b'IDAT', zlib.compress(b'\0' + row))
        + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'depth,kind,row,clear,expected',
    [
        (2, 0, b'\x1b', b'\0\3', [[0], [85], [170], [0]]),
        (4, 0, b'\x01\xef', b'\0\x0e', [[0], [17], [0], [255]]),
        (
            16,
            2,
            b'\x80\0\x03\xe8\0\x80' * 2 + b'\xff\xff\0\0\0\0' * 2,
            b'\x80\0\x03\xe8\0\x80',
            [[0, 0, 0]] * 2 + [[255, 0, 0]] * 2,
        ),
    ],
)
def test_a_transparent_level_of_any_depth_lies_on_black(
    tmp_path, depth, kind, row, clear, expected
):
    _png_with_clear_level(tmp_path / 'x.png', depth, kind, row, clear)
    pixels = _decoded(tmp_path / 'x.png').pixels
    assert pixels[0].tolist() == expected


def _tiff(file, bits, photometric, sample_format, values):
    """A grey TIFF of one row, written by the specification."""
    tags = [(256, len(values)), (257, 1), (258, bits), (259, 1)]
    tags += [(262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, values.nbytes), (339, sample_format)]
    entries = b''.join(struct.pack('<HHII', t, 3, 1, v) for t, v in tags)
    pixels = values.tobytes()
    file.write_bytes(
        b'II*\0'
        + struct.pack('<I', 8 + len(pixels))
        + pixels
        + struct.pack('<H', len(tags))
        + entries
        + b'\0\0\0\0'
    )


def test_white_may_be_zero_in_a_tiff_of_sixteen_bits(tmp_path):
    values = np.array([0, 257, 65535], '<u2')
    for photometric, expected in ((0, [255, 254, 0]), (1, [0, 1, 255])):
        _tiff(tmp_path / 'x.tif', 16, photometric, 1, values)
        pixels = _decoded(tmp_path / 'x.tif').pixels
        assert pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    'bits,sample_format,said', [(12, 1, '12-bit'), (8, 2, 'signed 8-bit')]
)
def test_tiffs_of_other_scales_are_refused(tmp_path, bits, sample_format, said):
    values = np.array([0, 100, 127], 'u1')
    _tiff(tmp_path / 'x.tif', bits, 1, sample_format, values)
    with pytest.raises(UserError, match=rf'x\.tif.* {said} pixels'):
        _decoded(tmp_path / 'x.tif')


def test_names_need_not_be_utf8(tmp_path):
    for i in range(3):
        _save(tmp_path / 'x' / f'{i}.png')
    name = os.fsencode(tmp_path / 'x') + b'/caf\xe9.png'
    os.rename(os.fsencode(tmp_path / 'x' / '0.png'), name)
    assert sum(_open(tmp_path / 'x').spec.split_sizes.values()) == 3


def test_a_folder_above_the_splits_is_refused(tmp_path):
    for place in ('train/cat', 'train/dog', 'test/cat'):
        _save(tmp_path / 'pets' / place / '0.png')
    with pytest.raises(UserError, match=r'name folder:.*/pets'):
        _open(tmp_path)


def test_a_class_called_train_is_not_taken_for_the_split(tmp_path):
    for kind in ('bus', 'car', 'train'):
        for i in range(3):
            _save(tmp_path / kind / f'{i}.png')
    with pytest.raises(UserError, match='rename train/ if it is a class'):
        _open(tmp_path)


def test_a_link_back_up_does_not_bring_other_classes(tmp_path):
    for kind in 'ab':
        for i in range(4):
            _save(tmp_path / kind / f'{i}.png')
    (tmp_path / 'a' / 'up').symlink_to(tmp_path)
    images = _open(tmp_path)
    assert sum(images.spec.split_sizes.values()) == 8
    assert len(_all(images)) == 8


def test_equal_classes_have_equal_luck():
    labels = np.repeat(np.arange(200), 4)
    held = np.bincount(labels[base.hold_out('x', 800, labels, 2)['test']])
    assert held.max() == 1 and held.sum() == 80
    # Not the first 80 classes: both halves have about as many.
    assert 25 < held[:100].sum() < 55


def test_an_old_run_is_told_what_it_sees_otherwise(tmp_path):
    for i in range(12):
        _save(tmp_path / f'{i}.png', np.full([4, 4, 4], 100, np.uint8))
    assert len(_open(tmp_path).describe()) == 1
    (line,) = _open(tmp_path, edition=1).describe()[1:]
    assert 'otherwise than when this run began' in line and '11 more' in line


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        _open(tmp_path / ('x' * 300))
    with pytest.raises(UserError, match='does not exist'):
        _open('~nobody-of-that-name/x')
