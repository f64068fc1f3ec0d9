"""Requests that only pages of this server may send."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

_BODY = 256 * 1024  # bytes of a request


class Refused(Exception):
    """A refusal, with its HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def answered(work: Callable[[Request], Awaitable[Response]]):
    """An endpoint of Starlette whose refusals are JSON: {"error": ...}.

    Args:
      work: answers a request of an own page, or raises Refused.
    """

    async def answer(request: Request) -> Response:
        try:
            _require_own_page(request)
            return await work(request)
        except Refused as error:
            return JSONResponse({'error': str(error)}, error.status)
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


def _require_own_page(request):
    """Refuses requests of pages of other servers."""
    origin = request.headers.get('origin')
    own = f'{request.url.scheme}://{request.headers.get("host", "")}'
    site = request.headers.get('sec-fetch-site', 'same-origin')
    if origin not in (None, own) or site not in ('same-origin', 'none'):
        raise Refused(403, 'only a page of this server may ask for this')


async def json_object(request: Request) -> dict:
    """The JSON object in the body of a request."""
    if request.headers.get('content-type') != 'application/json':
        raise Refused(415, 'send JSON, as application/json')
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY:
            raise Refused(413, f'send at most {_BODY} bytes')
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, 'this is no JSON') from None
    if not isinstance(found, dict):
        raise Refused(400, 'send an object')
    return found
