"""`js`: the JavaScript world as Python code of Cloudflare projects sees it. (cooperative)

`from js import Response, Date`, or `import js`. A name is loaded when it is asked for first.
"""

from __future__ import annotations

import importlib
import sys
from opcode import opmap
from typing import Any, Final

_PACKAGE: Final = "perdure._cloudflare"
_HOMES: Final = {
    "values.base": "undefined",
    "values.buffers": (
        "ArrayBuffer BigInt64Array BigUint64Array DataView Float32Array Float64Array Int16Array Int32Array Int8Array "
        "Uint16Array Uint32Array Uint8Array Uint8ClampedArray"
    ),
    "values.dates": "Date=JsDate",
    "javascript.console": "console",
    "javascript.crypto": "Crypto CryptoKey SubtleCrypto crypto",
    "javascript.errors": (
        "AggregateError DOMException Error EvalError RangeError ReferenceError SyntaxError TypeError URIError"
    ),
    "javascript.globals": "atob btoa eval navigator performance",
    "javascript.json_text": "JSON",
    "javascript.numbers": (
        "BigInt Boolean Infinity Math NaN Number String decodeURI decodeURIComponent encodeURI encodeURIComponent "
        "isFinite isNaN parseFloat parseInt"
    ),
    "javascript.objects": "Array Map Object Set structuredClone",
    "javascript.promises": "Promise=JsPromise queueMicrotask",
    "javascript.fetching": "fetch",
    "javascript.timers": "clearInterval clearTimeout scheduler setInterval setTimeout",
    "javascript.websocket": "WebSocket",
    "websocket_view": "WebSocketPair WebSocketRequestResponsePair",
    "web.abort": "AbortController AbortSignal",
    "web.blob": "Blob File",
    "web.cache": "Cache CacheStorage caches",
    "web.encoding": "CompressionStream DecompressionStream TextDecoder TextDecoderStream TextEncoder TextEncoderStream",
    "web.events": "CloseEvent CustomEvent ErrorEvent Event EventTarget MessageEvent",
    "web.form_data": "FormData",
    "web.headers": "Headers",
    "web.html_rewriter": "HTMLRewriter",
    "web.request": "Request",
    "web.response": "Response",
    "web.readable_streams": (
        "ReadableStream ReadableStreamBYOBReader ReadableStreamDefaultController ReadableStreamDefaultReader"
    ),
    "web.transform_streams": "FixedLengthStream IdentityTransformStream TransformStream TransformStreamDefaultController",
    "web.writable_streams": "WritableStream WritableStreamDefaultController WritableStreamDefaultWriter",
    "web.url": "URL URLSearchParams",
}
"""Module below the package → the names that it has here, with blanks between; `name=name there`."""

_home_of: Final = {
    name.partition("=")[0]: (home, name.rpartition("=")[2])
    for home, names in _HOMES.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    if name in ("globalThis", "self"):
        return sys.modules[__name__]
    if name not in _home_of:
        raise _not_supplied(name)
    home, there = _home_of[name]
    found = globals()[name] = getattr(importlib.import_module(f"{_PACKAGE}.{home}"), there)
    return found


def __dir__() -> list[str]:
    return sorted([*_home_of, "globalThis", "self"])


def _not_supplied(name: str) -> Exception:
    text = f"js.{name} is not supplied here: js has {', '.join(__dir__())}"
    caller = sys._getframe(2)
    # Of an AttributeError `from js import …` would keep nothing: its own text would say that there is no such name.
    if name[:2] != "__" and caller.f_code.co_code[caller.f_lasti] == opmap["IMPORT_FROM"]:
        return ImportError(text, name=__name__)
    return AttributeError(text, name=name)
