"""`workers.response`: Response and FetchResponse as the Python SDK shows them. (cooperative)"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from http import HTTPStatus
from typing import Any

from perdure._cloudflare.pyodide.http import FetchResponse as PyodideFetchResponse
from perdure._cloudflare.values import is_buffer, js_name, to_py
from perdure._cloudflare.web.blob import Blob as JsBlob
from perdure._cloudflare.web.form_data import FormData as JsFormData
from perdure._cloudflare.web.headers import HTTPMessageMapping, http_message, native_headers
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.shape import is_absent
from perdure._cloudflare.web.url import URLSearchParams
from perdure._cloudflare.workers.blob import Blob, view_blob
from perdure._cloudflare.workers.errors import as_python
from perdure._cloudflare.workers.formdata import FormData

_BODIES = (JsBlob, JsFormData, ReadableStream, URLSearchParams, AsyncIterable)


class FetchResponse(PyodideFetchResponse):
    """A response that was fetched."""

    def __getattr__(self, name: str) -> Any:
        """Return a member that only JavaScript's response has: stubs and bindings once answered with that."""
        if name[:1] != "_" and hasattr(JsResponse, name):
            return getattr(self.js_response, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream."""
        return self.js_response.body

    @property
    def js_object(self) -> JsResponse:
        """The response as JavaScript shows it."""
        return self.js_response

    @property
    def headers(self) -> HTTPMessageMapping:
        """A copy of the headers; a missing one is None."""
        return http_message(self.js_response._native.headers)

    async def form_data(self) -> FormData:
        """Read the body as a form."""
        self._raise_if_failed()
        with as_python():
            return FormData(await self.js_response.formData())

    async def formData(self) -> FormData:
        """Read the body as a form."""
        return await self.form_data()

    async def blob(self) -> Blob:
        """Read the body as a blob."""
        self._raise_if_failed()
        return view_blob(await self.js_response.blob())

    def replace_body(self, body: Any) -> Response:
        """Return a response with another body, and all else as it is here."""
        return Response(JsResponse(body, self.js_response))

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = HTTPStatus.FOUND) -> JsResponse:
        """Return a response of JavaScript's that sends the client to *url*."""
        with as_python():
            return JsResponse.redirect(url, int(status))

    @staticmethod
    def from_json(
        data: Any, status: HTTPStatus | int = HTTPStatus.OK, status_text: str = "", headers: Any = None
    ) -> Response:
        """Return a response with *data* as JSON."""
        options = Response._create_options(status, status_text, headers)
        given = options["headers"] = native_headers(options.get("headers"))
        if "content-type" not in given:
            given.set("content-type", "application/json")
        with as_python():
            return Response(JsResponse(json.dumps(data, default=_plain), options))

    def json(self, *args: Any, **kwargs: Any) -> Any:
        """
        Read the body as JSON; on the class, `Response.json(data)` is `from_json`.

        It may be awaited in the first case only.
        """
        given: Any = self
        if isinstance(given, FetchResponse):
            return super().json(**kwargs)
        return Response.from_json(given, *args, **kwargs)


class Response(FetchResponse):
    """
    The answer to a request.

    Args:
        body: text, bytes, a form, a stream, or a response of JavaScript's, which this one shows.
        status: 200 to 599.
        status_text: the reason phrase.
        headers: a dict, (name, value) pairs, or headers of JavaScript's.
        web_socket: with status 101, the client's end of a `WebSocketPair`.
    """

    def __init__(
        self,
        body: Any = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: Any = None,
        web_socket: Any = None,
    ) -> None:
        if isinstance(body, FetchResponse):  # of a stub, which once answered with JavaScript's
            body = body.js_response
        if isinstance(body, JsResponse):
            if status is not None or status_text or headers is not None:
                raise ValueError("Expected no options when constructing Response from a js.Response")
            super().__init__(body.url, body)
            return
        if not (
            isinstance(body, (str, bytes, FormData, Blob, *_BODIES)) or is_absent(body) or is_buffer(body)
        ):
            raise TypeError(f"Unsupported type in Response: {js_name(body)}")
        js_response = JsResponse(body, self._create_options(status, status_text, headers, web_socket))
        super().__init__(js_response.url, js_response)

    def __repr__(self) -> str:
        parts = [f"status={self.status}"]
        if self.status_text:
            parts.append(f"status_text={self.status_text!r}")
        if "content-type" in self.headers:
            parts.append(f"content_type={self.headers['content-type']!r}")
        if self.url:
            parts.append(f"url={self.url!r}")
        return f"Response({', '.join(parts)})"

    @staticmethod
    def _create_options(
        status: HTTPStatus | int | None = HTTPStatus.OK,
        status_text: str = "",
        headers: Any = None,
        web_socket: Any = None,
    ) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if status:
            options["status"] = int(status)
        if status_text:
            options["statusText"] = status_text
        if headers:
            options["headers"] = headers
        if web_socket is not None:
            options["webSocket"] = web_socket
        return options


def _plain(value: Any) -> Any:
    """Return the JSON form of a JavaScript value that is none of Python's own."""
    if is_absent(value):
        return None
    plain = to_py(value)
    if plain is value:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return plain
