"""Merges concurrent requests for one function into one call."""

import asyncio
import collections
import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass
class _Request:
    """A waiting request.

    Attributes:
      inputs: name -> array [rows, ...].
      rows: their common number of rows, or -1 if they have none.
      shapes: (name, shape of a row) of each input, sorted.
      answer: the outputs, or the exception, once they are known.
    """

    inputs: Arrays
    rows: int
    shapes: tuple
    answer: asyncio.Future


class Merger:
    """Answers many requests with as few calls of a function as possible.

    The requests that arrive during a call form the next call. No request waits
    for others to join it. If a merged call fails, each of its requests is
    computed again by itself, so a bad row fails only its own request.

    Args:
      function: arrays of rows -> arrays of rows. The rows must not depend on
        each other. If an output has another number of rows, the requests are
        computed one by one. One call runs at a time, in a thread of
        `executor`.
      executor: provides the threads.
      max_rows: the most rows in a merged call. A larger request is computed
        by itself.
    """

    def __init__(
        self,
        function: Callable[[Arrays], Arrays],
        executor: Executor,
        max_rows: int,
    ):
        self._function, self._executor = function, executor
        self._max_rows = max_rows
        self._waiting = collections.deque()
        self._worker: asyncio.Task | None = None

    async def __call__(self, inputs: Arrays) -> Arrays:
        """Returns the function's outputs for the rows of `inputs`.

        Raises:
          Exception: the error of the function for these inputs.
        """
        loop = asyncio.get_running_loop()
        counts = {len(v) if v.ndim else -1 for v in inputs.values()}
        # The function reports inputs with different numbers of rows.
        rows = counts.pop() if len(counts) == 1 else -1
        shapes = tuple(sorted((k, v.shape[1:]) for k, v in inputs.items()))
        request = _Request(inputs, rows, shapes, loop.create_future())
        self._waiting.append(request)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _work(self):
        """Answers waiting requests until none is left."""
        loop = asyncio.get_running_loop()
        batch = []
        try:
            while batch := self._take():
                answers = await loop.run_in_executor(
                    self._executor, self._answers, [r.inputs for r in batch]
                )
                for request, answer in zip(batch, answers, strict=True):
                    _settle(request, answer)
        finally:
            # After any failure, no request may wait for ever.
            for request in [*batch, *self._waiting]:
                _settle(request, RuntimeError('the server is stopping'))
            self._waiting.clear()
            self._worker = None

    def _take(self):
        """Takes the first waiting request and those that merge with it."""
        # Drop the requests of clients that have disconnected.
        self._waiting = collections.deque(
            r for r in self._waiting if not r.answer.done()
        )
        if not self._waiting:
            return []
        first = self._waiting.popleft()
        batch, rows, left = [first], first.rows, collections.deque()
        while self._waiting and first.rows > 0:
            other = self._waiting.popleft()
            fits = other.shapes == first.shapes and other.rows > 0
            if fits and rows + other.rows <= self._max_rows:
                batch.append(other)
                rows += other.rows
            else:
                left.append(other)
        self._waiting = left + self._waiting
        return batch

    def _answers(self, batch):
        """Returns the outputs, or the exception, of each request."""
        try:
            if len(batch) == 1:
                return [self._function(batch[0])]
            return self._together(batch)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [self._answers([inputs])[0] for inputs in batch]

    def _together(self, batch):
        """Computes several requests in one call and splits the outputs."""
        merged = {
            name: np.concatenate([inputs[name] for inputs in batch])
            for name in batch[0]
        }
        outputs = self._function(merged)
        rows = [len(next(iter(inputs.values()))) for inputs in batch]
        if any(v.shape[:1] != (sum(rows),) for v in outputs.values()):
            raise ValueError('an output has no row for each row of the inputs')
        ends = np.cumsum(rows)
        return [
            {name: value[end - count : end] for name, value in outputs.items()}
            for count, end in zip(rows, ends, strict=True)
        ]


def _settle(request, answer):
    """Gives a request its outputs or its exception."""
    if request.answer.done():  # answered before, or the client disconnected
        return
    if isinstance(answer, Exception):
        request.answer.set_exception(answer)
    else:
        request.answer.set_result(answer)
