"""Errors of JavaScript's that the Python SDK shows as Python's own. (pure)"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perdure._cloudflare.exceptions import JsException


@contextmanager
def as_python() -> Iterator[None]:
    """Raise a RangeError as a plain ValueError, and a TypeError as a plain TypeError."""
    try:
        yield
    except JsException as error:
        kind = {"RangeError": ValueError, "TypeError": TypeError}.get(error.name)
        if kind is None:
            raise
        raise kind(error.message) from error
