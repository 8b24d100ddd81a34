"""What a caller may reach: of an object or target the public members of its class, of a value its data. (pure)

Source: RPC-01…03, RPC-05, RPC-10. A class counts as declared for RPC when one of its bases carries
`__perdure_base__`; members of such bases, and of `object`, are not reachable. Data are the keys of a dict, the
items of a list or tuple, the fields of a dataclass and its like, the attributes set on a function.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Hashable
from typing import Any, Final, cast

from perdure._base.awaitables import finish, is_awaitable
from perdure._base.shapes import shape_of
from perdure._base.signatures import Signature, signature_of, signature_of_member
from perdure._rpc.capability import Path
from perdure._rpc.stub import Stub
from perdure._rpc.target import RpcTarget

FUNCTIONS: Final = frozenset(
    {
        types.FunctionType,
        types.MethodType,
        types.BuiltinFunctionType,
        types.MethodWrapperType,
        functools.partial,
    }
)
"""What is passed by reference as a function. Not classes: a stub of one would make instances."""

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
RESERVED_OF_TARGETS: Final = frozenset({"dup", "constructor", "dispose"})

NOT_RPC: Final = (
    "The receiving Durable Object does not support RPC, because its class was not declared with "
    "`class {name}(DurableObject)`. In order to enable RPC, make sure your class extends `perdure.DurableObject`."
)
NO_METHOD: Final = 'The RPC receiver does not implement the method "{name}".'
NOT_CALLABLE: Final = '"{name}" is not a function.'
RESERVED_NAME: Final = "'{name}' is a reserved method and cannot be called over RPC."
BASE_MARK: Final = "__perdure_base__"
CALL_MARK: Final = "__perdure_call__"
"""A class with a method of this name answers calls by itself, of all names that its own members do not have."""

_METHOD, _PROPERTY, _RESERVED = "method", "property", "reserved"


@functools.lru_cache(maxsize=4096)
def kind_of(cls: Hashable, name: str) -> str | None:
    """Return "method", "property", "reserved", or None when *name* is not reachable on instances of *cls*."""
    if not is_declared(cls):
        return None
    if name in (RESERVED_OF_TARGETS if issubclass(cast(type, cls), RpcTarget) else RESERVED):
        return _RESERVED
    if type(name) is not str or name.startswith("_"):  # a path may have numbers in it
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


def is_property(cls: type, name: str) -> bool:
    """Whether *name* is reachable on instances of *cls*, and read rather than called."""
    return kind_of(cls, name) is _PROPERTY


@functools.lru_cache(maxsize=1024)
def is_declared(cls: Hashable) -> bool:
    """Whether *cls* extends a base that makes it callable over RPC (RPC-01)."""
    return any(BASE_MARK in base.__dict__ for base in cast(type, cls).__mro__)


def is_instance(root: Any) -> bool:
    """Whether *root*, of a handle, is an instance of a class with members, not a dict or function."""
    kind = type(root)
    return kind is not dict and kind not in FUNCTIONS


def call(instance: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call method *name*; a TypeError of the caller's if it is not reachable."""
    cls: Any = type(instance)
    kind = kind_of(cls, name)
    if kind is _METHOD:
        return getattr(instance, name)(*args, **kwargs)
    own = getattr(cls, CALL_MARK, None)
    if own is not None:
        return own(instance, name, args, kwargs)
    value = read(instance, name)
    if not callable(value):
        raise TypeError(NOT_CALLABLE.format(name=name))
    return value(*args, **kwargs)


def read(instance: Any, name: str) -> Any:
    """Read property *name* (RPC-05)."""
    cls: Any = type(instance)
    kind = kind_of(cls, name)
    if kind is _METHOD or kind is _PROPERTY:
        return getattr(instance, name)
    if not is_declared(cls):
        raise TypeError(NOT_RPC.format(name=cls.__name__))
    raise TypeError((RESERVED_NAME if kind is _RESERVED else NO_METHOD).format(name=name))


@functools.lru_cache(maxsize=4096)
def asked_of_call(cls: Hashable, name: str) -> Signature | None:
    """Return what the annotations of method *name* ask for; None for nothing, and where there is no such method."""
    return signature_of_member(cls, name) if kind_of(cls, name) is _METHOD else None


@functools.lru_cache(maxsize=4096)
def asked_of_read(cls: Hashable, name: str) -> Signature | None:
    """Return what the annotation of property *name* asks of its value; None for nothing."""
    return signature_of_member(cls, name) if kind_of(cls, name) is _PROPERTY else None


