"""What requests and responses have in common: headers and a body that is read once. (cooperative)"""

from __future__ import annotations

import json
from typing import Any

from perdure._web.body import Body, make_body
from perdure._web.form_data import FormData, parse_form
from perdure._web.headers import Headers, HeadersInit


class Message:
    """Headers and a body."""

    __slots__ = ("__weakref__", "_body", "_headers")

    def __init__(self, body: Any, headers: HeadersInit) -> None:
        self._headers = Headers(headers)
        self._body, content_type = make_body(body)
        if content_type is not None and (headers is None or "content-type" not in self._headers):
            self._headers._pairs.append(("content-type", content_type))

    @property
    def headers(self) -> Headers:
        """The header fields; change them in place."""
        return self._headers

    @property
    def body(self) -> Body | None:
        """The body as an async iterator over bytes, or None; it can be used once."""
        return self._body

    @property
    def body_used(self) -> bool:
        """Whether reading the body has begun, or the body was passed on."""
        return self._body is not None and self._body.used

    async def bytes(self) -> bytes:
        """Read the whole body."""
        return b"" if self._body is None else await self._body.read()

    async def text(self) -> str:
        """Read the whole body as UTF-8; bytes that are not UTF-8 become U+FFFD."""
        data = await self.bytes()
        return data.decode("utf-8-sig", "replace")

    async def form_data(self) -> FormData:
        """
        Read the whole body as a form: `multipart/form-data`, or `application/x-www-form-urlencoded`.

        Raises:
            TypeError: the Content-Type is not that of a form.
            ValueError: the body is not a whole form.
        """
        return parse_form(await self.bytes(), self._headers.get("content-type") or "")

    async def _read_json(self) -> Any:
        """Read the whole body as JSON; ValueError when it is not."""
        text = await self.text()
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            # Told as a plain ValueError, which arrives as itself on the other side of a call.
            what = str(error) if text.strip() else "it is empty"
            raise ValueError(f"The body is not valid JSON: {what}") from None


def take_body(message: Message) -> Body | None:
    """Take over the body of *message*, which leaves it used there; TypeError when it was used before."""
    return None if message._body is None else message._body.take()
