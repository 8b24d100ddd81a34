"""What a function's annotations ask of its arguments and result: read once, then looked at in each call. (pure)

A value that is what its annotation says passes as it is, told by its class alone. A dict where a dataclass is
asked for, a text where a UUID is, an int where a float is, are converted (`convert.py`). What does not fit is a
`TypeError` that names the function and the parameter.

Annotations of which nothing is known here (protocols, type variables, callbacks, stubs, classes whose instances
do not travel by value, names that cannot be resolved) ask for nothing, whole or inside of a container. Of missing,
surplus and misspelt arguments Python itself tells, when the function is called.
"""

from __future__ import annotations

import asyncio
import collections.abc
import datetime
import functools
import inspect
import types
import typing
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

import msgspec

from perdure._base.convert import convert, is_convertible
from perdure._base.exceptions import ExceptionShape
from perdure._base.shapes import LEAVES, AliasShape, shape_of

_PLAIN: Final = LEAVES | {datetime.datetime, bytearray, dict, list, set, frozenset, tuple}
_CONTAINERS: Final = frozenset(
    {
        dict, list, set, frozenset, tuple,
        collections.abc.Collection, collections.abc.Sequence, collections.abc.MutableSequence,
        collections.abc.Mapping, collections.abc.MutableMapping,
        collections.abc.Set, collections.abc.MutableSet,
    }
)  # fmt: skip
_AWAITED: Final = frozenset(
    {collections.abc.Awaitable, collections.abc.Coroutine, asyncio.Future, asyncio.Task}
)
"""What a plain function may return in place of its result, which is their last argument."""

_EMPTY: Final = inspect.Parameter.empty


class Slot:
    """
    What one annotation asks for.

    Attributes:
        takes: the classes whose instances pass at once; None: all pass.
    """

    __slots__ = ("_asked", "_name", "takes")

    def __init__(self, name: str, annotation: Any, default: Any = _EMPTY) -> None:
        asked = _known(annotation)
        if default is None and asked is not Any:
            asked = typing.Optional[asked]  # noqa: UP045 - `by: int = None`, as many write; `|` takes no Annotated
        if asked is not Any and not is_convertible(asked):
            asked = Any
        self._name = name
        self._asked = asked
        self.takes = None if asked is Any else frozenset(_classes_of(asked))

    def fit(self, value: Any) -> Any:
        """Return *value* as it is asked for. `convert` tells what it raises."""
        takes = self.takes
        if takes is None or value.__class__ in takes:
            return value
        return convert(value, self._asked, label=self._name)


