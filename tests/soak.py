"""Injects faults for a given time: bash scripts/soak.sh MINUTES.

Each experiment injects one fault after another and checks that nothing is
lost. Losses are a weight that differs in a bit, a wrong answer to a request,
or an error message of more than one line. Actions and findings are written as
JSON.
"""

import collections
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# As in the tests: the last bits depend on the number of threads.
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '2')
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')

import hypothesis
import numpy as np
import processes
import tiny
from hypothesis import strategies as st

from tfgen.errors import UserError
from tfgen.evaluation import recording
from tfgen.export import saved_model
from tfgen.training import checkpoints, run

MODELS = ('cvae', 'dcgan', 'ebgan', 'pixelrnn', 'gmm', 'rbm')
STRATEGIES = ('one', 'mirrored', 'multiworker')
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_HANGS = 300  # seconds after which a process counts as hanging
_FLAGS = ('--jit=off', '--set=checkpoint_every=5', '--set=log_every=1')


class Lost(Exception):
    """Something was lost; the message says what."""


class Soak:
    """The experiments and their shared state."""

    def __init__(self, place: pathlib.Path, seed: int):
        self.place, self.random = place, random.Random(seed)
        self.data = str(place / 'tfds')
        self.counts = collections.Counter()
        self._references = {}
        self._number = 0

    def new(self, name: str) -> pathlib.Path:
        self._number += 1
        return self.place / f'{name}_{self._number}'

    def command(self, model: str, strategy: str, path, *more: str) -> list:
        flags = [*_FLAGS, f'--strategy={strategy}', *more]
        return tiny.train_command(model, path, self.data, *flags)

    def reference(self, model: str, strategy: str) -> dict:
        """Returns the last weights of an uninterrupted run."""
        key = model, strategy
        if key not in self._references:
            path = self.new('reference')
            for process in _start(
                self.command(model, strategy, path), strategy
            ):
                _end(process)
            self._references[key] = tiny.weights(path, 30)
        return self._references[key]

    def require_equal(self, path, model: str, strategy: str) -> None:
        wanted, found = self.reference(model, strategy), tiny.weights(path, 30)
        differing = [
            name
            for name in wanted
            if not np.array_equal(wanted[name], found.get(name))
        ]
        if differing or wanted.keys() != found.keys():
            raise Lost(f'{model}, {strategy}: {differing[:3]} differ')

    def kills(self) -> None:
        """Kills a training, or tells it to stop, several times."""
        model = self.random.choice(MODELS)
        strategy = self.random.choice(STRATEGIES)
        path = self.new('killed')
        command = self.command(model, strategy, path)
        self.reference(model, strategy)
        for _ in range(self.random.randint(1, 3)):
            processes = _start(command, strategy)
            self._wait_somewhere(processes[0])
            victims = processes
            if len(processes) > 1 and self.random.random() < 0.5:
                victims = [self.random.choice(processes)]
                self.counts['one worker alone'] += 1
            number = self.random.choice(SIGNALS)
            for victim in victims:
                victim.send_signal(number)
            self.counts[f'{number.name}, {strategy}'] += 1
            for process in victims:
                process.wait(_HANGS)
            # A worker whose partner has ended is killed, as docs/train.md
            # says.
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()
                process.communicate()
        for process in _start(command, strategy):
            _end(process)
        self.require_equal(path, model, strategy)

    def _wait_somewhere(self, process):
        """Waits for a random moment of a run, mostly during its steps."""
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0, 8))
            return
        for line in process.stdout:
            if line.startswith('step '):
                break
        time.sleep(self.random.uniform(0, 1.5))

    def damages(self) -> None:
        """Flips bits of a checkpoint's files, or cuts off their end."""
        model = self.random.choice(MODELS)
        path = self.new('damaged')
        config, examples = tiny.load(model, self.data, 'checkpoint_every=15')
        run.train(config, examples, path, jit='off')
        newest, _ = checkpoints.newest_first(path / 'checkpoints')
        good = [_weights(config, path)]
        aside = self.new('aside')
        aside.mkdir()
        files = list(newest.parent.glob(f'{newest.name}.*'))
        for file in files:
            shutil.move(file, aside)
        good.append(_weights(config, path))
        for file in files:
            shutil.copy(aside / file.name, file)
        for _ in range(60):
            file = self.random.choice(files)
            content = bytearray((aside / file.name).read_bytes())
            if self.random.random() < 0.5:
                place = self.random.randrange(len(content))
                content[place] ^= 1 << self.random.randrange(8)
                self.counts['bit flipped'] += 1
            else:
                del content[self.random.randrange(len(content)) :]
                self.counts['truncated'] += 1
            file.write_bytes(content)
            try:
                found = _weights(config, path)
            except UserError:
                self.counts['refused'] += 1
            else:
                if found not in good:
                    raise Lost(f'{model}: {file.name} damaged in silence')
                self.counts[
                    ('as it was', 'the one before')[good.index(found)]
                ] += 1
            shutil.copy(aside / file.name, file)

    def full_disk(self) -> None:
        """Trains in a file system that becomes full at some moment."""
        if os.geteuid():
            self.counts['not root: no small disk'] += 1
            return
        model = self.random.choice(MODELS)
        place = self.new('disk')
        place.mkdir()
        size = self.random.randint(4, 400)
        mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}k', 'tmpfs']
        done = subprocess.run([*mount, str(place)], capture_output=True)
        if done.returncode:
            self.counts['no tmpfs'] += 1
            return
        try:
            command = self.command(model, 'one', place / 'run')
            first = subprocess.run(command, capture_output=True, text=True)
            lines = first.stderr.strip().splitlines()
            if first.returncode not in (0, 2) or len(lines) > 1:
                raise Lost(f'{model} on {size}k: {first.stderr[-300:]}')
            self.counts[f'disk: status {first.returncode}'] += 1
            remount = ['mount', '-o', 'remount,size=64m', str(place)]
            subprocess.run(remount, check=True)
            (process,) = _start(command, 'one')
            _end(process)
            self.require_equal(place / 'run', model, 'one')
        finally:
            subprocess.run(['umount', str(place)], check=True)

    def two_at_once(self) -> None:
        """Starts two trainings in one workdir: one is refused, or too late."""
        model = self.random.choice(MODELS)
        path = self.new('shared')
        command = self.command(model, 'one', path)
        (first,) = _start(command, 'one')
        time.sleep(self.random.uniform(0, 4))
        (second,) = _start(command, 'one')
        outputs = [p.communicate(timeout=_HANGS)[0] for p in (first, second)]
        statuses = [first.returncode, second.returncode]
        if sorted(statuses) == [0, 2]:
            self.counts['second refused'] += 1
        elif statuses != [0, 0] or 'already been trained' not in outputs[1]:
            raise Lost(f'{model}: statuses {statuses}: {outputs}')
        self.require_equal(path, model, 'one')

    def requests(self) -> None:
        """Sends all kinds of requests to every signature of every model."""
        if not hasattr(self, 'server'):
            self.server = _Server(self)
        self.counts['requests'] += self.server.fuzz(self.random.getrandbits(30))


