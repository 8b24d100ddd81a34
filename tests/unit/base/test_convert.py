"""Values to what annotations ask for."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import typing
import uuid
from typing import Any

import msgspec
import pydantic
import pytest

from perdure._base.convert import convert


@dataclasses.dataclass
class Seat:
    row: str
    number: int = 1


class Struct(msgspec.Struct):
    a: int


class Model(pydantic.BaseModel):
    a: int


class Colour(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    LOW = 1


class Pair(typing.NamedTuple):
    left: int
    right: str = "x"


class Options(typing.TypedDict):
    size: int


class Plain:
    pass


@dataclasses.dataclass
class Box(Seat):
    pass


@dataclasses.dataclass
class Holder:
    colour: Colour
    model: Model
    seats: list[Seat]


PLAIN = Plain()
NOW = datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("annotation", [None, Any, inspect.Parameter.empty])
def test_no_annotation_converts_nothing(annotation):
    """Without an annotation, and for Any, the value is taken as it is."""
    assert convert(PLAIN, annotation) is PLAIN


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, int), (Seat("A"), Seat), (Seat("A"), Seat | None), (None, Seat | None), (Struct(1), Struct), (Model(a=1), Model),
        (Model(a=1), Model | Seat), (Colour.RED, Colour), (Pair(1), Pair), (PLAIN, Plain), (NOW, datetime.datetime),
        ([Box("A")], list[Seat]), ({"a": (Box("A"), 1)}, dict[str, tuple[Seat, int]]),
        (CYCLE, list), (KeyError("k"), KeyError), (KeyError("k"), Exception), (b"x", bytes), (True, bool),
    ],
)  # fmt: skip
def test_a_value_that_fits_is_itself(value, annotation):
    """An instance of what is asked for is not copied."""
    assert convert(value, annotation) is value


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ({"row": "A"}, Seat, Seat("A", 1)),
        ([{"row": "A"}, Seat("B")], list[Seat], [Seat("A"), Seat("B")]),
        ({"x": {"a": 1}}, dict[str, Struct], {"x": Struct(1)}),
        ({"a": 1}, Model, Model(a=1)),
        ([{"a": 1}, Model(a=2)], list[Model], [Model(a=1), Model(a=2)]),
        ("r", Colour, Colour.RED),
        ([Colour.RED, "r"], list[Colour], [Colour.RED, Colour.RED]),
        ({Colour.RED: {Level.LOW}}, dict[Colour, set[Level]], {Colour.RED: {Level.LOW}}),
        ([1, "y"], Pair, Pair(1, "y")),
        ({"size": 2}, Options, {"size": 2}),
        ("2020-01-02T03:04:05Z", datetime.datetime, datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
        ("c7955d5e-8a16-4388-a830-fdf9cdbf4aff", uuid.UUID, uuid.UUID("c7955d5e-8a16-4388-a830-fdf9cdbf4aff")),
        ([1, 2], set[int], {1, 2}),
        (1, float, 1.0),
        ({"a": 1}, Seat | Struct, Struct(1)),
        ({"a": 1}, Model | None, Model(a=1)),
        ({"colour": Colour.RED, "model": {"a": 1}, "seats": [{"row": "A"}]}, Holder,
         Holder(Colour.RED, Model(a=1), [Seat("A")])),
    ],
)  # fmt: skip
def test_a_value_is_converted(value, annotation, expected):
    """Dicts become instances, texts times and UUIDs, values members, at any place."""
    new = convert(value, annotation)
    assert (type(new), new) == (type(expected), expected)


@pytest.mark.parametrize(
    ("value", "annotation", "kind", "text"),
    [
        ("1", int, TypeError, "value (a value of type str) does not fit int: Expected `int`, got `str`."),
        (
            {"row": 1},
            Seat,
            TypeError,
            "value (a value of type dict) does not fit Seat: Expected `str`, got `int` at value.row.",
        ),
        ([{"row": 1}], list[Seat], TypeError, "Expected `str`, got `int` at value[0].row."),
        (
            {},
            Seat,
            ValueError,
            "value (a value of type dict) does not fit Seat: Object missing required field `row`.",
        ),
        ("YWJj", bytes, TypeError, "Expected `bytes`, got `str`"),
        (["YWJj"], list[bytes], TypeError, "Expected `bytes`, got `str` at value[0]."),
        (None, int, TypeError, "Expected `int`, got `None`."),
        ([Box("A"), 1], list[Seat], TypeError, "at value[0]"),
        ((Box("A"),), tuple[Seat, int], ValueError, "Expected `list` of length 2"),
        (1, Plain, TypeError, "value (a value of type int) does not fit Plain: Expected `Plain`, got `int`."),
        ([1], list[Plain], TypeError, "Expected `Plain`, got `int` at value[0]."),
        (5, typing.Annotated[int, msgspec.Meta(ge=10)], ValueError, "Expected `int` >= 10"),
        ("x", Colour, ValueError, "Invalid enum value 'x'"),
        ({"b": 1}, Model, ValueError, "a\n  Field required"),
        ("x", uuid.UUID, ValueError, "Invalid UUID"),
        ({"z": 1}, Seat | Struct, ValueError, "it fits none of `Seat` or `Struct`"),
        (CYCLE, list[list[Seat]], ValueError, "value is nested too deeply, or holds itself"),
        (1, lambda: 1, TypeError, "is not supported"),
        (1, "int", TypeError, "is not supported"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, annotation, kind, text):
    """The error names what was asked, what was found and where."""
    with pytest.raises(kind) as caught:
        convert(value, annotation)
    assert type(caught.value) is kind
    assert text in str(caught.value)


def test_the_value_is_called_what_the_caller_calls_it():
    """The label stands in the text and in the path."""
    with pytest.raises(TypeError) as caught:
        convert({"row": 1}, Seat, label="seat")
    assert (
        str(caught.value)
        == "seat (a value of type dict) does not fit Seat: Expected `str`, got `int` at seat.row."
    )
