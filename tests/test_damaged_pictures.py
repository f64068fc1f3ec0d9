"""A damaged picture is refused, or its pixels are read unchanged."""

import io
import pathlib
import struct

import numpy as np
import pytest
from PIL import Image

from tfgen.data.readers import picture
from tfgen.errors import UserError

FILE = pathlib.Path('folder/x.picture')
HEIGHT, WIDTH = 12, 10
# 12 is left out: a PCX reader could mistake it for the mark of the palette.
NOISE = np.random.default_rng(0).integers(16, 256, [HEIGHT, WIDTH, 4], np.uint8)
COLOUR = NOISE[..., :3].tobytes()
GREY = NOISE[..., 0].tobytes()
UPRIGHT = Image.Exif()
UPRIGHT[0x0112] = 6
_COMPRESSED = ('tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg', 'zstd')
# Format -> the modes that Pillow can write, and options of the writer.
WRITTEN = {
    'AVIF': (['RGB', 'RGBA'], [{}, {'exif': UPRIGHT}]),
    'BLP': (['P'], [{}]),
    'BMP': (['1', 'L', 'P', 'RGB', 'RGBA'], [{}]),
    'DDS': (['L', 'LA', 'RGB', 'RGBA'], [{}]),
    'DIB': (['RGB'], [{}]),
    'GIF': (['1', 'L', 'P', 'RGB'], [{}, {'interlace': 0}]),
    'ICO': (
        ['RGBA'],
        [
            {'sizes': [(WIDTH, HEIGHT)], 'bitmap_format': kind}
            for kind in ('png', 'bmp')
        ],
    ),
    'IM': (['1', 'L', 'P', 'RGB'], [{}]),
    'JPEG': (
        ['L', 'RGB', 'CMYK'],
        [{}, {'progressive': True}, {'exif': UPRIGHT}],
    ),
    'JPEG2000': (
        ['L', 'LA', 'RGB', 'RGBA'],
        [{}, {'no_jp2': True}, {'tile_size': (8, 8)}],
    ),
    'MSP': (['1'], [{}]),
    'PCX': (['1', 'L', 'P', 'RGB'], [{}]),
    'PNG': (
        ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'],
        [{}, {'exif': UPRIGHT}, {'compress_level': 0}],
    ),
    'PPM': (['1', 'L', 'RGB', 'I;16'], [{}]),
    'QOI': (['RGB', 'RGBA'], [{}]),
    'SGI': (['L', 'RGB', 'RGBA'], [{}]),
    'TGA': (
        ['L', 'LA', 'P', 'RGB', 'RGBA'],
        [{}, {'compression': 'tga_rle'}],
    ),
    'TIFF': (
        ['L', 'RGB', 'RGBA', 'I;16'],
        [{}, {'exif': UPRIGHT}]
        + [{'compression': name} for name in _COMPRESSED],
    ),
    'WEBP': (['RGB', 'RGBA'], [{}, {'lossless': True}, {'exif': UPRIGHT}]),
    'XBM': (['1'], [{}]),
}


def _written(form, mode, options):
    """Returns the content of a file; b'' if the format has no such picture."""
    image = Image.fromarray(NOISE)
    image = image.convert(mode if mode in ('LA', 'RGBA') else 'RGB')
    if mode == 'I;16':
        image = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257)
    content = io.BytesIO()
    if mode == 'I;16' and options.get('compression') == 'jpeg':
        return b''
    image.convert(mode).save(content, form, **options)
    return content.getvalue()


def _by_hand():
    """Writes formats that Pillow only reads, by their specifications."""
    fits = [
        'SIMPLE  =                    T',
        'BITPIX  =                    8',
        'NAXIS   =                    2',
        f'NAXIS1  = {WIDTH:20}',
        f'NAXIS2  = {HEIGHT:20}',
        'END',
    ]
    yield 'FITS', ''.join(f'{c:80}' for c in fits).ljust(2880).encode() + GREY
    size = struct.pack('>2I', WIDTH, HEIGHT)
    for channels, values in ((1, GREY), (4, NOISE.tobytes())):
        header = b'GIMP' + struct.pack('>I', 1) + b'x\0'
        lengths = struct.pack('>2I', 20 + len(header), 2)
        depth = struct.pack('>I', channels)
        yield 'GBR', lengths + size + depth + header + values
    sun = b'\x59\xa6\x6a\x95' + size + struct.pack('>5I', 24, 0, 3, 0, 0)
    yield 'SUN', sun + COLOUR
    planes = NOISE[..., :3].transpose(2, 0, 1).tobytes()
    psd = b'8BPS\0\1' + bytes(6) + struct.pack('>H', 3)
    psd += struct.pack('>2I2H', HEIGHT, WIDTH, 8, 3) + bytes(12) + b'\0\0'
    yield 'PSD', psd + planes
    pixar = bytearray(b'\x80\xe8\0\0'.ljust(1024, b'\0'))
    pixar[416:420] = struct.pack('<2H', HEIGHT, WIDTH)
    pixar[424:428] = struct.pack('<2H', 14, 2)
    yield 'PIXAR', bytes(pixar) + COLOUR
    yield 'XVThumb', f'P7 332\n{WIDTH} {HEIGHT} 255\n'.encode() + GREY
    yield 'IMT', f'width {WIDTH}\nheight {HEIGHT}\npixel n8\n\f'.encode() + GREY
    area = [0] * 64
    area[1], area[8:11], area[13], area[33] = 4, [HEIGHT, WIDTH, 1], 1, 256
    yield 'MCIDAS', struct.pack('>64i', *area) + GREY
    texture = struct.pack('<7i', 1, WIDTH, HEIGHT, 1, 1, 1, 32)
    yield 'FTEX', b'FTEX' + texture + struct.pack('<i', len(COLOUR)) + COLOUR
    lines = [''.join('ab'[v % 2] for v in row) for row in NOISE[..., 0]]
    lines = [f'{WIDTH} {HEIGHT} 2 1', 'a c #FFFFFF', 'b c #102030', *lines]
    quoted = ',\n'.join(f'"{line}"' for line in lines)
    yield 'XPM', f'/* XPM */\nstatic char *x[] = {{\n{quoted}\n}};'.encode()
    page = _written('PCX', '1', {})
    yield 'DCX', struct.pack('<4I', 987654321, 16, 0, 0) + page
    chunk = struct.pack('<IH', 6 + len(GREY), 16) + GREY
    frame = struct.pack('<IHH', 16 + len(chunk), 0xF1FA, 1) + bytes(8) + chunk
    fli = struct.pack('<I2H', 128 + len(frame), 0xAF12, 1)
    fli += struct.pack('<4H', WIDTH, HEIGHT, 8, 3)
    yield 'FLI', fli.ljust(128, b'\0') + frame
    icon = bytearray(_written('ICO', 'RGBA', WRITTEN['ICO'][1][1]))
    icon[2] = 2
    yield 'CUR', bytes(icon)


