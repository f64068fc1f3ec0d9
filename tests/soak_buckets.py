"""Trainings and exports in a bucket that fails, and that kills them."""

import collections
import os
import re
import shutil
import sys
import time

import buckets
import numpy as np
import tiny
from soak_trainings import HANGS, MODELS, Lost, start

import tfgen
from tfgen.errors import UserError

# A lock is lost after two minutes; here, sooner.
_PERIOD, _STALE = 0.5, 5.0
_CODE = f"""
import runpy, sys
from tfgen.storage import heartbeat
heartbeat.PERIOD, heartbeat.STALE = {_PERIOD}, {_STALE}
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')
"""
_PAUSE = 2.0  # seconds between two tries of a user
_PATIENCE = 600.0  # seconds of tries
_OUTAGE = 60.0  # seconds
_FAULTS = {
    '503': lambda n: {'status': 503, 'times': n},
    'dropped before the work': lambda n: {'drop': 'before', 'times': n},
    'dropped after the work': lambda n: {'drop': 'after', 'times': n},
    'slow': lambda n: {'delay': 0.5, 'times': 10 * n},
    'no permission': lambda n: {'status': 403, 'times': buckets.FOREVER},
    'gone for a minute': lambda n: {
        'drop': 'before',
        'times': buckets.FOREVER,
        'seconds': _OUTAGE,
    },
    'killed before the work': lambda n: {'drop': 'before', 'kill': None},
    'killed after the work': lambda n: {'drop': 'after', 'kill': None},
}


def trainings(soak) -> None:
    """A training meets a fault at a random request, until it is complete."""
    _train(soak, 'one')


def workers(soak) -> None:
    """Two workers meet a fault at a random request, until both are complete."""
    _train(soak, 'multiworker')


def exports(soak) -> None:
    """An export meets a fault at a random request."""
    server, model = _server(soak), soak.random.choice(MODELS)
    run, folder = f'gs://soak/{model}', f'gs://soak/exports/{model}'
    command = [sys.executable, tiny.script('export')]
    command += [f'--workdir={run}', f'--model_dir={folder}']
    if folder not in server.drawn:
        _complete(server, soak.command(model, 'one', run), 'one')
        server.requests[folder] = server.count(
            lambda: _complete(server, command, 'one')
        )
        server.drawn[folder] = _sample(folder)
    name, rule = _choose(soak, server.requests[folder])
    soak.counts[f'export: {name}'] += 1
    _complete(server, command, 'one', rule, lambda: _require(server, folder))
    _require(server, folder)
    versions = collections.defaultdict(set)
    for file in server.names(f'exports/{model}/'):
        version, _, rest = file.partition('/')
        versions[version].add(rest)
    for number, files in versions.items():
        if 'saved_model.pb' not in files and number not in server.seen[folder]:
            soak.left['version of an export without saved_model.pb'] += 1
            server.seen[folder].add(number)


def _require(server, folder):
    """The newest complete version of an export draws as the first one did."""
    if not np.array_equal(_sample(folder), server.drawn[folder]):
        raise Lost(f'{folder}: another sample')


def _sample(folder):
    """Three examples of the newest version of an export."""
    return np.asarray(tfgen.load(folder).sample(3))


def _train(soak, strategy):
    server, model = _server(soak), soak.random.choice(MODELS)
    soak.reference(model, strategy)
    key = model, strategy
    command = [sys.executable, '-c', _CODE]

    def at(path):
        return [*command, *soak.command(model, strategy, path)[1:]]

    if key not in server.requests:
        path = f'gs://soak/whole/{model}_{strategy}'
        server.requests[key] = server.count(
            lambda: _complete(server, at(path), strategy)
        )
        soak.require_equal(path, model, strategy)
        server.files[key] = _kinds(server, path)
    path = f'gs://soak/{soak.new("run").name}'
    name, rule = _choose(soak, server.requests[key])
    soak.counts[f'{strategy}: {name}'] += 1
    tries, slowest = _complete(server, at(path), strategy, rule)
    soak.counts[f'{strategy}: started again'] += tries - 1
    longest = f'{strategy}: longest seconds from the first end to the last'
    soak.counts[longest] = max(soak.counts[longest], round(slowest))
    soak.require_equal(path, model, strategy)
    found = _kinds(server, path)
    soak.left.update(found - server.files[key])
    soak.left.update(
        {f'missing: {k}': n for k, n in (server.files[key] - found).items()}
    )


