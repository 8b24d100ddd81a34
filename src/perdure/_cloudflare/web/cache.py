"""`caches`: responses kept in the memory of the process, as long as their headers allow. (cooperative)

There is one cache of each name for all workers and objects. It is bounded, and empty after a restart: as on Cloudflare
nobody may count on what is in it.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from perdure._base.limits import CACHED_BYTES_MAX
from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.web.request import Request
from perdure._cloudflare.web.response import Response, view_response
from perdure._cloudflare.web.shape import WebObject, read_options
from perdure.web import Headers
from perdure.web import Response as NativeResponse

_DEFAULT_S: Final = {200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180}
"""How long a response is kept whose headers say nothing, by status; others are not."""
_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*"?([^",]*)"?)?', re.IGNORECASE)


class _Entry(NamedTuple):
    status: int
    headers: Headers
    body: bytes
    ends_at_s: float


class Cache(WebObject):
    """Responses by URL."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    async def put(self, request: Any, response: Any) -> None:
        """Keep *response*, whose body is read; what its headers forbid to keep is not, without a word."""
        asked = _request(request)
        kept: Response = getattr(response, "js_object", response)
        if asked.method != "GET":
            raise js_error(
                "TypeError", f"Cannot cache response to non-GET request: {asked.method} {asked.url}"
            )
        if kept.status == 206:
            raise js_error("TypeError", "Cannot cache response to a range request (206 Partial Content).")
        headers = kept._native.headers.copy()
        if "*" in (headers.get("vary") or ""):
            raise js_error("TypeError", "Cannot cache response with 'Vary: *' header.")
        body = await kept.bytes()
        keep_s = _keep_s(kept.status, headers)
        self._drop(asked.url)
        if keep_s > 0 and len(body) <= CACHED_BYTES_MAX:
            self._entries[asked.url] = _Entry(kept.status, headers, bytes(body), _now_s() + keep_s)
            self._bytes += len(body)
            while self._bytes > CACHED_BYTES_MAX:
                self._drop(next(iter(self._entries)))

    async def match(self, request: Any, options: Any = None, **named: Any) -> Response | None:
        """Return the response that is kept for *request*, None if there is none; `ignoreMethod` for one that is no GET."""
        asked = _request(request)
        entry = self._find(asked, options, named)
        if entry is None:
            return None
        headers = entry.headers.copy()
        headers.set("cf-cache-status", "HIT")
        etag = headers.get("etag")
        if etag is not None and asked.headers.get("if-none-match") in (etag, "*"):
            return view_response(NativeResponse(None, status=304, headers=headers))
        status, body = entry.status, entry.body
        if entry.status == 200 and (span := _span(asked.headers.get("range"), len(body))) is not None:
            headers.set("content-range", f"bytes {span.start}-{span.stop - 1}/{len(body)}")
            status, body = 206, body[span]
            headers.set("content-length", str(len(body)))
        return view_response(NativeResponse(body, status=status, headers=headers))

    async def delete(self, request: Any, options: Any = None, **named: Any) -> bool:
        """Drop what is kept for *request*; tell whether there was something."""
        asked = _request(request)
        found = self._find(asked, options, named) is not None
        if found:
            self._drop(asked.url)
        return found

    def _find(self, asked: Request, options: Any, named: dict[str, Any]) -> _Entry | None:
        if asked.method != "GET" and not read_options(options, named, "ignoreMethod").get("ignoreMethod"):
            return None
        entry = self._entries.get(asked.url)
        if entry is None:
            return None
        if entry.ends_at_s <= _now_s():
            self._drop(asked.url)
            return None
        self._entries.move_to_end(asked.url)
        return entry

    def _drop(self, url: str) -> None:
        entry = self._entries.pop(url, None)
        if entry is not None:
            self._bytes -= len(entry.body)


class CacheStorage(WebObject):
    """`caches`: the `default` one, and others by name."""

    def __init__(self) -> None:
        self._caches: dict[str, Cache] = {}
        self.default = Cache()

    async def open(self, name: Any) -> Cache:
        """Return the cache of that name."""
        return self._caches.setdefault(str(name), Cache())


caches: Final = CacheStorage()


def _request(given: Any) -> Request:
    shown = getattr(given, "js_object", given)
    return shown if isinstance(shown, Request) else Request(shown)


def _keep_s(status: int, headers: Headers) -> float:
    """Return for how long a response may be kept; nothing or less for not at all."""
    given = _DIRECTIVE.findall(headers.get("cache-control") or "")
    directives = {name.lower(): value.strip() for name, value in given}
    private = directives.get("private")
    if "set-cookie" in headers:
        if private is None or private.lower() != "set-cookie":
            return 0
        headers.delete("set-cookie")
    elif private is not None or not directives.keys().isdisjoint(("no-store", "no-cache")):
        return 0
    for name in ("s-maxage", "max-age"):
        if directives.get(name, "").isdecimal():
            return int(directives[name])
    expires = headers.get("expires")
    if expires is not None:
        try:
            return parsedate_to_datetime(expires).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0
    return _DEFAULT_S.get(status, 0)


def _span(asked: str | None, size: int) -> slice | None:
    """Return the bytes that a Range header asks for; None for all of them."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        return slice(max(0, size - int(match[2])), size)
    first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    return slice(first, last + 1) if first <= last else None


def _now_s() -> float:
    return time.monotonic()
