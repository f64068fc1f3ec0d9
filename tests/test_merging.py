"""Merged requests get the same answers as single ones."""

import asyncio
import concurrent.futures
import threading

import numpy as np
import pytest

from tfgen.server.merging import Merger


class _Busy:
    """Doubles rows; the first call waits for `go`; records all calls."""

    def __init__(self):
        self.calls, self.go = [], threading.Event()

    def __call__(self, inputs):
        self.calls.append(len(inputs['x']))
        if len(self.calls) == 1:
            self.go.wait(60)
        if (inputs['x'] < 0).any():
            raise ValueError('x must not be negative')
        return {'y': 2 * inputs['x']}


def _ask(requests, max_rows=64):
    """Sends requests during the first call; returns answers and calls."""
    busy = _Busy()

    async def main():
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            merger = Merger(busy, threads, max_rows)
            tasks = []
            for x in requests:
                request = merger({'x': np.asarray(x)})
                tasks.append(asyncio.create_task(request))
                while not busy.calls:  # until the first call has begun
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0)
            busy.go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main()), busy.calls


def _assert_doubled(answers, requests):
    for answer, request in zip(answers, requests, strict=True):
        np.testing.assert_array_equal(answer['y'], 2 * np.asarray(request))


def test_what_waits_is_computed_at_once():
    requests = [[1], [2, 3], [4], [5, 6, 7]]
    answers, calls = _ask(requests)
    _assert_doubled(answers, requests)
    assert calls == [1, 6]


def test_no_more_rows_are_merged_than_may_be_but_all_are_answered():
    requests = [[1], [2, 3], [4, 5], [6], [7] * 9]
    answers, calls = _ask(requests, max_rows=3)
    _assert_doubled(answers, requests)
    assert calls == [1, 3, 2, 9]


def test_other_shapes_are_not_merged():
    requests = [[1], [2], [[3, 4]], [5], []]
    answers, calls = _ask(requests)
    _assert_doubled(answers, requests)
    assert sorted(calls[1:]) == [0, 1, 2]


def test_a_refused_row_fails_its_own_request_alone():
    requests = [[1], [2], [-3, 4], [5]]
    answers, _ = _ask(requests)
    _assert_doubled([answers[i] for i in (0, 1, 3)], [[1], [2], [5]])
    with pytest.raises(ValueError, match='must not be negative'):
        raise answers[2]


@pytest.mark.parametrize('outputs', [np.float64(1.0), np.arange(2.0)])
def test_outputs_that_are_no_rows_are_not_cut(outputs):
    async def main():
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            merger = Merger(lambda _: {'y': np.asarray(outputs)}, threads, 64)
            for _ in range(2):  # the merger works after a failure
                answers = await asyncio.gather(
                    *[merger({'x': np.arange(3)}) for _ in range(4)]
                )
                for answer in answers:
                    np.testing.assert_array_equal(answer['y'], outputs)

    asyncio.run(main())


def test_who_has_gone_is_not_computed_for():
    busy = _Busy()

    async def main():
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            merger = Merger(busy, threads, 64)
            tasks = []
            for x in (1, 2, 3):
                request = merger({'x': np.array([x])})
                tasks.append(asyncio.create_task(request))
                while not busy.calls:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.sleep(0)
            busy.go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    first, gone, last = asyncio.run(main())
    assert isinstance(gone, asyncio.CancelledError)
    assert (first['y'], last['y']) == ([2], [6])
    assert busy.calls == [1, 1]


def test_whatever_happens_nobody_waits_for_ever():
    async def main():
        threads = concurrent.futures.ThreadPoolExecutor(1)
        merger = Merger(lambda inputs: inputs, threads, 64)
        threads.shutdown()
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await asyncio.wait_for(merger({'x': np.arange(3)}), 60)

    asyncio.run(main())
