"""The classes of an application as TypeScript, for clients that speak Cap'n Web. (pure)

What stands for what is what crosses: Cap'n Web knows text, numbers, bigints, bytes, dates, lists and objects, and
passes targets, functions and streams by reference. `_base/signatures.py` makes the rest of them on arrival: of an
object the dataclass, of a text the UUID.
"""

from __future__ import annotations

import asyncio
import collections.abc
import datetime
import decimal
import enum
import inspect
import json
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
)

from perdure._base.exceptions import ExceptionShape
from perdure._base.shapes import AliasShape, StructShape, shape_of
from perdure._base.signatures import annotations_of
from perdure._web.headers import Headers
from perdure._web.request import Request
from perdure._web.response import Response

HEAD: Final = """\
// The classes of {origin} for clients that speak Cap'n Web. Written by `perdure types --ts`: run it again when they change.
// An int beyond ±(2^53 - 1) arrives as a bigint.

import type {{ RpcTarget }} from "capnweb";
"""

_PLAIN: Final[dict[Any, str]] = {
    str: "string", int: "number", float: "number", bool: "boolean", type(None): "null",
    bytes: "Uint8Array", bytearray: "Uint8Array", datetime.datetime: "Date",
    datetime.date: "string", datetime.time: "string", datetime.timedelta: "string",
    uuid.UUID: "string", decimal.Decimal: "string",
    list: "any[]", tuple: "any[]", set: "any[]", frozenset: "any[]", dict: "Record<string, any>",
    Request: "Request", Response: "Response", Headers: "Headers",
}  # fmt: skip
_LISTS: Final = frozenset(
    {
        list, set, frozenset,
        collections.abc.Collection, collections.abc.Sequence, collections.abc.MutableSequence,
        collections.abc.Set, collections.abc.MutableSet,
    }
)  # fmt: skip
_DICTS: Final = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})
_STREAMS: Final = frozenset(
    {collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator}
)
_AWAITED: Final = frozenset(
    {collections.abc.Awaitable, collections.abc.Coroutine, asyncio.Future, asyncio.Task}
)
_RESERVED: Final = frozenset(
    """break case catch class const continue debugger default delete do else enum export extends false finally for
    function if import in instanceof new null return super switch this throw true try typeof var void while with
    arguments eval await yield let static implements interface package private protected public""".split()
)

Reach: TypeAlias = Callable[[type, str], str | None]
"""Tells how a client reaches a member of a class: "method", "property" or, where it does not, None."""

Way: TypeAlias = Literal["argument", "field", "result"]
"""Where a type stands: what a client gives, in an object that it gives, or what it gets."""


def typescript(
    origin: str, classes: Iterable[type], *, reach: Reach, is_target: Callable[[type], bool]
) -> str:
    """
    Return the text of a declaration file.

    Args:
        origin: the file that the classes come from.
        classes: what to declare; the classes that their methods mention come along.
        reach: which members a client reaches.
        is_target: whether instances of a class are passed by reference.
    """
    writer = _Writer(reach, is_target)
    for cls in classes:
        writer.name(cls)
    return HEAD.format(origin=origin) + "".join(f"\n{part}" for part in writer.declarations())


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    annotation: Any
    required: bool


