"""A training in a process of its own, told and watched line by line.

It reads objects from its input, one a line. The first is a request, see
options.Request, with `every`, `play`, `workdir`, and `until`: the step at which
it pauses. The others are {"do": ...}: "play", "pause", "step", "every" with
"value", "keep", "end". The end of the input is "end". It writes objects to its
output, each with a "kind": "begin", "state", "kept", "error", "end". The
training is `tfgen.training.run.train` itself, in `workdir`, which is removed at
the end unless it is kept.
"""

import json
import os
import shutil
import signal
import threading
import time
from typing import Any, TextIO

import keras

from tfgen import storage
from tfgen.errors import UserError
from tfgen.lab import options
from tfgen.lab.states import States, terms
from tfgen.training import run, stopping

_PER_SECOND = 25  # states, at most
EVERY = (1, 5, 10, 20, 50, 100, 200)


class Controls:
    """What the page has asked for; the training waits for it.

    Args:
      stop: of the training.
      every: steps between two states.
      playing: whether it begins at once.
      until: the step at which it pauses; None for no such step.
    """

    def __init__(
        self,
        stop: stopping.Stop,
        every: int,
        playing: bool,
        until: int | None = None,
    ):
        self.every, self.kept, self.ended = every, False, False
        self._until = until
        self._playing, self._steps, self._stop = playing, 0, stop
        self._changed = threading.Condition()

    def read(self, lines: TextIO) -> None:
        """Follows commands until the input ends."""
        for line in lines:
            try:
                self._follow(json.loads(line))
            except ValueError:
                continue  # a broken line asks for nothing
            if self.ended:
                return
        self._follow({'do': 'end'})

    def _follow(self, asked):
        what = asked.get('do') if isinstance(asked, dict) else None
        with self._changed:
            if what == 'play':
                self._playing = True
            elif what == 'pause':
                self._playing = False
            elif what == 'step':
                self._playing, self._steps = False, self._steps + 1
            elif what == 'every' and asked.get('value') in EVERY:
                self.every = asked['value']
            elif what in ('keep', 'end'):
                self.kept = what == 'keep'
                self.ended = True
                self._stop.request(signal.SIGTERM)
            self._changed.notify_all()

    def wait(self, step: int) -> None:
        """Returns when the training may go on after a step."""
        with self._changed:
            if self._until is not None and step >= self._until:
                self._until, self._playing = None, False
            self._changed.wait_for(
                lambda: self._playing or self._steps or self.ended
            )
            if not self._playing and self._steps:
                self._steps -= 1

    def next(self, step: int) -> int:
        """The step of the next state: `every` on, or that of the pause."""
        with self._changed:
            after = step + self.every
            return after if self._until is None else min(after, self._until)


class Film(keras.callbacks.Callback):
    """Tells the state of a training, at the same steps in every run.

    Args:
      states: computes them.
      controls: of the page.
      tell: (object) -> None.
    """

    def __init__(self, states: States, controls: Controls, tell):
        super().__init__()
        self._states, self._controls, self._tell = states, controls, tell
        self._step, self._next, self._due = 0, 0, 0.0
        self._sums: dict[str, float] = {}

    def on_train_begin(self, logs=None):
        self._show({})

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        # `logs` are means over the epoch so far.
        sums = {k: float(v) * (batch + 1) for k, v in (logs or {}).items()}
        before = self._sums if batch else {}
        now = {k: v - before.get(k, 0.0) for k, v in sums.items()}
        self._sums = sums
        if self._step >= self._next:
            self._show(now)

    def _show(self, now):
        self._tell(
            {
                'kind': 'state',
                'step': self._step,
                'terms': terms(now),
                **self._states.of(self.model),
            }
        )
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = time.monotonic() + 1 / _PER_SECOND
        self._controls.wait(self._step)
        self._next = self._controls.next(self._step)


def main(lines: TextIO, output: TextIO) -> None:
    """Runs one training, from its request to its end."""

    def tell(what: dict[str, Any]) -> None:
        output.write(json.dumps(what, separators=(',', ':')) + '\n')
        output.flush()

    try:
        asked = json.loads(lines.readline())
        request = options.Request.of(asked)
        folder = storage.place(asked['workdir'])
        config, examples = request.opened()
        _run(asked, request, config, examples, folder, lines, tell)
    except UserError as error:
        tell({'kind': 'error', 'message': str(error)})


def _run(asked, request, config, examples, folder, lines, tell):
    """Trains; the workdir stays only if it is kept."""
    stop = stopping.Stop()
    every, until = asked.get('every'), asked.get('until')
    controls = Controls(
        stop,
        every if every in EVERY else request.every,
        bool(asked.get('play', True)),
        until if type(until) is int else None,
    )
    states = States(request, examples)
    reading = threading.Thread(target=controls.read, args=(lines,), daemon=True)
    tell({'kind': 'begin', 'every': controls.every, **states.first()})
    reading.start()
    try:
        film = Film(states, controls, tell)
        run.train(config, examples, folder, stop=stop, callbacks=[film])
    except stopping.Stopped:
        pass
    except BrokenPipeError:  # nobody watches any more
        controls.kept = False
    finally:
        if not controls.kept:
            shutil.rmtree(folder, ignore_errors=True)
    if controls.kept:
        tell({'kind': 'kept', 'workdir': os.fspath(folder)})
    tell({'kind': 'end'})
