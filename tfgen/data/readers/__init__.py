"""Readers of examples from TFDS sets, embedded sets and folders.

`open_images` and `audio.open_audio` turn a name into a Source, which gathers
integers by index. A set that fits into memory is decoded once: gathering from
memory is 100 times faster than decoding. A larger set of images is read by
random access.
"""

from tfgen import storage
from tfgen.data.readers import stacked
from tfgen.data.readers.base import MEMORY_LIMIT, PATHS, Source
from tfgen.data.readers.catalog import open_tfds
from tfgen.data.readers.folder import open_folder
from tfgen.data.readers.palette import open_palette
from tfgen.errors import UserError


def open_images(
    name: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    memory_limit: int = MEMORY_LIMIT,
) -> Source:
    """Opens a set of images by its name; see data.load."""
    prefix, _, path = name.partition(':')
    if prefix in PATHS and not path:
        raise UserError(
            f'data set {name!r} names no path: give {prefix}:PATH with the '
            'path of a folder'
        )
    if prefix in PATHS:
        place = storage.place(path, tensorflow=False)
    if prefix == 'folder':
        return open_folder(place, image_size)
    if prefix == 'palette':
        if image_size:
            raise UserError(
                f'image_size {image_size} would mix the colours of a palette: '
                'leave it out'
            )
        return open_palette(place)
    base = name.removeprefix(stacked.PREFIX)
    source = open_tfds(base, data_dir, image_size, memory_limit)
    return source if base == name else stacked.stack(name, source)
