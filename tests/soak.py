"""Injects faults for a given time: bash scripts/soak.sh MINUTES.

Each experiment injects one fault after another and checks that nothing is
lost. Losses are a weight that differs in a bit, a wrong answer to a request,
or an error message of more than one line. Actions and findings are written as
JSON.
"""

import collections
import datetime
import json
import os
import pathlib
import platform
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# As in the tests: the last bits depend on the number of threads.
os.environ.setdefault('TF_NUM_INTEROP_THREADS', '2')
os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')

import soak_buckets
import soak_disks
import soak_requests
import soak_trainings

from tfgen.evaluation import recording

EXPERIMENTS = (
    soak_disks.kills,
    soak_disks.damages,
    soak_disks.full_disk,
    soak_disks.two_at_once,
    soak_requests.requests,
    soak_buckets.trainings,
    soak_buckets.workers,
    soak_buckets.exports,
)


def main() -> None:
    minutes, file = float(sys.argv[1]), pathlib.Path(sys.argv[2])
    seed, only = int(sys.argv[3]), sys.argv[4:]
    # The record itself changes the working tree.
    begin, commit = time.monotonic(), recording.commit()
    trials, lost = collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix='soak-') as place:
        soak = soak_trainings.Soak(pathlib.Path(place), seed)
        while time.monotonic() - begin < 60 * minutes:
            for experiment in EXPERIMENTS:
                name = experiment.__name__
                if only and name not in only:
                    continue
                try:
                    experiment(soak)
                except Exception as error:
                    lost.append(f'{name}: {type(error).__name__}: {error}')
                    print(lost[-1], flush=True)
                trials[name] += 1
                passed = (time.monotonic() - begin) / 60
                print(
                    f'{passed:.1f} min  {dict(trials)}  lost {len(lost)}',
                    flush=True,
                )
            # After each round, so that nothing is lost here, either.
            figures = _figures(passed, soak, trials, lost, commit)
            file.write_text(json.dumps(figures, indent=2) + '\n')
        soak.close()
    print(json.dumps(figures, indent=2))
    sys.exit(bool(lost))


def _figures(minutes, soak, trials, lost, commit):
    """The content of the record."""
    return {
        'minutes': round(minutes, 1),
        'seed': int(sys.argv[3]),
        'trials': dict(trials),
        'faults': dict(sorted(soak.counts.items())),
        'left_behind': dict(sorted(soak.left.items())),
        'lost': lost,
        'command': f'bash scripts/soak.sh {" ".join(sys.argv[1:])}',
        'commit': commit,
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }


if __name__ == '__main__':
    main()
