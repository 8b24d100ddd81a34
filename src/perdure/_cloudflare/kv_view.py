"""KV namespaces and assets as Cloudflare has them: one object of options, times in seconds, results with attributes. (cooperative)"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import perdure
from perdure._cloudflare.convert import Answer, Convert, python_from_rpc, python_to_rpc, register_incoming
from perdure._cloudflare.exceptions import js_error, js_exception
from perdure._cloudflare.namespace_view import StubView
from perdure._cloudflare.values import JsDict, JsMap, JsObject, bytes_of, is_buffer, js_name, js_text
from perdure._cloudflare.views import Method, View, begin
from perdure._cloudflare.web.body import native_body
from perdure._cloudflare.web.readable_streams import ReadableStream, view_stream
from perdure._web.body import Body

TYPES: Final = {"text": "text", "json": "json", "arrayBuffer": "bytes", "stream": "stream"}
"""Cloudflare's names of what a value is read as → Perdure's."""
NO_TYPE: Final = 'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
NO_VALUE: Final = (
    "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."
)

_GET: Final = Method(1, frozenset({"type", "cacheTtl"}))
_PUT: Final = Method(2, frozenset({"expiration", "expirationTtl", "metadata"}))
_LIST: Final = Method(0, frozenset({"prefix", "limit", "cursor"}))


class KvView(View):
    """A KV namespace."""

    _js_name = "KvNamespace"

    def get(self, key: Any, *args: Any, **options: Any) -> Answer:
        """Return the value of a key; of an array of keys a Map. The type is an argument, or an option."""
        named = _reading(args, options)
        if isinstance(key, (list, tuple)):
            keys = [_text(one) for one in key]
            return _begin(
                lambda: self._native.get(keys, **named), lambda found: JsMap(_each(found, python_from_rpc))
            )
        return _begin(lambda: self._native.get(_text(key), **named), _shown)

    def getWithMetadata(self, key: Any, *args: Any, **options: Any) -> Answer:
        """Return `{value, metadata, cacheStatus}`; of an array of keys a Map of these."""
        named = _reading(args, options)
        if isinstance(key, (list, tuple)):
            keys = [_text(one) for one in key]
            return _begin(
                lambda: self._native.get_with_metadata(keys, **named),
                lambda found: JsMap(_each(found, _one_of_many)),
            )
        return _begin(lambda: self._native.get_with_metadata(_text(key), **named), _with_metadata)

    def put(self, key: Any, value: Any, *args: Any, **options: Any) -> Answer:
        """Let *value* be the value of *key*; options are expiration, expirationTtl and metadata."""
        _, named = _PUT.split((key, value, *args), options)
        whole = {name: _whole(named.pop(name)) for name in ("expiration", "expiration_ttl") if name in named}
        return _begin(lambda: self._native.put(_text(key), _value(value), **named, **whole))

    def delete(self, key: Any) -> Answer:
        """Remove a key."""
        return _begin(lambda: self._native.delete(_text(key)))

    def list(self, *args: Any, **options: Any) -> Answer:
        """Return `{keys, list_complete, cursor, cacheStatus}`; options are prefix, limit and cursor."""
        _, named = _LIST.split(args, options)
        if "limit" in named:
            named["limit"] = _whole(named["limit"]) or None  # 0 is no limit of one's own
        return _begin(lambda: self._native.list(**named), _page)


class AssetsView(View):
    """The files of `assets`: `await env.ASSETS.fetch(request)`."""

    _js_name = "Fetcher"

    fetch = StubView.fetch

    @property
    def _binding(self) -> AssetsView:
        return self  # what the SDK's own wrapper holds, and some projects reach for


def _begin(function: Callable[[], Coroutine[Any, Any, Any]], convert: Convert = python_from_rpc) -> Answer:
    """Begin what is asked of the namespace; mistakes are plain errors of JavaScript, but for JSON that is none."""

    async def run() -> Any:
        try:
            return await function()
        except json.JSONDecodeError as error:
            raise js_exception(error, "SyntaxError") from None
        except ValueError as error:
            raise js_exception(error, "Error") from None

    return begin(run, convert)


def _reading(args: tuple[Any, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of reading by Perdure's names; the type may stand in their place."""
    first = args[0] if args else None
    if isinstance(first, str):
        args = ({"type": first},)
    _, named = _GET.split((None, *args), options)
    kind = named.get("type", "text")
    if kind not in TYPES:
        raise js_error("TypeError", f"{NO_TYPE} Got {js_text(kind)!r}.")
    named["type"] = TYPES[kind]
    if "cache_ttl" in named:
        named["cache_ttl"] = _whole(named["cache_ttl"])
    return named


def _text(key: Any) -> str:
    """Return a key, which JavaScript makes a text of."""
    return "null" if key is None else js_text(key)


def _whole(value: Any) -> Any:
    """Return a number as JavaScript makes a whole one of it: without its fraction, and of a text that is one."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if math.isfinite(number) else value


def _value(value: Any) -> Any:
    if value is None:
        return "null"
    if isinstance(value, (str, bool, int, float)):
        return js_text(value)
    if is_buffer(value):
        return bytes_of(value)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, ReadableStream):
        return native_body(value)[0]
    raise js_error(
        "TypeError", f"{NO_VALUE} Got {js_name(python_to_rpc(value))}; json.dumps(value) is a string."
    )


def _shown(value: Any) -> Any:
    return view_stream(value) if isinstance(value, Body) else python_from_rpc(value)


def _with_metadata(found: perdure.KvValue) -> JsDict:
    return JsDict(value=_shown(found.value), metadata=python_from_rpc(found.metadata), cacheStatus=None)


def _one_of_many(found: perdure.KvValue) -> JsDict | None:
    return (
        None
        if found == (None, None)
        else JsDict(zip(found._fields, map(python_from_rpc, found), strict=True))
    )


def _each(found: Mapping[str, Any], convert: Any) -> dict[str, Any]:
    return {key: convert(value) for key, value in found.items()}


def _page(page: perdure.KvList) -> JsObject:
    keys = []
    for key in page.keys:
        shown = JsDict(name=key.name)
        if key.expiration is not None:
            shown["expiration"] = int(key.expiration.timestamp())
        if key.metadata is not None:
            shown["metadata"] = python_from_rpc(key.metadata)
        keys.append(shown)
    # Both `page["keys"]` and `page.keys` are the keys, as projects of either age have it.
    found = JsObject(keys=keys, list_complete=page.list_complete, cacheStatus=None)
    if page.cursor is not None:
        found["cursor"] = page.cursor
    return found


register_incoming(perdure.KvNamespace, KvView)
register_incoming(perdure.AssetsBinding, AssetsView)
