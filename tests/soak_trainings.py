"""What the experiments of soak.py share: trainings, and their comparison."""

import collections
import json
import os
import pathlib
import random
import subprocess

import numpy as np
import processes
import tiny

MODELS = ('cvae', 'dcgan', 'ebgan', 'pixelrnn', 'gmm', 'rbm')
HANGS = 300  # seconds after which a process counts as hanging
_FLAGS = ('--jit=off', '--set=checkpoint_every=5', '--set=log_every=1')


class Lost(Exception):
    """Something was lost; the message says what."""


class Soak:
    """The state of a soak.

    Args:
      place: an empty folder.
      seed: of all choices.

    Attributes:
      random: a random.Random.
      data: the folder of TFDS.
      counts: fault -> how often it was injected, or seen.
      left: kind of object left behind in a bucket -> number.
      server, bucket: see soak_requests and soak_buckets.
    """

    def __init__(self, place: pathlib.Path, seed: int):
        self.place, self.random = place, random.Random(seed)
        self.data = str(place / 'tfds')
        self.counts = collections.Counter()
        self.left = collections.Counter()
        self.server = self.bucket = None  # of soak_requests and soak_buckets
        self._references = {}
        self._number = 0

    def close(self):
        for used in (self.server, self.bucket):
            if used is not None:
                used.close()

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
            for process in start(self.command(model, strategy, path), strategy):
                end(process)
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


def start(command, strategy, env=None):
    """Starts the processes of a training: one, or two workers."""
    configs = [{}]
    if strategy == 'multiworker':
        places = [f'localhost:{port}' for port in processes.free_ports(2)]
        cluster = {'worker': places}
        tasks = [{'type': 'worker', 'index': i} for i in range(2)]
        configs = [
            {'TF_CONFIG': json.dumps({'cluster': cluster, 'task': task})}
            for task in tasks
        ]
    return [
        subprocess.Popen(
            command,
            env=(env or os.environ) | config,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for config in configs
    ]


def end(process):
    """Waits for the end of a process that must succeed."""
    output, _ = process.communicate(timeout=HANGS)
    if process.returncode:
        raise Lost(f'status {process.returncode}: {output[-500:]}')
