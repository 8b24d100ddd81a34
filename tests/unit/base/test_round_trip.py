"""Properties of every way a value travels: a copy within the process, bytes and back, a message to another process."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import zoneinfo
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import errors
from perdure._base.codec import dumps, loads
from perdure._base.registry import Registry
from perdure._base.values import copy, copy_sized
from perdure._rpc.capnweb.decode import NO_IMPORTER
from perdure._rpc.capnweb.encode import no_references
from perdure._rpc.wire import BinaryForm

pytestmark = pytest.mark.rows("RPC-08", "KVA-12")

REGISTRY = Registry([__name__])


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Node:
    name: Any
    kids: Any = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: Any
    y: Any = ()


class Row(msgspec.Struct):
    a: Any
    b: Any = None


class Pair(NamedTuple):
    left: Any
    right: Any


class Model(pydantic.BaseModel):
    a: Any
    _hidden: Any = pydantic.PrivateAttr(default=1)


text = st.text(st.characters(exclude_categories=()), max_size=12)
offsets = st.timedeltas(
    datetime.timedelta(hours=-23), datetime.timedelta(hours=23)
).map(datetime.timezone)  # fmt: skip
zones = st.one_of(
    st.just(datetime.UTC),
    offsets,
    st.sampled_from(["Europe/Berlin", "UTC", "Asia/Kathmandu"]).map(zoneinfo.ZoneInfo),
)
aware = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
    st.datetimes(datetime.datetime(1, 1, 3), datetime.datetime(9999, 12, 29)), zones, st.sampled_from([0, 1]),
)  # fmt: skip
hashable_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**200), 2**200), st.floats(allow_nan=False), text,
    st.binary(max_size=12), aware, st.dates(), st.times(), st.times(timezones=offsets), st.timedeltas(),
    st.decimals(allow_nan=False), st.uuids(), st.sampled_from(Colour), st.sampled_from([Right.READ, Right(0), ~Right(0)]),
)  # fmt: skip
hashables = st.recursive(
    hashable_leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner), st.builds(Pair, inner, inner),
    ),
    max_leaves=6,
)  # fmt: skip
values = st.recursive(
    st.one_of(hashables, st.floats(), st.decimals(), st.binary(max_size=5).map(bytearray)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple), st.dictionaries(text, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=3), st.sets(hashables, max_size=3), st.builds(Node, inner, inner),
        st.builds(Row, inner, inner), st.builds(lambda a: Model(a=a), inner), st.builds(Pair, inner, inner),
    ),
    max_leaves=25,
)  # fmt: skip


def through_bytes(value: Any) -> Any:
    return loads(dumps(value, REGISTRY), REGISTRY)


def through_a_message(value: Any) -> Any:
    form = BinaryForm(REGISTRY)
    line = form.write(["resolve", 1, form.encode(value, no_references, "value")])
    return form.decoder(NO_IMPORTER).decode(form.read(line)[2]).value


def parts(value: Any) -> list[Any] | None:
    """Return what *value* holds, in order; None for a leaf."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, Point):
        return [value.x, value.y]
    if isinstance(value, Node | Row | Model):
        return [getattr(value, name) for name in type(value).__annotations__]
    if isinstance(value, BaseException):
        return [value.args, value.__dict__, value.__cause__]
    return None


def assert_same(first: Any, second: Any) -> None:
    """Assert equal structure, exact types, and that shared and cyclic references are shared and cyclic alike."""
    matched: dict[int, int] = {}
    matched_back: dict[int, int] = {}
    todo = [(first, second)]
    while todo:
        a, b = todo.pop()
        assert type(a) is type(b)
        inner = parts(a)
        if inner is None:
            if isinstance(a, float) and math.isnan(a):
                assert math.isnan(b)
            elif isinstance(a, float):
                assert (a, math.copysign(1, a)) == (b, math.copysign(1, b))
            elif isinstance(a, datetime.datetime):
                assert (a.replace(tzinfo=None), a.fold, a.tzinfo) == (
                    b.replace(tzinfo=None),
                    b.fold,
                    b.tzinfo,
                )
            elif type(a).__name__ == "Decimal":
                assert a.as_tuple() == b.as_tuple()
            else:
                assert a == b
            continue
        if not isinstance(a, tuple):
            if id(a) in matched or id(b) in matched_back:
                assert matched[id(a)] == id(b)
                assert matched_back[id(b)] == id(a)
                continue
            matched[id(a)], matched_back[id(b)] = id(b), id(a)
        other = parts(b)
        assert other is not None
        todo += zip(inner, other, strict=True)


