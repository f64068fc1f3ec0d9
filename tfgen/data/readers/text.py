"""A text file as rows of letters, or as lines."""

import pathlib
from collections.abc import Sequence

import numpy as np

from tfgen.data import numerals
from tfgen.data.readers.base import Fingerprint, InMemory, Source
from tfgen.errors import UserError

_HELD_OUT = 1806  # seed of the test split of lines


def open_text(path: pathlib.Path, length: int) -> tuple[Source, tuple]:
    """Opens text:PATH, a UTF-8 file cut into rows of `length` letters.

    The last tenth of the rows is the test split. What is left at the end, less
    than a row, is left out.

    Returns:
      The set, whose values are places in the alphabet, and the alphabet: the
      letters of the file in order.
    """
    text = _read(path)
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


def open_lines(path: pathlib.Path, length: int) -> tuple[Source, tuple]:
    """Opens lines:PATH, a UTF-8 file of lines of at most `length` letters.

    A line is an example; blank ones do not count, and longer ones are cut. A
    tenth, chosen by a fixed seed, is the test split.

    Returns:
      See open_text; the first symbol of the alphabet is the empty text, which
      fills up what is shorter.
    """
    lines = [line.strip() for line in _read(path).splitlines()]
    lines = [line for line in lines if line]
    if len(lines) < 2:
        raise UserError(
            f'text {str(path)!r} has {len(lines)} lines that are not blank: '
            'it needs two'
        )
    return _lines(lines, length, None, ())


def open_numerals(length: int) -> tuple[Source, tuple]:
    """Opens the embedded set; see data/numerals.py."""
    numbers = range(numerals.LARGEST + 1)
    lines = [
        f(n) for f in (numerals.english, numerals.chinese) for n in numbers
    ]
    labels = np.repeat(np.arange(2, dtype=np.int32), len(numbers))
    return _lines(lines, length, labels, numerals.LANGUAGES)


def _lines(lines: Sequence[str], length, labels, class_names):
    alphabet = ('', *sorted(set(''.join(lines))))
    place = {letter: number for number, letter in enumerate(alphabet)}
    rows = np.zeros([len(lines), length], np.int32)
    for row, line in zip(rows, lines, strict=True):
        kept = line[:length]
        row[: len(kept)] = [place[letter] for letter in kept]
    order = np.random.RandomState(_HELD_OUT).permutation(len(lines))
    num_test = -(-len(lines) // 10)
    splits = {'train': order[num_test:], 'test': order[:num_test]}
    fingerprint = Fingerprint()
    fingerprint.add('\n'.join(lines))
    cut = sum(len(line) > length for line in lines)
    source = Source(
        shape=(length,),
        levels=len(alphabet),
        class_names=class_names,
        splits={
            name: InMemory(rows[some], None if labels is None else labels[some])
            for name, some in splits.items()
        },
        fingerprint=str(fingerprint),
        notes=(f'{cut} lines were longer, and cut',) if cut else (),
    )
    return source, alphabet


def _read(path):
    try:
        return path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f'text {str(path)!r} cannot be read ({type(error).__name__}): '
            'name a text file in UTF-8 with text:PATH or lines:PATH'
        ) from None
