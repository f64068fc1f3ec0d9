"""A text file as rows of letters, or as lines.

A letter is a code point of the text in its composed form, NFC, in which equal
letters are equal numbers, however they were written. A line ends at \\n or
\\r\\n and nowhere else, not at a form feed or a lone \\r.
"""

import pathlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from tfgen.data.embedded import numerals
from tfgen.data.readers.base import Fingerprint, InMemory, Source, decoded
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
    text, notes = _read(path)
    count = len(text) // length
    if count < 2:
        raise UserError(
            f'text {str(path)!r} has {len(text)} letters: it needs two rows '
            f'of text_length={length}, set a smaller one'
        )
    alphabet = tuple(sorted(set(text)))
    if len(alphabet) < 2:
        raise UserError(
            f'text {str(path)!r} has one letter alone, {alphabet[0]!r}: it '
            'needs two different ones'
        )
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
        notes=(*notes, *([f'left out: the last {rest} letters'] * bool(rest))),
    )
    return source, alphabet


def open_lines(path: pathlib.Path, length: int) -> tuple[Source, tuple]:
    """Opens lines:PATH, a UTF-8 file of lines of at most `length` letters.

    A line is an example, without the white space at its ends; blank ones do
    not count, and longer ones are cut. A tenth, chosen by a fixed seed, is the
    test split.

    Returns:
      See open_text; the first symbol of the alphabet is the empty text, which
      fills up what is shorter.
    """
    text, notes = _read(path)
    lines = [line.strip() for line in text.split('\n')]
    lines = [line for line in lines if line]
    if len(lines) < 2:
        raise UserError(
            f'text {str(path)!r} has {len(lines)} line{"s"[len(lines) :]} '
            'that are not blank: it needs two, each with \\n or \\r\\n at its '
            'end'
        )
    return _lines(lines, length, None, (), notes)


def open_numerals(length: int) -> tuple[Source, tuple]:
    """Opens the embedded set; see data/numerals.py."""
    numbers = range(numerals.LARGEST + 1)
    lines = [
        f(n) for f in (numerals.english, numerals.chinese) for n in numbers
    ]
    labels = np.repeat(np.arange(2, dtype=np.int32), len(numbers))
    return _lines(lines, length, labels, numerals.LANGUAGES)


def _lines(lines: Sequence[str], length, labels, class_names, notes=()):
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
        notes=(*notes, *([f'{cut} lines were longer, and cut'] * bool(cut))),
    )
    return source, alphabet


def _read(path):
    """The text, its lines ended by \\n, and notes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f'text {str(path)!r} cannot be read ({error.strerror}): name a '
            'text file in UTF-8 with text:PATH or lines:PATH'
        ) from None
    text = decoded(path, content).replace('\r\n', '\n')
    composed = unicodedata.normalize('NFC', text)
    notes = ['read in the composed form of its letters (NFC)']
    return composed, notes if composed != text else []
