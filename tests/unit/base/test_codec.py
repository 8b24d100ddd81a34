"""Values to bytes and back: the forms, what stored data must still mean later, what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import typing
import uuid
import zoneinfo
from typing import Any

import msgspec
import pydantic
import pytest

from perdure import errors
from perdure._base import limits
from perdure._base.codec import dumps, loads
from perdure._base.registry import Registry

pytestmark = pytest.mark.rows("KVA-12")

REGISTRY = Registry([__name__])


@dataclasses.dataclass
class Seat:
    row: str
    number: int = 1
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Key:
    part: Any


class Struct(msgspec.Struct):
    a: Any
    b: Any = 2

    def __post_init__(self) -> None:
        raise AssertionError("never run when reading")


class Model(pydantic.BaseModel):
    a: int
    b: int = 2


class Pair(typing.NamedTuple):
    left: Any
    right: Any = 2


class Colour(enum.Enum):
    RED = 1


class OurRow(dict[str, Any]):
    __perdure_as__ = dict


EXAMPLES: list[tuple[Any, str]] = [
    (None, "01c0"),
    ({"a": [1, -1, 1.5, True, None, "é", b"\x00"]}, "0181a16197 01ff cb3ff8000000000000 c3 c0 a2c3a9 c40100"),
    (datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "01 d6ff 5e0d3280"),
    ((1, [2]), "02 95 90 c4026c74 92 9102 9201d41000 9101 d41001"),
    (2**70, "02 95 90 c400 90 90 c70901 400000000000000000"),
    (datetime.date(2020, 1, 2), "02 95 90 c400 90 90 c70a03 323032302d30312d3032"),
    (uuid.UUID(int=1), "02 95 90 c400 90 90 d808 00000000000000000000000000000001"),
]


@pytest.mark.parametrize(("value", "stored"), EXAMPLES, ids=lambda item: repr(item)[:30])
def test_the_format_stays_what_it_is(value, stored):
    """Stored bytes must be read by every later version: these are written as ever, and mean what they meant."""
    assert dumps(value).hex() == stored.replace(" ", "")
    assert loads(bytes.fromhex(stored)) == value


@pytest.mark.parametrize(
    "value",
    [
        1,
        "x",
        [1, {"a": [None, 2.5]}],
        {1: 2, b"x": 3, None: 4},
        OurRow(a=1),
        [datetime.datetime.now(datetime.UTC)],
    ],
)
def test_plain_values_take_the_plain_form(value):
    """Dicts, lists and MessagePack's own leaves are written by C code alone."""
    assert dumps(value)[0] == 1
    assert loads(dumps(value)) == value


SHARED: list[Any] = [1]


@pytest.mark.parametrize(
    "value",
    [
        (1,), {1}, frozenset(), bytearray(b"x"), [SHARED, SHARED], {(1,): 2}, 2**64, "\ud800", decimal.Decimal(1),
        [[2**64]], {"\ud800": "\ud800"}, datetime.time(1), datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC, fold=1),
    ],
    ids=repr,
)  # fmt: skip
def test_everything_else_takes_the_graph_form(value):
    """What MessagePack would change, or not take, is written node by node."""
    stored = dumps(value)
    assert stored[0] == 2
    new = loads(stored)
    assert (type(new), new) == (type(value), value)


@pytest.mark.parametrize("levels", [10, 63, 64, 65, 66, 1000, limits.VALUE_DEPTH_MAX])
def test_depth_is_no_matter(levels):
    """A value nested as deeply as is allowed is stored and read (017)."""
    value: Any = ["bottom"]
    for _ in range(levels - 1):
        value = [value]
    new = loads(dumps(value))
    for _ in range(levels):
        (new,) = new
    assert new == "bottom"


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: (inner,), Key])
def test_a_value_beyond_the_depth_limit_is_refused(wrap):
    """Deeper than the limit is an error, not a crash."""
    value: Any = [[]]
    for _ in range(limits.VALUE_DEPTH_MAX + 1):
        value = wrap(value)
    with pytest.raises(errors.DataCloneError, match="deeper than 10,000 levels"):
        dumps(value, REGISTRY)


@pytest.mark.rows("KVA-01")
def test_each_reading_gives_a_fresh_value():
    """Two readings of the same bytes share nothing (020)."""
    stored = dumps({"a": [1], "t": ([2],)})
    assert loads(stored)["a"] is not loads(stored)["a"]
    assert loads(stored)["t"][0] is not loads(stored)["t"][0]


@pytest.mark.rows("KVA-04")
def test_none_is_a_value():
    """None is stored as any other value."""
    assert loads(dumps(None)) is None


