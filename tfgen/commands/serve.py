"""Serves exported models over TensorFlow Serving's REST API.

    tfgen serve --model_dir=exports

In a clone, `python scripts/serve.py` is the same. --model_dir contains models,
or is one model. Versions that are exported into it later are served as well.

    tfgen serve --workdir=runs/mine

shows a run in the explorer while it trains. --model_dir and --workdir may be
given together.
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

_GRACE = 5  # seconds after the time limit of the last answer
flags.DEFINE_string(
    'model_dir', None, 'Folder of one exported model, or of several models.'
)
flags.DEFINE_string('workdir', None, 'Folder of a run that the explorer shows.')
flags.DEFINE_string('host', '127.0.0.1', 'Address to listen on.')
flags.DEFINE_integer(
    'port', 8501, 'Port to listen on; 0 takes a free one.', 0, 65535
)
flags.DEFINE_multi_string(
    'version_label',
    [],
    'MODEL:LABEL=NUMBER gives a label to a version; may be repeated.',
)
flags.DEFINE_integer('max_batch_rows', 64, 'Most rows in a merged batch.', 1)
flags.DEFINE_integer('max_rows', 1024, 'Most rows in a request.', 1)
flags.DEFINE_integer('max_body_mb', 32, 'Largest request in MiB.', 1)
flags.DEFINE_integer('max_waiting', 256, 'Most requests in progress.', 1)
flags.DEFINE_float(
    'timeout_seconds',
    30.0,
    'Time limit for receiving a request, and for answering it.',
    0.1,
)
flags.DEFINE_float(
    'poll_seconds', 1.0, 'Time between checks for new versions.', 0.01
)
flags.DEFINE_string(
    'runs_dir',
    'runs',
    'Folder for trainings that are started in the explorer and kept.',
)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    try:
        import uvicorn

        from tfgen.server import server
    except ImportError as error:
        raise UserError(
            f'the server needs {error.name}: pip install starlette uvicorn'
        ) from None
    from tfgen.server.servables import Models
    from tfgen.server.watching import Watched

    given = flags.FLAGS
    run = given.workdir and cli.workdir()
    folder = None
    if given.model_dir or not run:
        folder = cli.path(cli.required('model_dir'))
    # More threads than cores, so that slow requests do not block quick ones.
    # TensorFlow computes in its own threads, which all requests share.
    threads = concurrent.futures.ThreadPoolExecutor(4 * (os.cpu_count() or 1))
    labels = _labels()
    models = Models(folder, labels, threads, given.max_batch_rows)
    listener = _bound(given.host, given.port)
    limits = server.RequestLimits(
        given.max_body_mb * 2**20,
        given.max_rows,
        given.max_waiting,
        given.timeout_seconds,
    )
    address = listener.getsockname()[0]
    app = server.app(
        models,
        limits,
        given.poll_seconds,
        _say,
        _hosts(address),
        lambda: _report(models, folder, labels),
        _learning(address),
        Watched(run, _is_loopback(address)) if run else None,
    )
    config = uvicorn.Config(
        app,
        given.host,
        given.port,
        log_level='warning',
        timeout_graceful_shutdown=math.ceil(given.timeout_seconds) + _GRACE,
    )
    listener.listen(2048)  # connections wait from now on
    host = f'[{given.host}]' if ':' in given.host else given.host
    _say(f'listening on http://{host}:{listener.getsockname()[1]}')
    running = uvicorn.Server(config)
    # After its shutdown, uvicorn raises the signal again. `_stopped` would then
    # end the process, so uvicorn's own handler replaces it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, running.handle_exit)
    running.run([listener])
    _say('stopped')
    # Abandoned computations would delay a normal exit, and no signal would
    # stop them.
    os._exit(0)


def _report(models, folder, labels):
    """Says what is not there, and that the server is ready."""
    for name, given in labels.items():
        for label, number in given.items():
            model = models.get(name)
            if not (model and model.version(number)):
                _say(f'label {label}: {name} has no version {number} yet')
    if folder and not models.names():
        _say(f'{folder} holds no exported model yet')
        for run in (folder, *sorted(folder.iterdir())):
            if (run / 'config.json').exists():
                _say(
                    f'{run} is a run: export it with tfgen export '
                    f'--workdir={run} --model_dir=exports/{run.name}'
                )
    _say('ready')


def _learning(address):
    """Returns the Learning of this server; None if others can reach it."""
    from tfgen.server.learning import Learning

    if not _is_loopback(address):
        return None
    return Learning(cli.path(flags.FLAGS.runs_dir))


def _is_loopback(address):
    return ipaddress.ip_address(address).is_loopback


def _hosts(address):
    """Returns the host names that requests to this address may use.

    This prevents DNS rebinding: a web page must not reach this machine through
    a host name of its own. '[' stands for IPv6 addresses, because the
    middleware cuts '[::1]:8501' at the first colon.
    """
    if _is_loopback(address):
        return (address, '127.0.0.1', 'localhost', '[')
    return ('*',)


def _stopped(*_):
    """Ends the process at a signal, before the server runs."""
    _say('stopped')
    sys.exit(0)


def _say(line):
    lines.write(f'{line}\n', sys.stderr)


def _labels():
    """Parses --version_label: model -> label -> version number."""
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
    """Returns a socket bound to the address; it does not listen yet."""
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
    """Runs the console command."""
    cli.run(main, __name__)
