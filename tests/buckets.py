"""A bucket on this machine, and processes that use it."""

import functools
import json
import os
import subprocess
import sys
import textwrap
import urllib.request

import processes
import tiny

FOREVER = 10**6  # times


class Bucket:
    """The server of gcs.py, and scripts that use it.

    Args:
      name: of its bucket.

    Attributes:
      env: the environment of its clients.
    """

    def __init__(self, name='test'):
        self.process = subprocess.Popen(
            [sys.executable, tiny.ROOT / 'tests' / 'gcs.py', name],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.env = json.loads(self.process.stdout.readline())

    @functools.cached_property
    def forks(self):
        return processes.Forks(env=os.environ | self.env)

    def close(self):
        if 'forks' in self.__dict__:
            self.forks.close()
        self.process.kill()
        self.process.wait()

    def ask(self, path, content=None):
        """The answer to a request for control; see gcs.py."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.env['https_proxy'] + path, body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return json.load(opener.open(request))

    def faults(self, *rules):
        self.ask('/faults', list(rules))

    def start(self, code, *arguments):
        command = [sys.executable, '-c', textwrap.dedent(code), *arguments]
        return self.forks.start(
            command, stdout=processes.PIPE, stderr=processes.PIPE
        )

    def outcome(self, code, *arguments):
        with self.start(code, *arguments) as fork:
            texts = fork.communicate()
        return subprocess.CompletedProcess(code, fork.returncode, *texts)

    def run(self, code, *arguments):
        """The output of a script that must succeed."""
        done = self.outcome(code, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def command(self, *words):
        """The outcome of `tfgen WORDS`."""
        return self.outcome(
            'import sys\n'
            'from tfgen.commands.main import run\n'
            'sys.argv[0] = "tfgen"\n'
            'run()',
            *words,
        )


def assert_one_line(done, *said):
    """Checks that a script ended with one line for its user."""
    last = done.stderr.strip().split('\n')[-1]
    assert done.returncode != 0
    for words in said:
        assert words in last, done.stderr
    assert len(last) < 400
