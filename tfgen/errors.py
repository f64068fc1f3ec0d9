"""Exceptions whose message is one line with the remedy."""

import re

# On the command line, messages name flags; in Python, arguments.
_on_command_line = False
_SET = re.compile(r'--set (\w+)=([^\s;:)?]*[^\s;:)?,.])')
_FLAG = re.compile(r'--(\w+)=([a-z0-9]\w*)')
_NUMBER = re.compile(r'-?\d+(\.\d+)?(e-?\d+)?')
_WORDS = {'none': 'None', 'true': 'True', 'false': 'False'}


class UserError(ValueError):
    """A mistake that the user can correct: one line with value and remedy.

    Commands print the line, which names flags, and exit with status 2. In
    Python it is a ValueError, and the line names arguments.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if _on_command_line else in_python(text)


class NotFiniteError(UserError):
    """A loss or a weight has become infinite or NaN."""


def name_flags() -> None:
    """Makes all messages of this process name command-line flags."""
    global _on_command_line
    _on_command_line = True


def in_python(text: str) -> str:
    """A message with arguments in place of flags.

    '--set units=64,64' becomes 'units=(64, 64)', and '--split=train' becomes
    "split='train'".
    """
    # Text in backticks is a command line.
    parts = text.split('`')
    parts[::2] = map(_rewritten, parts[::2])
    return '`'.join(parts)


def _rewritten(text):
    """A text that holds no command line, with arguments for flags."""
    text = _SET.sub(lambda m: f'{m[1]}={_literal(m[2])}', text)
    text = _FLAG.sub(lambda m: f'{m[1]}={_literal(m[2])}', text)
    text = re.sub(r'--(\w+)', r'\1', text)
    return text.replace('tfgen train', 'tfgen.train')


def _literal(value):
    """The value of a flag as Python writes it."""
    if ',' in value:
        return f'({", ".join(map(_literal, value.split(",")))})'
    if _NUMBER.fullmatch(value):
        return value
    return _WORDS.get(value.lower(), repr(value))
