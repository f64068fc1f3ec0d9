"""Runs scripts in forks of one process, which has imported TensorFlow.

    python tests/forks.py

Reads requests from standard input, a line of JSON each, and answers each with
the exit status. The import takes seconds, and most scripts of the tests less.
TensorFlow starts no thread until a child uses it, so the fork is safe.
"""

import json
import os
import runpy
import sys
import traceback

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import raised
import tensorflow_datasets  # noqa: F401

from tfgen import evaluation  # noqa: F401
from tfgen.training import run  # noqa: F401

raised.watch()


def _child(request):
    """Becomes the script: its arguments, folder, environment and streams."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        os.dup2(os.open(request[name], os.O_WRONLY), number)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    script, *_ = sys.argv = request['arguments']
    sys.path[0] = os.path.dirname(script)  # as when a script is run
    status = 0
    try:
        runpy.run_path(script, run_name='__main__')
    except SystemExit as stop:
        status = stop.code or 0
        if isinstance(status, str):
            sys.stderr.write(f'{status}\n')
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # nothing else may be written among the answers
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(request)
        _, status = os.waitpid(child, 0)
        answers.write(f'{os.waitstatus_to_exitcode(status)}\n')
        answers.flush()


if __name__ == '__main__':
    main()
