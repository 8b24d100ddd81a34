"""Values on their way out of compat code and into it, as Cloudflare's SDK converts them. (cooperative)

In between is the native core, with natural Python values: dicts with text keys, bytes, aware datetimes. `python_to_rpc`
makes those, and refuses what cannot be sent there either; `python_from_rpc` shows them as the SDK would: a dict with
attributes, a memoryview, a naive datetime, whole numbers as int. Objects that stand for native ones pass as those.
"""

from __future__ import annotations

import array
import datetime
import enum
import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any, Final, TypeAlias

from perdure._base.bigint import BigInt
from perdure._base.refusal import find_path
from perdure._cloudflare import bridge
from perdure._cloudflare.exceptions import JsException, js_exception, leaving
from perdure._cloudflare.values import (
    JsDate,
    JsDict,
    JsMap,
    JsNull,
    PyProxy,
    as_number,
    bytes_of,
    is_buffer,
    js_text,
)
from perdure.errors import DataCloneError
from perdure.rpc import RpcStub

CANNOT_CLONE: Final = 'Could not serialize object of type "{kind}". This type does not support serialization.'
CANNOT_SEND: Final = "{kind} cannot be sent over RPC{where}: {instead}."
TOO_DEEP: Final = "A value that is nested so deeply could not be cloned: make it flatter."
_SAME: Final = frozenset({type(None), bool, int, str})
_ATOMS: Final = _SAME | {float, bytes}

Convert: TypeAlias = Callable[[Any], Any]

_outgoing: Final[dict[type, Convert]] = {}
_incoming: Final[dict[type, Convert]] = {}


def register_outgoing(cls: type, convert: Convert) -> None:
    """Let *convert* make the native value for instances of *cls*, a class of compat code."""
    _outgoing[cls] = convert


def register_incoming(cls: type, convert: Convert) -> None:
    """Let *convert* make what compat code gets for instances of *cls*, a native class."""
    _incoming[cls] = convert


def _registered(table: Mapping[type, Convert], cls: type) -> Convert | None:
    return next((table[base] for base in cls.__mro__ if base in table), None)


# --- out -----------------------------------------------------------------------------------------------


def python_to_rpc(value: Any) -> Any:
    """
    Return what the core, and whoever is beyond it, gets for *value*.

    Raises:
        TypeError: a tuple, a bytearray, a pattern or something that was not awaited is in it.
        JsException: a `DataCloneError`: an instance of a class, or whatever else has no counterpart, is in it.
    """
    if type(value) in _ATOMS:
        return value
    try:
        return _Out(value).convert(value)
    except RecursionError:
        raise js_exception(DataCloneError(TOO_DEEP)) from None


class _Out:
    """One conversion; what is shared or cyclic in the value stays so."""

    __slots__ = ("_made", "_root")

    def __init__(self, root: Any) -> None:
        self._root = root
        self._made: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, dict):
            return self._dict(value)
        if isinstance(value, list):
            made: list[Any] = []
            self._made[id(value)] = made
            made.extend([self.convert(item) for item in value])
            return made
        if isinstance(value, (set, frozenset)):
            return {self.convert(item) for item in value}
        return self._other(value)

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        self._made[id(value)] = made
        key_of = self.convert if isinstance(value, JsMap) else self._key
        for key, item in dict.items(value):
            made[key if type(key) is str else key_of(key)] = self.convert(item)
        return made

    def _key(self, key: Any) -> str:
        if key is None or isinstance(key, (str, bool, int, float)):
            return js_text(key)
        raise self._refused(key)

    def _other(self, value: Any) -> Any:
        if isinstance(value, JsNull):
            return None
        if isinstance(value, BigInt):
            return value
        for cls in (str, int, float):  # members of an Enum among them
            if isinstance(value, cls):
                return cls.__str__(value) if cls is str else cls(value)
        if isinstance(value, bytearray):
            raise self._cannot_be_sent(value, "bytearray", "send bytes(value)")
        if is_buffer(value):
            return bytes_of(value)
        if isinstance(value, array.array):
            return value.tobytes()
        if isinstance(value, JsDate):
            return _to_the_ms(value.to_py())
        if isinstance(value, datetime.datetime):
            return _to_the_ms(value)
        if isinstance(value, Exception):
            return Exception(value.message if isinstance(value, JsException) else str(value))
        if isinstance(value, PyProxy):
            return self.convert(value.unwrap())
        return self._instance(value)

    def _instance(self, value: Any) -> Any:
        convert = _registered(_outgoing, type(value))
        if convert is not None:
            return convert(value)
        native = native_of(value)
        if native is not value:
            return native
        if hasattr(type(value), "__perdure_cross__"):
            return value
        if isinstance(value, tuple):
            raise self._cannot_be_sent(value, "tuple", "send list(value)")
        if isinstance(value, re.Pattern):
            raise self._cannot_be_sent(value, "RegExp", "send its text")
        if callable(value) and not isinstance(value, type):
            return exported(value)
        if inspect.isawaitable(value):
            raise self._cannot_be_sent(value, f"Awaitable {type(value).__name__}", "await it first")
        raise self._refused(value)

    def _cannot_be_sent(self, value: Any, kind: str, instead: str) -> TypeError:
        return TypeError(CANNOT_SEND.format(kind=kind, where=self._where(value), instead=instead))

    def _refused(self, value: Any) -> BaseException:
        kind = type(value).__qualname__
        hint = (
            "Send its value."
            if isinstance(value, enum.Enum)
            else "Send a dict, a list or another plain value."
        )
        return js_exception(DataCloneError(f"{CANNOT_CLONE.format(kind=kind)}{self._where(value)} {hint}"))

    def _where(self, value: Any) -> str:
        path = find_path(self._root, value)
        return f" (at value{path})" if path else ""


