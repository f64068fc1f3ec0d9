"""Specs: their properties, points and their exact densities, symbols."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
import tiny
from scipy import stats

from tfgen import data
from tfgen.data import (
    ImageSpec,
    PaletteSpec,
    PointSpec,
    SoundSpec,
    SymbolSpec,
    spec_from_dict,
)
from tfgen.data.embedded import numerals, points
from tfgen.errors import UserError

EVERY = pytest.mark.parametrize('kind', tiny.SPECS, ids=lambda k: k.__name__)


def _examples(spec, count=4):
    random = np.random.default_rng(0)
    if spec.dtype == tf.int32:
        return random.integers(0, spec.levels, [count, *spec.shape], np.int32)
    return random.random([count, *spec.shape]).astype(np.float32)


@EVERY
def test_a_spec_survives_json(kind):
    spec = tiny.SPECS[kind]
    again = spec_from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again == spec and type(again) is kind


def test_specs_of_earlier_records_are_read():
    image = {
        'name': 'digits',
        'height': 8,
        'width': 8,
        'channels': 1,
        'levels': 17,
        'num_classes': 10,
        'binarization': 'none',
        'split_sizes': {'train': 1500, 'test': 297},
        'palette': None,
    }
    assert type(spec_from_dict(image)) is ImageSpec
    palette = image | {'palette': [[1, 2, 3]] * 17}
    assert spec_from_dict(palette).palette == ((1, 2, 3),) * 17
    sound = {
        'name': 'tones',
        'length': 2048,
        'sample_rate': 8000,
        'num_classes': 10,
        'split_sizes': {'train': 900, 'test': 100},
        'class_names': ['a'] * 10,
    }
    assert type(spec_from_dict(sound)) is SoundSpec
    with pytest.raises(TypeError, match='no kind'):
        spec_from_dict({'name': 'x'})


@EVERY
def test_what_is_valid_is_said_of_good_and_bad_examples(kind):
    spec = tiny.SPECS[kind]
    good = _examples(spec)
    assert spec.valid(tf.constant(good))[0]
    bad = good.copy()
    bad.reshape(-1)[3] = -7 if spec.dtype == tf.int32 else np.nan
    valid, rule = spec.valid(tf.constant(bad))
    assert not valid and rule.startswith('must ')


@EVERY
def test_examples_are_drawn_with_and_without_what_is_hidden(kind):
    spec = tiny.SPECS[kind]
    examples = _examples(spec)
    mask = np.ones([4, *spec.mask_shape], np.float32)
    mask[:, mask.shape[1] // 2 :] = 0
    hidden = spec.hide(examples, mask)
    pictures = [spec.draw(x, 2) for x in (examples, hidden)]
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.ndim == 3
        assert picture.std() > 0
    assert pictures[0].tobytes() != pictures[1].tobytes()


@EVERY
def test_a_file_holds_its_example(kind):
    spec = tiny.SPECS[kind]
    if not spec.ending:
        pytest.skip('no file format')
    examples = _examples(spec)
    first, *_ = spec.encode(tf.constant(examples)).numpy()
    if spec.one_file_each:  # hidden parts can be encoded, too
        mask = np.zeros([4, *spec.mask_shape], np.float32)
        hidden = spec.hide(examples, mask)
        assert len(spec.encode(tf.constant(hidden))) == 4
    if spec.ending == 'txt':
        assert first.decode() == ''.join(spec.alphabet[i] for i in examples[0])
    elif spec.ending == 'wav':
        sound, rate = tf.audio.decode_wav(first)
        assert rate == spec.sample_rate
        np.testing.assert_allclose(sound[:, 0], examples[0], atol=2.0**-15)
    else:
        pixels = tf.io.decode_png(first).numpy()
        np.testing.assert_array_equal(pixels, spec.pixels(examples)[0])


def test_rates_are_those_of_the_papers():
    image = ImageSpec(height=4, width=4).rates(16 * math.log(2))
    assert image == {'bits_per_dim': pytest.approx(1.0)}
    sound = SoundSpec(length=100, sample_rate=50).rates(7.0)
    assert sound['nats_per_second'] == pytest.approx(3.5)
    assert PointSpec(size=2).rates(7.0) == {}
    row = SymbolSpec(length=8, alphabet=('a', 'b')).rates(8 * math.log(2))
    assert row == {'bits_per_symbol': pytest.approx(1.0)}


def test_a_palette_is_a_kind_of_its_own():
    spec = tiny.SPECS[PaletteSpec]
    assert 'colours by index' in spec.words()
    assert spec.key == 'image' and isinstance(spec, ImageSpec)


# Points.


def _drawn(name, count=5000):
    examples = data.load_points(name)
    (batch,) = examples.evaluation('test', count, limit=count)
    return batch['point'].numpy(), batch['label'].numpy()


@pytest.mark.parametrize('name', points.TOY_DISTRIBUTIONS)
def test_points_are_a_function_of_seed_and_position(name):
    examples = data.load_points(name)
    (whole,) = examples.train(3, 8).take(1)
    again = list(examples.train(3, 2).take(4))
    for key in ('point', 'label'):
        # The last bit of a cosine depends on its position in a vector.
        np.testing.assert_allclose(
            whole[key], tf.concat([b[key] for b in again], 0), atol=1e-6
        )
    (other,) = examples.train(4, 8).take(1)
    assert np.all(other['point'][:, -1] != whole['point'][:, -1])
    (test,) = examples.evaluation('test', 8).take(1)
    assert np.all(test['point'][:, -1] != whole['point'][:, -1])


@pytest.mark.parametrize(
    'name,radius,deviation',
    [('ring', 1.0, 0.01), ('ring/wgan_gp', 2 / 1.414, 0.02 / 1.414)],
)
def test_a_ring_has_eight_places(name, radius, deviation):
    drawn, label = _drawn(name)
    angles = 2 * np.pi * np.arange(8) / 8
    places = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    offset = drawn - places[label]
    np.testing.assert_allclose(offset.std(0), deviation, rtol=0.05)
    assert np.abs(offset.mean(0)).max() < 0.05 * deviation
    # The share within three deviations of a mode; then the points per mode.
    inside = np.hypot(*offset.T) < 3 * deviation
    assert inside.mean() == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert np.bincount(label, minlength=8).min() > 500


@pytest.mark.parametrize(
    'name,spacing,deviation',
    [('grid', 2.0, 0.05), ('grid/wgan_gp', 2 / 2.828, 0.05 / 2.828)],
)
def test_a_grid_has_twenty_five_places(name, spacing, deviation):
    drawn, label = _drawn(name)
    nearest = np.round(drawn / spacing)
    assert np.abs(nearest).max() == 2
    assert len(np.unique(nearest, axis=0)) == len(np.unique(label)) == 25
    np.testing.assert_allclose(
        (drawn - nearest * spacing).std(0), deviation, rtol=0.05
    )


def test_two_lines_do_not_overlap_and_have_no_density():
    drawn, label = _drawn('two_lines')
    np.testing.assert_array_equal(drawn[:, 0], label)
    assert drawn[:, 1].min() < 0.01 and drawn[:, 1].max() > 0.99
    assert points.TOY_DISTRIBUTIONS['two_lines'].log_prob(drawn) is None


def _plane(centre, half, count):
    """Returns a grid of points in a square, and the area of each."""
    line = np.linspace(-half, half, count)
    places = centre + np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    return places.astype(np.float32), (line[1] - line[0]) ** 2


@pytest.mark.parametrize('name', ['ring', 'grid', 'ring/wgan_gp'])
def test_the_true_density_has_its_share_around_each_place(name):
    distribution = points.TOY_DISTRIBUTIONS[name]
    places, area = _plane(
        distribution.places[1], 6 * distribution.deviation, 61
    )
    p = np.exp(distribution.log_prob(places).numpy().astype(np.float64))
    share = 1 / len(distribution.class_names)
    assert p.sum() * area == pytest.approx(share, rel=1e-3)


def test_the_true_density_of_the_moons_is_that_of_the_points():
    distribution = points.TOY_DISTRIBUTIONS['two_moons']
    places, area = _plane(0.0, 2.2, 200)
    log_p = distribution.log_prob(places).numpy().astype(np.float64)
    p = np.exp(log_p) * area
    assert p.sum() == pytest.approx(1.0, abs=1e-3)
    cross = -distribution.log_prob(_drawn('two_moons', 2000)[0]).numpy()
    error = float(cross.std() / math.sqrt(len(cross)))
    assert cross.mean() == pytest.approx(-np.sum(p * log_p), abs=4 * error)


def test_the_density_of_a_ring_is_that_of_its_mixture():
    distribution = points.TOY_DISTRIBUTIONS['ring']
    x = np.array([[1.0, 0.01], [0.7, 0.72], [0.0, 0.0]])
    p = np.mean(
        [
            stats.multivariate_normal(place, 1e-4).pdf(x)
            for place in distribution.places.astype(np.float64)
        ],
        axis=0,
    )
    found = distribution.log_prob(tf.constant(x, tf.float32)).numpy()
    np.testing.assert_allclose(found[:2], np.log(p[:2]), rtol=1e-3)
    assert found[2] < -4000  # here p is 0 in float64


def test_an_unknown_world_is_refused():
    with pytest.raises(UserError, match='use one of ring'):
        data.load_points('rings')


# Symbols.


def test_a_text_is_rows_of_letters(tmp_path):
    file = tmp_path / 'text.txt'
    file.write_text('abcd' * 26 + 'é')
    rows = data.load_text(f'text:{file}', text_length=4)
    assert rows.spec.alphabet == ('a', 'b', 'c', 'd', 'é')
    assert rows.spec.split_sizes == {'train': 23, 'test': 3}
    (batch,) = rows.evaluation('test', 10)
    np.testing.assert_array_equal(batch['symbols'], [[0, 1, 2, 3]] * 3)
    line, note = rows.describe()
    assert '5 different ones' in line and 'the last 1 letters' in note


def test_lines_are_filled_up_and_come_back_as_they_were(tmp_path):
    # The poem is by Li Bai, of the eighth century.
    lines = ['床前明月光', '疑是地上霜', '举头望明月', '低头思故乡', 'no 月']
    file = tmp_path / 'lines.txt'
    text = '\ufeff' + '\r\n'.join([*lines, '', '  ']) + '\n'
    file.write_bytes(text.encode())
    found = data.load_text(f'lines:{file}', text_length=7)
    assert found.spec.alphabet[0] == '' and '\ufeff' not in found.spec.alphabet
    assert found.spec.split_sizes == {'train': 4, 'test': 1}
    again = [
        line.decode()
        for split in ('train', 'test')
        for batch in found.evaluation(split, 9)
        for line in found.spec.encode(batch['symbols']).numpy()
    ]
    assert sorted(again) == sorted(lines)
    short = data.load_text(f'lines:{file}', text_length=4)
    assert 'were longer, and cut' in short.describe()[1]
    file.write_text('\n one \n\n')
    with pytest.raises(UserError, match='has fewer than two lines'):
        data.load_text(f'lines:{file}', text_length=4)


def test_numerals_name_every_number_in_two_languages():
    for number, *names in (
        (0, 'zero', '零'),
        (10, 'ten', '十'),
        (15, 'fifteen', '十五'),
        (20, 'twenty', '二十'),
        (101, 'one hundred one', '一百零一'),
        (110, 'one hundred ten', '一百一十'),
        (1001, 'one thousand one', '一千零一'),
        (1010, 'one thousand ten', '一千零一十'),
        (
            3777,
            'three thousand seven hundred seventy-seven',
            '三千七百七十七',
        ),
        (9090, 'nine thousand ninety', '九千零九十'),
    ):
        assert [numerals.english(number), numerals.chinese(number)] == names
    assert len(numerals.meanings()) == 20_000
    found = data.load_text('numerals', text_length=48)
    assert max(map(len, numerals.meanings())) <= 48
    assert found.spec.class_names == ('English', 'Chinese')
    (batch,) = found.evaluation('test', 3000)
    lines = found.spec.encode(batch['symbols']).numpy()
    for line, label in zip(lines, batch['label'].numpy(), strict=True):
        assert line.decode() in numerals.meanings()
        assert line.isascii() == (label == 0)


@pytest.mark.parametrize(
    'name,message',
    [
        ('digits', 'is no text'),
        ('text:', 'is no text'),
        ('text:missing', 'cannot be read'),
        ('text:{short}', 'set a smaller text_length'),
        ('text:{same}', 'has only the letter'),
        ('lines:{latin1}', r'byte 11 \(0xe9\).*iconv -f latin1 -t utf-8'),
        ('text:{utf16}', r'byte 0 \(0xff\).*iconv -f utf-16 -t utf-8'),
        ('lines:{no_mark}', r'byte 1 \(0x00\).*iconv -f utf-16 -t utf-8'),
    ],
)
def test_what_is_no_text_is_refused(name, message, tmp_path):
    made = {
        'short': b'abc',
        'same': b'a' * 500,
        'latin1': b'\xef\xbb\xbfhere\ncaf\xe9\n',
        'utf16': '\ufeffone\ntwo\n'.encode('utf-16-le'),
        'no_mark': 'one\ntwo\n'.encode('utf-16-le'),
    }
    for file, content in made.items():
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        data.load_text(name.format(**{k: tmp_path / k for k in made}))


def _lines_of(found):
    return sorted(
        line.decode()
        for split in ('train', 'test')
        for batch in found.evaluation(split, 99)
        for line in found.spec.encode(batch['symbols']).numpy()
    )


def test_lines_end_at_newlines_and_nowhere_else(tmp_path):
    # The other characters at which str.splitlines splits.
    odd = [
        '\r',
        '\x0b',
        '\x0c',
        '\x1c',
        '\x1d',
        '\x1e',
        '\x85',
        '\u2028',
        '\u2029',
    ]
    lines = [f'a{letter}b' for letter in odd]
    for number, end in enumerate(('\n', '\r\n')):
        file = tmp_path / str(number)
        file.write_bytes(end.join(lines).encode())
        assert _lines_of(data.load_text(f'lines:{file}')) == sorted(lines)
        rows = data.load_text(f'text:{file}', text_length=4)
        assert _lines_of(rows) == sorted(f'{line}\n' for line in lines[:-1])


def test_letters_that_look_alike_are_one(tmp_path):
    for number, lines in enumerate(('caf\u00e9\nna\n', 'cafe\u0301\nna\n')):
        file = tmp_path / str(number)
        file.write_text(lines)
        found = data.load_text(f'lines:{file}', text_length=4)
        assert found.spec.alphabet == ('', 'a', 'c', 'f', 'n', '\u00e9')
        notes = found.describe()[1:]
        assert [('NFC' in note) for note in notes] == [True] * number
