"""A text file as rows of letters."""

import pathlib

import numpy as np

from tfgen.data.readers.base import Fingerprint, InMemory, Source
from tfgen.errors import UserError


def open_text(path: pathlib.Path, length: int) -> tuple[Source, tuple]:
    """Opens text:PATH, a UTF-8 file cut into rows of `length` letters.

    The last tenth of the rows is the test split. What is left at the end, less
    than a row, is left out.

    Returns:
      The set, whose values are places in the alphabet, and the alphabet: the
      letters of the file in order.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f'text {str(path)!r} cannot be read ({type(error).__name__}): '
            'name a text file in UTF-8 with text:PATH'
        ) from None
    count = len(text) // length
    if count < 2:
        raise UserError(
            f'text {str(path)!r} has {len(text)} letters: it needs two rows '
            f'of text_length={length}, set a smaller one'
        )
    alphabet = tuple(sorted(set(text)))
    place = {letter: number for number, letter in enumerate(alphabet)}
    rows = np.array([place[c] for c in text[: count * length]], np.int32)
    rows = rows.reshape(count, length)
    num_test = -(-count // 10)
    fingerprint = Fingerprint()
    fingerprint.add(text)
    rest = len(text) - count * length
    source = Source(
        shape=(length,),
        levels=len(alphabet),
        class_names=(),
        splits={
            'train': InMemory(rows[:-num_test], None),
            'test': InMemory(rows[-num_test:], None),
        },
        fingerprint=str(fingerprint),
        origin='the last tenth of the text',
        notes=(f'left out: the last {rest} letters',) if rest else (),
    )
    return source, alphabet
