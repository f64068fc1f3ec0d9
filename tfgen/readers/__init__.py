"""Where images come from: TFDS sets, the embedded digits, image folders.

`open_source` turns a name into a Source, which gathers uint8 images by index.
A set that fits is decoded once into memory (gathering from memory is 100
times faster than decoding); a larger one is read by random access.
"""

import pathlib

from tfgen.readers.base import Source
from tfgen.readers.catalog import open_tfds
from tfgen.readers.folder import open_folder

_MEMORY_LIMIT = 4 << 30  # bytes of decoded images


def open_source(
    name: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    memory_limit: int = _MEMORY_LIMIT,
) -> Source:
    """Opens 'digits', a TFDS set or 'folder:PATH'; see data.load."""
    if name.startswith('folder:'):
        path = pathlib.Path(name[len('folder:') :]).expanduser()
        return open_folder(path, image_size)
    return open_tfds(name, data_dir, image_size, memory_limit)
