"""Lines for people, whom no training waits for."""

import contextlib
import errno
import os
import select
from typing import TextIO


def write(text: str, stream: TextIO) -> None:
    """Writes `text` at once, or not at all.

    A pipe that nobody reads is full after a while, and Ctrl-S holds a terminal.
    Who waited there would never come to where it is told to stop. So text for
    which there is no room is left out, and all of it once the reader is gone.

    Args:
      text: at most 4096 bytes, the room that there is in a pipe that is ready.
      stream: where to.
    """
    if not _is_ready(stream):
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Who has read it has ended, or was a terminal that is gone.
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:
            raise
        _silence(stream)


def _is_ready(stream):
    try:
        handle = stream.fileno()
        waiting = select.poll()  # not on Windows
    except (AttributeError, OSError):  # or in memory
        return True
    waiting.register(handle, select.POLLOUT)
    return bool(waiting.poll(0))


def _silence(stream):
    """Lest Python complain, as it ends, of what is still to be written."""
    with contextlib.suppress(OSError):  # in memory
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
