"""Lines of output are written at once, or not at all."""

import io
import os
import pty
import subprocess
import sys
import termios

import processes
import pytest
import tiny

from tfgen import lines
from tfgen.training.progress import Progress


def test_a_line_that_has_no_room_is_left_out():
    reading, writing = processes.narrow_pipe()
    with open(writing, 'w') as stream:
        os.write(writing, b' ' * 8192)
        lines.write('lost\n', stream)
        os.read(reading, 8192)
        lines.write('kept\n', stream)
        assert os.read(reading, 4096) == b'kept\n'
    os.close(reading)


def test_a_held_terminal_holds_up_nothing():
    ours, theirs = pty.openpty()
    with open(theirs, 'w') as terminal:
        termios.tcflow(theirs, termios.TCOOFF)  # as Ctrl-S does
        progress = Progress(0, 100, 32, terminal)
        progress.show(10, {})
        progress.close()
        termios.tcflow(theirs, termios.TCOON)
        Progress(0, 100, 32, terminal).show(20, {})
        assert os.read(ours, 4096).startswith(b'\rstep 20/100')
    os.close(ours)


def test_a_line_is_cut_at_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    ours, theirs = pty.openpty()
    with open(theirs, 'w') as terminal:
        progress = Progress(0, 100, 32, terminal)
        progress.show(10, {'a long name of a term': 1.5, 'another': 2.5})
        shown = os.read(ours, 4096).decode().strip()
        assert shown.startswith('step 10/100') and len(shown) <= 40
        progress.close()
    os.close(ours)


def _nobody(kind):
    """Returns a stream whose reader has closed its end."""
    reading, writing = os.pipe() if kind == 'pipe' else pty.openpty()
    os.close(reading)
    return open(writing, 'w')


@pytest.mark.parametrize('kind', ['pipe', 'terminal'])
def test_a_reader_that_is_gone_costs_no_step(kind):
    with _nobody(kind) as stream:
        progress = Progress(0, 100, 32, stream)
        for step in (10, 20):
            progress.show(step, {'model/rate': 1.5})
        progress.close()
    assert progress.examples_per_second > 0


def test_another_failure_is_not_left_out():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, 'No space left on device')

    with pytest.raises(OSError, match='No space'):
        lines.write('x', Full())


@pytest.mark.parametrize(
    'closed',
    [
        *(
            pytest.param(c, marks=pytest.mark.wide)
            for c in ('<&-', '2>&-', '>&-')
        ),
        '<&- >&- 2>&-',
    ],
)
def test_streams_may_be_closed(closed):
    script = str(tiny.script('train'))
    command = [sys.executable, script, '--list_presets']
    done = subprocess.run(
        ['sh', '-c', f'exec "$@" {closed}', 'sh', *command],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ''
    shown = closed in ('<&-', '2>&-')
    assert ('gan_ring' in done.stdout) is shown
