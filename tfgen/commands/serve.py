"""Serves exported models over TensorFlow Serving's REST API.

    tfgen-serve --model_dir=exports

In a clone, `python scripts/serve.py` is the same. --model_dir holds models, or
is one; what is exported into it later is served as well.
"""

import concurrent.futures
import ipaddress
import math
import os
import signal
import sys

from absl import flags

from tfgen import lines
from tfgen.commands import cli
from tfgen.errors import UserError

_GRACE = 5  # seconds beyond the limit of an answer
flags.DEFINE_string('model_dir', None, 'Folder of models, or of one.')
flags.DEFINE_string('host', '127.0.0.1', 'Address to listen on.')
flags.DEFINE_integer('port', 8501, 'To listen on; 0: a free one.', 0, 65535)
flags.DEFINE_multi_string(
    'version_label',
    [],
    'MODEL:LABEL=NUMBER keeps a version under a label.',
)
flags.DEFINE_integer('max_batch_rows', 64, 'Rows that are merged at most.', 1)
flags.DEFINE_integer('max_rows', 1024, 'Rows that a request may have.', 1)
flags.DEFINE_integer('max_body_mb', 32, 'MiB that a request may have.', 1)
flags.DEFINE_integer('max_waiting', 256, 'Requests that may be under way.', 1)
flags.DEFINE_float(
    'timeout_seconds', 30.0, 'For a request to come, and to be answered.', 0.1
)
flags.DEFINE_float(
    'poll_seconds', 1.0, 'Pause between looks for new versions.', 0.01
)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    try:
        import uvicorn

        from tfgen.server import server
    except ImportError as error:
        raise UserError(
            f'{error.name} is missing, which serves: pip install starlette '
            'uvicorn'
        ) from None
    from tfgen.server.servables import Models

    given = flags.FLAGS
    folder = cli.path(cli.required('model_dir'))
    # More than cores, so that what is slow leaves room for what is quick;
    # TensorFlow has its own, which all share.
    threads = concurrent.futures.ThreadPoolExecutor(4 * os.cpu_count())
    labels = _labels()
    models = Models(folder, labels, threads, given.max_batch_rows)
    listener = _bound(given.host, given.port)
    for line in models.refresh():
        _say(line)
    for name, given_labels in labels.items():
        for label, number in given_labels.items():
            model = models.get(name)
            if not (model and model.version(number)):
                _say(f'label {label}: {name} has no version {number} yet')
    if not models.names():
        _say(f'{folder} holds no exported model yet')
    limits = server.RequestLimits(
        given.max_body_mb * 2**20,
        given.max_rows,
        given.max_waiting,
        given.timeout_seconds,
    )
    hosts = _hosts(listener.getsockname()[0])
    app = server.app(models, limits, given.poll_seconds, _say, hosts)
    config = uvicorn.Config(
        app,
        given.host,
        given.port,
        log_level='warning',
        timeout_graceful_shutdown=math.ceil(given.timeout_seconds) + _GRACE,
    )
    listener.listen(2048)  # what comes from now on waits
    host = f'[{given.host}]' if ':' in given.host else given.host
    _say(f'listening on http://{host}:{listener.getsockname()[1]}')
    running = uvicorn.Server(config)
    # (uvicorn ends what it is doing, and then sends itself the signal again.)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, running.handle_exit)
    running.run([listener])
    _say('stopped')
    # What is computed for nobody would hold up the end, and no signal end it.
    os._exit(0)


def _hosts(address):
    """Under which names it may be asked at an address.

    A page from elsewhere shall not reach this machine under a name of its own.
    (Of '[::1]:8501' the middleware sees '[': a number, which is no name.)
    """
    if ipaddress.ip_address(address).is_loopback:
        return (address, '127.0.0.1', 'localhost', '[')
    return ('*',)


def _stopped(*_):
    _say('stopped')
    sys.exit(0)


def _say(line):
    lines.write(f'{line}\n', sys.stderr)


def _labels():
    labels = {}
    for text in flags.FLAGS.version_label:
        model, _, rest = text.partition(':')
        label, _, number = rest.partition('=')
        if not (model and label and number.isdecimal()):
            raise UserError(
                f'version_label {text!r} is not MODEL:LABEL=NUMBER, for '
                'example cvae:stable=3'
            )
        labels.setdefault(model, {})[label] = int(number)
    return labels


def _bound(host, port):
    import socket

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, proto, _, address = found[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        return listener
    except OSError as error:
        raise UserError(
            f'cannot listen on {host} port {port} ({error.strerror}): pass '
            'another --host or --port'
        ) from None


def run() -> None:
    """The console command."""
    cli.run(main, __name__)