@pytest.mark.parametrize("travel", [copy, through_bytes, through_a_message])
@given(value=values)
@settings(max_examples=300, deadline=None)
def test_every_value_arrives_as_it_was(travel, value):
    """A value arrives equal, each part of the very type it had, dicts in their order."""
    assert_same(value, travel(value))


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Draw nodes of mutable kinds that hold each other in any way, cycles included, some through tuples."""
    count = draw(st.integers(1, 6))
    nodes: list[Any] = []
    for _ in range(count):
        make = draw(
            st.sampled_from([list, dict, lambda: Node(0), lambda: Row(0), lambda: Model(a=0), ValueError])
        )
        nodes.append(make())
    for node in nodes:
        held = [nodes[draw(st.integers(0, count - 1))] for _ in range(draw(st.integers(0, 3)))]
        kids: Any = tuple(held) if draw(st.booleans()) else held
        if isinstance(node, list):
            node.extend([kids, *held])
        elif isinstance(node, dict):
            node.update(enumerate([*held, kids]))
        elif isinstance(node, Row | Model):
            node.a = kids
        elif isinstance(node, Node):
            node.kids = kids
        else:
            node.kids = kids
            causes = [child for child in held if isinstance(child, BaseException)]
            node.__cause__ = causes[0] if causes else None
    return nodes[0]


@pytest.mark.parametrize("travel", [copy, through_bytes, through_a_message])
@given(value=graphs())
@settings(max_examples=300, deadline=None)
def test_cycles_and_shared_references_arrive_as_they_were(travel, value):
    """What was one thing in two places is one thing in two places afterwards, and what was two is two."""
    assert_same(value, travel(value))


@pytest.mark.parametrize("travel", [copy, through_bytes, through_a_message])
@given(value=values)
@settings(max_examples=100, deadline=None)
def test_nothing_that_can_change_is_shared_with_the_original(travel, value):
    """No list, dict, set, bytearray or instance of the copy is one of the original's."""

    def changeable(root: Any) -> set[int]:
        found, todo = set(), [root]
        while todo:
            item = todo.pop()
            if isinstance(item, list | dict | set | bytearray | Node | Row | Model):
                found.add(id(item))
            todo += parts(item) or []
        return found

    assert not changeable(value) & changeable(travel(value))


@given(value=values)
@settings(max_examples=100, deadline=None)
def test_copying_and_storing_do_not_change_the_original(value):
    """The value that is copied or stored is the same afterwards."""
    before = repr(value)
    copy(value)
    dumps(value, REGISTRY)
    assert repr(value) == before


@pytest.mark.fuzz
@given(data=st.binary(max_size=60))
@settings(max_examples=5 * settings.default.max_examples, deadline=None)
def test_any_bytes_give_a_value_or_the_documented_error(data):
    """Bytes that no dumps() wrote are refused with a DataCloneError, or happen to be a value."""
    for form in (b"", b"\x01", b"\x02"):
        try:
            loads(form + data, REGISTRY)
        except errors.DataCloneError:
            pass


@pytest.mark.fuzz
@given(value=values, data=st.data())
@settings(max_examples=3 * settings.default.max_examples, deadline=None)
def test_damaged_bytes_give_a_value_or_the_documented_error(value, data):
    """Changed and cut bytes are refused with a DataCloneError, or happen to be a value (KVA-23)."""
    stored = bytearray(dumps([value, Node(value), {1: value}], REGISTRY))
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(stored)))
    for damaged in (stored, stored[:cut]):
        try:
            loads(bytes(damaged), REGISTRY)
        except errors.DataCloneError:
            pass


@given(value=st.lists(st.one_of(text, st.binary(max_size=50)), max_size=20))
def test_the_size_of_text_and_bytes_is_exact(value):
    """Text counts as UTF-8, bytes as they are, and every item five bytes more (RPC-15)."""
    content = sum(
        len(item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item) for item in value
    )
    assert copy_sized(value)[1] == 2 + 5 * (1 + len(value)) + content
