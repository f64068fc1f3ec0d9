"""Several replicas or workers give the results of one device.

One process per strategy trains all models (many.py).
"""

import json
import os
import re
import signal
import sys

import many
import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen.errors import UserError
from tfgen.models.contracts.updates import GradientUpdate
from tfgen.training import strategies

STEPS = 20
# Includes the GANs with cross-example statistics.
MODELS = (*tiny.FAMILIES, 'unrolled', 'ebgan', 'layerwise_ae')
# One model for each type of update and of communication between replicas.
OVER_WORKERS = ('cvae', 'dcgan', 'ebgan', 'vae_gan', 'rbm', 'pca', 'gmm')
FEW = ('dcgan', 'ebgan', 'rbm', 'gmm')
FEW_OVER_WORKERS = ('ebgan', 'gmm')


def _losses(directory):
    """Returns term -> [STEPS], from the run's TensorBoard summaries."""
    losses = {}
    for file in sorted((directory / 'summaries').iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for v in event.summary.value:
                kind = v.metadata.plugin_data.plugin_name
                if '/' in v.tag and kind == 'scalars':
                    value = float(tf.make_ndarray(v.tensor))
                    losses.setdefault(v.tag, {})[event.step] = value
    return {
        tag: np.array([values[s + 1] for s in range(STEPS)])
        for tag, values in losses.items()
    }


def _command(strategy, jit, folder, data_dir, models, steps=STEPS):
    script = str(tiny.ROOT / 'tests' / 'many.py')
    arguments = [strategy, jit, str(steps), folder, data_dir, *models]
    return [sys.executable, script, *map(str, arguments)]


@pytest.fixture(scope='module')
def one_device(tmp_path_factory, data_dir, pytestconfig):
    """Returns the folder of all families' runs on one device, uncompiled."""
    folder = tmp_path_factory.mktemp('one')
    models = MODELS if pytestconfig.option.all else FEW
    processes.run(_command('one', 'off', folder, data_dir, models))
    return folder


@pytest.fixture(scope='module')
def two_replicas(tmp_path_factory, data_dir, pytestconfig):
    """The same with two replicas, compiled where that is the default."""
    folder = tmp_path_factory.mktemp('two')
    models = MODELS if pytestconfig.option.all else FEW
    processes.run(_command('mirrored', 'auto', folder, data_dir, models))
    return folder


@pytest.fixture(scope='module')
def two_workers(tmp_path_factory, data_dir, pytestconfig):
    """The same with two workers, and the output of each."""
    folder = tmp_path_factory.mktemp('workers')
    tiny.load('cvae', data_dir)  # prepared here, not by both workers at once
    models = OVER_WORKERS if pytestconfig.option.all else FEW_OVER_WORKERS
    command = _command('multiworker', 'off', folder, data_dir, models)
    return folder, _outputs(_start_workers(command))


def _assert_follows(losses, reference):
    assert losses.keys() == reference.keys()
    for tag, values in reference.items():
        # Relative to the term's maximum, since a term may pass through zero.
        error = np.abs(losses[tag] - values).max() / np.abs(values).max()
        assert error < 1e-4, tag


@pytest.mark.parametrize('model', tiny.some(MODELS, FEW))
def test_two_replicas_follow_one(model, one_device, two_replicas):
    _assert_follows(_losses(two_replicas / model), _losses(one_device / model))
    _assert_equal_averages(model, one_device, two_replicas)


@pytest.mark.parametrize('model', tiny.some(OVER_WORKERS, FEW_OVER_WORKERS))
def test_two_workers_follow_one(model, one_device, two_workers):
    folder, (chief, other) = two_workers
    _assert_follows(_losses(folder / model), _losses(one_device / model))
    _assert_equal_averages(model, one_device, folder)
    # Only the chief reports and writes.
    assert f'step {STEPS}/{STEPS}' in chief and 'step' not in other
    assert len(list((folder / model / 'summaries').iterdir())) == 1


def _assert_equal_averages(model, one, other):
    """Compares averages of weights, and values assigned by all replicas."""
    runs = [tiny.weights(path / model, STEPS) for path in (one, other)]
    adam = any(
        isinstance(p, GradientUpdate) for p in tiny.build(model).updates()
    )
    beginning = 'averages/' if adam else 'model/'
    names = [name for name in runs[0] if name.startswith(beginning)]
    assert bool(names) == (tiny.preset(model).ema > 0 or not adam)
    for name in names:
        np.testing.assert_allclose(runs[0][name], runs[1][name], atol=1e-4)


def _start_workers(command, places=(None, None)):
    """Starts two workers; `places` are their working folders."""
    cluster = {'worker': [f'127.0.0.1:{p}' for p in processes.free_ports(2)]}
    configs = [
        {'cluster': cluster, 'task': {'type': 'worker', 'index': index}}
        for index in range(2)
    ]
    return [
        processes.start(
            command,
            cwd=place,
            env=os.environ | {'TF_CONFIG': json.dumps(config)},
            stdout=processes.PIPE,
            stderr=processes.STDOUT,
        )
        for config, place in zip(configs, places, strict=True)
    ]


def _outputs(workers, status=0):
    """Returns the outputs; all processes must end with exit status `status`."""
    try:
        outputs = [w.communicate(timeout=900)[0] for w in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, output in zip(workers, outputs, strict=True):
        assert worker.returncode == status, output
    return outputs


def test_workers_stop_after_one_step_whichever_is_told_and_go_on(
    one_device, tmp_path, data_dir
):
    flags = [f'--set={s}' for s in many.settings(100_000)]
    flags += ['--strategy=multiworker', '--jit=off']
    chief, other = _start_workers(
        tiny.train_command('dcgan', tmp_path, data_dir, *flags)
    )
    for line in chief.stdout:
        if line.startswith('step 3/'):
            break
    other.send_signal(signal.SIGTERM)
    outputs = _outputs([chief, other], 128 + signal.SIGTERM)
    steps = [re.search(r'step (\d+) is saved', out)[1] for out in outputs]
    assert steps[0] == steps[1]
    # Resumes from the chief's checkpoint on one device.
    flags.append(f'--set=steps={max(STEPS, int(steps[0]) + 2)}')
    command = tiny.train_command('dcgan', tmp_path, data_dir, *flags)
    for output in _outputs(_start_workers(command)):
        assert f'continuing at step {steps[0]} ' in output
    _assert_follows(_losses(tmp_path), _losses(one_device / 'dcgan'))


@pytest.mark.wide
def test_workers_that_see_other_weights_begin_with_those_of_the_first(
    tmp_path, data_dir
):
    places = [tmp_path / 'first', tmp_path / 'second']
    for place, steps in zip(places, (STEPS, 1), strict=True):
        command = _command('one', 'off', place, data_dir, ['cvae'], steps)
        processes.run(command)
    flags = [f'--set={s}' for s in many.settings(STEPS)]
    flags += ['--jit=off', '--init_from=cvae', '--seed=1']
    alone = tiny.train_command('cvae', tmp_path / 'one', data_dir, *flags)
    processes.run(alone, cwd=places[0])
    flags.append('--strategy=multiworker')
    command = tiny.train_command('cvae', tmp_path / 'two', data_dir, *flags)
    _outputs(_start_workers(command, places))
    _assert_follows(_losses(tmp_path / 'two'), _losses(tmp_path / 'one'))


def test_more_replicas_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(
        tf.config, 'list_physical_devices', lambda kind: ['one']
    )
    with pytest.raises(UserError, match='this machine has 1 GPUs'):
        strategies.make('mirrored', 2)


def test_devices_cannot_be_added_to_a_running_process():
    tf.config.list_logical_devices()
    with pytest.raises(UserError, match='needs 99 logical CPU devices'):
        strategies.make('mirrored', 99)


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
    done = processes.run([sys.executable, '-c', code], env=kept | chosen)
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