def native_of(value: Any) -> Any:
    """Return the native object that *value* stands for, itself if it stands for none."""
    try:
        # Not getattr: some classes make up whatever attribute they are asked for.
        return object.__getattribute__(value, "_native")
    except AttributeError:
        return value


def _to_the_ms(when: datetime.datetime) -> datetime.datetime:
    """Return the instant of *when*, which is local time if it has no zone, as precise as JavaScript's Date."""
    utc = when.astimezone(datetime.UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def arguments_to_rpc(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of a call for who is called: those with names are one more, a dict, at the end."""
    return [python_to_rpc(arg) for arg in (*args, dict(kwargs))] if kwargs else [*map(python_to_rpc, args)]


def exported(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return *function*, of compat code, as the core calls it."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        with leaving:
            return python_to_rpc(await bridge.run(function, *arguments_from_rpc(args, kwargs)))

    call.__name__ = getattr(function, "__name__", type(function).__name__)
    call.__qualname__ = getattr(function, "__qualname__", call.__name__)
    return call


# --- in ------------------------------------------------------------------------------------------------


def python_from_rpc(value: Any) -> Any:
    """Return what compat code gets for *value*, which came from the core."""
    kind = type(value)
    if kind in _SAME:
        return value
    return _In().convert(value)


class _In:
    """One conversion; what is shared or cyclic in the value stays so."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        kind = type(value)
        if kind in _SAME:
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, dict):
            made = JsDict()
            self._made[id(value)] = made
            for key, item in dict.items(value):
                dict.__setitem__(made, key, self.convert(item))
            return made
        if isinstance(value, (list, tuple)):
            items: list[Any] = []
            self._made[id(value)] = items
            items.extend([self.convert(item) for item in value])
            return items
        if isinstance(value, (set, frozenset)):
            return {self.convert(item) for item in value}
        return self._other(value)

    @staticmethod
    def _other(value: Any) -> Any:
        convert = _incoming.get(type(value))
        if convert is not None:
            return convert(value)
        if isinstance(value, float):
            return as_number(value)
        if isinstance(value, BigInt):
            return int(value)
        if isinstance(value, JsNull):
            return None
        if is_buffer(value):
            return memoryview(bytes_of(value))
        if isinstance(value, JsDate):
            return value.to_py()
        if isinstance(value, datetime.datetime):
            return _to_the_ms(value).astimezone().replace(tzinfo=None)
        if isinstance(value, Exception):
            name = "TypeError" if isinstance(value, TypeError) else "Error"
            return Exception(f"{name}: {value}" if str(value) else name)
        if isinstance(value, RpcStub):
            return FunctionStub(value)
        convert = _registered(_incoming, type(value))
        return value if convert is None else convert(value)


def arguments_from_rpc(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of a call for compat code that is called; those with names are one more, a dict."""
    return (
        [python_from_rpc(arg) for arg in (*args, dict(kwargs))] if kwargs else [*map(python_from_rpc, args)]
    )


class Answer(Coroutine[Any, Any, Any]):
    """
    What a call returns: await it for the converted result; errors are `JsException`s.

    The call has begun already, and is not cancelled when nobody awaits this. It counts as a coroutine, for
    `asyncio.create_task`.
    """

    __slots__ = ("_call", "_convert", "_steps")

    def __init__(self, call: Awaitable[Any], convert: Convert = python_from_rpc) -> None:
        self._call = call
        self._convert = convert
        self._steps: Coroutine[Any, Any, Any] | None = None

    async def _run(self) -> Any:
        try:
            return self._convert(await self._call)
        except Exception as error:
            raise js_exception(error) from None

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._run().__await__()

    def send(self, value: Any) -> Any:
        if self._steps is None:
            self._steps = self._run()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        if self._steps is None:
            self._steps = self._run()
        return self._steps.throw(*error)

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()


class FunctionStub:
    """A function, or a target with methods, that was received over RPC: `await stub(…)`, `await stub.method(…)`."""

    __slots__ = ("_native",)

    def __init__(self, native: RpcStub) -> None:
        self._native = native

    def __call__(self, *args: Any, **kwargs: Any) -> Answer:
        return Answer(self._native(*arguments_to_rpc(args, kwargs)))

    def __getattr__(self, name: str) -> Callable[..., Answer]:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self._native, name)

        def call(*args: Any, **kwargs: Any) -> Answer:
            return Answer(method(*arguments_to_rpc(args, kwargs)))

        return call

    def dup(self) -> FunctionStub:
        """Return another stub of the same, which lasts beyond the call that this one came with."""
        return FunctionStub(self._native.dup())

    def dispose(self) -> None:
        """Give the stub up."""
        self._native.dispose()

    destroy = dispose

    def __repr__(self) -> str:
        return repr(self._native)
