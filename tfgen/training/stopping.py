"""Stops a training on request, and locks its workdir."""

import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import threading
import time

import filelock
import tensorflow as tf

from tfgen import storage
from tfgen.errors import UserError
from tfgen.storage import heartbeat

# A request to end, Ctrl-C, and the loss of the terminal.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# One request may come as several signals. GNU timeout sends its signal to the
# process and then to its group. The terminal sends a Ctrl-C to a wrapper and to
# the process, and the wrapper passes it on. When a session is closed, a SIGTERM
# follows.
_ONE_REQUEST = 1.0  # seconds
_LOOK = 0.2  # seconds


class Stopped(Exception):
    """A training was told to stop and has saved its state.

    Attributes:
      status: exit status of the process, 128 + the number of the signal.
    """

    def __init__(self, step: int, number: int):
        super().__init__(
            f'stopped by {signal.Signals(number).name}: step {step} is saved, '
            'the same command continues'
        )
        self.status = 128 + number


class Stop:
    """A request to stop, in a variable that a running graph can read.

    Python handles a signal only when TensorFlow returns control, which may be
    minutes later. But the interpreter's C code writes the signal's number to
    a socket at once. A thread reads it there and sets the variable. The
    training loop reads the variable when a step begins, and ends after that
    step. Another signal that comes at least a second after the first one ends
    the process at once.

    Args:
      exits: whether a second signal ends the process, as it should not in a
        notebook.
    """

    def __init__(self, exits: bool = True):
        self._exits = exits
        with tf.device('CPU'):
            self.flag = tf.Variable(0.0, trainable=False)
        # The number that is reported if only another worker got a signal.
        self.number: int = signal.SIGTERM

    def request(self, number: int = signal.SIGTERM) -> None:
        """Asks the loop to stop after the current step, or the next."""
        self.number = number
        self.flag.assign(1.0)

    @contextlib.contextmanager
    def on_signals(self):
        """A context in which SIGTERM, SIGINT and SIGHUP request a stop.

        It does nothing outside the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        # A signal that the process ignores, as a shell's background jobs do,
        # stays ignored.
        heard = [
            s
            for s in _SIGNALS
            if signal.getsignal(s) not in (signal.SIG_IGN, None)
        ]
        before = {s: signal.signal(s, _hear) for s in heard}
        wakeup = signal.set_wakeup_fd(theirs.fileno())
        thread = threading.Thread(target=self._wait, args=(ours,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            theirs.close()  # ends the thread
            thread.join()
            ours.close()

    def _wait(self, channel):
        """Reads signal numbers from `channel` until its other end is closed."""
        asked = None
        while numbers := channel.recv(1):
            if numbers[0] not in _SIGNALS:
                continue
            if asked is None:
                asked = time.monotonic()
                self.request(numbers[0])
            elif self._exits and time.monotonic() - asked >= _ONE_REQUEST:
                os._exit(128 + numbers[0])


def _hear(number, frame):
    """Does nothing: the thread handles the signal."""


@contextlib.contextmanager
def alone_in(directory: pathlib.Path):
    """Locks a workdir for this process.

    The lock also ends when the process ends in any way.

    Args:
      directory: made if it does not exist, and then removed at the end if
        nothing was written into it. In object storage a process that is killed
        loses the lock after heartbeat.STALE seconds.

    Yields:
      A function that raises UserError if the lock was lost.

    Raises:
      UserError: another process trains there, or it cannot be made.
    """
    if storage.is_remote(directory):
        what = f'workdir {str(directory)!r}'
        with heartbeat.Heartbeat(directory / '.lock', what) as held:
            yield held.require
        return
    new = [d for d in (directory, *directory.parents) if not d.exists()]
    # `holder` of another process may look at the lock at this moment.
    lock = filelock.FileLock(directory / '.lock', timeout=_LOOK)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        (directory / '.lock').write_text(_here(os.getpid()))
    except filelock.Timeout:
        raise UserError(
            f'another process trains in workdir {str(directory)!r}: wait for '
            'its end, stop it, or name another --workdir'
        ) from None
    except OSError as error:
        raise UserError(
            f'workdir {str(directory)!r} cannot be written '
            f'({storage.reason(error)}): '
            f'{storage.remedy(error, "name another --workdir", directory)}'
        ) from None
    try:
        yield lambda: None
    finally:
        # This comes before the release of the lock, because after the release
        # another process may use the folder.
        (directory / '.lock').unlink(missing_ok=True)
        for folder in new:
            with contextlib.suppress(OSError):  # not empty, or not there
                folder.rmdir()
        lock.release()


def holder(directory: pathlib.Path) -> tuple[bool, int | None]:
    """Whether a process trains in a workdir, and its id.

    The id is None if the process is not on this machine, or not known.

    Raises:
      OSError: the workdir cannot be read.
    """
    if storage.is_remote(directory):
        return heartbeat.alive(directory / '.lock'), None
    try:
        with open(directory / '.lock') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
            else:
                return False, None
    except FileNotFoundError:
        return False, None
    number, _, _ = text.partition(' ')
    known = number.isdecimal() and text == _here(int(number))
    known = known and _has_open(int(number), directory / '.lock')
    return True, int(number) if known else None


def _has_open(number, file):
    """Whether a process has a file open; True where that cannot be seen.

    An id may be that of another process: in another container of this host, or
    after the end of the one that wrote it.
    """
    if not os.path.isdir('/proc/self/fd'):
        return True
    try:
        wanted = file.stat()
        opened = os.listdir(f'/proc/{number}/fd')
    except OSError:
        return False
    for one in opened:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f'/proc/{number}/fd/{one}'), wanted):
                return True
    return False


def _here(number):
    """The content of a lock that a process of this machine holds."""
    return f'{number} {socket.gethostname()}'