def test_a_refused_value_is_named_with_its_path():
    """The error of dumps() is that of copy()."""
    with pytest.raises(errors.DataCloneError) as caught:
        dumps({"list": [1, Seat("A", notes=[len])]}, REGISTRY)  # type: ignore[list-item]
    assert str(caught.value) == '<function len> could not be cloned. (at value["list"][1].notes[0])'


def test_an_instance_of_a_class_without_name_is_refused():
    """A class the registry cannot name is refused when it is stored, not when it is read."""
    with pytest.raises(errors.DataCloneError) as caught:
        dumps({"seat": Seat("A")}, Registry())
    assert str(caught.value) == (
        f'Could not serialize object of type "Seat". Its module "{__name__}" is not one of the application\'s, so the '
        "class has no name to store it under. Decorate it with @perdure.value, or call perdure.value(TheClass) when "
        'the application starts. (at value["seat"])'
    )


def test_an_instance_of_an_unknown_class_is_never_a_dict():
    """Data that names a class which is not here is an error that tells the name and what to do."""
    stored = dumps([Seat("A")], REGISTRY)
    with pytest.raises(errors.DataCloneError) as caught:
        loads(stored, Registry())
    assert f'instance of "{__name__}:Seat", and there is no such class here' in str(caught.value)
    assert f'@perdure.value(name="{__name__}:Seat")' in str(caught.value)


def test_an_annotation_names_classes():
    """The classes of `type` need no other name; a dict is converted to them."""
    stored = dumps([Seat("A")], REGISTRY)
    assert loads(stored, None, list[Seat]) == [Seat("A")]
    assert loads(dumps({"row": "A"}), None, Seat) == Seat("A")
    assert loads(dumps(None), None, Seat | None) is None


def test_reading_runs_no_constructor():
    """__post_init__ of a Struct is not run when an instance is read."""
    struct: Any = type("Silent", (Struct,), {"__post_init__": lambda self: None})(1)
    struct.__class__ = Struct
    new = loads(dumps(struct, REGISTRY), REGISTRY)
    assert (type(new), new.a) == (Struct, 1)


@pytest.fixture
def replace_class(monkeypatch):
    """Return a function that puts another class in the place of one of this module, as a new version would."""

    def replace(old: type, new: type) -> None:
        new.__module__, new.__qualname__ = __name__, old.__qualname__
        monkeypatch.setitem(globals(), old.__qualname__, new)

    return replace


OLD = {"dataclass": Seat("A", 5, ["n"]), "tuple": Pair(1, 2)}


@dataclasses.dataclass
class NewSeat:
    row: str
    price: int = 10
    tags: list[str] = dataclasses.field(default_factory=lambda: ["new"])


def test_a_new_field_gets_its_default_and_a_gone_one_is_dropped(replace_class):
    """Instances stored by an older version of a class are read by the newer."""
    stored = dumps(Seat("A", 5, ["n"]), REGISTRY)
    replace_class(Seat, NewSeat)
    new = loads(stored, REGISTRY)
    assert vars(new) == {"row": "A", "price": 10, "tags": ["new"]}


def test_a_dataclass_may_become_a_struct_or_a_model(replace_class):
    """The fields are what counts, not which library checks them."""
    stored = dumps(Seat("A", 5, ["n"]), REGISTRY)
    replace_class(Seat, msgspec.defstruct("Seat", [("row", str), ("price", int, 10)]))
    new = loads(stored, REGISTRY)
    assert (new.row, new.price) == ("A", 10)
    model = pydantic.create_model("Seat", row=(str, ...), price=(int, 10))
    replace_class(Seat, model)
    new = loads(stored, REGISTRY)
    assert new.model_dump() == {"row": "A", "price": 10}
    assert new.model_fields_set == {"row", "number", "notes"}


def test_a_named_tuple_may_grow(replace_class):
    """Items of a stored named tuple are found by field."""
    stored = dumps(Pair([1], 3), REGISTRY)
    replace_class(Pair, typing.NamedTuple("Pair", [("right", int), ("left", list)]))
    assert loads(stored, REGISTRY) == (3, [1])


def test_a_missing_field_without_default_is_an_error(replace_class):
    """A field that old instances lack must have a default; the error says which and shows no content."""
    stored = dumps({"k": Key("secret")}, REGISTRY)
    replace_class(Key, dataclasses.make_dataclass("Key", ["part", "more"]))
    with pytest.raises(errors.DataCloneError) as caught:
        loads(stored, REGISTRY)
    assert str(caught.value) == (
        f'The value is an instance of "{__name__}:Key", which has changed since: it has no field "more" and the class '
        "gives that field no default; it has: part."
    )


