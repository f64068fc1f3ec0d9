"""A local server with the REST API of TensorFlow Serving.

    GET  /v1/models/NAME[/versions/N|/labels/L]            status
    GET  /v1/models/NAME[/versions/N|/labels/L]/metadata   signatures
    POST /v1/models/NAME[/versions/N|/labels/L]:predict    outputs
    GET  /                                                 the explorer

It is for machines without TensorFlow Serving. docs/serve.md lists the
differences that a client can see. The server needs neither keras nor the code
of the models.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import pathlib
import re
from collections.abc import AsyncIterator, Callable, Sequence

import tensorflow as tf
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tfgen.server import rest
from tfgen.server.learning import Learning
from tfgen.server.servables import Model, Models, State, Version
from tfgen.server.watching import Watched

_PATH = re.compile(
    r'/v1/models/(?P<model>[^/:]+)'
    r'(/versions/(?P<number>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?'
    r'(?P<what>/metadata|:predict|:classify|:regress)?'
)
# See tfgen/export/surroundings.py.
_SURROUNDINGS = 'assets.extra/explorer.json'
_EXPLORER = pathlib.Path(__file__).parent / 'explorer'
_LOG = logging.getLogger('uvicorn.error')  # the serve command shows this log
_METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']
_NOT_FOUND = """<HTML><HEAD>
<TITLE>404 Not Found</TITLE>
</HEAD><BODY>
<H1>Not Found</H1>
</BODY></HTML>
"""
# HTTP statuses of TensorFlow's errors; all others give 500.
_STATUS = {
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.NOT_FOUND: 404,
    tf.errors.UNIMPLEMENTED: 501,
    tf.errors.ALREADY_EXISTS: 409,
    tf.errors.ABORTED: 409,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.UNAVAILABLE: 503,
    tf.errors.DEADLINE_EXCEEDED: 504,
}


@dataclasses.dataclass(frozen=True)
class RequestLimits:
    """Limits of a server's requests.

    Attributes:
      body: most bytes of a request; beyond it the status is 413.
      rows: most rows of a request; beyond it the status is 413.
      waiting: most requests in progress; beyond it the status is 429.
      seconds: time limit for receiving a request; beyond it the status is 408.
        Also the time limit for answering it; beyond it the status is 504.
    """

    body: int = 32 * 2**20
    rows: int = 1024
    waiting: int = 256
    seconds: float = 30.0


class _Refusal(Exception):
    """An error response, with its HTTP status and headers."""

    def __init__(self, status: int, message: str, **headers: str):
        super().__init__(message)
        self.status, self.headers = status, headers


def app(
    models: Models,
    limits: RequestLimits,
    poll_seconds: float = 1.0,
    say: Callable[[str], None] = print,
    hosts: Sequence[str] = ('*',),
    loaded: Callable[[], None] | None = None,
    learning: Learning | None = None,
    run: Watched | None = None,
) -> Starlette:
    """Returns the ASGI application.

    Args:
      models: the models to serve.
      limits: the limits of requests.
      poll_seconds: pause between two checks for new versions.
      say: receives a line of text for each version loaded or unloaded.
      loaded: called once, when all models have been tried.
      hosts: the host names that requests may use; see TrustedHostMiddleware.
      learning: trains for the explorer's page; None if no page may train.
      run: a run that the explorer's page shows.
    """
    offers = {'learn': learning is not None, 'run': run is not None}
    server = _Server(models, limits, offers)

    @contextlib.asynccontextmanager
    async def lifespan(_) -> AsyncIterator[None]:
        follower = asyncio.create_task(
            _follow(models, poll_seconds, say, loaded)
        )
        tidying = asyncio.create_task(learning.tidy()) if learning else None
        yield
        follower.cancel()
        if learning:
            tidying.cancel()
            await learning.close()

    return Starlette(
        routes=[
            Route('/v1/{rest:path}', server.answer, methods=_METHODS),
            Route('/explorer/models', server.list_models),
            Route('/explorer/models/{name}', server.surroundings),
            *(learning.routes() if learning else []),
            *(run.routes() if run else []),
            Mount('/', _Page(directory=_EXPLORER, html=True)),
        ],
        lifespan=lifespan,
        exception_handlers={404: _nothing, 405: _nothing},
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
        ],
    )


async def _follow(models, seconds, say, loaded):
    """Checks the models for new versions, for ever."""
    while True:
        try:
            await asyncio.to_thread(models.refresh, say)
        except Exception as error:  # the next check may succeed
            with contextlib.suppress(OSError):
                say(f'the models cannot be looked for ({error})')
        if loaded:
            loaded()
            loaded = None
        await asyncio.sleep(seconds)


async def _nothing(_, error):
    """Answers an unknown path as TensorFlow Serving does."""
    return HTMLResponse(_NOT_FOUND, error.status_code)


class _Page(StaticFiles):
    """The explorer page; it loads nothing from other hosts."""

    def file_response(self, *arguments, **options) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers['Content-Security-Policy'] = (
            "default-src 'self'; img-src 'self' data:; media-src data:; "
            'connect-src *'
        )
        # After an update of tfgen, browsers must load the new page.
        response.headers['Cache-Control'] = 'no-cache'
        return response


class _Server:
    """Answers requests under /v1/."""

    def __init__(self, models, limits, offers):
        self._models, self._limits, self._offers = models, limits, offers
        self._busy = 0

    async def answer(self, request: Request) -> Response:
        """Answers a request; every error becomes a JSON response."""
        try:
            text = await self._dispatch(request)
            return Response(text, 200, media_type='application/json')
        except rest.BadRequest as error:
            refusal = _Refusal(400, str(error))
        except _Refusal as error:
            refusal = error
        except ClientDisconnect:
            return Response(status_code=400)  # the client has disconnected
        except Exception:  # a defect of the server
            _LOG.exception('no answer to %s', request.scope['path'])
            refusal = _Refusal(500, 'the server failed: its log says how')
        content = {'error': str(refusal)}
        text = json.dumps(content, indent=4, ensure_ascii=False)
        return Response(
            text.encode(errors='replace'),
            refusal.status,
            headers=refusal.headers,
            media_type='application/json',
        )

    async def list_models(self, _) -> Response:
        """Lists names and facts of the models, and what else the page offers.

        TensorFlow Serving has no such request.
        """
        newest = {
            name: self._models.get(name).version()
            for name in self._models.names()
        }
        named = [{'name': n, 'info': v.info} for n, v in newest.items() if v]
        text = json.dumps({'models': named, **self._offers})
        return Response(text, media_type='application/json')

    async def surroundings(self, request: Request) -> Response:
        """Answers with the numbers of a model's test set, and its card."""
        model = self._models.get(request.path_params['name'])
        version = model and model.version()
        if not version:
            return Response('{}', 404, media_type='application/json')
        found = await asyncio.to_thread(_around, model.folder, version.number)
        return Response(json.dumps(found), media_type='application/json')

    async def _dispatch(self, request):
        """Returns the JSON answer to a request under /v1/."""
        path = request.scope['path']
        found = _PATH.fullmatch(path)
        what = found and (found['what'] or '')
        method = {None: '', '': 'GET', '/metadata': 'GET'}.get(what, 'POST')
        if request.method != method:
            raise _Refusal(400, f'Malformed request: {request.method} {path}')
        if what == ':predict':
            return await self._predict(request, found)
        if what == '/metadata':
            return self._metadata(found)
        if what == '':
            return self._status(found)
        # classify and regress take tf.Examples. No model here has such a
        # signature.
        raise _Refusal(400, 'Expected one input Tensor.')

    async def _in_time(self, request, work):
        """Awaits `work`, until the time limit or the client's disconnect."""
        working = asyncio.create_task(work)
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait(
                {working, gone},
                timeout=self._limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if working.done():
                return working.result()
            if gone.done():
                raise ClientDisconnect()
            raise _Refusal(
                504,
                f'no answer within {self._limits.seconds:g} seconds: ask for '
                'fewer rows, or try again when less is asked',
            )
        finally:
            working.cancel()
            gone.cancel()

    def _asked(self, found) -> tuple[Model | None, int | None]:
        """Returns the model and the version number that a path names."""
        name, label = found['model'], found['label']
        model = self._models.get(name)
        if model and label is not None:
            if label not in model.labels:
                raise _Refusal(
                    400,
                    f'Unrecognized servable version label ({label}) of model '
                    f'{name}',
                )
            return model, model.labels[label]
        return model, int(found['number']) if found['number'] else None

    def _status(self, found):
        """Answers GET /v1/models/NAME: the states of its versions."""
        model, number = self._asked(found)
        states = dict(model.states) if model else {}
        if number is not None:
            states = {n: s for n, s in states.items() if n == number}
        if not states:
            which = 'any versions' if number is None else f'version {number}'
            raise _Refusal(
                404, f'Could not find {which} of model {found["model"]}'
            )
        newest_first = sorted(states.items(), reverse=True)
        told = [_described(n, s) for n, s in newest_first]
        text = json.dumps({'model_version_status': told}, indent=1)
        return f'{text}\n'

    def _metadata(self, found):
        """Answers GET .../metadata: the signatures of a version."""
        version = self._version(found)
        spec = {
            'name': found['model'],
            'version': str(version.number),
            'signature_name': '',
        }
        return json.dumps({'model_spec': spec, 'metadata': version.metadata})

    def _version(self, found) -> Version:
        """Returns the loaded version that a path names, or refuses."""
        model, number = self._asked(found)
        version = model.version(number) if model else None
        if version is None:
            name = found['model']
            wanted = f'Latest({name})'
            if number is not None:
                wanted = f'Specific({name}, {number})'
            raise _Refusal(404, f'Servable not found for request: {wanted}')
        return version

    async def _predict(self, request, found):
        """Answers POST ...:predict, within the limits of requests."""
        if self._busy >= self._limits.waiting:
            raise _Refusal(
                429,
                f'{self._busy} requests are being answered: try again later',
                **{'Retry-After': '1'},
            )
        self._busy += 1
        try:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    body = await self._body(request)
            except TimeoutError:
                raise _Refusal(408, 'the request has not come whole') from None
            made = self._made(self._version(found), body)
            return await self._in_time(request, made)
        finally:
            self._busy -= 1

    async def _made(self, version, body):
        """Computes the JSON answer to the body of a predict request."""
        # Large bodies are parsed in a thread, so that others need not wait.
        signature, inputs, layout = await asyncio.to_thread(
            self._inputs, version, body
        )
        outputs = await _called(version.signatures[signature], inputs)
        return await asyncio.to_thread(rest.render, outputs, layout)

    async def _body(self, request):
        """Reads the body of a request, up to the limit of its size."""
        content, most = bytearray(), self._limits.body
        packed = request.headers.get('content-encoding', 'identity')
        if packed != 'identity':
            raise _Refusal(
                415, f'the request is packed ({packed}): send it as it is'
            )
        async for chunk in request.stream():
            content += chunk
            if len(content) > most:
                raise _Refusal(
                    413, f'the request has more than {most} bytes: send less'
                )
        return bytes(content)

    def _inputs(self, version, body):
        """Parses a body: signature name, input arrays, layout."""
        signature, values, layout = rest.parse(body)
        rows = rest.count_rows(values, layout)
        if rows > self._limits.rows:
            raise _Refusal(
                413,
                f'the request has {rows} rows: send at most '
                f'{self._limits.rows} at a time',
            )
        signature = signature or 'serving_default'
        if signature not in version.signatures:
            raise rest.BadRequest(
                f'Serving signature name: "{signature}" not found in '
                'signature def'
            )
        dtypes = version.signatures[signature].dtypes
        return signature, rest.arrays(values, layout, dtypes), layout


def _around(folder, number):
    """The numbers of a version's test set, and the card of its model."""
    found = {}
    # An export of another program, or of an earlier tfgen, has neither.
    with contextlib.suppress(OSError, ValueError):
        found |= json.loads((folder / str(number) / _SURROUNDINGS).read_text())
    with contextlib.suppress(OSError, ValueError):
        found['card'] = (folder / 'README.md').read_text(encoding='utf-8')
    return found


async def _gone(request):
    """Returns when the client disconnects."""
    while (await request.receive())['type'] != 'http.disconnect':
        pass


async def _called(served, inputs):
    """Calls a signature; its errors become HTTP statuses."""
    try:
        return await served.call(inputs)
    except tf.errors.OpError as error:
        status = _STATUS.get(error.error_code, 500)
        raise _Refusal(status, _reason(error)) from None
    except (ValueError, TypeError) as error:
        raise rest.BadRequest(' '.join(str(error).split())) from None
    except (MemoryError, RuntimeError) as error:
        raise _Refusal(503, f'no answer can be made ({error!r})') from None


def _reason(error):
    """Returns the graph's error message, without Python's stack traces."""
    text = error.message
    text = re.sub(
        r'(?s)^Graph execution error:.*?<stack traces.*?>\n', '', text
    )
    return re.sub(r' \[Op:[^\]]*\]\s*$', '', text)


def _described(number: int, state: State):
    """Returns the state of a version in the REST API's format."""
    return {
        'version': str(number),
        'state': state.name,
        'status': {'error_code': state.code, 'error_message': state.message},
    }