class _Writer:
    """Invariant: every name that was given out has its declaration, or waits for it in `_todo`."""

    def __init__(self, reach: Reach, is_target: Callable[[type], bool]) -> None:
        self._reach = reach
        self._is_target = is_target
        self._names: dict[type, str] = {}
        self._inputs: dict[type, bool] = {}
        """Whether what is given for a class may have less in it than what comes back."""
        self._todo: list[tuple[type, Way]] = []

    def declarations(self) -> Iterator[str]:
        """Write what has a name; on the way more names come up."""
        while self._todo:
            yield self._declare(*self._todo.pop(0))

    def name(self, cls: type, way: Way = "result") -> str:
        """Return what *cls* is called; its declaration is written later."""
        name = self._names.get(cls)
        if name is None:
            taken, number = set(self._names.values()), 1
            name = cls.__name__
            while name in taken or f"{name}Input" in taken:
                number += 1
                name = f"{cls.__name__}{number}"
            self._names[cls] = name
            self._todo.append((cls, "result"))
        if way == "result" or self._is_target(cls):
            return name
        if cls not in self._inputs:
            self._inputs[cls] = False  # for a class that holds itself
            if isinstance(cls, type) and _fields(cls) is not None:
                self._inputs[cls] = self._body(cls, "field") != self._body(cls, "result")
                if self._inputs[cls]:
                    self._todo.append((cls, "field"))
        return f"{name}Input" if self._inputs[cls] else name

    # --- declarations ---------------------------------------------------------------------------------

    def _declare(self, cls: type, way: Way) -> str:
        name = self._names[cls]
        doc = _doc(cls, "") if way == "result" else f"/** What may be given for a {name}. */\n"
        if self._is_target(cls):
            return f"{doc}export interface {name} extends RpcTarget {{\n{self._members(cls)}}}\n"
        if issubclass(cls, enum.Enum):
            return f"{doc}export type {name} = {_values(cls)};\n"
        name += "Input" if way == "field" else ""
        body = self._body(cls, way)
        if issubclass(cls, tuple):
            return f"{doc}export type {name} = {body};\n"
        return f"{doc}export interface {name} {body}\n"

    def _body(self, cls: type, way: Way) -> str:
        fields = _fields(cls) or []
        shown = [
            f"{field.name if issubclass(cls, tuple) else _key(field.name)}"
            f"{'' if field.required or (way == 'result' and not typing.is_typeddict(cls)) else '?'}: "
            f"{self.of(field.annotation, way)}"
            for field in fields
        ]
        if issubclass(cls, tuple):
            return f"[{', '.join(shown)}]"
        return "{\n" + "".join(f"  {line};\n" for line in shown) + "}"

    def _members(self, cls: type) -> str:
        lines = []
        names = {name: None for base in reversed(cls.__mro__) for name in vars(base)}
        for name in names:
            kind = self._reach(cls, name)
            if kind is None:
                continue
            written = annotations_of(cls, name)
            result = Any if written is None else written.hints.get("return", Any)
            if get_origin(result) in _AWAITED:
                result = (get_args(result) or (Any,))[-1]
            doc = _doc(inspect.getattr_static(cls, name), "  ")
            if kind == "property":
                lines.append(f"{doc}  readonly {name}: {self.of(result, 'result')};\n")
            else:
                given = "...args: any[]" if written is None else self._parameters(*written)
                shown = "void" if result in (None, type(None)) else self.of(result, "result")
                lines.append(f"{doc}  {name}({given}): Promise<{shown}>;\n")
        return "".join(lines)

    def _parameters(self, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any]) -> str:
        shown, named = [], []
        rest = ""
        for parameter in parameters:
            written = self.of(hints.get(parameter.name, Any), "argument")
            optional = "" if parameter.default is parameter.empty else "?"
            name = f"{parameter.name}_" if parameter.name in _RESERVED else parameter.name
            if parameter.kind is parameter.VAR_POSITIONAL:
                rest = f"...{name}: {_listed(written)}"
            elif parameter.kind is parameter.KEYWORD_ONLY:
                named.append(f"{parameter.name}{optional}: {written}")
            elif parameter.kind is not parameter.VAR_KEYWORD:
                shown.append(f"{name}{optional}: {written}")
        if rest:  # what is given by name would stand behind it
            return ", ".join([*shown, rest])
        if named:
            needed = "?" if all("?:" in one for one in named) else ""
            behind = "?" if any("?:" in one for one in shown) else needed
            shown.append(f'named{behind}: {{ "**": {{ {"; ".join(named)} }} }}')
        return ", ".join(shown)

    # --- types ----------------------------------------------------------------------------------------

    def of(self, annotation: Any, way: Way) -> str:
        """Return the type for an annotation; `any` for what says nothing here."""
        if annotation is None:
            return "null"
        if annotation is int and way == "argument":
            return "number | bigint"
        origin, inside = get_origin(annotation), get_args(annotation)
        if origin is None:
            if isinstance(annotation, typing.NewType):
                return self.of(annotation.__supertype__, way)
            return self._class(annotation, way) if isinstance(annotation, type) else "any"
        if not inside:  # `typing.List`, `tuple[()]`
            return self._class(origin, way)
        if origin in (Annotated, Required, NotRequired):
            return self.of(inside[0], way)
        if origin is Literal:
            return " | ".join(_literal(value) for value in inside)
        if origin in (typing.Union, types.UnionType):
            return " | ".join(dict.fromkeys(_grouped(self.of(member, way)) for member in inside))
        if origin is tuple and ... not in inside:
            return f"[{', '.join(self.of(member, way) for member in inside)}]"
        if origin in _LISTS or origin is tuple:
            return _listed(self.of(inside[0], way))
        if origin in _DICTS:
            return f"Record<string, {self.of(inside[1], way)}>"
        if origin in _STREAMS:
            return f"ReadableStream<{self.of(inside[0], way)}>"
        if origin is collections.abc.Callable:
            return self._callback(inside[0], inside[1], way)
        return self._class(origin, way)

    def _class(self, cls: type, way: Way) -> str:
        if cls in _PLAIN:
            return _PLAIN[cls]
        if self._is_target(cls) or typing.is_typeddict(cls):
            return self.name(cls, way)
        shape = shape_of(cls)
        if isinstance(shape, AliasShape):
            return _PLAIN[dict]
        if isinstance(shape, ExceptionShape):
            return "Error"
        return "any" if shape is None else self.name(cls, way)

    def _callback(self, parameters: Any, result: Any, way: Way) -> str:
        """A function that the client gives is called with results, and what it returns is an argument."""
        there: Way = "result" if way != "result" else "argument"
        if isinstance(parameters, list):
            given = ", ".join(f"{_letter(i)}: {self.of(one, there)}" for i, one in enumerate(parameters))
        else:
            given = "...args: any[]"
        shown = "void" if result in (None, type(None)) else self.of(result, way)
        return f"({given}) => {_grouped(shown)} | Promise<{shown}>"


