"""Views: what a project's code holds of native objects, under Cloudflare's names. (cooperative)

A view holds its native object as `_native`. A name is looked up in the view's own table and becomes Perdure's by the
rule of `names`; what is asked is done at once, awaited or not, and arguments, results and errors are converted here
and nowhere else. Where a member is more than a name, the view has a method for it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from perdure._cloudflare.convert import Answer, Convert, python_from_rpc, python_to_rpc
from perdure._cloudflare.exceptions import js_exception
from perdure._cloudflare.names import snake_case, spoken
from perdure._cloudflare.values import JsObject, JsProxy, jsnull, to_js
from perdure._cloudflare.values.base import Constructor


@dataclass(frozen=True, slots=True)
class Method:
    """
    A method of the native object.

    Attributes:
        positional: so many arguments come before the object of options.
        options: the names that object may have; others are ignored, as JavaScript ignores them.
        result: converts what comes of it.
    """

    positional: int = 0
    options: frozenset[str] = frozenset()
    result: Convert = python_from_rpc

    def bound(self, view: View, name: str) -> Callable[..., Any]:
        """Return it as a function for users."""
        function = getattr(view._native, snake_case(name))

        def method(*args: Any, **options: Any) -> Any:
            given, named = self.split(args, options)
            return call(lambda: function(*map(python_to_rpc, given), **named), self.result)

        method.__name__ = name
        return method

    def split(
        self, args: tuple[Any, ...], options: Mapping[str, Any], positional: int | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments proper, and the options by Perdure's names: of the last argument, and by keyword."""
        count = self.positional if positional is None else positional
        last = args[count] if len(args) > count else None
        given = {**last, **options} if isinstance(last, Mapping) else options
        named = {
            snake_case(name): python_to_rpc(value)
            for name, value in given.items()
            if name in self.options and value is not None and value is not jsnull
        }
        return args[:count], named


@dataclass(frozen=True, slots=True)
class Value:
    """A property of the native object."""

    result: Convert = python_from_rpc


def methods(spec: str, **more: Any) -> dict[str, Method]:
    """Return the members of a table written as text: `name:positional:option,option`."""
    table = {}
    for entry in spec.split():
        name, _, rest = entry.partition(":")
        positional, _, options = rest.partition(":")
        table[name] = Method(int(positional or 0), frozenset(filter(None, options.split(","))), **more)
    return table


class View(JsProxy):
    """A native object under Cloudflare's names; equal to every view of the same object."""

    _js_name: ClassVar[str] = "Object"
    _members: ClassVar[Mapping[str, Method | Value]] = {}
    _native: Any

    def __init__(self, native: Any) -> None:
        self._native = native

    def __getattr__(self, name: str) -> Any:
        member = self._members.get(name)
        if member is None or name == "_native":
            raise AttributeError(self._missing(name))
        if isinstance(member, Value):
            return member.result(getattr(self._native, snake_case(name)))
        method = self.__dict__[name] = member.bound(self, name)
        return method

    def _missing(self, name: str) -> str:
        if name[:1] == "_":
            return name
        return f"{self._js_name} has no {name!r} here; it has {', '.join(self._names())}"

    @classmethod
    def _names(cls) -> list[str]:
        """Return the members of Cloudflare's that it has."""
        own = {
            name
            for base in cls.__mro__
            if base not in View.__mro__
            for name in vars(base)
            if name[:1] != "_" and name != "constructor"
        }
        return sorted(own | set(cls._members))

    def __dir__(self) -> list[str]:
        return self._names()

    @property
    def constructor(self) -> Constructor:
        """Its class, of which `.name` is asked."""
        return Constructor(self._js_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and other._native is self._native

    def __hash__(self) -> int:
        return id(self._native)

    def __repr__(self) -> str:
        return f"[object {self._js_name}]"


def call(function: Callable[[], Any], convert: Convert = python_from_rpc) -> Any:
    """Call *function*, of a native object; what it raises and returns is shown as on Cloudflare."""
    try:
        result = function()
    except Exception as error:
        seen = shown(error)
        if seen is error:
            raise
        raise seen from error.__cause__
    return Answer(result, convert) if inspect.isawaitable(result) else convert(result)


def begin(function: Callable[[], Coroutine[Any, Any, Any]], convert: Convert = python_from_rpc) -> Answer:
    """Call an asynchronous *function* of a native object; it runs whether or not its answer is awaited, as a promise's does."""
    answer: Answer = call(lambda: asyncio.ensure_future(function()), convert)
    return answer


def raw(value: Any) -> Any:
    """Return a value that Cloudflare hands over as JavaScript's: with the members of both."""
    return to_js(value, dict_converter=lambda entries: JsObject((key, item) for key, item in entries))


def as_it_is(value: Any) -> Any:
    """Convert nothing."""
    return value


# --- errors ---------------------------------------------------------------------------------------------


def shown(error: Exception) -> BaseException:
    """Return an error as the project's code catches it: a `JsException`, and what it was; members in it by Cloudflare's names."""
    if not getattr(error, "remote", False) and len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (spoken(error.args[0]),)
    return js_exception(error)
