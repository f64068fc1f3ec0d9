"""Runs scripts with wrong arguments, each in a forked child.

    python tests/wrong_uses.py CASES.json

Reads [[script, [arguments]], ...] from standard input and writes
[[exit status, stderr], ...] to CASES.json. TensorFlow is imported once,
before the forks, and starts no thread until a child uses it.
"""

import json
import os
import pathlib
import runpy
import sys
import tempfile

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import raised
import tensorflow_datasets  # noqa: F401

from tfgen import evaluation  # noqa: F401
from tfgen.training import run  # noqa: F401

raised.watch()
SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / 'scripts'


def _child(script, arguments, file):
    os.dup2(file.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = [script, *arguments]
    status = 0
    (path,) = SCRIPTS.rglob(script)
    sys.path.insert(0, str(path.parent))  # as when a script is run
    try:
        runpy.run_path(str(path), run_name='__main__')
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException as error:
        sys.stderr.write(f'UNCAUGHT {type(error).__name__}: {error}\n')
        status = 1
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    results = []
    for script, arguments in json.load(sys.stdin):
        with tempfile.TemporaryFile() as file:
            child = os.fork()
            if child == 0:
                _child(script, arguments, file)
            _, status = os.waitpid(child, 0)
            file.seek(0)
            stderr = file.read().decode(errors='replace')
        results.append([os.waitstatus_to_exitcode(status), stderr])
    pathlib.Path(sys.argv[1]).write_text(json.dumps(results))


if __name__ == '__main__':
    main()
