"""The pixels of a picture file are read right, or the file is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import tiny
from PIL import Image

from tfgen.data.readers import picture
from tfgen.errors import UserError


def _decoded(file):
    return picture.decode(file, file.read_bytes())


@pytest.mark.parametrize('ending', ['png', 'tif', 'pgm'])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, ending):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    file = tmp_path / f'x.{ending}'
    if ending == 'pgm':
        file.write_bytes(b'P5 8 8 65535\n' + ramp.astype('>u2').tobytes())
    else:
        tiny.save_picture(file, ramp)
    pixels = _decoded(file).pixels
    assert pixels.shape == (8, 8, 1)
    np.testing.assert_array_equal(pixels[..., 0], np.round(ramp / 257))


@pytest.mark.parametrize(
    'values', [np.zeros([4, 4], np.int32), np.zeros([4, 4], np.float32)]
)
def test_pixels_of_unknown_range_are_refused(tmp_path, values):
    tiny.save_picture(tmp_path / 'x.tif', values)
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
    tiny.save_picture(tmp_path / 'x.png', values, transparency=clear)
    pixels = _decoded(tmp_path / 'x.png').pixels
    assert pixels.shape[-1] == 1
    assert pixels[0].min() == 255 and pixels[1:].max() == 0


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    lying = np.zeros([6, 10], np.uint8)
    lying[0, 0] = 255  # the corner of the tag's row 0 and column 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    tiny.save_picture(tmp_path / 'x.png', lying, exif=exif)
    pixels = _decoded(tmp_path / 'x.png').pixels[..., 0]
    # EXIF 2.3, tag 274: the sides on which row 0 and column 0 are displayed.
    corners = {1: 'tl', 2: 'tr', 3: 'br', 4: 'bl'}
    corners |= {5: 'tl', 6: 'tr', 7: 'br', 8: 'bl'}
    vertical, horizontal = corners[orientation]
    seen = (0 if vertical == 't' else -1, 0 if horizontal == 'l' else -1)
    assert pixels.shape == ((6, 10) if orientation < 5 else (10, 6))
    assert pixels[seen] == 255 and pixels.sum() == 255


def _png(file, depth, kind, row, clear=b''):
    """Writes a PNG of one row, by the specification."""

    def chunk(name, body):
        return (
            struct.pack('>I', len(body))
            + name
            + body
            + struct.pack('>I', zlib.crc32(name + body))
        )

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    width = len(row) * 8 // (depth * channels)
    header = struct.pack('>IIBBBBB', width, 1, depth, kind, 0, 0, 0)
    file.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + (chunk(b'tRNS', clear) if clear else b'')
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
    _png(tmp_path / 'x.png', depth, kind, row, clear)
    pixels = _decoded(tmp_path / 'x.png').pixels
    assert pixels[0].tolist() == expected


def _tiff(file, bits, photometric, sample_format, values, planes=False):
    """Writes a raw TIFF of one row, [W] or [W, C], by the specification."""
    width, channels = (*values.shape, 1)[:2]
    pixels = (values.T if planes else values).tobytes()
    tags = {256: [width], 257: [1], 258: [bits] * channels, 259: [1]}
    tags |= {262: [photometric], 277: [channels], 278: [1]}
    tags |= {339: [sample_format] * channels}
    strips = channels if planes else 1
    size = len(pixels) // strips
    tags |= {273: [8 + i * size for i in range(strips)], 279: [size] * strips}
    tags |= {284: [2 if planes else 1]}
    if channels % 2 == 0:
        tags |= {338: [2]}  # alpha
    end = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    entries, rest = b'', b''
    for tag, numbers in sorted(tags.items()):
        content = struct.pack(f'<{len(numbers)}H', *numbers)
        entries += struct.pack('<HHI', tag, 3, len(numbers))
        if len(content) > 4:
            entries += struct.pack('<I', end + len(rest))
            rest += content
        else:
            entries += content.ljust(4, b'\0')
    file.write_bytes(
        b'II*\0'
        + struct.pack('<I', 8 + len(pixels))
        + pixels
        + struct.pack('<H', len(tags))
        + entries
        + b'\0\0\0\0'
        + rest
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


@pytest.mark.parametrize('channels,bits', [(3, 16), (4, 16), (2, 8)])
def test_planes_that_pillow_takes_for_others_are_refused(
    tmp_path, channels, bits
):
    values = np.random.default_rng(0).integers(0, 256, [4, channels])
    values = values.astype(f'<u{bits // 8}')
    photometric = 1 if channels == 2 else 2
    _tiff(tmp_path / 'x.tif', bits, photometric, 1, values, planes=True)
    with pytest.raises(UserError, match=rf'x\.tif.*in planes of {bits} bits'):
        _decoded(tmp_path / 'x.tif')
    _tiff(tmp_path / 'x.tif', bits, photometric, 1, values)
    assert _decoded(tmp_path / 'x.tif').pixels.shape[:2] == (1, 4)


@pytest.mark.parametrize('kind,channels', [(2, 3), (6, 4), (4, 2)])
def test_colours_of_sixteen_bits_are_rounded_not_cut(tmp_path, kind, channels):
    values = np.random.default_rng(0).integers(0, 1 << 16, [50, channels])
    values[:4, 0] = [200, 255, 400, 65535]
    if kind != 2:
        values[:, -1] = 65535
    row = values.astype('>u2').tobytes()
    _png(tmp_path / 'x.png', 16, kind, row)
    pixels = _decoded(tmp_path / 'x.png').pixels[0]
    colours = values if kind == 2 else values[:, :-1]
    np.testing.assert_array_equal(pixels, np.round(colours / 257))


def test_only_the_whole_level_of_sixteen_bits_is_transparent(tmp_path):
    row = b'\x80\xff\x80\x01\x80\xaa' + b'\x80\0' * 3
    _png(tmp_path / 'x.png', 16, 2, row, b'\x80\0' * 3)
    pixels = _decoded(tmp_path / 'x.png').pixels[0]
    assert pixels.tolist() == [[128, 128, 128], [0, 0, 0]]


def test_a_picture_of_sixteen_bits_is_turned_upright(tmp_path):
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 257
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right for display
    tiny.save_picture(tmp_path / 'x.png', values, exif=exif)
    pixels = _decoded(tmp_path / 'x.png').pixels[..., 0]
    assert pixels.tolist() == [[3, 0], [4, 1], [5, 2]]


def test_exif_data_that_cannot_be_read_are_named(tmp_path):
    tiny.save_picture(tmp_path / 'x.png', 100, exif=b'Exif\0\0garbage')
    read = _decoded(tmp_path / 'x.png')
    assert read.pixels.min() == 100
    assert 'EXIF data that cannot be read, so not turned' in read.remarks


def test_a_damaged_tiff_is_refused_without_a_word_on_the_terminal(
    tmp_path, capfd
):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64], np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, 'TIFF', compression='jpeg')
    content = bytearray(content.getvalue())
    middle = len(content) // 2
    content[middle : middle + 4] = b'\xff\x3f\xff\x3f'
    (tmp_path / 'x.tif').write_bytes(content)
    with pytest.raises(UserError, match=r'x\.tif.* is damaged'):
        _decoded(tmp_path / 'x.tif')
    assert capfd.readouterr() == ('', '')
