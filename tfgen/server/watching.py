"""A run for the explorer's page, while it trains or after.

    GET    /explorer/run                step, curves, settings, steps of samples
    GET    /explorer/run/samples/STEP   the picture of samples at a step
    POST   /explorer/run                {"do": "stop"} stops its training

The training is another process, on this machine or elsewhere. Stopping sends
SIGTERM, so its step is saved. That needs a process on this machine.
"""

import asyncio
import json
import math
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tfgen import storage
from tfgen.errors import UserError
from tfgen.server.own_pages import Refused, answered, json_object
from tfgen.training import stopping
from tfgen.training.history import History, read_history

_POINTS = 400  # of a curve, at most
_REST = 20  # times the time that the curves took, until they are read again
_PICTURE = re.compile(r'step_(\d+)\.png')


class Watched:
    """The run in a workdir, which may not exist yet.

    Args:
      folder: the workdir, from storage.place.
      stops: whether a page may stop the training.
    """

    def __init__(self, folder: pathlib.Path, stops: bool):
        self._folder, self._stops = folder, stops
        self._stamp, self._history, self._written = None, History(), 0.0
        self._reading, self._due = threading.Lock(), 0.0
        self._stopped: int | None = None  # the process that was told to stop

    def routes(self) -> list[Route]:
        path = '/explorer/run'
        return [
            Route(path, answered(self._tell)),
            Route(path, answered(self._stop), methods=['POST']),
            Route(path + '/samples/{step:int}', answered(self._picture)),
        ]

    async def _tell(self, _: Request) -> Response:
        return JSONResponse(await self._read(self._facts))

    async def _picture(self, request: Request) -> Response:
        files = await self._read(self._picture_files)
        file = files.get(request.path_params['step'])
        if not file:
            raise Refused(404, 'there is no picture of this step')
        content = await self._read(file.read_bytes)
        # A new run in this workdir draws other pictures.
        headers = {'Cache-Control': 'no-cache'}
        return Response(content, headers=headers, media_type='image/png')

    async def _stop(self, request: Request) -> Response:
        if await json_object(request) != {'do': 'stop'}:
            raise Refused(400, 'ask for {"do": "stop"}')
        trains, process = await self._read(
            lambda: stopping.holder(self._folder)
        )
        if not trains:
            raise Refused(409, 'no process trains here')
        if not (self._stops and process):
            raise Refused(
                403,
                'the training cannot be stopped from this page: send SIGTERM '
                'to its process',
            )
        # A second signal would end the process before its step is saved.
        if process != self._stopped:
            try:
                os.kill(process, signal.SIGTERM)
            except ProcessLookupError:
                raise Refused(409, 'no process trains here') from None
            except PermissionError:
                raise Refused(
                    403, f'process {process} belongs to another user'
                ) from None
            self._stopped = process
        return Response(status_code=204)

    async def _read(self, work: Callable[[], Any]):
        """What `work` reads of the workdir, in a thread."""
        try:
            return await asyncio.to_thread(work)
        except (OSError, ValueError, LookupError, UserError) as error:
            raise Refused(
                503, f'{str(self._folder)!r} cannot be read now ({error!r})'
            ) from None

    def _facts(self):
        """The content of the page."""
        where = {'workdir': str(self._folder)}
        file = self._folder / 'config.json'
        if not file.exists():
            return where | {'state': 'waiting'}
        config = json.loads(file.read_text())
        fields = config['fields']
        trains, process = stopping.holder(self._folder)
        history = self._curves(trains)
        steps = history.get('step', [])
        step = int(steps[-1]) if len(steps) else 0
        state = 'finished' if step >= fields['steps'] else 'stopped'
        if trains:
            told = process and process == self._stopped
            state = 'stopping' if told else 'training'
        return where | {
            'state': state,
            'stops': bool(state == 'training' and process and self._stops),
            'preset': config['preset'],
            'model': config.get('model'),  # an earlier tfgen wrote none
            'step': step,
            'steps': fields['steps'],
            'seconds_left': self._left(history, fields) if trains else None,
            'settings': {'seed': config['seed'], **fields},
            'curves': {
                name: _thinned(steps, values)
                for name, values in history.items()
                if name != 'step'
            },
            'pictures': sorted(self._picture_files()),
        }

    def _curves(self, trains):
        """The curves; they are read anew if their files have changed."""
        with self._reading:
            begin = time.monotonic()
            if trains and begin < self._due:
                return self._history
            files = storage.entries(self._folder / 'summaries')
            found = [(f, f.stat()) for f in sorted(files)]
            stamp = [(str(f), s.st_size, s.st_mtime) for f, s in found]
            if stamp != self._stamp:
                self._written = max((s.st_mtime for _, s in found), default=0.0)
                self._history, self._stamp = read_history(self._folder), stamp
            # Reading long ones must not take the time of others.
            end = time.monotonic()
            self._due = end + _REST * (end - begin)
            return self._history

    def _left(self, history, fields):
        """The seconds to the last step, at the pace of the last point."""
        paces = np.asarray(history.get('examples_per_second', []))
        paces = paces[paces > 0]
        if not len(paces):
            return None
        pace = paces[-1]
        steps = fields['steps'] - int(history['step'][-1])
        seconds = steps * fields['batch_size'] / float(pace)
        return max(0.0, seconds - (time.time() - self._written))

    def _picture_files(self):
        """step -> file of the samples."""
        named = {
            _PICTURE.fullmatch(file.name): file
            for file in storage.entries(self._folder / 'samples')
        }
        return {int(match[1]): file for match, file in named.items() if match}


def _thinned(steps, values):
    """A curve as pairs of lists: steps, and values that are null if NaN."""
    known = ~np.isnan(values)
    steps, values = steps[known], values[known]
    # From the last point backwards, so that this one stays.
    every = -max(1, math.ceil(len(steps) / _POINTS))
    told = [v if math.isfinite(v) else None for v in values[::every].tolist()]
    return [steps[::every][::-1].tolist(), told[::-1]]
