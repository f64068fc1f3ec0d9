"""The progress line of a run."""

import shutil
import sys

from tqdm import tqdm

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
        self.total = total
        stream = stream or sys.stdout
        terminal = stream.isatty()
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
            delay=1e-9,  # no line before the first step
            bar_format='step {n}/{total}  {examples} examples/s  '
            '{remaining} left{postfix}',
        )
        self._bar.batch_size = batch_size

    @property
    def examples_per_second(self) -> float:
        """The pace since the previous line; 0 before the first line."""
        return self._bar.examples_per_second

    def show(self, step: int, terms: dict[str, float]) -> None:
        """Reports that `step` steps are done."""
        values = '  '.join(f'{k} {v:.4g}' for k, v in terms.items())
        self._bar.set_postfix_str(values, refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Leaves the last line on a terminal, with the mean pace."""
        self._bar.close()


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
        pace = f'{self.examples_per_second:.0f}'
        return super().format_dict | {'examples': pace}


class _Stream:
    """The stream of a bar; outside a terminal, each update is a line."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        if not self._stream.isatty():
            text = text.strip('\r\n ')
            text = f'{text}\n' if text else ''
        lines.write(text, self._stream)
