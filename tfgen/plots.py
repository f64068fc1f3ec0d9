"""Pictures of examples as arrays: grids, spectrograms, points and text."""

import io
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

_TARGET = 64  # screen pixels per picture side, at least
_GUTTER = 0.08  # share of a picture's side
_BACKGROUND = 64  # a grey that differs from black and white
_TEXT = 16  # height of a line of titles
_RING = (150, 150, 60)  # around a mode
_SIDE = 88  # width of titles beside rows


def grid(
    images: np.ndarray,
    columns: int,
    titles: Sequence[str] | None = None,
) -> np.ndarray:
    """Draws magnified pictures in rows with gutters.

    Args:
      images: uint8 [N, H, W, C], C = 1 or 3.
      columns: pictures per row.
      titles: one per picture. If all pictures of a column share a title, titles
        stand at the heads of the columns. If all pictures of a row share a
        title, titles stand beside the rows. Otherwise each title stands above
        its picture.

    Returns:
      uint8 [height, width, C]. All pixels become squares of the same size.
    """
    count, height, width, channels = images.shape
    scale = max(1, -(-_TARGET // max(height, width)))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    gutter = max(2, round(_GUTTER * max(height, width)))
    rows = -(-count // columns)
    place = _place(titles, columns)
    head = _TEXT if place == 'columns' else 0
    side = _SIDE if place == 'rows' else 0
    strip = _TEXT if place == 'each' else 0
    pitch = height + gutter + strip
    canvas = np.full(
        (
            head + rows * pitch + gutter,
            side + columns * (width + gutter) + gutter,
            channels,
        ),
        _BACKGROUND,
        np.uint8,
    )
    written, named = [], titles or ()
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top = head + gutter + row * pitch + strip
        left = side + gutter + column * (width + gutter)
        canvas[top : top + height, left : left + width] = image
        if place == 'each' or (place == 'columns' and row == 0):
            line = 0 if place == 'columns' else top - _TEXT
            above = (left, line, width + gutter - 2)
            written.append((named[index], *above))
        elif place == 'rows' and column == 0:
            beside = (gutter, top + (height - _TEXT) // 2, side - gutter)
            written.append((named[index], *beside))
    return _write(canvas, written) if written else canvas


def label_columns(
    labels: Sequence[int] | np.ndarray | None, default: int
) -> int:
    """Chooses the columns of a grid so that each has one label, if possible.

    Args:
      labels: of the pictures, all labels in turn; None without labels.
      default: number of columns without labels, or with too many of them.
    """
    kinds = len(set(labels)) if labels is not None else 0
    if not kinds or kinds > 2 * default:
        return default
    return max(1, default // kinds) * kinds


def titles(
    labels: Sequence[int] | None, names: Sequence[str]
) -> list[str] | None:
    """The class name of each label; None without labels."""
    if labels is None:
        return None
    return [' '.join(names[i].split()) if names else str(i) for i in labels]


def _place(titles, columns):
    """Where titles stand: 'columns', 'rows' or 'each'; '' without titles."""
    if not titles:
        return ''
    if all(t == titles[i % columns] for i, t in enumerate(titles)):
        return 'columns'
    if all(t == titles[i - i % columns] for i, t in enumerate(titles)):
        return 'rows'
    return 'each'


def _write(canvas, written):
    """Writes texts, each (text, left, top, width), on `canvas`."""
    font = ImageFont.load_default(_TEXT - 4)
    image = Image.fromarray(np.broadcast_to(canvas, (*canvas.shape[:2], 3)))
    draw = ImageDraw.Draw(image)
    for text, left, top, width in written:
        shown = text
        while shown and draw.textlength(shown, font) > width:
            text = text[:-1]
            shown = f'{text}\N{HORIZONTAL ELLIPSIS}' if text else ''
        draw.text((left, top), shown, (235, 235, 235), font)
    return np.asarray(image)[..., : canvas.shape[-1]]


def spectrograms(audio: np.ndarray) -> np.ndarray:
    """Computes short-time spectra of sounds as pictures.

    The Hann windows have 256 samples and start every 32 samples. 70 dB below
    the loudest point is black. Time runs to the right, frequency upwards from 0
    to half the sample rate.

    Args:
      audio: float [N, T] in [-1, 1].

    Returns:
      float32 [N, 128, frames, 1] in [0, 1].
    """
    window = 256
    audio = np.pad(audio, [[0, 0], [0, max(0, window - audio.shape[1])]])
    spectrum = tf.abs(
        tf.signal.stft(
            tf.constant(audio, tf.float32), window, window // 8, window
        )
    )
    decibel = 20.0 / np.log(10.0) * tf.math.log(spectrum + 1e-6)
    loudest = tf.reduce_max(decibel, axis=[1, 2], keepdims=True)
    loudest = tf.maximum(loudest, -40.0)  # silence is black as well
    shade = tf.clip_by_value((decibel - loudest) / 70.0 + 1.0, 0.0, 1.0)
    shade = tf.reverse(tf.transpose(shade, [0, 2, 1]), [1])
    return shade[:, 1:, :, None].numpy()


def scatter(
    points: np.ndarray,
    extent: float,
    titles: Sequence[str] | None = None,
    rings: tuple[np.ndarray, float] | None = None,
    side: int = 480,
) -> np.ndarray:
    """Draws points of the plane as dots: uint8 [side, side, 3].

    Args:
      points: [N, 2]; x runs to the right, y upwards. Points outside the square
        are not drawn.
      extent: half the side of the square around 0 that is shown. It is written
        into a corner.
      titles: one per point. Every title has its own colour, and is written in
        it at the top.
      rings: places [M, 2] and a radius; a ring is drawn around each place.
      side: width and height in pixels.
    """
    image = Image.new('RGB', (side, side), (_BACKGROUND,) * 3)
    draw = ImageDraw.Draw(image)
    if rings:
        radius = max(3.0, rings[1] / extent / 2 * side)
        for x, y in (rings[0] / extent * [1, -1] + 1) / 2 * side:
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, outline=_RING)
    kinds = sorted(set(titles or ['']), key=lambda t: (len(t), t))
    colours = {
        kind: f'hsv({360 * i // len(kinds)}, {55 if titles else 0}%, 95%)'
        for i, kind in enumerate(kinds)
    }
    places = (points / extent * [1, -1] + 1) / 2 * side
    for (x, y), kind in zip(places, titles or [''] * len(points), strict=True):
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colours[kind])
    font = ImageFont.load_default(_TEXT - 4)
    draw.text(
        (6, side - _TEXT), f'\N{PLUS-MINUS SIGN}{extent:.4g}', 'white', font
    )
    left = 6.0
    for kind in kinds if titles else ():
        draw.text((left, 4), kind, colours[kind], font)
        left += draw.textlength(f'{kind}  ', font)
    return np.asarray(image)


def plane(extent: float, side: int = 480) -> np.ndarray:
    """The middle of each pixel of a `scatter`: float32 [side, side, 2]."""
    line = ((np.arange(side) + 0.5) / side * 2 - 1) * extent
    x, y = np.meshgrid(line, -line)
    return np.stack([x, y], axis=-1).astype(np.float32)


def density(logs: np.ndarray) -> np.ndarray:
    """Draws log p at the points of `plane` in grey: uint8 [side, side, 3].

    White is the largest density. Black is e^-8 times the largest, or less.
    """
    shade = np.clip(1.0 + (logs - logs.max()) / 8.0, 0.0, 1.0)
    grey = np.round(255 * shade).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def surface(scores: np.ndarray) -> np.ndarray:
    """Draws scores at the points of `plane`: uint8 [side, side, 3].

    Scores above the median are red, those below it blue. Scores near the median
    are dark.
    """
    off = scores - np.median(scores)
    off = off / (np.abs(off).max() or 1.0)
    shade = np.round(255 * np.sqrt(np.abs(off))).astype(np.uint8)
    none = np.zeros_like(shade)
    high, low = (np.where(side, shade, none) for side in (off > 0, off < 0))
    return np.stack([high, shade // 4, low], axis=-1)


def histogram(
    numbers: np.ndarray, extent: float, side: int = 480
) -> np.ndarray:
    """A histogram of numbers in (-extent, extent): uint8 [side, side, 3]."""
    counts, _ = np.histogram(numbers, bins=side // 4, range=(-extent, extent))
    heights = np.round(counts / max(1, counts.max()) * (side - _TEXT))
    image = np.full([side, side, 3], _BACKGROUND, np.uint8)
    for column, height in enumerate(heights.astype(int)):
        image[side - height :, 4 * column : 4 * column + 3] = 235
    return image


def text(
    lines: Sequence[str], titles: Sequence[str] | None = None
) -> np.ndarray:
    """Draws lines of text, each after its title: uint8 [height, width, 1]."""
    font = ImageFont.load_default(_TEXT - 2)
    shown = [repr(line)[1:-1] for line in lines]
    measure = ImageDraw.Draw(Image.new('L', (1, 1)))
    side = _SIDE if titles else 0
    width = max(measure.textlength(line, font) for line in shown)
    pitch = _TEXT + 4
    size = (int(width) + side + 2 * _TEXT, pitch * len(lines) + _TEXT)
    image = Image.new('L', size, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(shown):
        top = _TEXT // 2 + number * pitch
        if titles:
            draw.text((_TEXT // 2, top), titles[number], 160, font)
        draw.text((_TEXT // 2 + side, top), line, 235, font)
    return np.asarray(image)[..., None]


def strip(frames: Sequence[Image.Image], most: int = 8) -> np.ndarray:
    """At most `most` frames side by side, evenly spread: uint8 [H, W, C]."""
    places = np.linspace(0, len(frames) - 1, min(most, len(frames)))
    chosen = [frames[round(place)] for place in places]
    return np.concatenate([np.atleast_3d(f) for f in chosen], axis=1)


def moving(frames: Sequence[Image.Image], seconds: float = 0.4) -> bytes:
    """A GIF that shows each frame for `seconds` and the last one longer."""
    stream = io.BytesIO()
    times = [round(1000 * seconds)] * (len(frames) - 1) + [2000]
    first, *others = (frame.convert('RGB') for frame in frames)
    first.save(
        stream,
        'GIF',
        save_all=True,
        append_images=others,
        duration=times,
        loop=0,
    )
    return stream.getvalue()
