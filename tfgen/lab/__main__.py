"""Starts trainings: python -m tfgen.lab FD.

FD is a socket. This process imports TensorFlow, which takes seconds, and says
what may be trained: an object in one line. Then it waits. For each byte it gets
two file descriptors, an input and an output, forks, and the fork runs one
training with them; see live.py. It answers with the number of the fork's
process in one line, and ends when the socket is closed.
"""

import json
import os
import signal
import socket
import sys

# Several trainings and the server share the cores. One thread for each training
# also gives equal films on every machine.
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')

# TensorFlow is imported here and computes nothing before the forks.
from tfgen.lab import live, options


def main(channel: socket.socket) -> None:
    """Serves forks until the socket is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # leaves no zombies
    _say(channel, {'models': options.described(), 'every': live.EVERY})
    while True:
        byte, files, _, _ = socket.recv_fds(channel, 1, 2)
        if not byte:
            return
        number = os.fork()
        if not number:
            channel.close()
            _train(*files)
        for file in files:
            os.close(file)
        _say(channel, number)


def _say(channel, what):
    channel.sendall(json.dumps(what).encode() + b'\n')


def _train(reading, writing):
    """The life of a fork."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.nice(10)
        # What else is printed must not disturb the protocol.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for file in (0, 1, 2):
            os.dup2(nowhere, file)
        with os.fdopen(reading) as lines, os.fdopen(writing, 'w') as output:
            live.main(lines, output)
    finally:
        os._exit(0)


main(socket.socket(fileno=int(sys.argv[1])))
