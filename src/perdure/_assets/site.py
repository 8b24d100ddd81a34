"""Site: answers requests with files, or lets the worker answer. (cooperative)

Source: Cloudflare's static assets. Without `run_worker_first` a request goes to the worker when no file, page or
redirect is at its path; of paths that nothing is at, browsers' navigations get what `not_found_handling` says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from perdure._assets import pages
from perdure._assets.folder import Asset, AssetFolder, contents
from perdure._assets.pages import Leads
from perdure._assets.rules import headers_for, redirected
from perdure._assets.settings import Assets
from perdure._assets.types import content_type
from perdure._base.refusal import stays
from perdure._web.headers import Headers
from perdure._web.redirect import follow
from perdure._web.request import Request
from perdure._web.response import Response

Handle: TypeAlias = Callable[[Request], Awaitable[Response]]

NOT_ALLOWED: Final = (
    "There is a file at this path, and files are for GET and HEAD. If the worker is to answer other methods here, name "
    "the path in assets.run_worker_first.\n"
)
_SAFE: Final = "/~!$&'()*+,;=:@"


class Site:
    """The files of one folder, in front of a worker or alone."""

    def __init__(self, settings: Assets) -> None:
        self._settings = settings
        self._folder = AssetFolder(settings.directory)
        first = settings.run_worker_first
        patterns = () if isinstance(first, bool) else first
        self._to_worker = [_pattern(one) for one in patterns if not one.startswith("!")]
        self._to_files = [_pattern(one[1:]) for one in patterns if one.startswith("!")]

    @property
    def bindings(self) -> dict[str, AssetsBinding]:
        """What `env` has for it: one name, or none."""
        name = self._settings.binding
        return {} if name is None else {name: AssetsBinding(self)}

    async def handle(self, request: Request, worker: Handle | None) -> Response:
        """Answer from the folder or by the worker, as the settings divide requests between them."""
        if worker is None:
            return await self.answer(request)
        path = urlsplit(request.url).path
        if self._settings.run_worker_first is True:
            return await worker(request)
        if _matches(self._to_files, path):
            return await self.answer(request)
        if _matches(self._to_worker, path):
            return await worker(request)
        has_patterns = bool(self._to_worker)
        is_navigation = request.headers.get("sec-fetch-mode") == "navigate"
        found = self._find(
            request, whatever=has_patterns or (is_navigation and self._settings.prefers_navigations)
        )
        return await worker(request) if found is None else await self._respond(request, found)

    async def answer(self, request: Request) -> Response:
        """Answer from the folder, with status 404 if it must be; as the binding does."""
        found = self._find(request, whatever=True)
        return Response(None, status=404) if found is None else await self._respond(request, found)

    def _find(self, request: Request, *, whatever: bool) -> tuple[Asset, int] | Leads | None:
        """
        Return what is at the request's path: a file and the status it is sent with, or where the path leads.

        With *whatever* also what answers in the place of nothing.
        """
        seen: dict[str, Asset] = {}

        def exists(path: str) -> bool:
            asset = self._folder.find(path)
            if asset is not None:
                seen[path] = asset
            return asset is not None

        url = urlsplit(request.url)
        path = url.path
        rule = redirected(path, url.netloc, self._folder.redirects)
        if rule is not None:
            path, status = rule
            if status != 200:
                return Leads(path, status, is_rule=True)
        path = _decoded(path.partition("?")[0])
        found = pages.find(path, exists, self._settings.html_handling)
        if found is None and whatever:
            found = pages.find_instead(path, exists, self._settings.not_found_handling)
        if isinstance(found, Leads):
            return Leads(quote(found.path, safe=_SAFE))
        return None if found is None else (seen[found.file], found.status)

    async def _respond(self, request: Request, found: tuple[Asset, int] | Leads) -> Response:
        if request.method not in ("GET", "HEAD") and not (isinstance(found, Leads) and found.is_rule):
            return Response(NOT_ALLOWED, status=405, headers={"allow": "GET, HEAD"})
        url = urlsplit(request.url)
        if isinstance(found, Leads):
            where, mark, fragment = found.path.partition("#")
            if url.query and "?" not in where:
                where = f"{where}?{url.query}"
            response = Response(None, status=found.status, headers={"location": where + mark + fragment})
        else:
            response = await _file(found[0], request, found[1])
        add, remove = headers_for(url.path, url.netloc, self._folder.headers)
        for name in remove:
            response.headers.delete(name)
        for name, value in add.items():
            response.headers.set(name, value)
        return response


class AssetsBinding:
    """
    What `env` has for `Assets.binding`: answers requests with the files, and never asks the worker.

    ```python
    return await self.env.ASSETS.fetch(request)
    ```
    """

    __slots__ = ("_site",)
    __perdure_cross__ = stays

    def __init__(self, site: Site) -> None:
        self._site = site

    async def fetch(self, input: Request | str, **init: Any) -> Response:
        """
        Return the file that a request names, or what is served in its place; the host of a URL says nothing.

        Redirects between pages are followed, as by every `fetch`; not for a request of a client's, which is told.

        Args:
            input: a request, a URL, or a path.
            init: as of a `Request`.
        """
        if isinstance(input, str) and input.startswith("/"):
            input = f"http://assets.local/{input.lstrip('/')}"
        return await follow(Request(input, **init), self._site.answer)

    def __repr__(self) -> str:
        return "<AssetsBinding>"


async def _file(asset: Asset, request: Request, status: int) -> Response:
    headers = Headers(
        {
            "etag": asset.etag,
            "last-modified": formatdate(asset.modified_ns // 1_000_000_000, usegmt=True),
            "cache-control": "public, max-age=0, must-revalidate",
        }
    )
    known = [
        tag.strip().removeprefix("W/") for tag in (request.headers.get("if-none-match") or "").split(",")
    ]
    if asset.etag in known and status == 200:
        return Response(None, status=304, headers=headers)
    headers.set("content-type", content_type(asset.path.name))
    if request.method == "HEAD":
        headers.set("content-length", str(asset.size_bytes))
        return Response(None, status=status, headers=headers)
    try:
        body = await contents(asset)
    except OSError:
        return Response("The file cannot be read.\n", status=500)
    if not isinstance(body, bytes):
        headers.set("content-length", str(asset.size_bytes))
    return Response(body, status=status, headers=headers)


def _decoded(path: str) -> str:
    """Return a path as names of files are: percents decoded, and each slash once."""
    return re.sub("/+", "/", f"/{unquote(path)}")


def _pattern(text: str) -> re.Pattern[str]:
    first, *others = map(re.escape, text.split("*"))
    if not others:
        return re.compile(first)
    *middle, last = others
    # The first place where a part is will do, and no other is tried: a client has nothing to gain by a path of many.
    return re.compile(f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}", re.DOTALL)


def _matches(patterns: list[re.Pattern[str]], path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in patterns)
