"""Which file answers a path, and where a path leads that is not its page's own. (pure)

A page, `/x.html` or `/x/index.html`, is served under one path, its *own*; the other ways to write it lead there.
Every other file is at its name. With `html_handling`:

    own path of                 /x.html   /x/index.html   /index.html
    auto-trailing-slash         /x        /x/             /
    force-trailing-slash        /x/       /x/             /
    drop-trailing-slash         /x        /x              /
    none                        /x.html   /x/index.html   /index.html

Where two files would have one path, the first of `_meant` has it (what is called so itself before all pages), and the
other is at its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from perdure._assets.settings import HtmlHandling, NotFoundHandling

Exists = Callable[[str], bool]
"""Whether there is a file at a path below the folder, which begins with `/`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file answers."""

    file: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Leads:
    """The page is somewhere else."""

    path: str
    status: int = 307
    is_rule: bool = False
    """A line of `_redirects` says so, for every method; a page is for GET and HEAD."""


def find(path: str, exists: Exists, handling: HtmlHandling) -> Found | Leads | None:
    """Return what is at *path*, which is decoded and has no `//`."""
    there = [file for file in _meant(path, handling) if exists(file)]
    if path not in there:  # else that one's path is taken, whatever page has it for its own
        for file in there:
            if _own(file, handling) == path:
                return Found(file)
    for file in there:
        own = _own(file, handling)
        if own == path:
            return Found(file)
        if _served(own, exists, handling) == file:
            return Leads(own)
        if file == path:
            return Found(path)  # another one has its own path
    return None


def find_instead(path: str, exists: Exists, handling: NotFoundHandling) -> Found | None:
    """Return what answers a path that nothing is at."""
    if handling == "single-page-application":
        return Found("/index.html") if exists("/index.html") else None
    if handling == "404-page":
        while path:
            path = path.rpartition("/")[0]
            if exists(f"{path}/404.html"):
                return Found(f"{path}/404.html", 404)
    return None


def _served(path: str, exists: Exists, handling: HtmlHandling) -> str | None:
    """Return the file that is at *path*, or leads from there to its own."""
    return next(
        (file for file in _meant(path, handling) if path in (file, _own(file, handling)) and exists(file)),
        None,
    )


def _own(file: str, handling: HtmlHandling) -> str:
    if handling == "none" or not file.endswith(".html") or file.endswith("/.html"):  # which names no page
        return file
    stem = file.removesuffix(".html")
    folder = stem.removesuffix("/index")
    if not folder:
        return "/"
    match handling:
        case "auto-trailing-slash":
            return f"{folder}/" if folder != stem else stem
        case "force-trailing-slash":
            return f"{folder}/"
        case _:
            return folder


def _meant(path: str, handling: HtmlHandling) -> Iterator[str]:
    """Yield the files that a path may mean, the likeliest first."""
    if not path.endswith("/"):
        yield path
    if handling == "none":
        return
    for end in ("/index.html", "/index", "/", ".html"):
        if path.endswith(end):
            stem = path.removesuffix(end)
            yield f"{stem}/index.html"
            if stem:
                yield f"{stem}.html"
            break
    if not path.endswith("/"):
        yield f"{path}.html"
        yield f"{path}/index.html"
