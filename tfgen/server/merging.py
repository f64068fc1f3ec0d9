"""Requests that wait for one function at the same time, computed together."""

import asyncio
import collections
import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass
class _Request:
    inputs: Arrays
    rows: int
    shapes: tuple
    answer: asyncio.Future


class Merger:
    """Calls a function of rows for many, as few times as it can.

    Whatever has come while the function was busy is computed at once, so that
    nothing waits for company that may not come. A refused row fails its own
    request alone: what was merged with it is computed again, each by itself.

    Args:
      function: arrays of rows -> arrays of rows; of rows that do not depend
        on each other. (Where an output has not as many rows, nothing is
        merged.) It runs in a thread of `executor`, once at a time.
      executor: see there.
      max_rows: of what is merged. A request of more is computed by itself.
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
        self._worker = None

    async def __call__(self, inputs: Arrays) -> Arrays:
        """The answer for the rows of `inputs`.

        Raises:
          What the function raises for them.
        """
        loop = asyncio.get_running_loop()
        counts = {len(v) if v.ndim else -1 for v in inputs.values()}
        # What has no common number of rows is for the function to refuse.
        rows = counts.pop() if len(counts) == 1 else -1
        shapes = tuple(sorted((k, v.shape[1:]) for k, v in inputs.items()))
        request = _Request(inputs, rows, shapes, loop.create_future())
        self._waiting.append(request)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _work(self):
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
            # Whatever has happened, nobody waits for ever.
            for request in [*batch, *self._waiting]:
                _settle(request, RuntimeError('the server is stopping'))
            self._waiting.clear()
            self._worker = None

    def _take(self):
        """The first that waits, and what can be merged with it; or nothing."""
        # Who has gone meanwhile wants no answer.
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
        """An answer, or the exception in its place, for each."""
        try:
            if len(batch) == 1:
                return [self._function(batch[0])]
            return self._together(batch)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [self._answers([inputs])[0] for inputs in batch]

    def _together(self, batch):
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
    if request.answer.done():  # it was answered, or the client has gone
        return
    if isinstance(answer, Exception):
        request.answer.set_exception(answer)
    else:
        request.answer.set_result(answer)
