"""A profile of a few steps, for TensorBoard's Profile page."""

import contextlib
import math
import pathlib

import tensorflow as tf

from tfgen.errors import UserError


class Profile:
    """Records a TensorFlow profile from one step to another.

    It is a context manager. When the context ends, a recording that still runs
    is ended and written.

    Args:
      steps: (first, last). The recording begins when `first` steps are done,
        and ends when `last` are. None records nothing. The first steps of a
        run compile the loop, so leave some out.
      folder: the folder of the summaries.
    """

    def __init__(self, steps: tuple[int, int] | None, folder: pathlib.Path):
        self._first, self._last = steps or (math.inf, math.inf)
        self._folder, self._running = folder, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def most_steps(self, done: int) -> float:
        """The most steps that the loop may make in one call.

        Before the recording, these are the steps up to its start. During the
        recording this is 1, because the profiler counts calls as steps.
        """
        if self._running:
            return 1
        return self._first - done if done < self._first else math.inf

    def after(self, done: int) -> None:
        """Begins or ends the recording, if that is due after `done` steps."""
        if done == self._first:
            tf.profiler.experimental.start(str(self._folder))
            self._running = True
        elif done >= self._last:
            self._stop()

    def step(self, done: int) -> contextlib.AbstractContextManager:
        """A context for the next call of the loop; `done` steps came before."""
        if not self._running:
            return contextlib.nullcontext()
        return tf.profiler.experimental.Trace('step', step_num=done, _r=1)

    def _stop(self):
        """Ends the recording, if there is one, and writes it."""
        if self._running:
            self._running = False
            tf.profiler.experimental.stop()


def parse(text: str | None) -> tuple[int, int] | None:
    """'10,20' -> (10, 20).

    Raises:
      UserError: it is not two numbers, the first below the second.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(',')]
    if len(parts) == 2 and all(p.isascii() and p.isdecimal() for p in parts):
        first, last = map(int, parts)
        if first < last:
            return first, last
    raise UserError(
        f'profile_steps {text!r} is not FIRST,LAST: pass, for example, 10,20'
    )
