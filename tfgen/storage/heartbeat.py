"""A lock in object storage, which a dead process loses.

TensorFlow's client has no exclusive creation. Each process writes an object of
its own into the folder of the lock, and then lists the folder. A process gives
way to the holder of the lock, and to a waiting process whose object is older.
The winner marks its object as that of the holder, and writes it again and
again. An object that was not written for STALE seconds belongs to a dead
process, and is removed by whoever comes next.

All times are those of the storage, so the clocks of the machines do not matter.
(`alive`, which only shows a state, takes the clock of this machine.)
"""

import contextlib
import json
import os
import pathlib
import socket
import threading
import time
import uuid
from typing import NamedTuple

from tfgen.errors import UserError

PERIOD = 20.0  # seconds between two writes
STALE = 120.0  # seconds after which a process counts as dead


class _Rival(NamedTuple):
    """The object of another process.

    Attributes:
      file: the object.
      silent: seconds from its last write to ours, by the storage's clock.
      older: whether it was written before ours.
      holder: the process.
      holds: whether that process holds the lock.
    """

    file: pathlib.Path
    silent: float
    older: bool
    holder: str
    holds: bool

    @property
    def dead(self) -> bool:
        return self.silent > STALE


class Heartbeat:
    """A lock that this process holds as long as it lives.

    It is a context manager.

    Args:
      folder: of the lock, a remote.Url.
      what: the locked thing, for messages: "workdir 'gs://...'".

    Raises:
      UserError: another process holds the lock, or has taken it over.
    """

    def __init__(self, folder: pathlib.Path, what: str):
        self._folder, self._what = folder, what
        # Equal times are ordered by these names.
        self._own = folder / f'{uuid.uuid4().hex}.json'
        self._holder = f'process {os.getpid()} on {socket.gethostname()}'
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> 'Heartbeat':
        self._write(holds=False)
        try:
            self._give_way()
            self._write(holds=True)
        except BaseException:
            self._remove(self._own)
            raise
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self._remove(self._own)

    def require(self) -> None:
        """Raises UserError if another process has taken the lock over."""
        rivals = self._rivals() if self._own.exists() else None
        if rivals is None or any(r.holds and not r.dead for r in rivals):
            raise UserError(
                f'another process has taken over {self._what}, because this '
                f'one did not reach the storage for {STALE:.0f} s: look at '
                'that process, or stop it and run the same command again'
            )

    def _write(self, holds):
        """Writes the object anew, which renews its time."""
        content = {'holder': self._holder, 'holds': holds}
        self._own.write_bytes(json.dumps(content).encode())

    def _give_way(self):
        """Removes the objects of dead processes; refuses if one lives."""
        for rival in self._rivals():
            if rival.dead:
                print(
                    f'taking over {self._what} from {rival.holder}, which has '
                    f'been silent for {rival.silent:.0f} s',
                    flush=True,
                )
                self._remove(rival.file)
            elif rival.holds or rival.older:
                raise UserError(
                    f'another process trains in {self._what} ({rival.holder}, '
                    f'{max(rival.silent, 0):.0f} s ago): wait for its end, '
                    'stop it, or name another --workdir. If it is dead, wait '
                    f'{STALE:.0f} s'
                )

    def _rivals(self):
        """The objects of other processes, as they are now."""
        own, found = self._own.stat().st_mtime, []
        for file in self._folder.glob('*.json'):
            if file == self._own:
                continue
            try:
                # The time first: an object that is renewed between the two
                # requests is then seen to hold the lock.
                written = file.stat().st_mtime
                content = json.loads(file.read_text())
            except FileNotFoundError:
                continue  # it has ended meanwhile
            older = (written, file.name) < (own, self._own.name)
            found.append(_Rival(file, own - written, older, **content))
        return found

    def _beat(self):
        """Writes the object until the end, unless it was taken over."""
        while not self._ended.wait(PERIOD):
            # In an outage the next beat tries again; `require` finds the rest.
            with contextlib.suppress(OSError):
                if not self._own.exists():
                    return
                self._write(holds=True)

    def _remove(self, file):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def alive(folder: pathlib.Path) -> bool:
    """Whether a process holds the lock, or waits for it, by our clock."""
    now = time.time()
    for file in folder.glob('*.json'):
        with contextlib.suppress(FileNotFoundError):
            if now - file.stat().st_mtime <= STALE:
                return True
    return False
