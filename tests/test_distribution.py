"""Several replicas and several workers follow one device.

Each run is a process of its own: a process can hold one strategy only.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen.errors import UserError
from tfgen.training import strategies

STEPS = 20
FLAGS = [
    f'--set=steps={STEPS}',
    f'--set=checkpoint_every={STEPS}',
    '--set=log_every=1',
    '--set=schedule=constant',
]
UNCOMPILED = '--jit=off'


def _losses(directory):
    """Term -> [STEPS], from the run's TensorBoard summaries."""
    losses = {}
    for file in sorted((directory / 'summaries').iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for v in event.summary.value:
                if '/' in v.tag and v.tag != 'examples_per_second':
                    value = float(tf.make_ndarray(v.tensor))
                    losses.setdefault(v.tag, {})[event.step] = value
    return {
        tag: np.array([values[s + 1] for s in range(STEPS)])
        for tag, values in losses.items()
    }


@pytest.fixture(scope='module')
def one_device(tmp_path_factory, data_dir):
    """Losses of a model on one device, and the run."""
    made = {}

    def losses(model):
        if model not in made:
            path = tmp_path_factory.mktemp(model) / 'run'
            tiny.load(model, data_dir)  # prepares the data set once
            flags = [*FLAGS, UNCOMPILED, '--strategy=one']
            tiny.run(tiny.train_command(model, path, data_dir, *flags))
            made[model] = path
        return _losses(made[model]), made[model]

    return losses


def _assert_follows(losses, reference):
    assert losses.keys() == reference.keys()
    for tag, values in reference.items():
        # Relative to the term's size, for a term may pass through zero.
        error = np.abs(losses[tag] - values).max() / np.abs(values).max()
        assert error < 1e-4, tag


@pytest.mark.parametrize('model', [*tiny.FAMILIES, 'gaussian'])
def test_two_replicas_follow_one(model, one_device, tmp_path, data_dir):
    # Compiled where that is the default; the one device never is.
    reference, one = one_device(model)
    command = tiny.train_command(
        model, tmp_path, data_dir, *FLAGS, '--strategy=mirrored'
    )
    tiny.run(command)
    _assert_follows(_losses(tmp_path), reference)
    _assert_equal_averages(model, one, tmp_path)
    if model == 'gaussian':  # what is assigned, by all replicas
        _assert_equal_weights(one, tmp_path)


def _assert_equal_weights(one, other):
    weights = [tiny.weights(path, STEPS) for path in (one, other)]
    for name, value in weights[0].items():
        np.testing.assert_allclose(weights[1][name], value, atol=1e-5)


def _assert_equal_averages(model, one, other):
    averages = _averages(one), _averages(other)
    assert (len(averages[0]) > 5) == (model == 'diagonal_bilstm')
    for a, b in zip(*averages, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def _averages(directory):
    weights = tiny.weights(directory, STEPS)
    return [v for k, v in weights.items() if k.startswith('averages/')]


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(('127.0.0.1', 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _start_workers(model, directory, data_dir, *flags):
    cluster = {'worker': [f'127.0.0.1:{p}' for p in _free_ports(2)]}
    command = tiny.train_command(
        model,
        directory,
        data_dir,
        *FLAGS,
        UNCOMPILED,
        '--strategy=multiworker',
        *flags,
    )
    configs = [
        {'cluster': cluster, 'task': {'type': 'worker', 'index': index}}
        for index in range(2)
    ]
    return [
        subprocess.Popen(
            command,
            env=os.environ | {'TF_CONFIG': json.dumps(config)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for config in configs
    ]


def _outputs(processes, status=0):
    """What they say; `status` is how all of them must end."""
    try:
        outputs = [p.communicate(timeout=900)[0] for p in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == status, output
    return outputs


def _run_workers(model, directory, data_dir, *flags):
    return _outputs(_start_workers(model, directory, data_dir, *flags))


@pytest.mark.parametrize('model', tiny.FAMILIES)
def test_two_workers_follow_one(model, one_device, tmp_path, data_dir):
    reference, one = one_device(model)
    chief, other = _run_workers(model, tmp_path, data_dir)
    _assert_follows(_losses(tmp_path), reference)
    # The chief alone reports and writes.
    assert f'step {STEPS}/{STEPS}' in chief and 'step' not in other
    assert len(list((tmp_path / 'summaries').iterdir())) == 1
    _assert_equal_averages(model, one, tmp_path)


def test_workers_resume_from_the_chiefs_checkpoint(
    one_device, tmp_path, data_dir
):
    reference, _ = one_device('dcgan')
    _run_workers('dcgan', tmp_path, data_dir, '--set=steps=10')
    for output in _run_workers('dcgan', tmp_path, data_dir):
        assert 'continuing at step 10' in output
    _assert_follows(_losses(tmp_path), reference)


def test_workers_stop_after_one_step_whichever_is_told(tmp_path, data_dir):
    flags = ['--set=steps=100000', '--set=checkpoint_every=100000']
    chief, other = _start_workers('cvae', tmp_path, data_dir, *flags)
    for line in chief.stdout:
        if line.startswith('step 3/'):
            break
    other.send_signal(signal.SIGTERM)
    outputs = _outputs([chief, other], 128 + signal.SIGTERM)
    steps = [re.search(r'step (\d+) is saved', out)[1] for out in outputs]
    assert steps[0] == steps[1]
    last = f'--set=steps={int(steps[0]) + 2}'
    for output in _run_workers('cvae', tmp_path, data_dir, last):
        assert f'continuing at step {steps[0]} ' in output


def test_more_replicas_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(
        tf.config, 'list_physical_devices', lambda kind: ['one']
    )
    with pytest.raises(UserError, match='this machine has 1 GPUs'):
        strategies.make('mirrored', 2)


@pytest.mark.parametrize('chosen', [{}, {'TF_NUM_INTRAOP_THREADS': '3'}])
def test_cores_are_halved_unless_the_user_has_chosen(chosen):
    code = (
        'import tensorflow as tf\n'
        'from tfgen.training import strategies\n'
        'strategies.make("one", halve_cores=True)\n'
        'print(tf.config.threading.get_inter_op_parallelism_threads(),'
        ' tf.config.threading.get_intra_op_parallelism_threads())'
    )
    kept = {k: v for k, v in os.environ.items() if 'TF_NUM' not in k}
    done = tiny.run([sys.executable, '-c', code], env=kept | chosen)
    cores = len(os.sched_getaffinity(0))
    if tf.config.list_physical_devices('GPU') or cores == 1 or chosen:
        assert done.stdout.split() == ['0', '0']
    else:
        assert done.stdout.split() == ['2', str(cores // 2)]


@pytest.mark.parametrize(
    'cluster',
    [{'worker': 'localhost:1'}, {'worker': [1]}, {'worker': ['localhost']}],
)
def test_a_cluster_that_is_none_is_refused(monkeypatch, cluster):
    task = {'type': 'worker', 'index': 0}
    monkeypatch.setenv(
        'TF_CONFIG', json.dumps({'cluster': cluster, 'task': task})
    )
    with pytest.raises(UserError, match='host:port'):
        strategies.make('multiworker')
