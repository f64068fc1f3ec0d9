"""A lock in object storage, which a dead process loses.

Object storage has no exclusive creation. Each process writes an object of its
own into the folder of the lock, and then lists the folder. The oldest object
holds the lock; the others give way. The holder writes its object again and
again. An object that was not written for STALE seconds belongs to a dead
process, and is removed by whoever comes next.

All times are those of the storage, so the clocks of the machines do not matter.
"""

import contextlib
import json
import os
import pathlib
import socket
import threading
import uuid

from tfgen.errors import UserError

PERIOD = 20.0  # seconds between two writes
STALE = 120.0  # seconds after which a process counts as dead


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
        # Of two objects with one time, that with the smaller name is the older.
        self._own = folder / f'{uuid.uuid4().hex}.json'
        self._holder = f'process {os.getpid()} on {socket.gethostname()}'
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> 'Heartbeat':
        self._write()
        try:
            self._give_way()
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
        if not self._own.exists():
            raise UserError(
                f'another process has taken over {self._what}, because this '
                f'one did not reach the storage for {STALE:.0f} s: look at '
                'that process, or stop it and run the same command again'
            )

    def _write(self):
        """Writes the object anew, which renews its time."""
        content = {'holder': self._holder}
        self._own.write_bytes(json.dumps(content).encode())

    def _give_way(self):
        """Removes the objects of dead processes; refuses if one lives."""
        own = self._own.stat().st_mtime
        for other in self._others():
            try:
                written = other.stat().st_mtime
                holder = json.loads(other.read_text())['holder']
            except (FileNotFoundError, ValueError, KeyError):
                continue  # it has ended meanwhile
            silent = own - written
            if silent > STALE:
                print(
                    f'taking over {self._what} from {holder}, which has been '
                    f'silent for {silent:.0f} s',
                    flush=True,
                )
                self._remove(other)
            elif (written, other.name) < (own, self._own.name):
                raise UserError(
                    f'another process trains in {self._what} ({holder}, '
                    f'{max(silent, 0):.0f} s ago): wait for its end, stop it, '
                    f'or name another --workdir. If it is dead, wait '
                    f'{STALE:.0f} s'
                )

    def _others(self):
        return [f for f in self._folder.glob('*.json') if f != self._own]

    def _beat(self):
        """Writes the object until the end, unless it was taken over."""
        while not self._ended.wait(PERIOD):
            # In an outage the next beat tries again; `require` finds the rest.
            with contextlib.suppress(OSError):
                if not self._own.exists():
                    return
                self._write()

    def _remove(self, file):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
