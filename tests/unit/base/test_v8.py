"""v8: the bytes of workerd 2026-04-26, recorded, give Python's values; what is no such value is a ValueError."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure._base import limits, v8
from perdure._base.bigint import BigInt


def loads(text: str) -> Any:
    return v8.loads(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("ff0f30", None),
        ("ff0f5f", None),  # undefined
        ("ff0f54", True),
        ("ff0f46", False),
        ("ff0f4954", 42),
        ("ff0f4909", -5),
        ("ff0f4e000000000000f83f", 1.5),
        ("ff0f5a10d20a1feb8ca954ab", 12345678901234567890),
        ("ff0f5a110700000000000000", -7),
        ("ff0f2200", ""),
        ("ff0f220568e46c6c6f", "hällo"),
        ("ff0f63046e656c67", "\u656e\u676c"),
        ("ff0f6304d83d0a00", "\u3dd8\n"),
        ("ff0f4400b08756febc7842", datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)),
        (
            "ff0f6f220161490222016241044902220178306f2201635f7b012400042203fc6eef6304e5652c677b03",
            {"a": 1, "b": [1, "x", None, {"c": None}], "ünï": "日本"},
        ),
        ("ff0f3b490222036f6e6522016b6f22017a49027b013a04", {1: "one", "k": {"z": 1}}),
        ("ff0f2749022201612c02", {1, "a"}),
        ("ff0f42020405", b"\4\5"),  # ArrayBuffer
        ("ff0f42030102035642000300", b"\1\2\3"),  # Uint8Array
        ("ff0f4204ffff02005677000400", b"\xff\xff\2\0"),  # Int16Array
        ("ff0f420400000000563f000400", bytes(4)),  # DataView
        ("ff0f522203612b6203", "/a+b/gi"),
        ("ff0f61034900490249044906400203", [1, None, 3]),  # [1, , 3]
        ("ff0f6e0000000000001440", 5),  # new Number(5)
        ("ff0f73220173", "s"),
        ("ff0f78", False),
        ("ff0f6f4902490422016149027b02", {"1": 2, "a": 1}),
    ],
)
def test_each_kind_has_its_equal(data: str, value: Any) -> None:
    """The type too: 42 is an int."""
    found = loads(data)
    assert found == value
    assert isinstance(found, type(value))


def test_a_whole_number_is_an_int_and_minus_zero_a_float() -> None:
    """JavaScript has one kind of number; a Python program that counts wants ints."""
    assert [type(loads(data)) for data in ("ff0f4e0000000000007042", "ff0f4e0000000000000080")] == [
        int,
        float,
    ]
    assert loads("ff0f4e0000000000007042") == 2**40
    assert math.isnan(loads("ff0f4e000000000000f87f"))


def test_a_bigint_stays_one() -> None:
    """Handed on to JavaScript it is one again."""
    assert type(loads("ff0f5a110700000000000000")) is BigInt


def test_cycles_and_shared_references_stay() -> None:
    """An object that holds itself, and a list that holds it."""
    value = loads("ff0f6f22046e616d6522056379636c65220473656c665e0022046c69737441015e002400017b03")
    assert value["name"] == "cycle"
    assert value["self"] is value
    assert value["list"][0] is value


def test_two_views_of_one_buffer_are_two_values() -> None:
    """The second refers to the buffer of the first."""
    assert loads("ff0f4102" + "42080102030405060708" + "5642000200" + "5e01" + "5642020200" + "240002") == [
        b"\1\2",
        b"\3\4",
    ]


def test_an_error_has_its_class_and_message() -> None:
    """Where in JavaScript it came from does not come along."""
    error = loads(
        "ff0f72546d2203626164732231547970654572726f723a206261640a20202020617420526f6f6d2e666574636820287363726970742d303a31373a3532292e"
    )
    assert (type(error), str(error)) == (TypeError, "bad")


def test_an_error_keeps_its_cause() -> None:
    """It is what `raise ... from` sets."""
    assert str(loads("ff0f726d2201786372546d2201792e2e").__cause__) == "y"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("ff0f5c0403010001610162", r"at byte 2 is a value of kind '\\\\', which has no equal"),  # Headers
        ("ff0f41024902490422056578747261220170240102", "a property 'extra' beside its elements"),
        ("ff0e", "cut off at byte 2"),
        ("ff1030", "version 16"),
        ("0130", "does not begin"),
        ("ff0f4954ff", "1 bytes are left over"),
        ("ff0f2205", "cut off"),
        ("ff0f53036162c3", "utf-8"),
        ("ff0f5e00", "a reference to object 0"),
        ("ff0f3b6f7b0049023a02", "a Map with an object as a key"),
        ("ff0f276f7b002c01", "a Set with an object as a key"),
        ("ff0f44000000000000f042", "outside of the years"),
        ("ff0f3b4902220161542201623a04", "a Map with two keys that are one in Python.*: True"),
        ("ff0f27305f2c02", "a Set with two keys that are one in Python.*: None"),
        ("ff0f61ffffffff0f400000", "arrays with few elements"),
        ("ff0f49" + "ff" * 12, "has no end"),
        ("ff0f" + "4101" * (limits.V8_DEPTH_MAX + 1) + "30", "nested deeper than 200 levels"),
    ],
)
def test_what_has_no_equal_is_refused_and_says_what(data: str, says: str) -> None:
    """The text goes to whoever imports."""
    with pytest.raises(ValueError, match=says):
        loads(data)


@pytest.mark.parametrize(
    "element",
    ["6132400032", "5e015642003200"],
    ids=["an array of 50 holes", "50 bytes of a buffer"],
)
def test_few_bytes_do_not_ask_for_all_memory(element: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than the bytes that say it has a limit, over the whole value."""
    monkeypatch.setattr(limits, "V8_MADE_MAX", 100)
    buffer = "4232" + "00" * 50
    assert len(loads(f"ff0f4103{buffer}{element * 2}240003")) == 3
    with pytest.raises(ValueError, match="are larger than 100"):
        loads(f"ff0f4104{buffer}{element * 3}240004")


@pytest.mark.fuzz
@given(st.binary(max_size=80))
@example(b"?\x00" * 3000)
@example(b"A\x01" * 150)
@example(b"Z\xff\xff\xff\xff\x0f")
@example(b"D" + b"\xff" * 8)
@example(b"R\x22\x01a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02")
def test_no_bytes_make_reading_fail_otherwise(data: bytes) -> None:
    """A ValueError, or a value."""
    try:
        v8.loads(b"\xff\x0f" + data)
    except ValueError:
        pass
