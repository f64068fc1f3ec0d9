"""The local server answers over HTTP as TensorFlow Serving does."""

import concurrent.futures
import contextlib
import errno
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from tensorflow.python.framework import ops

from tfgen.server.servables import Model, Models

pytestmark = pytest.mark.usefixtures('heard')
RECORDED = tiny.ROOT.parent / 'shared' / 'serving'
_WAIT = 120  # seconds after which the server counts as hanging


class _Server:
    """A server process and its output."""

    def __init__(self, folder, *flags):
        self.process, self.port, self.said = processes.start_server(
            folder, '--poll_seconds=0.05', *flags
        )

    def wait_for(self, text):
        """Reads lines of output until one contains `text`."""
        for line in self.process.stderr:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f'{text!r} was not said: {self.said}')

    def ask(self, path, content=None, method=None):
        """Sends a request; returns status, content type, body."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=_WAIT
        )
        body = content
        if isinstance(content, (dict, list)):
            body = json.dumps(content)
        method = method or ('GET' if content is None else 'POST')
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, answer.getheader('content-type'), text

    def predict(self, name, rows, **more):
        """Returns the predictions for `rows`, or the error."""
        path = f'/v1/models/{name}:predict'
        status, _, text = self.ask(path, {'instances': rows, **more})
        content = json.loads(text)
        return content['predictions'] if status == 200 else content['error']

    def versions(self, name):
        """Returns version number -> state."""
        _, _, text = self.ask(f'/v1/models/{name}')
        found = json.loads(text)['model_version_status']
        return {int(v['version']): v['state'] for v in found}


@contextlib.contextmanager
def _serving(folder, *flags):
    server = _Server(folder, *flags)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


class _Times(tf.Module):
    """Multiplies x by a factor; refuses negative x.

    The signature `slow` takes one second, or for ever if x contains 99.
    """

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], name='x')])
    def times(self, x):
        tf.debugging.Assert(tf.reduce_all(x >= 0), ['x is negative:', x])
        return {'y': x * self.factor}

    @tf.function(input_signature=[tf.TensorSpec([None], name='x')])
    def slow(self, x):
        forever = tf.reduce_any(x == 99)
        end = tf.timestamp() + tf.where(forever, tf.float64.max, 1.0)
        waited = tf.while_loop(
            lambda now: now < end, lambda _: (tf.timestamp(),), (0.0 * end,)
        )
        with tf.control_dependencies(waited):
            return {'y': x * self.factor}


def _publish(folder, number, factor):
    """Saves a version in another folder and renames it into place."""
    module = _Times(float(factor))
    staging = folder.parent / f'.{number}'
    signatures = {'serving_default': module.times, 'slow': module.slow}
    tf.saved_model.save(module, str(staging), signatures=signatures)
    folder.mkdir(parents=True, exist_ok=True)
    staging.rename(folder / str(number))


@pytest.fixture
def folder(tmp_path):
    _publish(tmp_path / 'models' / 'times', 1, 2)
    return tmp_path / 'models'


@pytest.fixture(scope='module')
def times(tmp_path_factory):
    """Starts a server of one model."""
    models = tmp_path_factory.mktemp('odd') / 'models'
    _publish(models / 'times', 1, 2)
    with _serving(models) as server:
        yield server


def _wait_until(condition):
    end = time.monotonic() + _WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_versions_come_and_go_under_way(folder):
    with _serving(folder, '--version_label=times:stable=1') as server:
        assert server.predict('times', [1, 2]) == [2, 4]
        # A broken version is reported, and the old one keeps serving.
        (folder / 'times' / '2').mkdir()
        server.wait_for('times version 2: END')
        assert server.predict('times', [1]) == [2]
        assert server.versions('times') == {2: 'END', 1: 'AVAILABLE'}
        # A slow request to a replaced version is still answered.
        with concurrent.futures.ThreadPoolExecutor() as threads:
            slow = {'signature_name': 'slow'}
            old = threads.submit(server.predict, 'times', [5], **slow)
            time.sleep(0.3)
            _publish(folder / 'times', 7, 3)
            server.wait_for('times version 7: AVAILABLE')
            assert server.predict('times', [1]) == [3]
            assert old.result() == [10]
        # The label keeps version 1 loaded.
        assert server.versions('times')[1] == 'AVAILABLE'
        for place, factor in (('versions/1', 2), ('labels/stable', 2)):
            assert server.predict(f'times/{place}', [1]) == [factor]
        _publish(folder / 'times', 8, 4)
        _wait_until(lambda: 7 not in server.versions('times'))
        assert 'Specific(times, 7)' in server.predict('times/versions/7', [1])
        # If the newest version is deleted, the one before is loaded again.
        shutil.rmtree(folder / 'times' / '8')
        _wait_until(lambda: server.predict('times', [1]) == [3])
        # A new model is found, too.
        _publish(folder / 'more', 1, 5)
        server.wait_for('more version 1: AVAILABLE')
        assert server.predict('more', [1]) == [5]
        status, _, text = server.ask('/v1/models/times/labels/none')
        assert status == 400 and 'label (none)' in text


def test_a_folder_of_one_model_is_a_model(folder):
    with _serving(folder / 'times') as server:
        assert server.predict('times', [1]) == [2]


def test_it_takes_on_what_its_limits_say(folder):
    limits = ['--max_rows=3', '--max_body_mb=1', '--max_waiting=2']
    with _serving(folder, *limits) as server:
        path = '/v1/models/times:predict'
        assert server.ask(path, {'instances': [1, 2, 3]})[0] == 200
        status, _, text = server.ask(path, {'instances': [1, 2, 3, 4]})
        assert status == 413 and '4 rows: send at most 3' in text
        # The rows are counted before their values are checked.
        status, _, text = server.ask(path, {'instances': ['x'] * 4})
        assert status == 413 and '4 rows: send at most 3' in text
        status, _, text = server.ask(path, {'inputs': {'x': ['x'] * 4}})
        assert status == 413 and '4 rows: send at most 3' in text
        status, _, text = server.ask(path, ' ' * (2**20 + 1))
        assert status == 413 and 'more than 1048576 bytes' in text
        slow = {'instances': [1], 'signature_name': 'slow'}
        with concurrent.futures.ThreadPoolExecutor() as threads:
            answers = threads.map(lambda _: server.ask(path, slow), range(6))
            statuses = sorted(status for status, *_ in answers)
        assert statuses == [200, 200, 429, 429, 429, 429]
        assert server.ask(path, slow)[0] == 200


@pytest.mark.parametrize(
    'path,body,status',
    [
        (':predict', '{"signature_name":"\\ud800","instances":[1]}', 400),
        (':predict', '{"inputs":{"\\ud800":1}}', 400),
        (':predict', '{"inputs":' + '[' * 100 + ']' * 100 + '}', 400),
        (':predict', '{"a":' + '[' * 900 + ']' * 900 + '}', 400),
        (f'/versions/{"9" * 5000}', None, 400),
        ('/../../setup.py', None, 400),
    ],
)
def test_odd_requests_are_refused_as_json(path, body, status, times):
    answer = times.ask(f'/v1/models/times{path}', body)
    assert answer[0] == status
    assert json.loads(answer[2])['error']


def test_it_is_asked_under_its_own_name_alone(times, folder):
    def status(host, port, name):
        connection = http.client.HTTPConnection(host, port, timeout=_WAIT)
        with contextlib.closing(connection):
            connection.request(
                'GET', '/v1/models/times', headers={'Host': name}
            )
            return connection.getresponse().status

    assert status('127.0.0.1', times.port, 'x.y') == 400
    # The same holds for every loopback address.
    with _serving(folder, '--host=127.0.0.2') as server:
        assert status('127.0.0.2', server.port, 'x.y:80') == 400
        assert status('127.0.0.2', server.port, f'127.0.0.2:{server.port}') == (
            200
        )


def test_a_packed_request_is_refused(times):
    connection = http.client.HTTPConnection('127.0.0.1', times.port)
    with contextlib.closing(connection):
        body = gzip.compress(b'{"instances":[1]}')
        headers = {'Content-Encoding': 'gzip'}
        connection.request('POST', '/v1/models/times:predict', body, headers)
        answer = connection.getresponse()
        assert answer.status == 415
        assert 'send it as it is' in json.loads(answer.read())['error']


def test_what_is_late_is_refused_and_does_not_hold_up_the_end(folder):
    with _serving(folder, '--timeout_seconds=0.5') as server:
        body = {'instances': [99], 'signature_name': 'slow'}
        status, _, text = server.ask('/v1/models/times:predict', body)
        assert status == 504
        assert 'no answer within 0.5 seconds' in json.loads(text)['error']
        assert server.predict('times', [4]) == [8]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(_WAIT) == 0


def test_what_a_load_registers_for_gradients_goes_again(tmp_path):
    @tf.custom_gradient
    def twice(x):
        return 2 * x, lambda d: d

    module = tf.Module()
    module.f = tf.function(
        lambda x: {'y': twice(x)}, input_signature=[tf.TensorSpec([None])]
    )
    tf.saved_model.save(module, str(tmp_path / 'm' / '1'), module.f)
    registry = ops.gradient_registry._registry
    tf.saved_model.load(str(tmp_path / 'm' / '1'))
    before = set(registry)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        models = Models(tmp_path, {}, threads, 4)
        models.refresh()
    assert models.names() == ['m']
    assert set(registry) == before


@pytest.mark.parametrize(
    'error,again',
    [
        (OSError(errno.EMFILE, 'Too many open files'), True),
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, 'files'), True),
        (OSError('Cannot parse file'), False),
        (ValueError('no such op'), False),
    ],
)
def test_what_the_machine_failed_at_is_tried_again(error, again, tmp_path):
    (tmp_path / '3').mkdir()
    (tmp_path / '3' / 'saved_model.pb').touch()
    model, asked = Model(tmp_path, {}), []

    def load(_, number):
        asked.append(number)
        if len(asked) == 1:
            raise error
        return object()

    model.refresh(load)
    assert model.version() is None
    assert (model.states[3].name, model.states[3].code != 'OK') == ('END', True)
    model.refresh(load)
    assert (model.version() is not None) == again == (asked == [3, 3])


def test_what_cannot_be_read_for_a_moment_stays(folder, monkeypatch):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        models = Models(folder, {}, threads, 64)
        models.refresh()
        with monkeypatch.context() as patched:

            def fails(_):
                raise OSError(errno.EMFILE, 'Too many open files')

            patched.setattr(pathlib.Path, 'iterdir', fails)
            with pytest.raises(OSError):
                models.refresh()
        assert models.names() == ['times']
        assert models.get('times').version().number == 1
        # An unknown shape, which has no row of zeros for the warm-up.
        module = tf.Module()
        module.any = tf.function(
            lambda x: {'y': x + 1.0},
            input_signature=[tf.TensorSpec(None, name='x')],
        )
        tf.saved_model.save(module, str(folder / '.any'), module.any)
        (folder / 'any').mkdir()
        (folder / '.any').rename(folder / 'any' / '1')
        assert models.refresh() == ['any version 1: AVAILABLE']


def test_many_at_a_time_are_answered_each_its_own(folder):
    with _serving(folder, '--max_batch_rows=8') as server:
        random = np.random.default_rng(0)
        requests = [
            random.integers(-1, 50, random.integers(1, 6)).tolist()
            for _ in range(200)
        ]
        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            answers = threads.map(
                lambda rows: server.predict('times', rows), requests
            )
        for rows, answer in zip(requests, answers, strict=True):
            if min(rows) < 0:
                assert 'x is negative:' in answer
            else:
                assert answer == [2 * x for x in rows]


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_it_has_begun(number, folder):
    with (
        _serving(folder) as server,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        slow = {'signature_name': 'slow'}
        answer = threads.submit(server.predict, 'times', [4], **slow)
        time.sleep(0.3)
        server.process.send_signal(number)
        assert answer.result() == [8]
        assert server.process.wait(_WAIT) == 0
        assert 'Traceback' not in server.process.stderr.read()


def test_told_to_stop_it_ends_though_nobody_reads_what_it_says(tmp_path):
    reading, writing = processes.narrow_pipe()
    command = [sys.executable, str(tiny.script('serve'))]
    command += [f'--model_dir={tmp_path}', '--port=0']
    process = processes.start(command, stderr=writing)
    try:
        said = b''
        while b'ready' not in said:
            assert process.poll() is None
            said += os.read(reading, 8192)
        os.write(writing, b' ' * 8192)
        process.send_signal(signal.SIGTERM)
        assert process.wait(_WAIT) == 0
    finally:
        process.kill()
        os.close(reading)
        os.close(writing)


def test_a_folder_of_runs_points_to_export(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'config.json').write_text('{}')
    with _serving(tmp_path) as server:
        assert any('tfgen export --workdir=' in line for line in server.said)


def test_models_are_loaded_one_by_one_and_answer_at_once(folder):
    shutil.copytree(folder / 'times', folder / 'second')
    with _serving(folder) as server:
        said = ''.join(server.said)
        assert said.index('listening on') < said.index('loading 1 of 2')
        assert 'loading 2 of 2: ' in said and said.endswith('ready\n')
        assert server.predict('second', [4]) == [8]


def test_without_its_libraries_it_says_what_to_install():
    done = processes.outcome(
        [sys.executable, tiny.script('serve')],
        setup='import sys; sys.modules["uvicorn"] = None',
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith('pip install starlette uvicorn')


def test_it_needs_no_keras(folder):
    code = 'import sys; sys.modules["keras"] = None; '
    code += 'from tfgen.commands import serve; serve.run()'
    process = subprocess.Popen(
        [sys.executable, '-c', code, f'--model_dir={folder}', '--port=0'],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any('times version 1: AVAILABLE' in x for x in process.stderr)
    finally:
        process.kill()


@pytest.fixture(scope='module')
def recorded():
    """Starts a server of the models whose answers were recorded."""
    if not RECORDED.is_dir():
        pytest.skip(f'no recorded answers in {RECORDED}')
    exports = RECORDED / 'exports'
    labels = [f'--version_label={f.name}:stable=1' for f in exports.iterdir()]
    with _serving(exports, *labels) as server:
        yield server


def _recordings():
    file = RECORDED / 'recorded.jsonl'
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _assert_close(ours, theirs):
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            _assert_close(ours[name], value)
    elif isinstance(theirs, (list, float)) and not _has_text(theirs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    elif isinstance(theirs, list):
        for one, other in zip(ours, theirs, strict=True):
            _assert_close(one, other)
    else:
        assert ours == theirs


def _has_text(value):
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict))


def test_it_answers_as_tensorflow_serving_did(recorded):
    """Compares values and messages; docs/serve.md lists the differences."""
    differing = []
    for case in _recordings():
        request = case['request']
        if request is not None:
            # One request is not valid UTF-8. It was recorded as Latin-1.
            request = request.encode('latin1' if 'ÿ' in request else 'utf8')
        path = case['path']
        if path == '/':  # the explorer
            continue
        status, kind, text = recorded.ask(path, request, case['method'])
        assert status == case['status'], (path, request, text)
        assert kind.partition(';')[0] == case['content_type']
        ours, theirs = json.loads(text), json.loads(case['body'])
        if status == 200:
            _assert_close(ours, theirs)
        elif _comparable(ours['error']) != _comparable(theirs['error']):
            differing.append((ours['error'], theirs['error']))
    assert not differing


def _comparable(message):
    """Removes the parts of a message that vary between runs or loaders."""
    # Each loader chooses its own names of graph functions.
    message = re.sub(r'\{\{function_node [^}]*\}\}', '', message)
    if '[[{{node ' in message and not message.startswith('assertion failed'):
        # Several operations refuse these shapes; any may be the first.
        return 'an operation'
    # If several inputs are missing, any of them may be named.
    message = re.sub(r'Missing named input: \w+', 'Missing', message)
    # Long values are cut at slightly different lengths.
    cut = re.compile(r'(JSON \w+: .{200}).*?( keys | Type)', re.DOTALL)
    return cut.sub(r'\1\2', message)
