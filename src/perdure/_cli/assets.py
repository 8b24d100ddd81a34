"""Files served as they are, before the worker is asked: `assets.directory`. (edge)

`/` is `index.html`, `/about` may be `about.html` or `about/index.html`. A path that names no file goes to the
worker. Nothing outside of the folder is ever read, whatever the path or a symbolic link says.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import pathlib
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from perdure._http.responder import Handle
from perdure.web import Headers, Request, Response

PIECE_BYTES = 256 * 1024
WHOLE_BYTES_MAX = 1024 * 1024
"""A file up to this size is read in one piece."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that answers a path."""

    path: pathlib.Path
    size_bytes: int
    modified_ns: int

    @property
    def etag(self) -> str:
        mark = hashlib.blake2b(f"{self.size_bytes}-{self.modified_ns}-{self.path}".encode(), digest_size=8)
        return f'"{mark.hexdigest()}"'


class Assets:
    """The files of one folder, in front of a worker."""

    def __init__(self, folder: pathlib.Path, handle: Handle) -> None:
        self._folder = folder.resolve()
        self._handle = handle

    async def handle(self, request: Request) -> Response:
        """Return the file that the request names, else what the worker answers."""
        if request.method in {"GET", "HEAD"}:
            found = self.find(urlsplit(request.url).path)
            if found is not None:
                return await _response(found, request)
        return await self._handle(request)

    def find(self, path: str) -> Asset | None:
        """Return the file for a URL's path, or None."""
        relative = unquote(path).lstrip("/")
        if "\0" in relative or "\\" in relative:
            return None
        candidates = (
            [f"{relative}index.html"]
            if relative.endswith("/") or not relative
            else [relative, f"{relative}.html", f"{relative}/index.html"]
        )
        for candidate in candidates:
            full = self._folder / candidate
            try:
                real = full.resolve(strict=True)
                facts = real.stat()
            except (OSError, RuntimeError, ValueError):  # absent, unreadable, a loop of links, too long
                continue
            if real.is_relative_to(self._folder) and stat.S_ISREG(facts.st_mode):
                return Asset(real, facts.st_size, facts.st_mtime_ns)
        return None


async def _response(asset: Asset, request: Request) -> Response:
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
    if asset.etag in known:
        return Response(None, status=304, headers=headers)
    headers.set("content-type", content_type(asset.path.name))
    if asset.size_bytes <= WHOLE_BYTES_MAX:
        try:
            body = await asyncio.to_thread(asset.path.read_bytes)
        except OSError:
            return Response("The file cannot be read.\n", status=500)
        return Response(body, headers=headers)
    headers.set("content-length", str(asset.size_bytes))
    return Response(_pieces(asset), headers=headers)


async def _pieces(asset: Asset) -> AsyncIterator[bytes]:
    """Yield the file in pieces, each read in a thread: a slow disk does not stop the objects."""
    left = asset.size_bytes
    file = await asyncio.to_thread(os.open, asset.path, os.O_RDONLY)
    try:
        while left:
            piece = await asyncio.to_thread(os.read, file, min(left, PIECE_BYTES))
            if not piece:
                raise OSError(f"{asset.path.name} became shorter while it was sent")
            left -= len(piece)
            yield piece
    finally:
        os.close(file)


def content_type(name: str) -> str:
    """Return the media type of a file's name, texts as UTF-8."""
    kind, encoding = mimetypes.guess_type(name)
    if kind is None or encoding is not None:
        return "application/octet-stream"
    is_text = kind.startswith("text/") or kind in {
        "application/javascript",
        "application/json",
        "image/svg+xml",
    }
    return f"{kind}; charset=utf-8" if is_text else kind
