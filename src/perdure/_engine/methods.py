"""The runtime's own handlers of an object or a worker, and how many arguments they take. (pure)"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection
from typing import Any


def call_with(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a handler of the runtime's events with as many of *args* as it takes."""
    return handler(*args[: takes(handler, len(args))])


def takes(function: Callable[..., Any], most: int) -> int:
    """Tell how many positional arguments *function* takes, at most *most*; as many when it does not tell."""
    if isinstance(function, types.MethodType):
        return _method_takes(function.__func__, most + 1) - 1
    return _takes(function, most)


@functools.lru_cache(maxsize=1024)
def _method_takes(function: Callable[..., Any], most: int) -> int:
    return _takes(function, most)  # not for any function: a closure, and all it holds, would be kept


def _takes(function: Callable[..., Any], most: int) -> int:
    try:
        parameters = parameters_of(function)
    except (TypeError, ValueError):
        return most
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return most
    return min(most, sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters))


def parameters_of(function: Callable[..., Any]) -> Collection[inspect.Parameter]:
    """
    Return what *function* is called with; where that is whatever it passes on, `*args`, what the one asks for that it wraps.

    Raises:
        TypeError, ValueError: it does not tell.
    """
    innermost = inspect.unwrap(function, stop=lambda each: not _takes_any(each))
    return inspect.signature(innermost, follow_wrapped=False).parameters.values()


def _takes_any(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


def handler(instance: Any, name: str) -> Any:
    """Return the runtime's handler *name* of the instance, or None; what is no function counts as absent (CTX-19)."""
    found = getattr(instance, name, None)
    return found if callable(found) else None
