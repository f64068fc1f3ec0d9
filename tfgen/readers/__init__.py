"""Where examples come from: TFDS sets, the embedded ones, folders.

`open_images` and `open_sounds` turn a name into a Source, which gathers
integers by index. A set that fits is decoded once into memory (gathering from
memory is 100 times faster than decoding); a larger one of images is read by
random access.
"""

import pathlib

from tfgen.errors import UserError
from tfgen.readers.audio import open_audio
from tfgen.readers.base import Source
from tfgen.readers.catalog import open_tfds
from tfgen.readers.folder import open_folder
from tfgen.readers.palette import open_palette

_MEMORY_LIMIT = 4 << 30  # bytes of decoded examples


def open_images(
    name: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    memory_limit: int = _MEMORY_LIMIT,
) -> Source:
    """'digits', a TFDS set, 'folder:PATH' or 'palette:PATH'; see data.load."""
    kind, _, path = name.partition(':')
    path = pathlib.Path(path).expanduser()
    if kind == 'folder':
        return open_folder(path, image_size)
    if kind == 'palette':
        if image_size:
            raise UserError(
                f'image_size {image_size} would mix the colours of a palette: '
                'leave it out'
            )
        return open_palette(path)
    return open_tfds(name, data_dir, image_size, memory_limit)


def open_sounds(
    name: str,
    data_dir: str | None,
    length: int,
    memory_limit: int = _MEMORY_LIMIT,
) -> Source:
    """'tones' or a TFDS set of sounds; see data.load_audio."""
    return open_audio(name, data_dir, length, memory_limit)
