"""What a JavaScript body parameter takes, and the readers that requests and responses share. (cooperative)"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.javascript.json_text import JSON
from perdure._cloudflare.values import JsBytes, bytes_of, is_buffer, js_name, js_text
from perdure._cloudflare.web.blob import Blob, view_blob
from perdure._cloudflare.web.form_data import FormData, view_form
from perdure._cloudflare.web.headers import Headers, view_headers
from perdure._cloudflare.web.readable_streams import READER_LOCK, ReadableStream, view_stream
from perdure._cloudflare.web.shape import WebObject, is_absent
from perdure._cloudflare.web.url import URLSearchParams
from perdure.web import Blob as NativeBlob
from perdure.web import BodyInit, Request, Response


class WebBody(WebObject):
    """A message with headers and a body that is read once; `_native` is perdure's own."""

    _native: Request | Response
    _stream: ReadableStream | None = None

    @property
    def headers(self) -> Headers:
        return view_headers(self._native.headers)

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream, the same one each time; None when there is no body."""
        native = self._native.body
        if native is None:
            return None
        if self._stream is None:
            self._stream = view_stream(native)
        return self._stream

    @property
    def bodyUsed(self) -> bool:
        return self._native.body_used

    async def bytes(self) -> JsBytes:
        if self._stream is not None and self._stream.locked and not self.bodyUsed:
            raise js_error("TypeError", READER_LOCK)
        try:
            return JsBytes(await self._native.bytes())
        except TypeError as error:
            raise js_exception(error) from error

    async def arrayBuffer(self) -> JsBytes:
        return await self.bytes()

    async def text(self) -> str:
        return (await self.bytes()).decode("utf-8-sig", "replace")

    async def json(self) -> Any:
        return JSON.parse(await self.text())

    async def blob(self) -> Blob:
        content_type = self._native.headers.get("content-type") or ""
        return view_blob(NativeBlob(bytes(await self.bytes()), content_type.lower()))

    async def formData(self) -> FormData:
        if self._stream is not None and self._stream.locked and not self.bodyUsed:
            raise js_error("TypeError", READER_LOCK)
        try:
            return view_form(await self._native.form_data())
        except (TypeError, ValueError) as error:
            raise js_exception(error, "TypeError") from error


def native_body(body: Any) -> tuple[BodyInit, str | None]:
    """
    Return what perdure's own messages take as a body, and the content type that *body* brings along.

    Text and forms bring their type there. Raises TypeError for what JavaScript would send as "[object Object]".
    """
    if isinstance(body, str):
        return body, None
    body = getattr(body, "js_object", body)  # a FormData, Blob or File of the Python SDK
    if is_absent(body):
        return None, None
    if is_buffer(body):
        return bytes_of(body), None
    if isinstance(body, FormData):
        return body._native, None
    if isinstance(body, URLSearchParams):
        return str(body).encode(), "application/x-www-form-urlencoded;charset=UTF-8"
    if isinstance(body, Blob):
        return body._native.data, body.type or None
    if isinstance(body, ReadableStream):
        return body._as_body(), None
    if isinstance(body, AsyncIterable):
        return ReadableStream.from_(body)._as_body(), None
    if isinstance(body, (bool, int, float)):
        return js_text(body), None
    raise js_error(
        "TypeError",
        "A body is a str, bytes, FormData, URLSearchParams, Blob, ReadableStream or None; "
        f"got {js_name(body)}. For JSON use Response.json(data), or json.dumps(data) with a content-type header.",
    )
