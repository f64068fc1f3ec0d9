"""Trainings for the explorer's page: each is a process of its own.

    GET    /explorer/learn              what may be trained
    POST   /explorer/learn              starts a training: its first object
    GET    /explorer/learn/ID           its states as they come, one a line
    POST   /explorer/learn/ID           {"do": "play" | "pause" | "step" | ...}

See tfgen/lab/live.py for the objects. A training ends when the page that
watches it is left. Only pages of this server may ask: a request of another
origin is refused.
"""

import asyncio
import contextlib
import json
import logging
import os
import pathlib
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tfgen import storage
from tfgen.server import own_pages

_MOST = 4  # trainings at a time
_LINE = 4 * 2**20  # bytes of a state, at most
_START = 120.0  # seconds until a process must be ready, or a training begin
_UNWATCHED = 20.0  # seconds that a training waits for its page
_IDLE = 300.0  # seconds without trainings after which their starter ends
_GRACE = 5.0  # seconds until a training that was told to end is killed
_SAVE = 60.0  # the same for one that is kept
_LOG = logging.getLogger('uvicorn.error')


class _Live:
    """A training in its process.

    Args:
      number: of the process.
      reader, writer: its states, and its commands.
      folder: its workdir.
    """

    def __init__(self, number, reader, writer, folder):
        self._number, self._reader, self._writer = number, reader, writer
        self._folder, self._kept = folder, False
        self.watched, self.begun = False, time.monotonic()

    async def next(self) -> dict:
        """Its next object; "end" if there is none."""
        try:
            line = await self._reader.readline()
        except ValueError:  # a line above the limit
            line = b''
        return json.loads(line) if line else {'kind': 'end'}

    async def tell(self, what: dict) -> None:
        """Sends an object to it."""
        self._kept |= what.get('do') == 'keep'
        with contextlib.suppress(OSError):
            self._writer.write(json.dumps(what).encode() + b'\n')
            await self._writer.drain()

    async def end(self) -> None:
        """Ends it: asks, and after some seconds insists."""
        self._writer.close()  # the end of its input
        # A training whose states nobody reads would wait for a reader.
        read = asyncio.create_task(self._reader.read())
        grace = _SAVE if self._kept else _GRACE
        if not (await asyncio.wait([read], timeout=grace))[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._number, signal.SIGKILL)
        with contextlib.suppress(OSError):
            await read  # it writes until its last moment
        if not self._kept:
            await asyncio.to_thread(storage.remove_tree, self._folder)


class _Starter:
    """The process that forks the trainings; see tfgen/lab/__main__.py.

    Attributes:
      offer: what may be trained.
    """

    def __init__(self, process, reader, writer, ours, offer):
        # The connection lasts as long as the writer.
        self._process, self._reader, self._writer = process, reader, writer
        self._ours = ours
        self.offer = offer
        self._forking = asyncio.Lock()

    @staticmethod
    async def start() -> '_Starter':
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, '-m', 'tfgen.lab', str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        reader, writer = await asyncio.open_unix_connection(
            sock=ours.dup(), limit=_LINE
        )
        line = await reader.readline()
        if not line:
            ours.close()
            raise OSError('python -m tfgen.lab has ended')
        return _Starter(process, reader, writer, ours, json.loads(line))

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def fork(self, folder: pathlib.Path) -> _Live:
        """A process for one training, whose workdir is `folder`."""
        their_input, our_output = os.pipe()
        our_input, their_output = os.pipe()
        async with self._forking:
            socket.send_fds(self._ours, [b'x'], [their_input, their_output])
            os.close(their_input)
            os.close(their_output)
            line = await self._reader.readline()
        if not line:
            os.close(our_input)
            os.close(our_output)
            raise OSError('python -m tfgen.lab has ended')
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(_LINE)
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader),
            os.fdopen(our_input, 'rb'),
        )
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(our_output, 'wb')
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return _Live(json.loads(line), reader, writer, folder)

    async def end(self) -> None:
        self._writer.close()
        self._ours.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


