"""Lines of text for people, written without making training wait."""

import contextlib
import errno
import os
import select
from typing import TextIO


def write(text: str, stream: TextIO) -> None:
    """Writes `text` at once, or drops it.

    A pipe that nobody reads fills up, and Ctrl-S stops the output of a
    terminal. A process that waited for it would not notice a request to stop.
    So text is dropped if there is no room for it. Once the reader is gone, all
    text is dropped.

    Args:
      text: at most 4096 bytes, the room in a pipe that is ready.
      stream: where to write.
    """
    if not _is_ready(stream):
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # The reader has ended, or the terminal is gone.
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:
            raise
        _silence(stream)


def _is_ready(stream):
    """Whether `stream` takes text without waiting."""
    try:
        handle = stream.fileno()
        waiting = select.poll()  # not on Windows
    except (AttributeError, OSError):  # or the stream is in memory
        return True
    waiting.register(handle, select.POLLOUT)
    return bool(waiting.poll(0))


def _silence(stream):
    """Discards unwritten text, so that Python does not complain at exit."""
    with contextlib.suppress(OSError):  # in memory
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
