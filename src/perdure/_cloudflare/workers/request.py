"""`workers.request`: Request as the Python SDK shows it. (cooperative)"""

from __future__ import annotations

import json
from http import HTTPMethod
from typing import Any

from perdure._cloudflare.values import JsBytes
from perdure._cloudflare.web.headers import HTTPMessageMapping, http_message
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.request import Request as JsRequest
from perdure._cloudflare.workers.blob import Blob, view_blob
from perdure._cloudflare.workers.errors import as_python
from perdure._cloudflare.workers.formdata import FormData


class Request:
    """
    A request.

    Args:
        input: a URL, a request of JavaScript's, which this one shows, or a request to derive this one from.
        other_options: `method`, `headers`, `body`, `redirect`, `cf`.
    """

    def __init__(self, input: Any, **other_options: Any) -> None:
        if isinstance(input, JsRequest):
            if other_options:
                raise ValueError("Expected no options when constructing Request from a js.Request")
            self._js_request = input
            return
        self._js_request = JsRequest(input, other_options)

    def __repr__(self) -> str:
        return f"Request(method={self._js_request.method!r}, url={self._js_request.url!r})"

    @property
    def js_object(self) -> JsRequest:
        """The request as JavaScript shows it."""
        return self._js_request

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream."""
        return self._js_request.body

    @property
    def body_used(self) -> bool:
        """Whether the body was read."""
        return self._js_request.bodyUsed

    @property
    def cf(self) -> Any:
        """What is known of the connection: `request.cf.country`."""
        return self._js_request.cf

    @property
    def cache(self) -> Any:
        return self._js_request.cache

    @property
    def credentials(self) -> str:
        return self._js_request.credentials

    @property
    def destination(self) -> str:
        return self._js_request.destination

    @property
    def headers(self) -> HTTPMessageMapping:
        """A copy of the headers; a missing one is None."""
        return http_message(self._js_request._native.headers)

    @property
    def integrity(self) -> str:
        return self._js_request.integrity

    @property
    def is_history_navigation(self) -> bool:
        return self._js_request.isHistoryNavigation

    @property
    def keepalive(self) -> bool:
        return self._js_request.keepalive

    @property
    def method(self) -> HTTPMethod | str:
        """The method: an `HTTPMethod`, which is a str; one that is not standard is a plain str."""
        method = self._js_request.method
        return HTTPMethod.__members__.get(method, method)

    @property
    def mode(self) -> str:
        return self._js_request.mode

    @property
    def redirect(self) -> str:
        """Whether redirects are followed: "follow" or "manual"."""
        return self._js_request.redirect

    @property
    def referrer(self) -> str:
        return self._js_request.referrer

    @property
    def referrer_policy(self) -> str:
        return self._js_request.referrerPolicy

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self._js_request.url

    def _raise_if_failed(self) -> None:
        if self.body_used:
            raise OSError("Body already used")

    async def buffer(self) -> JsBytes:
        """Read the body as an ArrayBuffer."""
        self._raise_if_failed()
        return await self._js_request.arrayBuffer()

    async def form_data(self) -> FormData:
        """Read the body as a form."""
        self._raise_if_failed()
        with as_python():
            return FormData(await self._js_request.formData())

    async def formData(self) -> FormData:
        """Read the body as a form."""
        return await self.form_data()

    async def blob(self) -> Blob:
        """Read the body as a blob."""
        self._raise_if_failed()
        return view_blob(await self._js_request.blob())

    async def bytes(self) -> bytes:
        """Read the body as bytes."""
        return (await self.buffer()).to_bytes()

    def clone(self) -> Request:
        """Return a copy with a body of its own."""
        self._raise_if_failed()
        return Request(self._js_request.clone())

    async def json(self, **kwargs: Any) -> Any:
        """Read the body as JSON; keyword arguments are those of `json.loads`."""
        return json.loads(await self.text(), **kwargs)

    async def text(self) -> str:
        """Read the body as text."""
        self._raise_if_failed()
        return await self._js_request.text()
