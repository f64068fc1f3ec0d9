"""Runs scripts in forks of one process, which has imported TensorFlow.

    python tests/forks.py SOCKET

SOCKET is the file descriptor of an inherited socket; processes.py sends the
requests. The import takes seconds, longer than most scripts of the tests.
TensorFlow starts its threads when it is first used. Only the children use it,
so the fork is safe.
"""

import gc
import io
import json
import os
import runpy
import signal
import socket
import sys
import traceback

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import raised

# First, because it sets KERAS_HOME for a user without a home folder.
from tfgen.commands import cli  # noqa: F401  # isort: skip
import tensorflow_datasets  # noqa: F401

from tfgen import evaluation  # noqa: F401
from tfgen.training import run  # noqa: F401

raised.watch()


def _become(request, streams):
    """Becomes the script: its streams, folder, environment and arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 + max(3, *streams))
    for name in ('stdout', 'stderr'):
        before = getattr(sys, name)
        stream = io.TextIOWrapper(
            open(before.fileno(), 'wb', closefd=False),  # noqa: SIM115
            before.encoding,
            before.errors,
            line_buffering=name == 'stderr',
        )
        setattr(sys, name, stream)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    # The signals of a foreground job, even if the tests run in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    status = 0
    try:
        exec(request['setup'], {})
        # Decoded as the interpreter decodes arguments, by the locale.
        arguments = [os.fsdecode(a.encode('latin1')) for a in request['words']]
        if arguments[0] == '-c':
            sys.argv, sys.path[0] = ['-c', *arguments[2:]], ''
            exec(arguments[1], {'__name__': '__main__'})
        else:
            sys.argv = arguments
            sys.path[0] = os.path.dirname(arguments[0])
            runpy.run_path(arguments[0], run_name='__main__')
    except SystemExit as stop:
        status = stop.code or 0
        if isinstance(status, str):
            sys.stderr.write(f'{status}\n')
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _watch(request, streams, answer):
    """Starts the script; writes its process ID and then its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        os.close(answer)
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    os.write(answer, f'{child}\n'.encode())
    _, status = os.waitpid(child, 0)
    os.write(answer, f'{os.waitstatus_to_exitcode(status)}\n'.encode())
    os._exit(0)


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    # A child's collector would otherwise visit, and so copy, all of TensorFlow.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    while True:
        length, files, _, _ = socket.recv_fds(requests, 8, 4)
        if not length:
            return
        body = b''
        while len(body) < int(length):
            body += requests.recv(int(length) - len(body))
        if os.fork() == 0:
            requests.close()
            *streams, answer = files
            _watch(json.loads(body), streams, answer)
        for file in files:
            os.close(file)


if __name__ == '__main__':
    main()
