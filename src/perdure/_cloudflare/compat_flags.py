"""`_cloudflare_compat_flags`: each compatibility flag is an attribute, True if the project has it. (pure)"""

from __future__ import annotations

from collections.abc import Iterable

_flags: set[str] = set()


def know(flags: Iterable[str]) -> None:
    """Let these be the project's flags."""
    _flags.clear()
    _flags.update(flags)


def __getattr__(name: str) -> bool:
    if name[:2] == "__":
        raise AttributeError(name)
    return name in _flags