def test_a_failing_default_is_an_error(replace_class):
    """A default_factory that raises is told as what it is."""
    stored = dumps(Key(1), REGISTRY)
    failing = dataclasses.field(default_factory=lambda: 1 / 0)
    replace_class(Key, dataclasses.make_dataclass("Key", ["part", ("more", int, failing)]))
    with pytest.raises(errors.DataCloneError, match='default of its field "more" failed: ZeroDivisionError'):
        loads(stored, REGISTRY)


def test_a_member_that_is_gone_is_an_error(replace_class):
    """An Enum member is stored by name; without it there is nothing to read."""
    stored = dumps(Colour.RED, REGISTRY)
    replace_class(Colour, enum.Enum("Colour", ["BLUE"]))
    with pytest.raises(errors.DataCloneError, match=r'Colour" that is not in the class any more'):
        loads(stored, REGISTRY)


def test_a_class_of_another_kind_is_an_error(replace_class):
    """A dataclass that became an Enum cannot be rebuilt."""
    stored = dumps(Key(1), REGISTRY)
    replace_class(Key, enum.Enum("Key", ["BLUE"]))
    with pytest.raises(
        errors.DataCloneError, match=r'Key", which was another kind of class when it was stored'
    ):
        loads(stored, REGISTRY)


@pytest.mark.rows("KVA-23")
@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (b"", "The stored value is corrupt (0 bytes): it begins with no known format."),
        (b"\x00secret", "The stored value is corrupt (7 bytes): it begins with no known format."),
        (b"\x01", "The stored value is corrupt (1 byte): it does not decode."),
        (b"\x01\xa6secre", "The stored value is corrupt (7 bytes): it does not decode."),
        (b"\x01\xa1\xff", "The stored value is corrupt (3 bytes): it does not decode."),
        (b"\x01\xd4\x05\x00", "The stored value is corrupt (4 bytes): it does not decode."),
        (
            b"\x02\x95\x90\xc4\x01l\x91\x91\xd4\x10\x05\x90\xd4\x10\x00",
            "The stored value is corrupt (15 bytes): it does not decode.",
        ),
        (
            b"\x09",
            "The stored value (1 byte) has format 9, and this version of Perdure knows up to 2: a newer one wrote it, or it is corrupt.",
        ),
    ],
)
def test_damaged_data_is_told_by_its_size_and_never_shown(stored, text):
    """The error of corrupt data names size and problem; its content is in no text and no cause."""
    with pytest.raises(errors.DataCloneError) as caught:
        loads(stored, REGISTRY)
    assert str(caught.value) == text
    assert "secre" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


HOSTILE = {
    "a reference to nothing": [[], b"l", [[]], [], msgspec.msgpack.Ext(16, b"\x07")],
    "a container inside a payload": [[], b"l", [[[1]]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a tuple that is never built": [[], b"t", [[]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a tuple that holds itself": [[], b"t", [[msgspec.msgpack.Ext(16, b"\x00")]], [0], msgspec.msgpack.Ext(16, b"\x00")],
    "a set of lists": [[], b"sl", [[msgspec.msgpack.Ext(16, b"\x01")], []], [], msgspec.msgpack.Ext(16, b"\x00")],
    "kinds without payload": [[], b"ll", [[]], [], None],
    "an unknown kind": [[], b"?", [[]], [], None],
    "a negative number": [[], b"t", [[]], [-1], None],
    "a class that is a function": [[["os:system", 0]], b"o", [[0]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a class of the library": [[["subprocess:Popen", 0]], b"o", [[0]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a built-in class": [[["builtins:object", 0]], b"o", [[0]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a module to import": [[["antigravity:x", 0]], b"o", [[0]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a name with control characters": [[["a\n:b", 0]], b"o", [[0]], [], msgspec.msgpack.Ext(16, b"\x00")],
    "a time zone outside of the folder": [
        [], b"", [], [],
        msgspec.msgpack.Ext(5, msgspec.msgpack.encode(("2020-01-01T00:00:00", 0, "../../../etc/passwd"))),
    ],
}  # fmt: skip


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
def test_tampered_data_is_refused(parts):
    """Whatever a tampered file names or refers to, nothing is imported, called, or half made."""
    with pytest.raises(errors.DataCloneError):
        loads(b"\x02" + msgspec.msgpack.encode(parts), Registry([__name__]))


def test_a_time_zone_this_machine_lacks_is_an_error():
    """An unknown time zone is told by name, with what to install."""
    zone = msgspec.msgpack.encode(("2020-01-01T00:00:00", 0, "Mars/Phobos"))
    stored = b"\x02" + msgspec.msgpack.encode([[], b"", [], [], msgspec.msgpack.Ext(5, zone)])
    with pytest.raises(
        errors.DataCloneError, match='time zone "Mars/Phobos", which this machine does not know'
    ):
        loads(stored)
