"""The machines of TF_CONFIG: mistakes in it, and workers that do not come."""

import json
import socket
import threading

import processes
import pytest
import tensorflow as tf

from tfgen.errors import UserError
from tfgen.training import workers


def _config(monkeypatch, task=('worker', 0), **cluster):
    content = {'cluster': cluster, 'task': {'type': task[0], 'index': task[1]}}
    monkeypatch.setenv('TF_CONFIG', json.dumps(content))


def _text(kind='worker', index=0, **cluster):
    task = {'type': kind, 'index': index}
    return json.dumps({'cluster': cluster, 'task': task})


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', 'multiworker needs'),
        ('{', 'multiworker needs'),
        ('[]', 'multiworker needs'),
        ('{"cluster": {"worker": ["a:1"]}}', 'multiworker needs'),
        (_text(worker=['a']), 'multiworker needs'),
        (_text(worker=['a:1'], index=1), 'multiworker needs'),
        (_text('ps', worker=['a:1']), 'multiworker needs'),
        (_text(worker=['a:1', 'a:1']), "'a:1' twice"),
        (_text('chief', chief=['a:1', 'b:1'], worker=['c:1']), 'one chief'),
    ],
)
def test_a_wrong_tf_config_is_one_line(text, said, monkeypatch):
    monkeypatch.setenv('TF_CONFIG', text)
    with pytest.raises(UserError, match=said) as error:
        workers.cluster()
    assert '\n' not in str(error.value)


def test_workers_wait_for_each_other(monkeypatch):
    places = [f'localhost:{port}' for port in processes.free_ports(3)]
    found, ended = [], []
    for number in range(3):
        _config(monkeypatch, ('worker', number), worker=places)
        found.append(workers.cluster())

    every = threading.Barrier(3)

    def gather(number):
        workers.gather(found[number])
        ended.append(number)
        # As TensorFlow does.
        port = int(places[number].rpartition(':')[2])
        with socket.create_server(('localhost', port)):
            every.wait(60)

    threads = [threading.Thread(target=gather, args=[n]) for n in range(3)]
    for thread in threads[:2]:
        thread.start()
    threads[0].join(1.0)
    assert not ended  # the third is not there
    threads[2].start()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == [0, 1, 2]


def test_a_worker_that_does_not_come_is_named(monkeypatch):
    monkeypatch.setattr(workers, 'PATIENCE', 0.5)
    own, other = processes.free_ports(2)
    _config(monkeypatch, worker=[f'localhost:{own}', f'localhost:{other}'])
    said = rf'worker 1 \(localhost:{other}\) has not come within 0 s'
    with pytest.raises(UserError, match=said):
        workers.gather(workers.cluster())


def test_two_processes_of_one_index_are_told(monkeypatch):
    own, other = processes.free_ports(2)
    _config(monkeypatch, worker=[f'localhost:{own}', f'localhost:{other}'])
    with socket.socket() as first:
        first.bind(('', own))
        first.listen()
        with pytest.raises(UserError, match=f'cannot listen at port {own}'):
            workers.gather(workers.cluster())


def test_a_lost_worker_is_named(monkeypatch):
    _config(monkeypatch, worker=['a:1', 'b:2'])
    message = (
        'Graph execution error:\n\n'
        'Collective ops is aborted by: Socket closed\n'
        'Additional GRPC error information from remote target '
        '/job:worker/replica:0/task:1 while calling RecvBuf:'
    )
    error = tf.errors.UnavailableError(None, None, message)
    said = str(workers.lost(error))
    assert said.startswith('worker 1 (b:2) has ended (Socket closed)')
    other = workers.lost(tf.errors.AbortedError(None, None, 'health check'))
    assert str(other).startswith('another worker has ended (health check)')