def _choose(soak, requests):
    """A fault at one of the requests of a command: its name and rule."""
    name = soak.random.choice(list(_FAULTS))
    rule = _FAULTS[name](soak.random.randint(1, 4))
    # The clients try a request again several times, as they do by default, or
    # hardly.
    default = soak.random.random() < 0.5
    skip = soak.random.randrange(requests)
    return name, rule | {'skip': skip, 'default': default}


def _complete(server, command, strategy, rule=None, between=None):
    """Repeats a command until it succeeds; only the first try meets a fault.

    Args:
      between: is called after each failure.

    Returns:
      The number of tries, and the longest time in which one process of a try
      outlived another.
    """
    rule = dict(rule or {})
    env = server.env(rule.pop('default', False))
    tries, slowest, begin = 0, 0.0, time.monotonic()
    while True:
        tries += 1
        processes = start(command, strategy, env)
        if rule and tries == 1:
            if 'kill' in rule:
                rule['kill'] = server.random.choice(processes).pid
            server.bucket.faults(rule)
        outputs, seconds = _outputs(processes)
        slowest = max(slowest, seconds)
        statuses = [process.returncode for process in processes]
        if not any(statuses):
            server.bucket.faults()
            return tries, slowest
        for output in outputs:
            if 'Traceback' in output:
                raise Lost(f'{rule}: a traceback: {output[-1500:]}')
        if time.monotonic() - begin > _PATIENCE or not rule:
            raise Lost(f'{rule}: no end; at last {statuses}: {outputs}')
        if 'seconds' not in rule:
            server.bucket.faults()
        if between and 'seconds' not in rule:
            between()
        killed = -9 in statuses
        time.sleep(_STALE + _PAUSE if killed else _PAUSE)


def _outputs(processes):
    """The outputs, and the seconds from the first end to the last."""
    ends, outputs = [], []
    deadline = time.monotonic() + HANGS
    while len(ends) < len(processes):
        ended = sum(process.poll() is not None for process in processes)
        ends += [time.monotonic()] * (ended - len(ends))
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
            raise Lost('a process hangs')
        time.sleep(0.1)
    for process in processes:
        outputs.append(process.communicate()[0])
    return outputs, ends[-1] - ends[0]


def _kinds(server, path):
    """The kinds of files of a run, and their numbers.

    Each start of a training leaves a file of summaries.
    """
    folder = path.removeprefix('gs://soak/') + '/'
    return collections.Counter(
        re.sub(r'[0-9a-f]{32}', 'ID', name)
        for name in server.names(folder)
        if 'tfevents' not in name
    )


def _server(soak):
    if soak.bucket is None:
        soak.bucket = _Server(soak)
    return soak.bucket


class _Server:
    """The bucket gs://soak.

    Attributes:
      requests: a kind of command -> number of its requests.
      files: a kind of training -> the files that it leaves, see `_kinds`.
      drawn: the folder of an export -> what its versions draw.
      seen: the folder of an export -> incomplete versions that were counted.
    """

    def __init__(self, soak):
        if shutil.which('openssl') is None:
            raise UserError('the bucket needs openssl: install it')
        self.bucket, self.random = buckets.Bucket('soak'), soak.random
        self.requests, self.files, self.drawn = {}, {}, {}
        self.seen = collections.defaultdict(set)
        os.environ.update(self.bucket.env)  # this process reads it, too

    def close(self):
        self.bucket.close()

    def env(self, default):
        """The environment of a client; `default`: with the usual retries."""
        return {
            name: value
            for name, value in os.environ.items()
            if not (default and name.startswith('GCS_RETRY'))
        }

    def count(self, function):
        """The number of requests during function()."""
        before = len(self.bucket.ask('/log'))
        function()
        return len(self.bucket.ask('/log')) - before

    def names(self, prefix):
        """The names of objects, after a prefix."""
        prefix = f'soak/{prefix}'
        found = self.bucket.ask('/objects')
        return [n.removeprefix(prefix) for n in found if n.startswith(prefix)]
