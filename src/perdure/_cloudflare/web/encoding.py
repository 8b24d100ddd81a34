"""TextEncoder, TextDecoder and the streams of both, and compression, as JavaScript shows them. (pure)"""

from __future__ import annotations

import codecs
import zlib
from typing import Any, Final

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import JsObject, Uint8Array, bytes_of, is_buffer, js_text
from perdure._cloudflare.web.shape import WebObject, read_options
from perdure._cloudflare.web.transform_streams import TransformStream
from perdure._web.text import utf8

_LABELS: Final = {
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "utf-16": "utf-16le",
    "unicode": "utf-16le",
} | dict.fromkeys(("latin1", "iso-8859-1", "ascii", "us-ascii", "l1"), "windows-1252")
_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15, "deflate-raw": -15}


class TextEncoder(WebObject):
    """Text to UTF-8."""

    @property
    def encoding(self) -> str:
        return "utf-8"

    def encode(self, text: Any = "") -> Any:
        return Uint8Array(utf8(js_text(text)))

    def encodeInto(self, text: Any, target: Any) -> JsObject:
        """Write as many whole characters into *target* as fit."""
        data, read, room = bytearray(), 0, len(target)
        for character in js_text(text):
            piece = utf8(character)
            if len(data) + len(piece) > room:
                break
            data += piece
            read += 1 + (character > "\uffff")  # counted in UTF-16, as JavaScript does
        target.set(data)
        return JsObject(read=read, written=len(data))


class TextDecoder(WebObject):
    """
    Bytes to text.

    Args:
        label: the encoding.
        options: `fatal`, `ignoreBOM`.
    """

    def __init__(self, label: Any = "utf-8", options: Any = None, **named: Any) -> None:
        name = js_text(label).strip().lower()
        name = _LABELS.get(name, name)
        found = read_options(options, named, "fatal", "ignoreBOM")
        self.fatal, self.ignoreBOM = bool(found.get("fatal")), bool(found.get("ignoreBOM"))
        self.encoding = name
        try:
            self._make = codecs.getincrementaldecoder(name)
        except LookupError:
            raise js_error("RangeError", f'"{label}" is not a valid encoding.') from None
        self._reset()

    def _reset(self) -> None:
        self._decoder = self._make("strict" if self.fatal else "replace")
        self._at_start = True

    def decode(self, data: Any = b"", options: Any = None, **named: Any) -> str:
        """Return the text of *data*; with `stream` the rest of a character may come later."""
        stream = bool(read_options(options, named, "stream").get("stream"))
        if not is_buffer(data):
            if data is not None:
                raise js_error("TypeError", f"TextDecoder.decode() takes bytes; got {type(data).__name__}")
            data = b""
        try:
            text = self._decoder.decode(bytes_of(data), not stream)
        except UnicodeDecodeError as error:
            self._reset()
            raise js_error("TypeError", "Failed to decode input.") from error
        if self._at_start and text:
            self._at_start = False
            if not self.ignoreBOM:
                text = text.removeprefix("\ufeff")
        if not stream:
            self._reset()
        return text


class TextEncoderStream(TransformStream):
    """Lets text through as UTF-8."""

    def __init__(self) -> None:
        encoder = TextEncoder()
        super().__init__({"transform": lambda chunk, controller: controller.enqueue(encoder.encode(chunk))})


class TextDecoderStream(TransformStream):
    """Lets bytes through as text."""

    def __init__(self, label: Any = "utf-8", options: Any = None, **named: Any) -> None:
        decoder = TextDecoder(label, options, **named)

        def transform(chunk: Any, controller: Any) -> None:
            if text := decoder.decode(chunk, stream=True):
                controller.enqueue(text)

        def flush(controller: Any) -> None:
            if text := decoder.decode():
                controller.enqueue(text)

        super().__init__({"transform": transform, "flush": flush})


class _Coding(TransformStream):
    def __init__(self, coder: Any) -> None:
        def transform(chunk: Any, controller: Any) -> None:
            try:
                data = coder(bytes_of(chunk) if is_buffer(chunk) else utf8(chunk))
            except zlib.error as error:
                raise js_error("TypeError", "Decompression failed.") from error
            if data:
                controller.enqueue(data)

        def flush(controller: Any) -> None:
            if data := coder.__self__.flush():
                controller.enqueue(data)

        super().__init__({"transform": transform, "flush": flush})


class CompressionStream(_Coding):
    """Compresses bytes: "gzip", "deflate" or "deflate-raw"."""

    def __init__(self, format: str) -> None:
        super().__init__(zlib.compressobj(wbits=_window(format)).compress)


class DecompressionStream(_Coding):
    """Decompresses bytes: "gzip", "deflate" or "deflate-raw"."""

    def __init__(self, format: str) -> None:
        super().__init__(zlib.decompressobj(wbits=_window(format)).decompress)


def _window(format: str) -> int:
    if format not in _WINDOW_BITS:
        raise js_error("TypeError", f"The compression format is {', '.join(_WINDOW_BITS)}; got {format!r}")
    return _WINDOW_BITS[format]
