"""Values of JavaScript as compat code holds them: Python's own, with the members that people call. (cooperative)"""

from perdure._cloudflare.values.base import (
    JsBuffer,
    JsClass,
    JsNull,
    JsProxy,
    JsValue,
    js_name,
    jsnull,
    undefined,
)
from perdure._cloudflare.values.buffers import (
    ArrayBuffer,
    JsBytes,
    TypedArray,
    Uint8Array,
    bytes_of,
    is_buffer,
)
from perdure._cloudflare.values.calls import relaxed_call
from perdure._cloudflare.values.collections import JsArray, JsDict, JsIterator, JsMap, JsObject, JsSet
from perdure._cloudflare.values.conversion import to_js, to_py
from perdure._cloudflare.values.dates import JsDate
from perdure._cloudflare.values.proxies import (
    PyProxy,
    create_once_callable,
    create_proxy,
    destroy_proxies,
    unproxied,
)
from perdure._cloudflare.values.text import as_number, js_number, js_text

__all__ = [
    "ArrayBuffer",
    "JsArray",
    "JsBuffer",
    "JsBytes",
    "JsClass",
    "JsDate",
    "JsDict",
    "JsIterator",
    "JsMap",
    "JsNull",
    "JsObject",
    "JsProxy",
    "JsSet",
    "JsValue",
    "PyProxy",
    "TypedArray",
    "Uint8Array",
    "as_number",
    "bytes_of",
    "create_once_callable",
    "create_proxy",
    "destroy_proxies",
    "is_buffer",
    "js_name",
    "js_number",
    "js_text",
    "jsnull",
    "relaxed_call",
    "to_js",
    "to_py",
    "undefined",
    "unproxied",
]
