"""The progress line of a run."""

import contextlib
import math
import shutil
import sys
import time

from tqdm import tqdm

from tfgen import lines

_CALL = 1.0  # seconds that a call of the compiled loop should take
_EVERY = {True: 1.0, False: 5.0}  # seconds between lines, on a terminal or not


class Progress:
    """One line that rewrites itself on a terminal, plain lines elsewhere.

    A line is left out if the stream has no room for it; see tfgen.lines.

    Args:
      start, total: first step of this process, and last step of the run.
      batch_size: examples per step.
      stream: where to write; None for standard output.
    """

    def __init__(self, start: int, total: int, batch_size: int, stream=None):
        self.total = total
        stream = stream or sys.stdout
        terminal = stream.isatty()
        self._stream, self._every = stream, _EVERY[terminal]
        self._shown = -math.inf  # when a line was shown
        self._bar = _Bar(
            initial=start,
            total=total,
            file=_Stream(stream),
            leave=terminal,
            ncols=shutil.get_terminal_size().columns if terminal else None,
            # The time left follows the last interval alone, because the first
            # interval contains the compilation.
            smoothing=1,
            mininterval=0,
            miniters=1,  # each update is shown, a small last one too
            delay=1e-9,  # no line before the first step
            bar_format='step {n}/{total}  {examples} examples/s  '
            '{left} left{postfix}',
        )
        self._bar.batch_size = batch_size

    @property
    def examples_per_second(self) -> float:
        """The pace since the previous line; 0 before the first line."""
        return self._bar.examples_per_second

    def due(self) -> bool:
        """Whether it is time for another line."""
        return time.monotonic() - self._shown >= self._every

    def say(self, text: str) -> None:
        """Writes a line of its own."""
        lines.write(f'{text}\n', self._stream)

    def show(self, step: int, terms: dict[str, float]) -> None:
        """Reports that `step` steps are done."""
        self._shown = time.monotonic()
        values = '  '.join(f'{k} {v:.4g}' for k, v in terms.items())
        self._bar.set_postfix_str(values, refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Ends the line. On a terminal it stays, with the mean rate."""
        self._bar.close()


class StepsPerExecution:
    """The number of steps in the next call of the compiled loop.

    The first call makes one step, so that a line can be shown soon. Later calls
    take about a second.

    Args:
      alone: whether one process trains. Several processes must make equal
        calls, so their number of steps does not depend on the time.
    """

    def __init__(self, alone: bool):
        self._most = 1 if alone else sys.maxsize

    def most_steps(self) -> int:
        return self._most

    @contextlib.contextmanager
    def timed(self, count: int):
        """Measures a call that makes `count` steps."""
        begin = time.monotonic()
        yield
        if self._most == sys.maxsize:
            return
        each = (time.monotonic() - begin) / count
        # At most doubled at a time, because the first call compiles.
        self._most = max(1, min(2 * count, round(_CALL / max(each, 1e-9))))


class _Bar(tqdm):
    """A bar that counts examples, too."""

    monitor_interval = 0  # no thread
    batch_size = 0

    @property
    def examples_per_second(self):
        facts = super().format_dict
        # A closed bar has no rate; it shows the mean over the whole run.
        mean = (facts['n'] - facts['initial']) / max(facts['elapsed'], 1e-9)
        return self.batch_size * (facts['rate'] or mean)

    @property
    def format_dict(self):
        facts = super().format_dict
        done, rest = facts['n'] - facts['initial'], self.total - facts['n']
        left = '?' if rest else '00:00'
        # The first step compiles, and says nothing about the others.
        if done > 1:
            rate = facts['rate'] or done / max(facts['elapsed'], 1e-9)
            left = tqdm.format_interval(rest / rate)
        pace = f'{self.examples_per_second:.0f}'
        return facts | {'examples': pace, 'left': left}


class _Stream:
    """The stream of a bar; outside a terminal, each update is a line."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        if not self._stream.isatty():
            text = text.strip('\r\n ')
            text = f'{text}\n' if text else ''
        lines.write(text, self._stream)
