"""
`workers.wsgi`: WSGI applications (Django, Flask …) behind a worker's or an object's `fetch`. (cooperative)

```python
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await wsgi.fetch(app, request, self.env)
```

The application runs on the event loop's thread, where bindings and storage can be used; `run_sync` lets it wait, for the
body of its request too. Without greenlet the body is read first, and `run_sync` says what to install.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from perdure._cloudflare import bridge
from perdure._cloudflare.exchange import request_behind
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.response import view_response
from perdure._cloudflare.workers.entrypoints import WorkerEntrypoint
from perdure._cloudflare.workers.gateway import BaseOptions
from perdure._cloudflare.workers.wsgi import django_cf
from perdure._cloudflare.workers.wsgi.body import Chunks, to_file
from perdure._cloudflare.workers.wsgi.environ import to_environ
from perdure._web.response import NULL_BODY_STATUSES
from perdure.web import Headers, Response

__all__ = ["Options", "build_environ", "entrypoint", "fetch", "process_request"]

bridge.turn_on()
# Django refuses its database where an event loop runs. Here it is meant to run there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
django_cf.keep_storages_apart()  # before the first object is made

USED = "The request's body was read before: a WSGI application needs it. Give it request.clone(), made before reading."
NO_START = "The WSGI application did not call start_response()."


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of `fetch` and `entrypoint`."""


DEFAULT_OPTIONS = Options()


async def fetch(
    app: Any, req: Any, env: Any, ctx: Any = None, *, options: Options | None = None
) -> JsResponse:
    """Return the response of the WSGI application *app* to *req*; the application finds *env* in `environ["workers.env"]`."""
    request = request_behind(req)
    if request.body_used:
        raise TypeError(USED)
    django_cf.keep_storages_apart()
    file = await to_file(request.body)
    return process_request(app, req, env, file, options or DEFAULT_OPTIONS)


def entrypoint(app: Any, *, options: Options | None = None) -> type[WorkerEntrypoint]:
    """Return a worker that is the WSGI application *app*: `Default = wsgi.entrypoint(app)`."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Any) -> Any:
            return await fetch(app, request, self.env, self.ctx, options=options)

    return Default


# --- the steps of these, which tests of projects call ----------------------------------------------------------


def build_environ(req: Any, env: Any, body: Any) -> dict[str, Any]:
    """Return the environ of a request whose body is *body*: bytes or a file."""
    request = request_behind(req)
    if not isinstance(body, (bytes, bytearray)):
        return to_environ(request, env, body)
    environ = to_environ(request, env, io.BytesIO(body))
    if body:
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
    return environ


def process_request(
    app: Any, req: Any, env: Any, body: Any, options: Options = DEFAULT_OPTIONS
) -> JsResponse:
    """Call *app* and return its response."""
    return view_response(_Call(build_environ(req, env, body)).response(app))


class _Call:
    """One request through an application."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._status: str | None = None
        self._headers: list[tuple[str, str]] = []
        self._written: list[bytes] = []  # by the old way, `write`
        self._result: Any = ()
        self._has_left = False

    def response(self, app: Callable[..., Any]) -> Response:
        self._result = app(self._environ, self._start_response)
        chunks = iter(self._result)
        try:
            # Some call start_response() only when the first piece is asked for.
            first = next((chunk for chunk in chunks if chunk), b"")
            if self._status is None:
                raise RuntimeError(NO_START)
            code, _, reason = self._status.partition(" ")
            status = int(code)
            headers = Headers(self._headers)
            begun = b"".join([*self._written, first])
            whole = None if status in NULL_BODY_STATUSES else self._whole(begun, chunks, headers)
        except BaseException:
            self._close()
            raise
        if whole is None and status not in NULL_BODY_STATUSES:
            body: Any = Chunks(_after(begun, chunks), self._close)
        else:
            self._close()
            body = whole or None
        self._has_left = True
        return Response(body, status=status, status_text=reason, headers=headers)

    def _whole(self, begun: bytes, chunks: Iterator[bytes], headers: Headers) -> bytes | None:
        """Return the body if the application has all of it already; None if it makes it as it goes."""
        if isinstance(self._result, (list, tuple)) or getattr(self._result, "streaming", None) is False:
            return begun + b"".join(chunks)
        return begun if headers.get("content-length") == str(len(begun)) else None

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None and self._has_left:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._status is not None:
            raise AssertionError("The WSGI application called start_response() twice.")
        self._status, self._headers = status, list(headers)
        return self._written.append

    def _close(self) -> None:
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._environ["wsgi.input"].close()


def _after(begun: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if begun:
        yield begun
    yield from (chunk for chunk in chunks if chunk)
