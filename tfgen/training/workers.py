"""The machines of TF_CONFIG: whether they come, and which one is lost."""

import contextlib
import json
import os
import re
import socket
import time
from typing import NamedTuple

import tensorflow as tf

from tfgen.errors import UserError

# Seconds in which all workers must have started.
PATIENCE = 600.0
_PAUSE = 0.2  # seconds between two tries
_TRY = 2.0  # seconds of a try


class Cluster(NamedTuple):
    """The content of TF_CONFIG.

    Attributes:
      places: 'worker 0' -> 'host:port', for all processes.
      own: the name of this process.
    """

    places: dict[str, str]
    own: str


def cluster() -> Cluster:
    """Reads TF_CONFIG.

    Raises:
      UserError: it is missing or wrong.
    """
    text = os.environ.get('TF_CONFIG', '')
    try:
        stored = json.loads(text)
        kinds, task = stored['cluster'], stored['task']
        places = {
            f'{kind} {number}': place
            for kind, found in kinds.items()
            for number, place in enumerate(found)
        }
        own = f'{task["type"]} {task["index"]}'
        sound = bool(kinds['worker']) and own in places
        sound &= task['type'] in ('worker', 'chief')
        sound &= all(re.fullmatch(r'\S+:\d+', p) for p in places.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise UserError(
            f'TF_CONFIG is {text!r}: multiworker needs {{"cluster": {{"worker":'
            ' ["host:port", ...]}, "task": {"type": "worker", "index": N}}'
        )
    twice = [p for p in places.values() if [*places.values()].count(p) > 1]
    if twice or len(kinds.get('chief', ())) > 1:
        what = f'{twice[0]!r} twice' if twice else 'more than one chief'
        raise UserError(
            f'TF_CONFIG names {what}: give each process its own place'
        )
    return Cluster(places, own)


def gather(found: Cluster) -> None:
    """Waits until every other process of the cluster has started.

    TensorFlow itself would wait without a word. This process listens at its
    place until it has reached all others. Then TensorFlow listens there, so
    those that are slower reach it, too.

    Raises:
      UserError: the place is taken, or a process has not come in PATIENCE
        seconds.
    """
    port = int(found.places[found.own].rpartition(':')[2])
    six = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if six else socket.AF_INET
    try:
        own = socket.create_server(
            ('', port), family=family, dualstack_ipv6=six
        )
    except OSError as error:
        raise UserError(
            f'{found.own} of TF_CONFIG cannot listen at port {port} '
            f'({error.strerror}): end the process that does, or give each '
            'process an index of its own'
        ) from None
    end = time.monotonic() + PATIENCE
    with own:
        for name, place in found.places.items():
            while name != found.own and not _listens(place):
                if time.monotonic() > end:
                    raise UserError(
                        f'{name} ({place}) has not come within '
                        f'{PATIENCE:.0f} s: start it, or correct TF_CONFIG, '
                        'and start all workers again'
                    )
                time.sleep(_PAUSE)


def _listens(place):
    """Whether a process listens at 'host:port'."""
    host, _, port = place.rpartition(':')
    with contextlib.suppress(OSError):
        socket.create_connection((host.strip('[]'), int(port)), _TRY).close()
        return True
    return False


def lost(error: tf.errors.OpError) -> UserError:
    """The message for an error of TensorFlow that says a worker has ended."""
    named = re.search(r'/job:(\w+)/replica:\d+/task:(\d+)', error.message)
    who = 'another worker'
    if named:
        name = f'{named[1]} {named[2]}'
        who = f'{name} ({cluster().places.get(name, "unknown place")})'
    why = re.search(r'aborted by: (.*)', error.message)
    reason = why[1] if why else error.message.strip().split('\n')[-1]
    return UserError(
        f'{who} has ended ({reason[:80]}): read its output, fix the cause, and '
        'start all workers again; they continue from the last checkpoint'
    )
