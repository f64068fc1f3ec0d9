"""The progress line of a run."""

import sys
import time

from tfgen import lines


class Progress:
    """One line that rewrites itself on a terminal, plain lines elsewhere.

    A line is left out if the stream has no room for it; see tfgen.lines.

    Args:
      start, total: first step of this process, and last step of the run.
      batch_size: examples per step.
      stream: where to write; None for standard output.
    """

    def __init__(self, start: int, total: int, batch_size: int, stream=None):
        self._step, self.total = start, total
        self._batch_size = batch_size
        self._stream = stream or sys.stdout
        self._time = time.monotonic()
        self._seconds_per_step = None
        self.examples_per_second = 0.0

    def show(self, step: int, terms: dict[str, float]) -> None:
        """Reports that `step` steps are done."""
        now = time.monotonic()
        pace = (now - self._time) / max(1, step - self._step)
        # The first interval contains the compilation, so the second replaces
        # it. Later ones are smoothed.
        if self._seconds_per_step is None or self._fresh:
            self._fresh = self._seconds_per_step is None
            self._seconds_per_step = pace
        else:
            self._seconds_per_step += 0.3 * (pace - self._seconds_per_step)
        self._step, self._time = step, now
        self.examples_per_second = self._batch_size / pace
        left = (self.total - step) * self._seconds_per_step
        values = '  '.join(f'{k} {v:.4g}' for k, v in terms.items())
        line = (
            f'step {step}/{self.total}  {values}  '
            f'{self.examples_per_second:.0f} examples/s  {_clock(left)} left'
        )
        terminal = self._stream.isatty()
        lines.write(
            f'\r\x1b[K{line}' if terminal else f'{line}\n', self._stream
        )

    def close(self) -> None:
        """Ends the last line on a terminal, so that it stays."""
        if self._stream.isatty():
            lines.write('\n', self._stream)


def _clock(seconds):
    """Seconds as '1h02m' or '3m04s'."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours}h{minutes:02d}m'
    return f'{minutes}m{seconds:02d}s'
