"""A stored value as JSON data, without the application's classes."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import errors
from perdure._base.codec import dumps
from perdure._base.portrait import NODES_MAX, portrait, value_of
from perdure._base.registry import Registry

REGISTRY = Registry([__name__])


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Seat:
    row: int
    taken: object = None


class Pair(NamedTuple):
    left: object
    right: object


class Full(Exception):
    pass


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
KEYS = st.text() | st.integers() | st.binary() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.tuples(inner, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_shown_stands_for_the_value_it_was_made_of(value):
    """Through JSON, as text in a terminal."""
    shown = json.loads(json.dumps(portrait(dumps(value)), allow_nan=False))
    assert value_of(shown) == value


def shown(value):
    return portrait(dumps(value, REGISTRY))


def test_what_json_has_stands_as_it_is():
    """So most values look as the application wrote them."""
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
    assert shown(value) == value


def test_instances_are_shown_by_class_and_attribute():
    """Whether the class is there or not."""
    module = __name__
    assert shown(Seat(3, Colour.RED)) == {
        "$class": f"{module}:Seat",
        "row": 3,
        "taken": {"$member": f"{module}:Colour.RED"},
    }
    assert shown(Pair(1, b"x")) == {"$class": f"{module}:Pair", "left": 1, "right": {"$bytes": "eA=="}}
    assert shown(Full("no seat"))["$text"] == "no seat"
    assert (
        shown(ExceptionGroup("two", [Full("a"), ValueError("b")]))["$items"][1]["$class"]
        == "builtins:ValueError"
    )


def test_a_cycle_is_shown_once():
    """It would never end."""
    value = ["a"]
    value.append(value)
    assert shown(value) == ["a", {"$omitted": "cycle"}]


def test_what_is_nested_too_deep_is_left_out():
    """A terminal shows no hundred levels."""
    value = []
    for _ in range(5000):
        value = [value]
    assert '"$omitted": "depth"' in json.dumps(shown(value))


def test_parts_that_are_shared_many_times_over_do_not_make_it_endless():
    """Sixty doublings fit in a kilobyte."""
    value = ["x"]
    for _ in range(60):
        value = [value, value]
    text = json.dumps(shown(value))
    assert '"$omitted": "size"' in text
    assert len(text) < NODES_MAX * 20


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\xc1", b"\x02\x01", b"\x02\xff\xff", b"\x09abc"])
def test_damaged_data_is_told_without_a_part_of_it(data):
    """As reading it does."""
    with pytest.raises(errors.DataCloneError, match="bytes"):
        portrait(data)


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_otherwise(data):
    """Whatever is on the disk."""
    for form in (b"\x01", b"\x02"):
        try:
            json.dumps(portrait(form + data))
        except errors.DataCloneError:
            pass


@pytest.mark.parametrize(
    "value",
    [
        {"$class": "app:Seat", "row": 1},
        {"$member": "app:Colour.RED"},
        {"$omitted": "cycle"},
        {"$bytes": "x", "b": 1},
    ],
)
def test_what_only_the_application_can_make_is_not_read(value):
    """It says so."""
    with pytest.raises(ValueError, match="only the application"):
        value_of(value)


@pytest.mark.parametrize(
    "value", [{"$bytes": "?"}, {"$uuid": 1}, {"$decimal": "x"}, {"$set": [[1]]}, {"$dict": 3}]
)
def test_a_tag_with_the_wrong_content_is_told(value):
    """With what it holds."""
    with pytest.raises(ValueError, match=r"^\$"):
        value_of(value)


def test_values_beside_the_common_ones_are_read_back():
    """Written as they are shown."""
    for value in (
        uuid.UUID(int=5),
        decimal.Decimal("1.50"),
        bytearray(b"x"),
        2**70,
        float("inf"),
        datetime.time(9, 30),
    ):
        assert value_of(portrait(dumps(value))) == value
