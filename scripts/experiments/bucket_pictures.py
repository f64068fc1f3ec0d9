"""Measures a folder of pictures on a disk and in a bucket.

    python scripts/experiments/bucket_pictures.py [--output=results/bucket.json]

The bucket is the one of the tests, tests/gcs.py, on this machine: once as it
is, and once with a delay of 20 ms per request. Each start is a process of its
own. The second start finds the decoded pictures, which are kept on the machine.
"""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy as np
from absl import flags
from PIL import Image

from tfgen import data, storage
from tfgen.commands import cli

flags.DEFINE_string('output', None, 'JSON file for the figures.')
flags.DEFINE_integer('pictures', 30_000, 'Their number.', lower_bound=100)
flags.DEFINE_string('start', None, 'Only one start on this folder, as JSON.')

_DELAY = 0.02  # seconds
_BATCH = 100
_SECONDS = 5.0  # of reading batches


def main() -> None:
    number = flags.FLAGS.pictures
    if flags.FLAGS.start:
        print(json.dumps(_start(flags.FLAGS.start)))
        return
    figures = {'pictures': number, 'delay': _DELAY, 'places': {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / 'pictures'
        _draw(folder, number)
        figures['places']['disk'] = _starts(folder, scratch, {})
        server = subprocess.Popen(
            [sys.executable, 'tests/gcs.py', 'test'],
            stdout=subprocess.PIPE,
            text=True,
        )
        # Its other settings are those of the tests.
        env = {
            name: value
            for name, value in json.loads(server.stdout.readline()).items()
            if not name.startswith('GCS_')
        }
        os.environ.update(env)
        there = storage.place('gs://test/pictures')
        files = sorted(folder.iterdir())
        begin = time.monotonic()
        targets = [there / file.name for file in files]
        for _ in storage.in_parallel(
            lambda t: t.write_bytes((folder / t.name).read_bytes()), targets
        ):
            pass
        figures['upload_seconds'] = round(time.monotonic() - begin, 1)
        for name, delay in (('bucket', 0.0), ('bucket, 20 ms', _DELAY)):
            rule = {'delay': delay, 'times': 10**9}
            _ask(env, '/faults', [rule])
            before = len(_ask(env, '/log'))
            found = _starts(there, scratch, env)
            found['requests'] = len(_ask(env, '/log')) - before
            figures['places'][name] = found
        server.kill()
        server.wait()
    figures['date'] = datetime.date.today().isoformat()
    figures['machine'] = f'{platform.machine()}, {os.cpu_count()} CPU cores'
    print(json.dumps(figures, indent=2))
    if flags.FLAGS.output:
        storage.write_json(cli.path(flags.FLAGS.output), figures)


def _draw(folder, number):
    """Writes grey pictures of 28x28."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(number):
        pixels = random.integers(0, 256, [7, 7], np.uint8)
        Image.fromarray(np.kron(pixels, np.ones([4, 4], np.uint8))).save(
            folder / f'{i:06}.png'
        )


def _starts(folder, scratch, env):
    """Two starts on a folder, with an empty cache at first."""
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        env = os.environ | env | {'XDG_CACHE_HOME': cache}
        command = [sys.executable, __file__, f'--start={folder}']
        found = []
        for _ in range(2):
            done = subprocess.run(
                command, env=env, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return {'first_start': found[0], 'second_start': found[1]}


def _start(folder):
    """Seconds until the data are open, and batches per second."""
    begin = time.monotonic()
    opened = data.load(f'folder:{folder}')
    seconds = time.monotonic() - begin
    batches = iter(opened.train(0, _BATCH))
    next(batches)
    begin, number = time.monotonic(), 0
    while time.monotonic() - begin < _SECONDS:
        next(batches)
        number += 1
    return {
        'seconds': round(seconds, 2),
        'batches_per_second': round(number / (time.monotonic() - begin)),
    }


def _ask(env, path, content=None):
    """Asks the bucket's server; see tests/gcs.py."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(env['https_proxy'] + path, body)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return json.load(opener.open(request))


if __name__ == '__main__':
    cli.run(main)
