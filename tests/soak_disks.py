"""Experiments on a disk: kills, damaged files, full disks, two at once."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import tiny
from soak_trainings import HANGS, MODELS, Lost, end, start

from tfgen.errors import UserError
from tfgen.training import checkpoints, run

STRATEGIES = ('one', 'mirrored', 'multiworker')
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def kills(soak) -> None:
    """Kills a training, or tells it to stop, several times."""
    model = soak.random.choice(MODELS)
    strategy = soak.random.choice(STRATEGIES)
    path = soak.new('killed')
    command = soak.command(model, strategy, path)
    soak.reference(model, strategy)
    for _ in range(soak.random.randint(1, 3)):
        workers = start(command, strategy)
        _wait_somewhere(soak, workers[0])
        victims = workers
        if len(workers) > 1 and soak.random.random() < 0.5:
            victims = [soak.random.choice(workers)]
            soak.counts['one worker alone'] += 1
        number = soak.random.choice(SIGNALS)
        for victim in victims:
            victim.send_signal(number)
        soak.counts[f'{number.name}, {strategy}'] += 1
        for process in victims:
            process.wait(HANGS)
        # A worker whose partner has ended ends by itself, but slowly.
        for process in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.communicate()
    for process in start(command, strategy):
        end(process)
    soak.require_equal(path, model, strategy)


def _wait_somewhere(soak, process):
    """Waits for a random moment of a run, mostly during its steps."""
    if soak.random.random() < 0.3:
        time.sleep(soak.random.uniform(0, 8))
        return
    for line in process.stdout:
        if line.startswith('step '):
            break
    time.sleep(soak.random.uniform(0, 1.5))


def damages(soak) -> None:
    """Flips bits of a checkpoint's files, or cuts off their end."""
    model = soak.random.choice(MODELS)
    path = soak.new('damaged')
    config, examples = tiny.load(model, soak.data, 'checkpoint_every=15')
    run.train(config, examples, path, jit='off')
    newest, _ = checkpoints.newest_first(path / 'checkpoints')
    good = [_weights(config, path)]
    aside = soak.new('aside')
    aside.mkdir()
    files = list(newest.parent.glob(f'{newest.name}.*'))
    for file in files:
        shutil.move(file, aside)
    good.append(_weights(config, path))
    for file in files:
        shutil.copy(aside / file.name, file)
    for _ in range(60):
        file = soak.random.choice(files)
        content = bytearray((aside / file.name).read_bytes())
        if soak.random.random() < 0.5:
            place = soak.random.randrange(len(content))
            content[place] ^= 1 << soak.random.randrange(8)
            soak.counts['bit flipped'] += 1
        else:
            del content[soak.random.randrange(len(content)) :]
            soak.counts['truncated'] += 1
        file.write_bytes(content)
        try:
            found = _weights(config, path)
        except UserError:
            soak.counts['refused'] += 1
        else:
            if found not in good:
                raise Lost(f'{model}: {file.name} damaged in silence')
            soak.counts[('as it was', 'the one before')[good.index(found)]] += 1
        shutil.copy(aside / file.name, file)


def full_disk(soak) -> None:
    """Trains in a file system that becomes full at some moment."""
    if os.geteuid():
        soak.counts['not root: no small disk'] += 1
        return
    model = soak.random.choice(MODELS)
    place = soak.new('disk')
    place.mkdir()
    size = soak.random.randint(4, 400)
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}k', 'tmpfs']
    done = subprocess.run([*mount, str(place)], capture_output=True)
    if done.returncode:
        soak.counts['no tmpfs'] += 1
        return
    try:
        command = soak.command(model, 'one', place / 'run')
        first = subprocess.run(command, capture_output=True, text=True)
        lines = first.stderr.strip().splitlines()
        if first.returncode not in (0, 2) or len(lines) > 1:
            raise Lost(f'{model} on {size}k: {first.stderr[-300:]}')
        soak.counts[f'disk: status {first.returncode}'] += 1
        remount = ['mount', '-o', 'remount,size=64m', str(place)]
        subprocess.run(remount, check=True)
        (process,) = start(command, 'one')
        end(process)
        soak.require_equal(place / 'run', model, 'one')
    finally:
        subprocess.run(['umount', str(place)], check=True)


def two_at_once(soak) -> None:
    """Starts two trainings in one workdir: one is refused, or too late."""
    model = soak.random.choice(MODELS)
    path = soak.new('shared')
    command = soak.command(model, 'one', path)
    (first,) = start(command, 'one')
    time.sleep(soak.random.uniform(0, 4))
    (second,) = start(command, 'one')
    outputs = [p.communicate(timeout=HANGS)[0] for p in (first, second)]
    statuses = [first.returncode, second.returncode]
    if sorted(statuses) == [0, 2]:
        soak.counts['second refused'] += 1
    elif statuses != [0, 0] or 'already been trained' not in outputs[1]:
        raise Lost(f'{model}: statuses {statuses}: {outputs}')
    soak.require_equal(path, model, 'one')


def _weights(config, path):
    model, _ = config.restore(path)
    return [v.numpy().tobytes() for v in model.variables]
