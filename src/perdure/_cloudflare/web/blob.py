"""Blob and File as JavaScript shows them. (cooperative)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from perdure._cloudflare.values import JsBytes, bytes_of, is_buffer, js_text
from perdure._cloudflare.web.readable_streams import ReadableStream, view_stream
from perdure._cloudflare.web.shape import WebObject, is_absent, read_options
from perdure._web.text import utf8
from perdure.web import Blob as NativeBlob
from perdure.web import Body
from perdure.web import File as NativeFile

_LINE_END = re.compile("\r\n|\r|\n")


class Blob(WebObject):
    """Bytes with a content type, which never change."""

    _native: NativeBlob

    def __init__(self, parts: Any = (), options: Any = None, **named: Any) -> None:
        found = read_options(options, named, "type", "endings")
        self._native = NativeBlob(join_parts(parts, found.get("endings")), _type(found))

    @property
    def size(self) -> int:
        return len(self._native.data)

    @property
    def type(self) -> str:
        return self._native.type

    async def bytes(self) -> JsBytes:
        return JsBytes(self._native.data)

    async def arrayBuffer(self) -> JsBytes:
        return JsBytes(self._native.data)

    async def text(self) -> str:
        return self._native.data.decode("utf-8-sig", "replace")

    def stream(self) -> ReadableStream:
        return view_stream(Body(self._native.data))

    def slice(self, start: int | None = None, end: int | None = None, type: str = "") -> Blob:
        """Return a part; negative numbers count from the end, as in Python."""
        part = slice(None if is_absent(start) else start, None if is_absent(end) else end)
        return view_blob(NativeBlob(self._native.data[part], _type({"type": type})))


class File(Blob):
    """A blob with a name and a time."""

    _native: NativeFile

    def __init__(self, parts: Any, name: Any, options: Any = None, **named: Any) -> None:
        found = read_options(options, named, "type", "endings", "lastModified")
        changed = found.get("lastModified")
        self._native = NativeFile(
            join_parts(parts, found.get("endings")),
            _type(found),
            name=js_text(name),
            last_modified_ms=0 if is_absent(changed) else int(changed or 0),
        )

    @property
    def name(self) -> str:
        return self._native.name

    @property
    def lastModified(self) -> int:
        return self._native.last_modified_ms


def view_blob(native: NativeBlob) -> Blob:
    """Return the view of *native*: a `File` if it has a name."""
    kind = File if isinstance(native, NativeFile) else Blob
    view = kind.__new__(kind)
    view._native = native
    return view


def join_parts(parts: Any, endings: Any = None) -> bytes:
    """Return the content of all *parts*: str, bytes, buffers, blobs."""
    if isinstance(parts, str) or is_buffer(parts) or not isinstance(parts, Iterable):
        raise TypeError(f"A Blob is made of a list of its parts; got {type(parts).__name__}")
    return b"".join(_pieces(parts, endings == "native"))


def _pieces(parts: Iterable[Any], native_endings: bool) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, str):
            yield utf8(_LINE_END.sub("\n", part) if native_endings else part)
            continue
        native = getattr(getattr(part, "js_object", part), "_native", None)
        if isinstance(native, NativeBlob):
            yield native.data
        elif is_buffer(part):
            yield bytes_of(part)
        else:
            raise TypeError(f"Don't know how to handle {type(part)} for Blob()")


def _type(options: dict[str, Any]) -> str:
    given = options.get("type")
    text = "" if is_absent(given) else js_text(given)
    return text.lower() if text.isascii() and text.isprintable() else ""
