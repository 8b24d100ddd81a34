"""`workers.blob`: Blob and File as the Python SDK shows them. (cooperative)"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from perdure._cloudflare.values import is_buffer
from perdure._cloudflare.web.blob import Blob as JsBlob
from perdure._cloudflare.web.blob import File as JsFile

BlobValue = "str | bytes | js.ArrayBuffer | js.TypedArray | js.DataView | js.Blob | Blob | File"


class BlobEnding(StrEnum):
    """What becomes of line ends in text."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


class Blob:
    """
    Bytes with a content type.

    Args:
        blob_parts: a part or several: str, bytes, buffers, blobs. A single blob passes its type on.
        content_type: its type.
        endings: what becomes of line ends in text.
    """

    def __init__(
        self, blob_parts: Any, content_type: str | None = None, endings: BlobEnding | str | None = None
    ) -> None:
        parts, single = _parts(blob_parts)
        if not content_type and single is not None:
            content_type = single.type
        self._js_blob: Any = JsBlob(parts, type=content_type, endings=endings and str(endings))

    @property
    def size(self) -> int:
        """The number of bytes."""
        return int(self._js_blob.size)

    @property
    def content_type(self) -> str:
        """Its type, "" when it is not known."""
        return str(self._js_blob.type)

    @property
    def js_object(self) -> Any:
        """The blob as JavaScript shows it."""
        return self._js_blob

    async def text(self) -> str:
        """Return the bytes as UTF-8."""
        return str(await self._js_blob.text())

    async def bytes(self) -> bytes:
        """Return the bytes."""
        return bytes(await self._js_blob.bytes())

    def slice(
        self, start: int | None = None, end: int | None = None, content_type: str | None = None
    ) -> Blob:
        """Return a part."""
        return view_blob(self._js_blob.slice(start, end, content_type))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, content_type={self.content_type!r})"


class File(Blob):
    """
    A blob with a name.

    Args:
        blob_parts: as for a `Blob`; a single file passes on when it was modified, too.
        filename: its name.
        content_type: its type.
        endings: what becomes of line ends in text.
        last_modified: when it was modified, in milliseconds since 1970.
    """

    def __init__(
        self,
        blob_parts: Any,
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
        last_modified: int | None = None,
    ) -> None:
        parts, single = _parts(blob_parts)
        if single is not None:
            content_type = content_type or single.type
            if last_modified is None and isinstance(single, JsFile):
                last_modified = single.lastModified
        self._js_blob = JsFile(
            parts, filename, type=content_type, endings=endings and str(endings), lastModified=last_modified
        )

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._js_blob.name)

    @property
    def last_modified(self) -> int:
        """When it was modified, in milliseconds since 1970."""
        return int(self._js_blob.lastModified)


def view_blob(js_blob: JsBlob) -> Blob:
    """Return the Python shape of *js_blob*: a `File` if it is one."""
    kind = File if isinstance(js_blob, JsFile) else Blob
    blob = kind.__new__(kind)
    blob._js_blob = js_blob
    return blob


def _parts(given: Any) -> tuple[list[Any], JsBlob | None]:
    """Return all parts, and the blob if *given* is one itself."""
    js_blob = getattr(given, "js_object", given)
    if isinstance(js_blob, JsBlob):
        return [js_blob], js_blob
    if isinstance(given, str) or is_buffer(given) or not isinstance(given, Iterable):
        return [given], None
    return list(given), None
