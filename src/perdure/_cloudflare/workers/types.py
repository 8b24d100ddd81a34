"""`workers.types`: names for type annotations. (pure)"""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPMethod
from typing import Any, Protocol, TypeAlias, TypedDict


class Context(Protocol):
    """What a handler gets as `ctx`."""

    def waitUntil(self, other: Awaitable[Any]) -> None:
        """Keep the worker until *other* is done."""


JSBody: TypeAlias = "js.Blob | JsBuffer | js.FormData | js.ReadableStream | js.URLSearchParams"  # type: ignore[name-defined]  # noqa: F821
Body: TypeAlias = "str | FormData | JSBody"  # type: ignore[name-defined]  # noqa: F821
Headers: TypeAlias = "dict[str, str] | list[tuple[str, str]] | js.Headers"  # type: ignore[name-defined]  # noqa: F821


class RequestInitCfProperties(TypedDict, total=False):
    """What Cloudflare's network is told with a request; there is none here."""

    apps: bool | None
    cacheEverything: bool | None
    cacheKey: str | None
    cacheTags: list[str] | None
    cacheTtl: int
    cacheTtlByStatus: dict[str, int]
    image: Any
    mirage: bool | None
    polish: str | None
    resolveOverride: str | None
    scrapeShield: bool | None
    webp: bool | None


class FetchKwargs(TypedDict, total=False):
    """The options of `fetch`."""

    headers: Headers | None
    body: Body | None
    method: HTTPMethod | None
    redirect: str | None
    cf: RequestInitCfProperties | None
    fetcher: Any
