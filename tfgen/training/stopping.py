"""A training that is told to stop, and one that is already going on."""

import contextlib
import os
import pathlib
import signal
import socket
import threading
import time

import tensorflow as tf

from tfgen import storage
from tfgen.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked
    fcntl = None

# Told to end, Ctrl-C, the terminal is gone.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# One request may come as several signals: GNU timeout sends its signal to the
# process and then to its group, a wrapper passes on the Ctrl-C that the
# terminal has sent to both, a closed session is followed by SIGTERM.
_ONE_REQUEST = 1.0  # seconds


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
    """Whether to stop, as a variable that a running graph can read.

    Python hears of a signal only when TensorFlow gives back control, which
    may be minutes later. So a thread of its own waits for what the
    interpreter's C code writes at once, and sets the variable; the training
    loop reads it as every step begins, and ends after that step. A second
    request, by a signal a second later or more, ends the process, as it would
    without all this.
    """

    def __init__(self):
        with tf.device('CPU'):
            self.flag = tf.Variable(0.0, trainable=False)
        self.number = signal.SIGTERM  # where another worker was told

    def request(self, number: int = signal.SIGTERM) -> None:
        """Asks to stop after the step that is being made, or the next."""
        self.number = number
        self.flag.assign(1.0)

    @contextlib.contextmanager
    def on_signals(self):
        """Requests it when one of these signals comes; in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        # Who ignores them, as a shell's background jobs do, goes on so.
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
        asked = None
        while numbers := channel.recv(1):
            if numbers[0] not in _SIGNALS:
                continue
            if asked is None:
                asked = time.monotonic()
                self.request(numbers[0])
            elif time.monotonic() - asked >= _ONE_REQUEST:
                os._exit(128 + numbers[0])


def _hear(number, frame):
    """Nothing: the thread has heard it."""


@contextlib.contextmanager
def alone_in(directory: pathlib.Path):
    """Locks a workdir for this process; the lock ends with it, however.

    Args:
      directory: is made if need be, and taken away again if nothing was
        written into it.

    Raises:
      UserError: another process trains there, or it cannot be made.
    """
    new = [d for d in (directory, *directory.parents) if not d.exists()]
    try:
        handle = _locked(directory)
    except OSError as error:
        raise UserError(
            f'workdir {str(directory)!r} cannot be written '
            f'({storage.reason(error)}): '
            f'{storage.remedy(error, "name another --workdir")}'
        ) from None
    try:
        yield
    finally:
        # (Before the lock ends: the folder may then be another's.)
        for folder in new:
            with contextlib.suppress(OSError):  # is not empty, or not there
                folder.rmdir()
        os.close(handle)


def _locked(directory):
    """A handle that holds the lock."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY)
        try:
            _lock(directory, handle)
            if os.path.samestat(os.fstat(handle), os.stat(directory)):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        # Its last user has taken the folder away in the meantime.
        os.close(handle)


def _lock(directory, handle):
    if not fcntl:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f'another process trains in workdir {str(directory)!r}: wait for '
            'its end, stop it, or name another --workdir'
        ) from None
    except OSError:
        pass  # some file systems have no locks
