"""Stopping of runs, and two runs in one workdir."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time

import processes
import pytest
import tiny

from tfgen.errors import UserError
from tfgen.training import checkpoints, stopping
from tfgen.training.run import train

pytestmark = pytest.mark.usefixtures('heard')


@pytest.mark.parametrize(
    'model,number',
    tiny.some([('cvae', signal.SIGTERM), ('dcgan', signal.SIGINT)], ('cvae',)),
)
def test_a_signal_saves_the_next_step_and_the_command_continues(
    model, number, tmp_path, data_dir
):
    settings = ['checkpoint_every=100000', 'log_every=1', 'schedule=constant']
    flags = [f'--set={s}' for s in [*settings, 'steps=100000']]
    path = tmp_path / 'run'
    process = processes.start(
        tiny.train_command(model, path, data_dir, '--jit=off', *flags),
        stdout=processes.PIPE,
        stderr=processes.PIPE,
    )
    for line in process.stdout:
        if line.startswith('step 2/'):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 128 + number, errors
    (step,) = re.findall(r'stopped by SIG\w+: step (\d+) is saved', errors)
    newest = checkpoints.newest_first(path / 'checkpoints')[0]
    assert newest.name == f'checkpoint-{step}'
    # A last step that an uninterrupted run has as well.
    last = int(step) + 2
    settings.append(f'steps={last}')
    config, examples = tiny.load(model, data_dir, *settings)
    train(config, examples, path, jit='off')
    train(config, examples, tmp_path / 'whole', jit='off')
    tiny.assert_equal_weights(
        tiny.weights(path, last), tiny.weights(tmp_path / 'whole', last)
    )


def test_a_training_whose_output_nobody_reads_saves_and_stops(
    tmp_path, data_dir
):
    reading, writing = processes.narrow_pipe()
    settings = ['log_every=1', 'checkpoint_every=100000', 'steps=100000']
    path = tmp_path / 'run'
    process = processes.start(
        tiny.train_command(
            'gaussian',
            path,
            data_dir,
            '--jit=off',
            *(f'--set={s}' for s in settings),
        ),
        stdout=writing,
        stderr=writing,
    )
    try:
        full = select.poll()
        full.register(writing, select.POLLOUT)
        while full.poll(0):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(0.5)  # until another line of output
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=600) == 143
    finally:
        process.kill()
        os.close(writing)
    with open(reading) as said:
        assert 'step 1/100000' in said.read()
    assert checkpoints.newest_first(path / 'checkpoints')


def test_a_request_stops_after_the_step_that_is_being_made(tmp_path, data_dir):
    config, examples = tiny.load('cvae', data_dir)
    stop = stopping.Stop()
    stop.request(signal.SIGTERM)
    with pytest.raises(stopping.Stopped, match='step 1 is saved') as stopped:
        train(config, examples, tmp_path / 'run', stop=stop)
    assert stopped.value.status == 143
    train(config, examples, tmp_path / 'run')
    train(config, examples, tmp_path / 'whole')
    tiny.assert_equal_weights(
        tiny.weights(tmp_path / 'run', 30), tiny.weights(tmp_path / 'whole', 30)
    )


def test_a_request_at_the_last_step_ends_the_run_as_ever(tmp_path, data_dir):
    config, examples = tiny.load('cvae', data_dir, 'steps=1')
    stop = stopping.Stop()
    stop.request()
    train(config, examples, tmp_path / 'run', stop=stop)
    assert checkpoints.newest_first(tmp_path / 'run' / 'checkpoints')


def test_signals_are_heard_while_python_does_not_listen():
    stop, before = stopping.Stop(), signal.getsignal(signal.SIGTERM)
    with stop.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(100):
            if float(stop.flag):
                break
            time.sleep(0.02)
        assert float(stop.flag) and stop.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_at_once_are_one_request():
    # GNU timeout sends its signal to the process and then to its group.
    stop = stopping.Stop()
    with stop.on_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            while not float(stop.flag):
                time.sleep(0.01)
            os.kill(os.getpid(), number)
            time.sleep(0.05)
        assert stop.number == signal.SIGHUP


def test_a_second_signal_ends_the_process_even_in_the_midst_of_a_step():
    code = (
        'import tensorflow as tf\n'
        'from tfgen.training import stopping\n'
        '@tf.function\n'
        'def long():\n'
        '    return tf.while_loop(lambda i: i >= 0, lambda i: [i], [0])\n'
        'with stopping.Stop().on_signals():\n'
        '    print("begun", flush=True)\n'
        '    long()\n'
    )
    process = processes.start(
        [sys.executable, '-c', code], stdout=processes.PIPE
    )
    assert process.stdout.readline() == 'begun\n'
    time.sleep(1.0)  # until the loop runs
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_so(number):
    # Signals are ignored in the background of a shell, and under nohup.
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stopping.Stop().on_signals() as stop:
            os.kill(os.getpid(), number)
            assert signal.getsignal(number) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            time.sleep(0.1)
            assert not float(stop.flag)
    finally:
        signal.signal(number, before)


def test_signals_can_be_tested_where_they_are_ignored():
    # This is so under nohup, and in the background of a shell.
    test = f'{__file__}::test_signals_at_once_are_one_request'
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', test]
    processes.run(['sh', '-c', 'trap "" INT HUP; exec "$@"', 'sh', *command])


def test_a_lock_is_of_the_folder_that_is_there(tmp_path):
    # A holder of the lock removes the folder if it has made it and left it
    # empty. A waiting process must not get a lock on the removed folder.
    path = tmp_path / 'run'
    with stopping.alone_in(path):
        pass
    assert not path.exists()
    with stopping.alone_in(path):
        (path / 'x').touch()
        with pytest.raises(UserError), stopping.alone_in(path):
            pass
        assert (path / 'x').exists()
    with stopping.alone_in(path):
        assert path.exists()


def test_outside_of_the_main_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def inside():
        with stopping.Stop().on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_second_training_in_a_workdir_is_refused(tmp_path, data_dir):
    config, examples = tiny.load('cvae', data_dir)
    with (
        stopping.alone_in(tmp_path / 'run'),
        pytest.raises(UserError, match='another process trains'),
    ):
        train(config, examples, tmp_path / 'run')
    # The first run has ended and written nothing.
    assert not (tmp_path / 'run').exists()
    train(config, examples, tmp_path / 'run')


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / 'run'
    code = (
        'import pathlib, sys, time\n'
        'from tfgen.training import stopping\n'
        'with stopping.alone_in(pathlib.Path(sys.argv[1])):\n'
        '    print("locked", flush=True)\n'
        '    time.sleep(600)\n'
    )
    process = processes.start(
        [sys.executable, '-c', code, str(path)], stdout=processes.PIPE
    )
    assert process.stdout.readline() == 'locked\n'
    with pytest.raises(UserError), stopping.alone_in(path):
        pass
    process.kill()
    process.wait()
    with stopping.alone_in(path):
        pass
