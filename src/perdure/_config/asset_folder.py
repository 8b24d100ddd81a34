"""What is wrong in a folder of assets: lines of its rules, and files that nobody should have. (edge)"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from perdure._assets.rules import Wrong, parse_headers, parse_redirects
from perdure._assets.settings import Assets
from perdure._config.problem import Problem
from perdure._config.source import Source, Span

_PARSERS: Final[dict[str, Callable[[str], tuple[Any, list[Wrong]]]]] = {
    "_headers": parse_headers,
    "_redirects": parse_redirects,
}


def problems_in_folder(
    assets: Assets, main: pathlib.Path, shown: Callable[[pathlib.Path], str]
) -> Iterator[Problem]:
    """Yield warnings: lines of `_redirects` and `_headers` that are no rules, and code among what is served."""
    folder = pathlib.Path(assets.directory)
    for name, parse in _PARSERS.items():
        path = folder / name
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:  # there is none, or nobody is served by it
            continue
        for wrong in parse(text)[1]:
            yield _at_line(Source(shown(path), text), wrong)
    if main.resolve().is_relative_to(folder.resolve()):
        yield Problem(
            "config/code-is-served",
            f"{shown(main)} lies in the folder of assets, whose files everybody can read",
            "warning",
            help="keep files that are served in a folder of their own, or name others in .assetsignore",
        )


def _at_line(source: Source, wrong: Wrong) -> Problem:
    lines = source.text.removeprefix("\ufeff").splitlines(keepends=True)
    start = sum(map(len, lines[: wrong.line - 1]))
    length = len(lines[wrong.line - 1].rstrip())
    return source.at_span(
        Span(start, length), "config/invalid-rule", f"this line is left out: {wrong.text}", severity="warning"
    )
