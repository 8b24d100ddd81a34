"""AssetFolder: the files of one folder, as they are at this moment. (edge)

Nothing outside of the folder is ever read, whatever a path or a symbolic link says. Files and rules may change while it is
served: each request sees them as they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from perdure._assets.ignore import IGNORE_FILE, ignored
from perdure._assets.rules import HeaderRule, Redirect, parse_headers, parse_redirects

T = TypeVar("T")

PIECE_BYTES: Final = 256 * 1024
WHOLE_BYTES_MAX: Final = 1024 * 1024
"""A file up to this size is read in one piece."""
RULES_BYTES_MAX: Final = 1024 * 1024


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


class _Rules(Generic[T]):
    """What a file of rules says, read again when it has changed."""

    def __init__(self, path: pathlib.Path, read: Callable[[str], T]) -> None:
        self._path = str(path)
        self._read = read
        self._seen: tuple[int, int] | None = None
        self._rules = read("")

    def now(self) -> T:
        try:
            facts = os.stat(self._path)  # noqa: PTH116 - each request asks
            seen = (facts.st_mtime_ns, facts.st_size)
            text = None if seen == self._seen else self._text(facts)
        except OSError:  # there is none
            seen, text = None, None if self._seen is None else ""
        if text is not None:
            self._rules = self._read(text)
        self._seen = seen
        return self._rules

    def _text(self, facts: os.stat_result) -> str:
        if not stat.S_ISREG(facts.st_mode):
            return ""
        with open(self._path, "rb") as file:
            return file.read(RULES_BYTES_MAX).decode("utf-8", "replace")


class AssetFolder:
    """The files below one folder, by paths that begin with `/`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._root = pathlib.Path(directory).resolve()
        self._text = str(self._root)
        self._ignored = _Rules(self._root / IGNORE_FILE, ignored)
        self._redirects = _Rules(self._root / "_redirects", lambda text: parse_redirects(text)[0])
        self._headers = _Rules(self._root / "_headers", lambda text: parse_headers(text)[0])

    @property
    def redirects(self) -> list[Redirect]:
        return self._redirects.now()

    @property
    def headers(self) -> list[HeaderRule]:
        return self._headers.now()

    def find(self, path: str) -> Asset | None:
        """Return the file at exactly this path, which is decoded."""
        if path.endswith("/") or "//" in path or "\0" in path or "\\" in path:
            return None
        try:
            # First, and not by way of a Path, as it is cheap: most paths of an application are no files.
            facts = os.stat(f"{self._text}{path}")  # noqa: PTH116
            real = pathlib.Path(f"{self._text}{path}").resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # absent, unreadable, a loop of links, too long, no text
            return None
        if not real.is_relative_to(self._root) or not stat.S_ISREG(facts.st_mode):
            return None
        is_ignored = self._ignored.now()
        # What a link in the folder leads to is as secret under its other name.
        if is_ignored(path.removeprefix("/")) or is_ignored(real.relative_to(self._root).as_posix()):
            return None
        return Asset(real, facts.st_size, facts.st_mtime_ns)


async def contents(asset: Asset) -> Any:
    """Return the body of a response: all of a small file, the pieces of a large one."""
    if asset.size_bytes <= WHOLE_BYTES_MAX:
        return await asyncio.to_thread(asset.path.read_bytes)
    return _pieces(asset)


async def _pieces(asset: Asset) -> AsyncIterator[bytes]:
    """Yield the file in pieces, each read in a thread: a slow disk does not stop the objects."""
    left = asset.size_bytes
    loop = asyncio.get_running_loop()
    reading: asyncio.Future[bytes] | None = None
    file = os.open(asset.path, os.O_RDONLY)
    try:
        while left:
            reading = loop.run_in_executor(None, os.read, file, min(left, PIECE_BYTES))
            piece = await asyncio.shield(reading)
            if not piece:
                raise OSError(f"{asset.path.name} became shorter while it was sent")
            left -= len(piece)
            yield piece
    finally:
        # A client that goes away cancels this, and not the thread: the number of a closed file is soon another's, and what the
        # thread reads would be missing there.
        if reading is None or reading.done():
            os.close(file)
        else:
            reading.add_done_callback(lambda _: os.close(file))