def _fields(cls: type) -> list[_Field] | None:
    """Return the fields of a class whose instances cross as objects; None for an Enum and others."""
    if typing.is_typeddict(cls):
        hints = get_type_hints(cls, include_extras=True)
        needed: frozenset[str] = getattr(cls, "__required_keys__")  # noqa: B009 - only typed dicts have it
        return [_Field(name, hint, name in needed) for name, hint in hints.items()]
    shape = shape_of(cls)
    if shape is None or issubclass(cls, enum.Enum):
        return None
    try:
        hints = get_type_hints(cls, include_extras=True)
    except Exception:  # a name that is not there at run time
        hints = {}
    names = shape.field_names()
    there = getattr(cls, "__struct_encode_fields__", names) if isinstance(shape, StructShape) else names
    return [
        _Field(shown, hints.get(name, Any), shape.default(name) is MISSING)
        for name, shown in zip(names, there, strict=True)
    ]


def _doc(thing: Any, indent: str) -> str:
    """Return the docstring of a class, function or property as a TSDoc comment, or nothing."""
    text = vars(thing).get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    if not isinstance(text, str) or (isinstance(thing, type) and text.startswith(f"{thing.__name__}(")):
        return ""  # dataclasses write one of their own
    lines = inspect.cleandoc(text).replace("*/", "*\\/").splitlines()
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    inside = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{inside}{indent} */\n"


def _values(cls: type[enum.Enum]) -> str:
    return " | ".join(dict.fromkeys(_literal(member.value) for member in cls)) or "never"


def _literal(value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    return json.dumps(value) if value is None or isinstance(value, (str, int, float)) else "any"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _letter(index: int) -> str:
    return f"a{index}"


def _grouped(shown: str) -> str:
    """Return a type as it may stand in a union: a function in parentheses."""
    return f"({shown})" if "=>" in shown else shown


def _listed(shown: str) -> str:
    return f"({shown})[]" if " " in shown else f"{shown}[]"