def call_path(root: Any, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what is at *path* from *root*, a target, as its annotations ask; what this returns may be awaitable."""
    if len(path) == 1 and is_instance(root):
        name: Any = path[0]
        return _call_member(root, name, args, kwargs)
    if not path and type(root) in FUNCTIONS:
        return _call_as_asked(signature_of(root), root, args, kwargs)
    return _call_along(root, path, args, kwargs)


def _call_member(root: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    cls: Any = type(root)
    asked = asked_of_call(cls, name)
    if asked is None:
        if kind_of(cls, name) is _METHOD:  # as `call` has it, which would be one more call
            return getattr(root, name)(*args, **kwargs)
        return call(root, name, args, kwargs)
    return _call_as_asked(asked, lambda *args, **kwargs: call(root, name, args, kwargs), args, kwargs)


def _call_as_asked(
    asked: Signature | None, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if asked is None:
        return function(*args, **kwargs)
    args, kwargs = asked.fit(args, kwargs)
    result = function(*args, **kwargs)
    return _as_asked(asked, result) if is_awaitable(result) else asked.fit_result(result)


def read_path(root: Any, path: Path) -> Any:
    """Read what is at *path* from *root*, a target; what this returns may be awaitable."""
    if len(path) == 1 and is_instance(root):
        cls: Any = type(root)
        asked = asked_of_read(cls, cast(str, path[0]))
        value = read(root, cast(str, path[0]))
        if asked is None:
            return value
        return _as_asked(asked, value) if is_awaitable(value) else asked.fit_result(value)
    return _read_along(root, path)


async def _as_asked(asked: Signature, value: Any) -> Any:
    return asked.fit_result(await value)


async def _call_along(root: Any, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    holder, rest = await _along(root, path[:-1])
    if isinstance(holder, Stub):
        return await holder._capability.call((*rest, *path[-1:]), args, kwargs)
    if path and (isinstance(holder, RpcTarget) or (holder is root and is_instance(root))):
        return await finish(_call_member(holder, str(path[-1]), args, kwargs))
    found = member(holder, path[-1], path[-2] if len(path) > 1 else None) if path else root
    if isinstance(found, Stub):
        return await found._capability.call((), args, kwargs)
    if type(found) not in FUNCTIONS:
        raise not_callable(path)
    return await finish(_call_as_asked(signature_of(found), found, args, kwargs))


async def _read_along(root: Any, path: Path) -> Any:
    found, rest = await _along(root, path)
    return await found._capability.get(rest) if rest else found


async def _along(value: Any, path: Path) -> tuple[Any, Path]:
    """Follow *path*, awaiting what a property gives; a rest is left when that leads to a stub."""
    if path and not isinstance(value, Stub) and is_instance(value):
        value = await finish(read(value, str(path[0])))
        came_by, path = path[0], path[1:]
    else:
        came_by = None
    while path and not isinstance(value, Stub):
        value = await finish(member(value, path[0], came_by))
        came_by, path = path[0], path[1:]
    return value, path


def walk(value: Any, path: Path) -> tuple[Any, Path]:
    """Follow *path* in *value*, a result; a rest is left when that leads to a stub."""
    came_by = None
    while path and not isinstance(value, Stub):
        value = member(value, path[0], came_by)
        came_by, path = path[0], path[1:]
    return value, path


def member(holder: Any, name: str | int, came_by: str | int | None = None) -> Any:
    """
    Return what *holder*, a value or a target, has by *name*.

    Raises:
        TypeError: it has nothing by that name; or, then it tells of *came_by*, the name that led to *holder*,
            *holder* is nothing that has names.
    """
    kind = type(holder)
    if isinstance(holder, RpcTarget):
        return read(holder, str(name))
    if kind is dict:
        if name in holder:
            return holder[name]
    elif kind is list or kind is tuple:
        if type(name) is int and 0 <= name < len(holder):
            return holder[name]
    elif kind is types.FunctionType:
        if type(name) is str and not name.startswith("_") and name in holder.__dict__:
            return holder.__dict__[name]
    elif (shape := shape_of(kind)) is not None and shape.field_names():
        if name in shape.field_names():
            return getattr(holder, str(name))
    elif kind not in FUNCTIONS and came_by is not None:
        name = came_by
    raise TypeError(NO_METHOD.format(name=name))


def not_callable(path: Path) -> TypeError:
    """Return the error of a call to what is no function."""
    return TypeError(NOT_CALLABLE.format(name=".".join(map(str, path)) or "(this)"))
