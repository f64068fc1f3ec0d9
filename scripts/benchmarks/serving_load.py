"""Measures how many requests per second the local server answers.

Used by benchmark.py --section=serving. Clients and server share the cores of
one machine, so the results are low.
"""

import concurrent.futures
import contextlib
import functools
import http.client
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import time

_SCRIPTS = pathlib.Path(__file__).parents[1]
_SECONDS = 3.0
# Numbers of clients. Each request has one row; the server merges those of
# several clients.
CLIENTS = (1, 16)


def capacity(model_dir: str) -> dict:
    """Returns the speed of each signature: model -> signature -> results.

    The results are requests per second, milliseconds per request, and
    `merging`, the speed with many clients divided by that with one.
    """
    with _server(model_dir) as port:
        return {
            model: {
                signature: _measured(port, model, signature, inputs)
                for signature, inputs in _signatures(port, model).items()
            }
            for model in _names(port)
        }


@contextlib.contextmanager
def _server(model_dir):
    """Runs the server in a process; yields its port."""
    command = [sys.executable, str(_SCRIPTS / 'serve.py'), '--port=0']
    process = subprocess.Popen(
        [*command, f'--model_dir={model_dir}'],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if 'listening on' in line:
                port = int(line.rpartition(':')[2])
            if line == 'ready\n':
                yield port
                return
        raise RuntimeError(f'the server of {model_dir} did not start')
    finally:
        process.terminate()
        process.wait()


def _ask(connection, path, body=None):
    """Sends a request and returns the parsed answer."""
    connection.request('POST' if body else 'GET', path, body)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f'{path}: {answer.status} {content[:200]!r}')
    return json.loads(content)


def _connection(port):
    return contextlib.closing(http.client.HTTPConnection('127.0.0.1', port))


def _names(port):
    with _connection(port) as connection:
        listed = _ask(connection, '/explorer/models')['models']
        return [m['name'] for m in listed]


def _signatures(port, model):
    """Returns signature -> inputs of one row, all zero."""
    with _connection(port) as connection:
        found = _ask(connection, f'/v1/models/{model}/metadata')
    signatures = found['metadata']['signature_def']['signature_def']
    return {
        name: {key: _zeros(tensor) for key, tensor in s['inputs'].items()}
        for name, s in sorted(signatures.items())
        if name != 'serving_default' and not name.startswith('__')
    }


def _zeros(tensor):
    value = 0.0 if tensor['dtype'] == 'DT_FLOAT' else 0
    sizes = [int(d['size']) for d in tensor['tensor_shape']['dim']]
    for size in reversed(sizes[1:]):
        value = [value] * size
    return value


def _measured(port, model, signature, row):
    """Measures the speed of one signature for each number of clients."""
    paces, latency = [], 0.0
    for clients in CLIENTS:
        ask = functools.partial(
            _client, port, model, signature, row, itertools.count()
        )
        with concurrent.futures.ThreadPoolExecutor(clients) as threads:
            found = threads.map(lambda _, ask=ask: ask(), range(clients))
            times = [t for client in found for t in client]
        paces.append(len(times) / _SECONDS)
        if clients == 1:
            latency = statistics.median(times)
    return {
        'requests_per_second': {
            f'{n}_clients': round(p, 1)
            for n, p in zip(CLIENTS, paces, strict=True)
        },
        'milliseconds': round(1000 * latency, 2),
        'merging': round(paces[-1] / paces[0], 2),
    }


def _client(port, model, signature, row, seeds):
    """Sends requests one after the other; returns the seconds of each."""
    times = []
    with _connection(port) as connection:
        end = time.monotonic() + _SECONDS
        while (begin := time.monotonic()) < end:
            if 'seed' in row:
                row = row | {'seed': next(seeds)}
            body = {'signature_name': signature, 'instances': [row]}
            path = f'/v1/models/{model}:predict'
            _ask(connection, path, json.dumps(body))
            times.append(time.monotonic() - begin)
    return times
