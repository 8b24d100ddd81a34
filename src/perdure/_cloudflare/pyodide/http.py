"""`pyodide.http`: `pyfetch`, and responses as Pyodide shows them. (edge)"""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsBytes, JsObject
from perdure._cloudflare.web.abort import AbortController, AbortSignal
from perdure._cloudflare.web.fetch import fetch as _jsfetch
from perdure._cloudflare.web.response import Response

__all__ = ["AbortError", "BodyUsedError", "FetchResponse", "HttpStatusError", "pyfetch"]

T = TypeVar("T")


class HttpStatusError(OSError):
    """The status of a response is 400 or more: `status`, `status_text`, `url`."""

    def __init__(self, status: int, status_text: str, url: str) -> None:
        kind = {4: "Client Error", 5: "Server Error"}.get(
            status // 100, "Invalid error code not between 400 and 599"
        )
        super().__init__(f"{status} {kind}: {status_text} for url: {url}")
        self.status = status
        self.status_text = status_text
        self.url = url

    def __reduce__(self) -> Any:
        return type(self), (self.status, self.status_text, self.url)


class BodyUsedError(OSError):
    """The body of a response was read before."""

    def __init__(self, *_args: Any) -> None:
        super().__init__("Response body is already used")


class AbortError(OSError):
    """A request came to no end: it was aborted, or the network failed; the text tells which."""

    def __init__(self, reason: Any) -> None:
        super().__init__(getattr(reason, "message", None) or str(reason))


def _abortable(read: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    @functools.wraps(read)
    async def reading(self: FetchResponse) -> T:
        try:
            return await read(self)
        except JsException as error:
            signal = self.abort_signal
            raise AbortError(signal.reason if signal is not None and signal.aborted else error) from error
        except asyncio.CancelledError as error:
            if self.abort_controller is not None:
                self.abort_controller.abort(_abort_reason("\n".join(map(str, error.args)) or None))
            raise

    return reading


class FetchResponse:
    """
    A response.

    Args:
        url: what was fetched.
        js_response: the response as JavaScript shows it.
        abort_controller: what `abort()` uses.
        abort_signal: what it was fetched with.
    """

    def __init__(
        self,
        url: str,
        js_response: Response,
        abort_controller: AbortController | None = None,
        abort_signal: AbortSignal | None = None,
    ) -> None:
        self._url = url
        self.js_response = js_response
        self.abort_controller = abort_controller
        self.abort_signal = abort_signal

    @property
    def body_used(self) -> bool:
        """Whether the body was read."""
        return self.js_response.bodyUsed

    @property
    def headers(self) -> Any:
        """The headers as a dict, names in lower case."""
        return dict(self.js_response.headers.items())

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return self.js_response.ok

    @property
    def redirected(self) -> bool:
        """Whether a redirect was followed."""
        return self.js_response.redirected

    @property
    def status(self) -> int:
        """The status code."""
        return self.js_response.status

    @property
    def status_text(self) -> str:
        """The reason phrase."""
        return self.js_response.statusText

    @property
    def type(self) -> str:
        """The kind of the response, "default"."""
        return self.js_response.type

    @property
    def url(self) -> str:
        """Where it came from, after redirects; "" for one made here."""
        return self.js_response.url

    def _raise_if_failed(self) -> None:
        signal = self.abort_signal
        if signal is not None and signal.aborted:
            raise AbortError(signal.reason)
        if self.js_response.bodyUsed:
            raise BodyUsedError

    def raise_for_status(self) -> None:
        """Raise `HttpStatusError` if the status is 400 or more."""
        if 400 <= self.status < 600:
            raise HttpStatusError(self.status, self.status_text, self.url)

    def clone(self) -> FetchResponse:
        """Return a copy with a body of its own."""
        if self.js_response.bodyUsed:
            raise BodyUsedError
        return type(self)._of(self._url, self.js_response.clone(), self.abort_controller, self.abort_signal)

    @classmethod
    def _of(cls, *args: Any) -> FetchResponse:
        response = cls.__new__(cls)
        FetchResponse.__init__(response, *args)
        return response

    @_abortable
    async def buffer(self) -> JsBytes:
        """Read the body as an ArrayBuffer."""
        self._raise_if_failed()
        return await self.js_response.arrayBuffer()

    @_abortable
    async def text(self) -> str:
        """Read the body as text."""
        self._raise_if_failed()
        return await self.js_response.text()

    async def string(self) -> str:
        """Read the body as text."""
        return await self.text()

    async def json(self, **kwargs: Any) -> Any:
        """Read the body as JSON; keyword arguments are those of `json.loads`."""
        return json.loads(await self.text(), **kwargs)

    async def memoryview(self) -> memoryview:
        """Read the body as a memoryview."""
        return (await self.buffer()).to_memoryview()

    async def bytes(self) -> bytes:
        """Read the body as bytes."""
        return (await self.buffer()).to_bytes()

    async def unpack_archive(self, *, extract_dir: str | None = None, format: str | None = None) -> None:
        """Read the body as an archive and unpack it: `format` as in `shutil.unpack_archive`, else from the URL's end."""
        name = self._url.partition("?")[0].rpartition("/")[2] or "archive"
        await asyncio.to_thread(_unpack, await self.bytes(), name, extract_dir, format)

    def abort(self, reason: Any = None) -> None:
        """Give up what was not read yet."""
        if self.abort_controller is None:
            raise ValueError("abort_controller is not set")
        self.abort_controller.abort(_abort_reason(reason))


async def pyfetch(url: Any, /, *, signal: Any = None, fetcher: Any = None, **kwargs: Any) -> FetchResponse:
    """
    Fetch *url* and return the response.

    Args:
        url: a URL or a request.
        signal: an AbortSignal that ends it.
        fetcher: what to call in the place of `js.fetch`: `env.SERVICE.fetch`, for instance.
        kwargs: the options of `js.fetch`.

    Raises:
        AbortError: the request was aborted, or the network failed; it is an OSError.
    """
    controller = AbortController()
    joined = AbortSignal.any([signal, controller.signal]) if signal else controller.signal
    kwargs["signal"] = joined
    try:
        response = await (fetcher or _jsfetch)(url, JsObject(kwargs))
    except asyncio.CancelledError as error:
        controller.abort(_abort_reason("\n".join(map(str, error.args)) or None))
        raise
    except JsException as error:
        raise AbortError(error) from error
    js_response = getattr(response, "js_object", response)
    return FetchResponse(str(url), js_response, controller, joined)


def _unpack(data: bytes, name: str, folder: str | None, format: str | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, name)
        path.write_bytes(data)
        safe = {"filter": "data"} if tarfile.is_tarfile(path) else {}  # of zip archives that is the only way
        shutil.unpack_archive(path, folder, format, **safe)  # type: ignore[arg-type]


def _abort_reason(reason: Any) -> JsException:
    return JsException("" if reason is None else str(reason), "AbortError")