def _weights(config, path):
    model, _ = config.restore(path)
    return [v.numpy().tobytes() for v in model.variables]


def _start(command, strategy):
    """Starts the processes of a training: one, or two workers."""
    configs = [{}]
    if strategy == 'multiworker':
        ports = []
        for _ in range(2):
            with socket.socket() as free:
                free.bind(('127.0.0.1', 0))
                ports.append(free.getsockname()[1])
        cluster = {'worker': [f'127.0.0.1:{p}' for p in ports]}
        tasks = [{'type': 'worker', 'index': i} for i in range(2)]
        configs = [
            {'TF_CONFIG': json.dumps({'cluster': cluster, 'task': task})}
            for task in tasks
        ]
    return [
        subprocess.Popen(
            command,
            env=os.environ | config,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for config in configs
    ]


def _end(process):
    output, _ = process.communicate(timeout=_HANGS)
    if process.returncode:
        raise Lost(f'status {process.returncode}: {output[-500:]}')


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

    def _ask(self, path, body=None):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=_HANGS
        )
        with contextlib.closing(connection):
            connection.request('POST' if body else 'GET', path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
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


EXPERIMENTS = (
    Soak.kills,
    Soak.damages,
    Soak.full_disk,
    Soak.two_at_once,
    Soak.requests,
)


def main() -> None:
    minutes, file = float(sys.argv[1]), pathlib.Path(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    begin = time.monotonic()
    trials, lost = collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix='soak-') as place:
        soak = Soak(pathlib.Path(place), seed)
        while time.monotonic() - begin < 60 * minutes:
            for experiment in EXPERIMENTS:
                name = experiment.__name__
                try:
                    experiment(soak)
                except Exception as error:
                    lost.append(f'{name}: {type(error).__name__}: {error}')
                    print(lost[-1], flush=True)
                trials[name] += 1
                print(
                    f'{(time.monotonic() - begin) / 60:.1f} min  '
                    f'{dict(trials)}  lost {len(lost)}',
                    flush=True,
                )
        if hasattr(soak, 'server'):
            soak.server.process.terminate()
    figures = {
        'minutes': round((time.monotonic() - begin) / 60, 1),
        'seed': seed,
        'trials': dict(trials),
        'faults': dict(sorted(soak.counts.items())),
        'lost': lost,
        'command': f'bash scripts/soak.sh {sys.argv[1]}',
        'commit': recording.commit(),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    file.write_text(json.dumps(figures, indent=2) + '\n')
    print(json.dumps(figures, indent=2))
    sys.exit(bool(lost))


if __name__ == '__main__':
    main()