class Signature:
    """
    The annotations of one function, as far as they ask for something.

    Attributes:
        name: what errors call the function.
    """

    __slots__ = ("_named", "_others", "_positional", "_result", "_surplus", "_takes", "name")

    def __init__(self, name: str, parameters: Iterable[inspect.Parameter], hints: Mapping[str, Any]) -> None:
        self.name = name
        self._positional: list[Slot] = []
        self._named: dict[str, Slot] = {}
        self._surplus: Slot | None = None
        """For each item of `*args`."""
        self._others: Slot | None = None
        """For each value of `**kwargs`."""
        for parameter in parameters:
            slot = Slot(parameter.name, hints.get(parameter.name, Any), parameter.default)
            if parameter.kind is parameter.VAR_POSITIONAL:
                self._surplus = slot
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._others = slot
            else:
                if parameter.kind is not parameter.KEYWORD_ONLY:
                    self._positional.append(slot)
                if parameter.kind is not parameter.POSITIONAL_ONLY:
                    self._named[parameter.name] = slot
        self._takes = [slot.takes for slot in self._positional]
        result = hints.get("return", Any)
        if typing.get_origin(result) in _AWAITED:
            result = (typing.get_args(result) or (Any,))[-1]
        self._result = Slot("result", result)

    def asks(self) -> bool:
        """Tell whether any annotation asks for anything."""
        slots = [*self._positional, *self._named.values(), self._surplus, self._others, self._result]
        return any(slot is not None and slot.takes is not None for slot in slots)

    def fit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """
        Return the arguments as the annotations ask for them: the same tuple and dict, when all of them pass.

        Raises:
            TypeError: one does not fit; the text names function and parameter, what was asked and what was found.
        """
        for value, classes in zip(args, self._takes):  # noqa: B905 - one of them may be longer; this is a hot path
            if classes is not None and value.__class__ not in classes:
                return self._fit_each(args, kwargs)
        if self._surplus is not None and len(args) > len(self._takes):
            return self._fit_each(args, kwargs)
        for name, value in kwargs.items():
            slot = self._named.get(name, self._others)
            if slot is not None and slot.takes is not None and value.__class__ not in slot.takes:
                return self._fit_each(args, kwargs)
        return args, kwargs

    def _fit_each(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        known = len(self._positional)
        kwargs = dict(kwargs)
        try:
            fitted = [slot.fit(value) for slot, value in zip(self._positional, args, strict=False)]
            surplus = self._surplus
            fitted += args[known:] if surplus is None else [surplus.fit(value) for value in args[known:]]
            for name, value in kwargs.items():
                slot = self._named.get(name, self._others)
                if slot is not None:
                    kwargs[name] = slot.fit(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self.name}() argument {error}") from None
        return tuple(fitted), kwargs

    def before(self, pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return *pack*, a function of results, which gets them as they are asked for."""
        return pack if self._result.takes is None else lambda value: pack(self.fit_result(value))

    def fit_result(self, value: Any) -> Any:
        """
        Return what the function returned, as its annotation asks for it.

        Raises:
            TypeError: it does not fit.
        """
        slot = self._result
        if slot.takes is None or value.__class__ in slot.takes:
            return value
        try:
            return slot.fit(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self.name}() returned what its annotation does not allow: {error}") from None


class Written(NamedTuple):
    """What is written of a function: its parameters, without `self`, and its resolved annotations by name."""

    parameters: list[inspect.Parameter]
    hints: dict[str, Any]
    """Also `return`; Any where a name is not there at run time, nothing where nothing is written."""


def annotations_of(cls: type, name: str) -> Written | None:
    """Return what is written of a method or property of *cls*; None if that is not a function of Python's."""
    member = inspect.getattr_static(cls, name, None)
    skipped = 1
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    elif isinstance(member, (staticmethod, classmethod)):
        skipped = 0 if isinstance(member, staticmethod) else 1
        member = member.__func__
    return _read(member, skipped, vars(cls)) if isinstance(member, types.FunctionType) else None


@functools.lru_cache(maxsize=4096)
def signature_of_member(cls: Hashable, name: str) -> Signature | None:
    """Return the signature of a method (without `self`) or property of *cls*; None if it asks for nothing."""
    owner = cast(type, cls)
    return _signature(f"{owner.__name__}.{name}", annotations_of(owner, name))


_known_functions: weakref.WeakKeyDictionary[types.FunctionType, Signature | None] = (
    weakref.WeakKeyDictionary()
)


def signature_of(function: Callable[..., Any]) -> Signature | None:
    """Return the signature of a function or bound method; None if it asks for nothing."""
    if isinstance(function, types.MethodType):
        owner = cast(Hashable, type(function.__self__))
        return signature_of_member(owner, function.__name__)
    if not isinstance(function, types.FunctionType):
        return None
    if not function.__annotations__ and not function.__dict__:
        return None  # a lambda, most likely, and a new one each time; a wrapper has what it wraps in its dict
    try:
        return _known_functions[function]
    except KeyError:
        found = _known_functions[function] = _signature(function.__qualname__, _read(function, 0, {}))
        return found


def _signature(name: str, written: Written | None) -> Signature | None:
    found = None if written is None else Signature(name, *written)
    return found if found is not None and found.asks() else None


def _read(function: types.FunctionType, skipped: int, inside: Mapping[str, Any]) -> Written | None:
    try:
        # As `functools.wraps` says, a wrapper has the signature of what it wraps; `__signature__` says otherwise.
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if skipped and parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del parameters[:skipped]
    written = {parameter.name: parameter.annotation for parameter in parameters}
    written["return"] = signature.return_annotation
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return Written(
        parameters,
        {
            name: _resolved(annotation, scope, inside)
            for name, annotation in written.items()
            if annotation is not _EMPTY
        },
    )


def _resolved(annotation: Any, scope: dict[str, Any], inside: Mapping[str, Any]) -> Any:
    """Return an annotation with its texts evaluated; Any, when a name in it is not there at run time."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    # The class's own names count last: a method `list` must not hide the built-in.
    for names in ({}, dict(inside)):
        with suppress(Exception):  # a text may hold any code
            return typing.get_type_hints(holder, scope, names, include_extras=True)["it"]
    return Any


def _known(annotation: Any) -> Any:
    """Return the annotation with Any in place of everything that cannot be checked here."""
    if annotation is None:
        return type(None)
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        if isinstance(annotation, typing.NewType):
            return _known(annotation.__supertype__)
        is_known = annotation in _PLAIN if isinstance(annotation, type) else False
        return annotation if is_known or typing.is_typeddict(annotation) or _travels(annotation) else Any
    if origin is typing.Literal or _travels(origin):
        return annotation
    if origin is typing.Annotated:
        asked = _known(inside[0])
        return asked if asked is Any else typing.Annotated[(asked, *annotation.__metadata__)]
    if origin is typing.Union or origin is types.UnionType:
        members = [_known(member) for member in inside]
        return Any if Any in members else typing.Union[tuple(members)]  # noqa: UP007 - it takes all of them
    if origin in _CONTAINERS:
        return origin[tuple(child if child is ... else _known(child) for child in inside)]
    return Any


def _travels(cls: Any) -> bool:
    """Tell whether instances of *cls* arrive as such; exceptions may arrive as `RemoteError`."""
    shape = shape_of(cls) if isinstance(cls, type) else None
    return shape is not None and not isinstance(shape, (AliasShape, ExceptionShape))


def _classes_of(asked: Any) -> list[type]:
    """Return the classes whose direct instances fit *asked* whatever is in them."""
    origin, inside = typing.get_origin(asked), typing.get_args(asked)
    if origin is None:
        return [asked] if isinstance(asked, type) and not typing.is_typeddict(asked) else []
    if origin is typing.Union or origin is types.UnionType:
        return [cls for member in inside for cls in _classes_of(member)]
    if origin is typing.Annotated and not any(isinstance(extra, msgspec.Meta) for extra in inside[1:]):
        return _classes_of(inside[0])
    if origin in (dict, list, set, frozenset, tuple) and set(inside) <= {Any, ...}:
        return [origin] if origin is not tuple or ... in inside else []
    return []
