"""Assets: which folder of files is served, and how its paths are read. (pure)

Source: Cloudflare's static assets, whose keys and defaults these are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal, get_args

from perdure.errors import ConfigError

HtmlHandling = Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"]
NotFoundHandling = Literal["none", "404-page", "single-page-application"]
HTML_HANDLINGS: Final[tuple[str, ...]] = get_args(HtmlHandling)
NOT_FOUND_HANDLINGS: Final[tuple[str, ...]] = get_args(NotFoundHandling)

PATTERNS_MAX: Final = 100
PATTERN_CHARS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Assets:
    """
    A folder of files that are served as they are, in front of the worker.

    Args:
        directory: the folder.
        binding: name in `env` of what answers requests with these files, for the worker's own use.
        run_worker_first: True: the worker gets every request. Patterns such as `"/api/*"`: it gets those, except for what
            a pattern with `!` in front matches, and every other request is answered from the folder. Otherwise
            the worker gets what no file answers.
        html_handling: under which path a page is: `/about` or `/about/`, and where others lead.
        not_found_handling: what answers a path that no file is at: the nearest `404.html` above it, or
            `/index.html`; none: nothing does.
        prefers_navigations: a browser that goes to such a path gets that answer also where there is a worker, which
            gets the path's other requests.

    Raises:
        ConfigError: one of them is not among its values.
    """

    directory: str | os.PathLike[str]
    binding: str | None = None
    run_worker_first: bool | tuple[str, ...] | list[str] = False
    html_handling: HtmlHandling = "auto-trailing-slash"
    not_found_handling: NotFoundHandling = "none"
    prefers_navigations: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("html_handling", HTML_HANDLINGS), ("not_found_handling", NOT_FOUND_HANDLINGS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"assets: {name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}."
                )
        if not isinstance(self.run_worker_first, bool):
            for pattern in self.run_worker_first:
                wrong = wrong_pattern(pattern)
                if wrong is not None:
                    raise ConfigError(f"assets: run_worker_first: {wrong}.")
            wrong = wrong_patterns(self.run_worker_first)
            if wrong is not None:
                raise ConfigError(f"assets: {wrong}.")


def wrong_pattern(pattern: object) -> str | None:
    """Return what is wrong of one pattern of `run_worker_first`."""
    if not isinstance(pattern, str):
        return f"a pattern is a text, not {pattern!r}"
    if not pattern.removeprefix("!").startswith("/"):
        return f'"{pattern}" must begin with "/" or "!/"'
    if len(pattern) > PATTERN_CHARS_MAX:
        return f'"{pattern[:20]}…" has {len(pattern)} characters; a pattern has {PATTERN_CHARS_MAX} at most'
    return None


def wrong_patterns(patterns: tuple[str, ...] | list[str]) -> str | None:
    """Return what is wrong of all patterns of `run_worker_first` together."""
    if len(patterns) > PATTERNS_MAX:
        return f"run_worker_first has {len(patterns)} patterns; there may be {PATTERNS_MAX}"
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        return 'run_worker_first needs a pattern without "!": one that sends something to the worker'
    return None