def _sound():
    """Yields (format, content of an undamaged file)."""
    Image.init()
    for form, (modes, variants) in WRITTEN.items():
        if form not in Image.SAVE:  # not in every build of Pillow
            continue
        for mode in modes:
            for options in variants:
                content = _written(form, mode, options)
                if content:
                    yield form, content
    yield from _by_hand()


SOUND = list(_sound())
# Only PNG files, and icons that contain one, have checksums for everything. In
# other formats a changed byte may give another valid picture.
CHECKED = [
    content
    for form, content in SOUND
    if form == 'PNG' or (form == 'ICO' and b'\x89PNG' in content)
]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Limits the size of pictures, so that damaged sizes cost no time."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10_000)


def _read(content):
    """Returns the pixels, or None if one line names and refuses the file."""
    try:
        return picture.decode(FILE, content).pixels
    except UserError as error:
        assert repr(str(FILE)) in str(error) and '\n' not in str(error)
        return None


def _flipped(content, random):
    """Flips a bit, changes a byte, or writes a block of zeros."""
    content, kind = bytearray(content), random.integers(3)
    place = random.integers(len(content))
    if kind == 0:
        content[place] ^= 1 << random.integers(8)
    elif kind == 1:
        content[place] = random.integers(256)
    else:
        hole = content[place : place + 20]
        content[place : place + 20] = bytes(len(hole))
    return bytes(content)


def test_of_every_format_that_is_read_there_is_a_sound_file():
    for form, content in SOUND:
        pixels = _read(content)
        assert pixels is not None, form
        assert sorted(pixels.shape[:2]) == [WIDTH, HEIGHT], form
        with Image.open(io.BytesIO(content)) as image:
            assert image.format.upper() == form.upper()
    # ICNS has no small pictures, IPTC contains another format, PCD has
    # 768 x 512 pixels, and SPIDER has no range.
    left_out = picture._STUBS | {'ICNS', 'IPTC', 'PCD', 'SPIDER'}
    read = {form.upper() for form, _ in SOUND} | left_out
    assert read >= {form.upper() for form in Image.OPEN}


def test_a_picture_that_was_cut_off_is_refused_or_lacks_nothing(capfd):
    random = np.random.default_rng(1)
    for form, content in SOUND:
        sound = _read(content)
        size = len(content)
        cuts = {*random.integers(size, size=20).tolist(), size - 1, size - 2}
        if form == 'JPEG2000':
            cuts.add(content.index(b'\xff\x93') + 2)  # before its first data
        for length in cuts:
            pixels = _read(content[:length])
            assert pixels is None or np.array_equal(pixels, sound), (
                form,
                length,
            )
    assert capfd.readouterr() == ('', '')


def test_a_png_that_was_changed_is_refused_or_reads_the_same():
    random = np.random.default_rng(2)
    for content in CHECKED:
        sound = _read(content)
        for _ in range(60):
            pixels = _read(_flipped(content, random))
            assert pixels is None or np.array_equal(pixels, sound)


def test_another_picture_that_was_changed_is_refused_in_one_line(capfd):
    random = np.random.default_rng(3)
    for _, content in SOUND:
        for _ in range(10):
            _read(_flipped(content, random))
    assert capfd.readouterr() == ('', '')


@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
@pytest.mark.parametrize('form', ['PNG', 'JPEG', 'WEBP', 'AVIF'])
def test_damaged_exif_data_leave_the_picture_as_it_is(form):
    if form not in Image.SAVE:
        pytest.skip(f'Pillow without {form}')
    # The offset of the EXIF list is beyond the end of the data.
    damaged = b'Exif\0\0II*\0\xff\xff\0\0'
    sound = _read(_written(form, 'RGB', {}))
    read = _read(_written(form, 'RGB', {'exif': damaged}))
    np.testing.assert_array_equal(read, sound)