class Learning:
    """The trainings of a server.

    Args:
      folder: where the workdirs are that a page keeps.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._runs: dict[str, _Live] = {}
        self._starter: asyncio.Task | None = None
        self._used, self._starting = 0.0, 0

    def routes(self) -> list[Route]:
        return [
            Route('/explorer/learn', own_pages.answered(self._offer)),
            Route(
                '/explorer/learn',
                own_pages.answered(self._start),
                methods=['POST'],
            ),
            Route('/explorer/learn/{id}', own_pages.answered(self._watch)),
            Route(
                '/explorer/learn/{id}',
                own_pages.answered(self._told),
                methods=['POST'],
            ),
        ]

    async def tidy(self) -> None:
        """Ends what nobody watches, for ever."""
        while True:
            await asyncio.sleep(2.0)
            now = time.monotonic()
            for name, live in list(self._runs.items()):
                if not live.watched and now - live.begun > _UNWATCHED:
                    await self._end(name)
            if not self._runs and now - self._used > _IDLE:
                await self._end_starter()

    async def close(self) -> None:
        """Ends all trainings."""
        for name in list(self._runs):
            await self._end(name)
        await self._end_starter()

    async def _end_starter(self):
        task, self._starter = self._starter, None
        if task:
            with contextlib.suppress(Exception):
                await (await task).end()

    async def _ready(self) -> _Starter:
        """The process that forks trainings; starts it if there is none."""
        self._used = time.monotonic()
        task = self._starter
        if (
            task
            and task.done()
            and (task.exception() or not task.result().alive)
        ):
            task = None
        if task is None:
            task = self._starter = asyncio.create_task(_Starter.start())
        try:
            return await asyncio.wait_for(asyncio.shield(task), _START)
        except (OSError, ValueError, TimeoutError) as error:
            raise _unable(error) from None

    async def _offer(self, request):
        return JSONResponse((await self._ready()).offer)

    async def _start(self, request):
        asked = await own_pages.json_object(request)
        if len(self._runs) + self._starting >= _MOST:
            raise own_pages.Refused(
                429,
                f'{_MOST} trainings run already: close a page that shows one',
            )
        self._starting += 1
        try:
            return await self._started(asked)
        finally:
            self._starting -= 1

    async def _started(self, asked):
        starter = await self._ready()
        name = secrets.token_hex(8)
        stamp = time.strftime('%Y%m%d-%H%M%S')
        folder = self._folder / f'lab-{stamp}-{name[:4]}'
        try:
            live = await starter.fork(folder)
        except OSError as error:
            raise _unable(error) from None
        await live.tell({**asked, 'workdir': str(folder)})
        try:
            first = await asyncio.wait_for(live.next(), _START)
        except BaseException:
            await live.end()
            raise
        if first['kind'] != 'begin':
            await live.end()
            raise own_pages.Refused(
                400, first.get('message', 'the training has not begun')
            )
        live.begun = time.monotonic()
        self._runs[name] = live
        return JSONResponse({'id': name, **first})

    async def _watch(self, request):
        name = request.path_params['id']
        live = self._run(name)
        if live.watched:
            raise own_pages.Refused(409, 'another page watches this training')

        async def states() -> AsyncIterator[bytes]:
            # Not before: a page may be left before it asks for a state.
            live.watched = True
            try:
                while True:
                    found = await live.next()
                    yield json.dumps(found, separators=(',', ':')).encode()
                    yield b'\n'
                    if found['kind'] == 'end':
                        return
            finally:
                # Also when the page is left.
                await asyncio.shield(self._end(name))

        return StreamingResponse(states(), media_type='application/x-ndjson')

    async def _told(self, request):
        asked = await own_pages.json_object(request)
        await self._run(request.path_params['id']).tell(asked)
        return Response(status_code=204)

    def _run(self, name):
        live = self._runs.get(name)
        if live is None:
            raise own_pages.Refused(404, 'this training has ended')
        return live

    async def _end(self, name):
        live = self._runs.pop(name, None)
        self._used = time.monotonic()
        if live:
            await live.end()


def _unable(error):
    """The refusal if no process can be started."""
    _LOG.warning('no process for trainings: %s', error)
    return own_pages.Refused(503, 'no training can be started here')
