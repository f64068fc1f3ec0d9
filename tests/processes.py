"""Starts scripts, most as forks of a process that has loaded TensorFlow."""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import threading
import time

import tiny

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


class Forks:
    """A process that has imported TensorFlow, and forks for every script.

    Args:
        setup: code that it runs before its imports.
        env: its environment, and that of its forks.
        python: its interpreter.
    """

    def __init__(self, setup='', env=None, python=sys.executable):
        ours, theirs = socket.socketpair()
        file = str(tiny.ROOT / 'tests' / 'forks.py')
        code = f'import sys; sys.path[0] = {os.path.dirname(file)!r}\n{setup}\n'
        code += f'import runpy; runpy.run_path({file!r}, run_name="__main__")'
        with theirs:
            # The new process ends when our end of the socket is closed, at the
            # latest when this process ends.
            self.process = subprocess.Popen(
                [python, '-c', code, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=DEVNULL,
                env=env,
            )
        self.socket, self.env = ours, env

    def close(self):
        self.socket.close()
        self.process.wait()

    def start(self, command, **options) -> 'Fork':
        """Starts a Python command; takes the options of `Fork`."""
        return Fork(self, command, **options)

    def outcome(self, command, **options) -> subprocess.CompletedProcess:
        """Runs a Python command to its end; it may fail."""
        with self.start(command, stdout=PIPE, stderr=PIPE, **options) as fork:
            texts = fork.communicate()
        return subprocess.CompletedProcess(command, fork.returncode, *texts)


class Fork:
    """A script in a fork; used like `subprocess.Popen`, with text streams.

    Args:
        forks: the process that forks.
        command: [sys.executable, a script or '-c' and code, arguments ...].
        stdout, stderr: as for Popen.
        cwd: its folder.
        env: its environment; by default that of `forks`, or of the tests.
        setup: code that runs before the script.
    """

    def __init__(
        self,
        forks,
        command,
        stdout=None,
        stderr=None,
        cwd=None,
        env=None,
        setup='',
    ):
        _, *words = map(str, command)
        request = {
            'words': [os.fsencode(word).decode('latin1') for word in words],
            'cwd': str(cwd or os.getcwd()),
            'env': dict(env or forks.env or os.environ),
            'setup': setup,
        }
        body = json.dumps(request).encode()
        self.returncode = None
        with contextlib.ExitStack() as ours:
            null = ours.enter_context(open(os.devnull))
            self.stdout, out = _stream(stdout, 1, ours)
            self.stderr, error = _stream(stderr, 2, ours)
            if stderr == STDOUT:
                self.stderr, error = None, out
            self._answer, answer = _pipe(ours)
            files = [null.fileno(), out, error, answer]
            socket.send_fds(forks.socket, [b'%8d' % len(body)], files)
            forks.socket.sendall(body)
        self.pid = int(self._answer.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr, self._answer):
            if stream:
                stream.close()

    def poll(self):
        """Returns the exit status, or None while it runs."""
        if self.returncode is None and _ready(self._answer, 0):
            self.returncode = int(self._answer.readline())
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None and not _ready(self._answer, timeout):
            raise subprocess.TimeoutExpired(f'process {self.pid}', timeout)
        return self.poll()

    def send_signal(self, number):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(9)

    def communicate(self, timeout=None):
        """Waits for the end; returns the rest of stdout and of stderr."""
        found = {}

        def read(stream):
            found[stream] = stream.read()

        streams = [s for s in (self.stdout, self.stderr) if s]
        readers = [threading.Thread(target=read, args=[s]) for s in streams]
        for reader in readers:
            reader.start()
        end = None if timeout is None else time.monotonic() + timeout
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f'process {self.pid}', timeout)
        self.wait(end and max(0.0, end - time.monotonic()))
        return found.get(self.stdout), found.get(self.stderr)


def _pipe(ours):
    """Returns a text stream and the pipe's other end, which `ours` closes."""
    reading, writing = os.pipe()
    ours.callback(os.close, writing)
    return open(reading, errors='surrogateescape'), writing


def _stream(wanted, number, ours):
    """Returns (stream to read or None, file number to write to)."""
    if wanted == PIPE:
        return _pipe(ours)
    if wanted in (None, STDOUT):
        return None, number
    return None, wanted if isinstance(wanted, int) else wanted.fileno()


def _ready(stream, timeout):
    waiting = None if timeout is None else timeout * 1000
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(waiting))


@functools.cache
def forks() -> Forks:
    """Returns the Forks that most tests share; starts it at first use."""
    return Forks()


def start(command, **options) -> Fork:
    """Starts a Python command in a fork; see `Fork`."""
    return forks().start(command, **options)


def outcome(command, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; it may fail.

    A script of this repository, or Python code, runs in a fork. Any other
    command runs in a new process.
    """
    command = list(map(str, command))
    forked = command[0] == sys.executable and (
        command[1] == '-c' or tiny.ROOT in pathlib.Path(command[1]).parents
    )
    if forked:
        return forks().outcome(command, **options)
    return subprocess.run(command, capture_output=True, text=True, **options)


def run(command, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; a failure shows its output."""
    done = outcome(command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def free_ports(count: int) -> list[int]:
    """Ports of this machine at which nothing listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(('localhost', 0))
        return [one.getsockname()[1] for one in sockets]


def start_server(folder, *flags: str) -> tuple[Fork, int, list]:
    """Starts a local server; returns its process, port and output so far."""
    command = [sys.executable, str(tiny.script('serve'))]
    command += [f'--model_dir={folder}', '--port=0', *flags]
    process = start(command, stderr=PIPE)
    said = []
    for line in process.stderr:
        said.append(line)
        if 'listening on' in line:
            port = int(line.rpartition(':')[2])
        if line == 'ready\n':
            return process, port, said
    raise AssertionError(f'the server does not listen: {said}')


def narrow_pipe() -> tuple[int, int]:
    """Returns the two ends of a pipe with a buffer of 8192 bytes."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    return reading, writing
