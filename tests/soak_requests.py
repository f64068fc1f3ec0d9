"""Requests of every kind to a local server of every small model."""

import contextlib
import http.client
import json

import hypothesis
import numpy as np
import processes
import tiny
from hypothesis import strategies as st
from soak_trainings import HANGS, Lost

from tfgen.export import saved_model

_HUGE = 1e6


def requests(soak) -> None:
    """Sends all kinds of requests to every signature of every model."""
    if soak.server is None:
        soak.server = _Server(soak)
    soak.counts['requests'] += soak.server.fuzz(soak.random.getrandbits(30))


class _Server:
    """A local server of every small model, and requests to it."""

    def __init__(self, soak):
        folder = soak.new('exports')
        for model in tiny.MODELS:
            config, examples = tiny.load(model, soak.data)
            saved_model.export(
                config.build(), config, 0, examples, folder / model
            )
        self.process, self.port, _ = processes.start_server(folder)
        self.signatures = [
            (model, name, s['inputs'])
            for model in tiny.MODELS
            for name, s in self._ask(f'/v1/models/{model}/metadata')[1][
                'metadata'
            ]['signature_def']['signature_def'].items()
            if not name.startswith('__')
        ]

    def close(self):
        self.process.kill()

    def _ask(self, path, body=None):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=HANGS
        )
        with contextlib.closing(connection):
            connection.request('POST' if body else 'GET', path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
        # An answer may overflow, as in TensorFlow Serving, if its request does.
        if _is_huge(json.loads(body) if body else ()):
            return answer.status, json.loads(text)
        return answer.status, json.loads(text, parse_constant=_no_number)

    def fuzz(self, seed) -> int:
        """Sends requests to all signatures; returns their number."""
        self.asked = 0
        for model, name, inputs in self.signatures:
            row = st.fixed_dictionaries(
                {k: _value(tensor) for k, tensor in inputs.items()}
            )

            @hypothesis.settings(
                max_examples=20,
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.seed(seed)
            @hypothesis.given(
                st.just(model),
                st.just(name),
                st.lists(row | _JSON, min_size=1, max_size=3),
            )
            def case(model, name, rows):
                self._check(model, name, rows)

            case()
        if self.process.poll() is not None:
            raise Lost(f'the server has ended: {self.process.returncode}')
        return self.asked

    def _check(self, model, name, rows):
        """Checks that an answer has as many rows, or is an error message."""
        self.asked += 1
        body = json.dumps({'signature_name': name, 'instances': rows})
        status, content = self._ask(f'/v1/models/{model}:predict', body)
        if status == 200:
            fine = len(content['predictions']) == len(rows)
        else:
            fine = status in (400, 413) and content['error']
        if not fine:
            raise Lost(f'{model} {name}: {status} {body[:500]}')


def _is_huge(content):
    """Whether a JSON value contains a number far from those of examples."""
    if isinstance(content, dict):
        return any(map(_is_huge, content.values()))
    if isinstance(content, list | tuple):
        return any(map(_is_huge, content))
    return isinstance(content, float) and abs(content) > _HUGE


def _no_number(text):
    raise Lost(f'an answer holds {text}, which is no JSON')


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


def _value(tensor):
    """Values for an input: mostly of its type and shape, sometimes any."""
    if tensor['dtype'] == 'DT_FLOAT':
        value = st.sampled_from([0.0, 1.0, 0.5]) | st.floats(width=32)
        value = value.filter(np.isfinite)
    else:
        value = st.integers(-1, 20) | st.integers(-(2**63), 2**63 - 1)
    sizes = [int(d['size']) for d in tensor['tensor_shape']['dim'][1:]]

    def shaped(v):
        for size in reversed(sizes):
            v = [v] * size
        return v

    return st.one_of(*[value.map(shaped)] * 4, _JSON)
