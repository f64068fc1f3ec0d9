"""Large folders are decoded once, and read the same from the cache."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image
from tiny import save_picture

from tfgen import data
from tfgen.data.readers import folder, picture_cache


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_cache, '_FEWEST', 3)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'tfgen' / 'pictures'


@pytest.fixture
def pictures(tmp_path):
    for number in range(12):
        name = f'{"ab"[number % 2]}/{number}.png'
        save_picture(tmp_path / 'mine' / name, 10 * number)
    image = Image.new('L', (8, 8), 3)
    image.save(
        tmp_path / 'mine' / 'a' / 'x.gif',
        save_all=True,
        append_images=[Image.new('L', (8, 8), 4)],
    )
    return tmp_path / 'mine'


@pytest.fixture
def decoded(monkeypatch):
    """The number of times that a folder was decoded."""
    times = []
    before = folder._decoded

    def count(*given):
        times.append(1)
        return before(*given)

    monkeypatch.setattr(folder, '_decoded', count)
    return times


def _open(path, **options):
    return data.load(f'folder:{path}', **options)


def _same(a, b):
    assert a.spec == b.spec
    assert a.describe() == b.describe()
    for split in ('train', 'test'):
        for one, other in zip(
            a.evaluation(split, 100), b.evaluation(split, 100), strict=True
        ):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_the_second_start_decodes_nothing(pictures, decoded, capsys):
    first = _open(pictures)
    assert 'decoding 13 pictures, once' in capsys.readouterr().out
    assert any('several frames' in line for line in first.describe())
    _same(first, _open(pictures))
    assert len(decoded) == 1
    assert not capsys.readouterr().out


def test_a_changed_folder_is_decoded_again(pictures, decoded, cache):
    first = _open(pictures)
    for number, change in enumerate(
        (
            lambda: save_picture(pictures / 'a' / '0.png', 77),
            lambda: save_picture(pictures / 'b' / 'new.png', 5),
            lambda: (pictures / 'b' / 'new.png').unlink(),
            lambda: (pictures / 'a' / '2.png').rename(pictures / 'b' / '2.png'),
        )
    ):
        change()
        assert _open(pictures).spec.fingerprint != first.spec.fingerprint
        assert len(decoded) == 2 + number
    assert len([*cache.iterdir()]) == 2  # one entry: .npy and .json
    _open(pictures, image_size=(4, 4))
    assert len([*cache.iterdir()]) == 4


def test_a_small_folder_is_not_kept(pictures, cache, monkeypatch):
    monkeypatch.setattr(picture_cache, '_FEWEST', 14)
    _open(pictures)
    assert not cache.exists()


def test_a_damaged_entry_is_decoded_again(pictures, decoded, cache):
    first = _open(pictures)
    for file in sorted(cache.iterdir()):
        whole = file.read_bytes()
        for content in (b'', whole[: len(whole) // 2], None):
            file.unlink() if content is None else file.write_bytes(content)
            before = len(decoded)
            _same(first, _open(pictures))
            assert len(decoded) == before + 1
            assert file.read_bytes() == whole


def test_a_folder_is_read_where_nothing_can_be_kept(
    pictures, decoded, cache, capsys, monkeypatch
):
    cache.parent.mkdir(parents=True)
    cache.write_text('in the way')
    first = _open(pictures)
    assert 'cannot be kept' in capsys.readouterr().out
    monkeypatch.setenv('XDG_CACHE_HOME', '~/x')
    monkeypatch.setattr(os.path, 'expanduser', lambda path: path)  # no home
    _same(first, _open(pictures))
    assert len(decoded) == 2


def test_the_cache_has_a_limit(pictures, cache, monkeypatch, tmp_path):
    _open(pictures)
    (first,) = cache.glob('*.npy')
    monkeypatch.setattr(picture_cache, '_LIMIT', 5 * first.stat().st_size // 2)
    for size in (7, 6):
        _open(pictures, image_size=(size, size))
    os.utime(first, (1, 1))  # it was not used for longest
    _open(pictures, image_size=(8, 9))
    assert not first.exists()
    assert not first.with_suffix('.json').exists()
    kept = {file.suffix for file in cache.iterdir()}
    assert kept == {'.npy', '.json'}
    assert len([*cache.iterdir()]) % 2 == 0


def test_no_part_of_an_entry_is_left_by_a_full_disk(
    pictures, cache, capsys, monkeypatch
):
    def full(*given):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(picture_cache.np, 'save', full)
    _open(pictures)
    assert 'No space left' in capsys.readouterr().out
    assert not [*pathlib.Path(cache).iterdir()]
