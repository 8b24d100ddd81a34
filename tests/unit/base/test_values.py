"""Structured copy within the process: what passes through, what is copied, what is refused, what it counts."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import io
import socket
import sys
import threading
import typing
from types import SimpleNamespace
from typing import Any

import msgspec
import pydantic
import pytest

from perdure import errors
from perdure._base import limits
from perdure._base.values import copy, copy_call, copy_sized

pytestmark = pytest.mark.rows("RPC-08", "RPC-14")


class Plain:
    def method(self) -> None: ...


@dataclasses.dataclass
class Seat:
    row: str
    taken: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.checked = True


@dataclasses.dataclass(frozen=True)
class Key:
    parts: tuple[Any, ...]


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: Any = None


class Struct(msgspec.Struct):
    a: Any

    def __post_init__(self) -> None:
        self.a = [self.a]


class FrozenStruct(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    a: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)


class Level(enum.IntEnum):
    LOW = 1


class Pair(typing.NamedTuple):
    left: Any
    right: Any


class OurRow(dict[str, Any]):
    __perdure_as__ = dict


def test_what_cannot_change_passes_through_as_it_is():
    """Immutable values are not copied, only their containers are."""
    value = (
        1,
        "text" * 3,
        b"bytes",
        frozenset({1.5}),
        (None, True),
        Level.LOW,
        datetime.datetime.now(datetime.UTC),
    )
    assert copy(value) is value


@pytest.mark.parametrize(
    "make", [list, dict, set, bytearray, lambda: Seat("a"), lambda: Struct(1), lambda: Slotted(1)]
)
def test_what_can_change_is_copied(make):
    """A copy of a mutable value is another object, equal to it."""
    value = make()
    new = copy(value)
    assert new is not value
    assert new == value
    assert type(new) is type(value)


def test_cycles_are_kept():
    """A value that holds itself gives a copy that holds itself (017)."""
    value: dict[str, Any] = {"name": "root"}
    value["self"] = value
    value["kids"] = [{"parent": value}]
    new = copy(value)
    assert new["self"] is new
    assert new["kids"][0]["parent"] is new
    assert new is not value


def test_a_cycle_through_a_tuple_is_kept():
    """A tuple cannot be made before its items, yet a list in it may hold it."""
    inner: list[Any] = []
    value = (inner, Key((inner,)))
    inner.append(value)
    new = copy(value)
    assert new[0][0] is new
    assert new[1].parts[0] is new[0]


def test_shared_references_are_kept():
    """One thing in two places is one thing in two places of the copy (017)."""
    one = {"n": 1}
    new = copy({"a": one, "b": one, "c": {"n": 1}, "t": (one, [one])})
    assert new["a"] is new["b"] is new["t"][0] is new["t"][1][0]
    assert new["a"] is not one
    assert new["c"] is not new["a"]


def test_the_order_of_a_dict_is_kept():
    """Keys of every kind come in the order they had (017)."""
    value = {"z": [1], (1, (2,)): [2], "a": [3], Key((1,)): [4], None: 5}
    assert list(copy(value).items()) == list(value.items())


def test_instances_in_sets_and_keys_are_complete_before_they_are_hashed():
    """A frozen dataclass may stand in a set, in a frozen set and in a key, also before its plain occurrence."""
    point = Key((1, frozenset({Key(())})))
    new = copy(
        {"plain": point, "set": {point}, "frozen": frozenset({point, (point,)}), point: FrozenStruct(a=point)}
    )
    assert new["set"] == {point}
    assert new["frozen"] == {point, (point,)}
    assert new[point] == FrozenStruct(a=point)
    assert new["plain"] is next(iter(new["set"]))


def test_no_code_of_a_class_runs():
    """Neither __init__ nor __post_init__ is run for a copy; attributes beside the fields travel too."""
    struct = Struct(1)
    assert copy(struct).a == [1]
    seat = Seat("a")
    seat.checked = [False]  # type: ignore[assignment]
    new = copy(seat)
    assert new.checked == [False]
    assert new.checked is not seat.checked


def test_a_generic_instance_travels():
    """The alias a generic dataclass was made by is no part of it."""
    item = typing.TypeVar("item")

    @dataclasses.dataclass
    class Box(typing.Generic[item]):
        content: item

    assert copy(Box[int](1)) == Box(1)


def test_pydantic_models_travel_whole():
    """Fields, extra and private attributes and the set of fields that were given are copied."""
    model = Model(a=1, more=[2])  # type: ignore[call-arg]
    model._seen.append(7)
    new = copy(model)
    assert new == model
    assert new.model_fields_set == {"a", "more"}
    assert new._seen == [7]
    new._seen.append(8)
    new.more.append(3)  # type: ignore[attr-defined]
    assert (model._seen, model.more) == ([7], [2])  # type: ignore[attr-defined]


def test_pydantic_is_not_imported(run_python):
    """Copying a dataclass in a process that has not imported pydantic leaves it so."""
    done = run_python(
        "import dataclasses, sys\n"
        "from perdure._base.values import copy\n"
        "copy(dataclasses.make_dataclass('A', ['x'])([1]))\n"
        "print('pydantic' in sys.modules)"
    )
    assert done == "False\n"


def test_named_tuples_travel_as_themselves():
    """A named tuple keeps its class; its mutable items are copied."""
    pair = Pair([1], 2)
    new = copy(pair)
    assert type(new) is Pair
    assert new == pair
    assert new.left is not pair.left


def test_a_dict_of_ours_arrives_as_a_plain_dict():
    """A class that says it is a dict (as rows of results do) arrives as one, copied."""
    row = OurRow(a=[1])
    new = copy([row, row])
    assert type(new[0]) is dict
    assert new[0] is new[1]
    assert new == [{"a": [1]}] * 2
    assert new[0]["a"] is not row["a"]


def test_a_deeply_nested_value_is_copied():
    """Depth costs no stack up to the limit, also for tuples, which are built from the inside out."""
    lists: list[Any] = []
    tuples: tuple[Any, ...] = ([],)
    inner = lists
    for _ in range(limits.VALUE_DEPTH_MAX - 2):
        inner.append([])
        inner = inner[0]
        tuples = (tuples,)
    copy(lists)
    copy(tuples)


@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {1: inner}, Seat]
)
def test_a_value_beyond_the_depth_limit_is_refused(wrap):
    """A value nested deeper than the limit is an error, not a crash."""
    value: Any = [[]]
    for _ in range(limits.VALUE_DEPTH_MAX + 1):
        value = wrap(value)
    with pytest.raises(errors.DataCloneError, match="deeper than 10,000 levels"):
        copy(value)


def function() -> None: ...


async def coroutine() -> None: ...


REFUSED: list[tuple[Any, str]] = [
    (function, "<function function> could not be cloned."),
    (lambda: 1, "<function <lambda>> could not be cloned."),
    (len, "<function len> could not be cloned."),
    (Plain().method, "<method Plain.method> could not be cloned."),
    ((_ for _ in ()), "<generator <genexpr>> could not be cloned. Send list(...) of it."),
    (sys, "<module sys> could not be cloned."),
    (Plain, "<class Plain> could not be cloned."),
    (
        Plain(),
        'Could not serialize object of type "Plain". This type does not support serialization. '
        "Make it a dataclass, a msgspec.Struct, a NamedTuple or a dict.",
    ),
    (memoryview(b""), "Send bytes(value)."),
    (object(), 'Could not serialize object of type "object"'),
    (threading.Lock(), 'Could not serialize object of type "lock"'),
    (io.BytesIO(), 'Could not serialize object of type "BytesIO"'),
    (SimpleNamespace(a=1), 'Could not serialize object of type "SimpleNamespace"'),
    (iter([]), 'Could not serialize object of type "list_iterator"'),
    (range(3), 'Could not serialize object of type "range"'),
    (1j, 'Could not serialize object of type "complex"'),
    (datetime.datetime(2020, 1, 1), "datetime.datetime without a time zone could not be cloned."),
    (collections.OrderedDict(), "It is a subclass of dict: send dict(value)."),
    (collections.defaultdict(list), "It is a subclass of dict: send dict(value)."),
    (collections.Counter(), "It is a subclass of dict: send dict(value)."),
    (collections.deque(), 'Could not serialize object of type "deque"'),
    (type("MyList", (list,), {})(), "It is a subclass of list: send list(value)."),
    (type("MyStr", (str,), {})(), "It is a subclass of str: send str(value)."),
    (type("MyInt", (int,), {})(), "It is a subclass of int: send int(value)."),
    (sys.version_info, "It is a subclass of tuple: send tuple(value)."),
]


@pytest.mark.parametrize(("value", "text"), REFUSED, ids=lambda item: type(item).__name__)
def test_what_cannot_travel_is_refused_with_what_to_do(value, text):
    """Code, running things, handles and classes of unknown state raise DataCloneError (118)."""
    with pytest.raises(errors.DataCloneError) as caught:
        copy(value)
    assert text in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_a_socket_and_a_coroutine_are_refused():
    """Handles of the operating system and unawaited coroutines cannot travel."""
    with socket.socket() as sock, pytest.raises(errors.DataCloneError, match='type "socket"'):
        copy(sock)
    waiting = coroutine()
    with pytest.raises(
        errors.DataCloneError, match="<coroutine coroutine> could not be cloned. Await it first."
    ):
        copy(waiting)
    waiting.close()


def test_a_call_is_copied_as_one_value():
    """What two arguments share stays shared, also between positional and keyword arguments."""
    shared = [1]
    args, kwargs, _, _ = copy_call((shared, 2), {"by": shared, "name": "x"})
    assert args == ([1], 2)
    assert kwargs == {"by": [1], "name": "x"}
    assert args[0] is kwargs["by"]
    assert args[0] is not shared


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [((1, [function]), {}, "(at arguments[1][0])"), ((1,), {"by": function}, '(at arguments["by"])')],
)
def test_a_refused_argument_is_named(args, kwargs, place):
    """The error of a call tells which argument it was."""
    with pytest.raises(errors.DataCloneError) as caught:
        copy_call(args, kwargs)
    assert str(caught.value) == f"<function function> could not be cloned. {place}"


@pytest.mark.rows("RPC-15")
@pytest.mark.parametrize(
    ("value", "size"),
    [(("x" * 33_554_432,), 33_554_444), ("x" * 33_554_432, 33_554_439), (b"x" * 100, 107), ("é" * 10, 27)],
)
def test_the_size_of_a_message_is_counted_as_cloudflare_does(value, size):
    """Long text as an argument and as a result takes exactly what workerd says (119)."""
    assert copy_sized(value)[1] == size


@pytest.mark.rows("RPC-15")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: [[text]], lambda text: {"k": text}, lambda text: {text: 1}, lambda text: {"k": [text]},
        lambda text: {text}, lambda text: ([text],), lambda text: Seat(text), lambda text: Key((text, [])),
        lambda text: {(text, Level.LOW): 1}, lambda text: ValueError(text), lambda text: bytearray(text.encode()),
        lambda text: Pair(text, []), lambda text: frozenset({(text, Level.LOW)}), lambda text: Model(a=1, b=text),
        lambda text: OurRow(a=text), lambda text: ExceptionGroup("", [KeyError(text)]),
    ],
)  # fmt: skip
def test_text_is_counted_wherever_it_is(wrap):
    """A long text adds its length to the size, whatever holds it."""
    assert copy_sized(wrap("x" * 100_000))[1] - copy_sized(wrap("y"))[1] == 99_999
