"""Reads text files as rows of letters, or as lines.

A letter is a code point of the text in composed form (NFC). In this form equal
letters have equal numbers, however they were written. A line ends only at \\n
or \\r\\n, not at a form feed or a lone \\r.
"""

import dataclasses
import pathlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from tfgen.data.embedded import numerals
from tfgen.data.readers.base import Fingerprint, InMemory, Source, decoded
from tfgen.data.truth import ValidLines
from tfgen.errors import UserError

_HELD_OUT = 1806  # seed of the test split of lines


def open_text(path: pathlib.Path, length: int) -> Source:
    """Opens text:PATH, a UTF-8 file cut into rows of `length` letters.

    The last tenth of the rows is the test split. An incomplete row at the end
    is left out.

    Returns:
      The set, whose values are positions in its alphabet: the distinct letters
      of the file, sorted.
    """
    text, notes = _read(path)
    count = len(text) // length
    if count < 2:
        raise UserError(
            f'text {str(path)!r} has {len(text)} letters, less than two rows '
            f'of text_length={length}: set a smaller text_length'
        )
    alphabet = tuple(sorted(set(text)))
    if len(alphabet) < 2:
        raise UserError(
            f'text {str(path)!r} has only the letter {alphabet[0]!r}: use a '
            'text of two different letters or more'
        )
    place = {letter: number for number, letter in enumerate(alphabet)}
    rows = np.array([place[c] for c in text[: count * length]], np.int32)
    rows = rows.reshape(count, length)
    num_test = -(-count // 10)
    fingerprint = Fingerprint()
    fingerprint.add(text)
    rest = len(text) - count * length
    return Source(
        shape=(length,),
        levels=len(alphabet),
        alphabet=alphabet,
        class_names=(),
        splits={
            'train': InMemory(rows[:-num_test], None),
            'test': InMemory(rows[-num_test:], None),
        },
        fingerprint=str(fingerprint),
        origin='the last tenth of the text',
        notes=(*notes, *([f'left out: the last {rest} letters'] * bool(rest))),
    )


def open_lines(path: pathlib.Path, length: int) -> Source:
    """Opens lines:PATH, a UTF-8 file of lines of at most `length` letters.

    Each line is an example, without the white space at its ends. Blank lines
    are skipped, and longer lines are cut. A fixed seed chooses a tenth as the
    test split.

    Returns:
      See open_text. The first symbol of the alphabet is the empty text, which
      pads shorter lines.
    """
    text, notes = _read(path)
    lines = [line.strip() for line in text.split('\n')]
    lines = [line for line in lines if line]
    if len(lines) < 2:
        raise UserError(
            f'text {str(path)!r} has fewer than two lines that are not blank: '
            'add lines, each ending with \\n or \\r\\n'
        )
    return _lines(lines, length, None, (), notes)


def open_numerals(length: int) -> Source:
    """Opens the embedded set of numerals; see data/embedded/numerals.py."""
    numbers = range(numerals.LARGEST + 1)
    lines = [
        f(n) for f in (numerals.english, numerals.chinese) for n in numbers
    ]
    labels = np.repeat(np.arange(2, dtype=np.int32), len(numbers))
    source = _lines(lines, length, labels, numerals.LANGUAGES)
    truth = ValidLines(frozenset(numerals.meanings()))
    return dataclasses.replace(source, truth=truth)


def _lines(lines: Sequence[str], length, labels, class_names, notes=()):
    """The set of `lines`, each cut or padded to `length`."""
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
    return Source(
        shape=(length,),
        levels=len(alphabet),
        alphabet=alphabet,
        class_names=class_names,
        splits={
            name: InMemory(rows[some], None if labels is None else labels[some])
            for name, some in splits.items()
        },
        fingerprint=str(fingerprint),
        notes=(*notes, *([f'{cut} lines were longer, and cut'] * bool(cut))),
    )


def _read(path):
    """The text of a file, in which lines end at \\n, and notes."""
    try:
        content = path.read_bytes()
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            f'text {str(path)!r} cannot be read ({error.strerror}): name a '
            'text file in UTF-8 with text:PATH or lines:PATH'
        ) from None
    text = decoded(path, content).replace('\r\n', '\n')
    composed = unicodedata.normalize('NFC', text)
    notes = ['read in the composed form of its letters (NFC)']
    return composed, notes if composed != text else []
