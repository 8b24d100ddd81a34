"""What a caller may reach on an object: public methods and properties of its class, nothing else. (pure)

Source: RPC-01…03, RPC-05. A class counts as declared for RPC when one of its bases carries
`__perdure_base__`; members of such bases, and of `object`, are not reachable.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Hashable
from typing import Any, Final, cast

RESERVED: Final = frozenset(
    {
        "fetch",
        "connect",
        "alarm",
        "websocket_message",
        "websocket_close",
        "websocket_error",
        "dup",
        "constructor",
    }
)
"""Handlers of the runtime's own events, and names with a meaning on stubs (RPC-03)."""

NOT_RPC: Final = (
    "The receiving Durable Object does not support RPC, because its class was not declared with "
    "`class {name}(DurableObject)`. In order to enable RPC, make sure your class extends `perdure.DurableObject`."
)
NO_METHOD: Final = 'The RPC receiver does not implement the method "{name}".'
NOT_CALLABLE: Final = '"{name}" is not a function.'
RESERVED_NAME: Final = "'{name}' is a reserved method and cannot be called over RPC."
BASE_MARK: Final = "__perdure_base__"

_METHOD, _PROPERTY = "method", "property"


@functools.lru_cache(maxsize=4096)
def kind_of(cls: Hashable, name: str) -> str | None:
    """Return "method", "property", or None when *name* is not reachable on instances of *cls*."""
    if name.startswith("_") or not is_declared(cls):
        return None
    for base in cast(type, cls).__mro__:
        if base is object or BASE_MARK in base.__dict__:
            continue
        if name in base.__dict__:
            member = base.__dict__[name]
            if isinstance(member, (property, functools.cached_property)):
                return _PROPERTY
            if isinstance(member, (staticmethod, classmethod)) or (
                callable(member) and not isinstance(member, type)
            ):
                return _METHOD
            return None
    return None


@functools.lru_cache(maxsize=1024)
def is_declared(cls: Hashable) -> bool:
    """Whether *cls* extends a base that makes it callable over RPC (RPC-01)."""
    return any(BASE_MARK in base.__dict__ for base in cast(type, cls).__mro__)


def call(instance: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call method *name*; a TypeError of the caller's if it is not reachable."""
    cls: Any = type(instance)
    kind = kind_of(cls, name)
    if kind is _METHOD and name not in RESERVED:
        return getattr(instance, name)(*args, **kwargs)
    _check(cls, name)
    if kind is _PROPERTY:
        value = getattr(instance, name)
        if not callable(value):
            raise TypeError(NOT_CALLABLE.format(name=name))
        return value(*args, **kwargs)
    raise TypeError(NO_METHOD.format(name=name))


def read(instance: Any, name: str) -> Any:
    """Read property *name* (RPC-05)."""
    cls: Any = type(instance)
    _check(cls, name)
    if kind_of(cls, name) is None:
        raise TypeError(NO_METHOD.format(name=name))
    return getattr(instance, name)


def _check(cls: Any, name: str) -> None:
    if not is_declared(cls):
        raise TypeError(NOT_RPC.format(name=cls.__name__))
    if name in RESERVED:
        raise TypeError(RESERVED_NAME.format(name=name))


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
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return most
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return most
    return min(most, sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters))


def handler(instance: Any, name: str) -> Any:
    """Return the runtime's handler *name* of the instance, or None; what is no function counts as absent (CTX-19)."""
    found = getattr(instance, name, None)
    return found if callable(found) else None
