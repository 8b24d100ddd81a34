"""Values of JavaScript: Python's own, with the members that people call on them."""

from __future__ import annotations

import copy
import datetime
import inspect
import json
import math
import pickle
from typing import Any

import pytest

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import (
    ArrayBuffer,
    JsArray,
    JsBytes,
    JsDate,
    JsDict,
    JsMap,
    JsNull,
    JsObject,
    JsProxy,
    JsSet,
    Uint8Array,
    create_once_callable,
    create_proxy,
    destroy_proxies,
    js_number,
    js_text,
    jsnull,
    relaxed_call,
    to_js,
    to_py,
)
from perdure._cloudflare.values.buffers import DataView, Float64Array, Int16Array, Uint8ClampedArray

ROW = {"id": 1, "name": "Ann", "tags": ["a"]}


# --- objects ---------------------------------------------------------------------------------------


def test_a_row_has_items_and_attributes():
    row = JsDict(ROW)
    assert row["name"] == row.name == "Ann"
    row.name = "Bob"
    assert row["name"] == "Bob"
    del row.name
    assert "name" not in row


def test_a_missing_attribute_says_which_there_are():
    with pytest.raises(AttributeError, match="no 'nme' here: the keys are id, name, tags"):
        _ = JsDict(ROW).nme
    assert getattr(JsDict(ROW), "nme", 5) == 5


def test_an_item_comes_before_what_objects_have():
    row = JsDict(typeof="van", to_py=1, constructor="C")
    assert (row.typeof, row.to_py, row.constructor) == ("van", 1, "C")


def test_an_item_of_a_javascript_object_comes_before_methods_of_dict():
    cart = JsObject(items=[1], keys="k")
    assert cart.items == [1]
    assert cart.keys == "k"
    assert cart.get("items") == [1]


@pytest.mark.parametrize("cls", [JsDict, JsObject, JsMap], ids=lambda cls: cls.__name__)
def test_objects_are_dicts_to_python(cls: type[JsDict]):
    value = cls(ROW)
    assert isinstance(value, dict)
    assert json.loads(json.dumps(value)) == ROW
    assert {**value} == ROW
    assert copy.deepcopy(value) == ROW
    assert pickle.loads(pickle.dumps(value)) == ROW


def test_rows_are_no_proxies_and_have_the_members_of_those():
    """The SDK converts what is received; code that was written before it did asks for `to_py`."""
    value = JsDict(ROW)
    assert not isinstance(value, JsProxy)
    assert isinstance(JsObject(ROW), JsProxy)
    assert list(value.object_keys()) == ["id", "name", "tags"]
    assert value.object_values()[1] == "Ann"
    assert value.object_entries()[0] == ["id", 1]
    assert value.as_object_map() is value
    assert value.constructor.name == "Object"
    assert value.typeof == "object"
    assert type(value.to_py()) is dict


def test_a_map_has_the_methods_of_javascript_and_of_dict():
    value = JsMap({"a": 1})
    value.set("b", 2).set(3, 4)
    assert value.size == 3
    assert value.has("b")
    assert value.delete("b")
    assert not value.delete("b")
    assert value.get("nothing") is None
    assert [list(pair) for pair in value.entries()] == [["a", 1], [3, 4]]
    seen = []
    value.forEach(lambda item, key: seen.append((key, item)))
    assert seen == [("a", 1), (3, 4)]


def test_a_set_has_the_methods_of_javascript():
    value = JsSet([1])
    value.add(2).add(2)
    assert value.size == 2
    assert value.has(2)
    assert value.delete(2)
    assert value.to_py() == {1}


def test_an_array_is_a_list_with_the_methods_of_javascript():
    value = JsArray([3, 1, 2])
    assert value.push(10) == value.length == 4
    assert value.map(lambda item: item * 2) == [6, 2, 4, 20]
    assert value.filter(lambda item, index: index > 0) == [1, 2, 10]
    assert value.find(lambda item: item > 3) == 10
    assert value.findIndex(lambda item: item > 30) == -1
    assert value.some(lambda item: item == 1)
    assert not value.every(lambda item: item == 1)
    assert value.reduce(lambda total, item: total + item, 0) == 16
    assert value.join("-") == "3-1-2-10"
    assert value.sort() == [1, 10, 2, 3]
    assert value.sort(lambda a, b: a - b) == [1, 2, 3, 10]
    assert value.sort(reverse=True) == [10, 3, 2, 1]
    assert value.reverse() == [1, 2, 3, 10]
    assert value.splice(1, 2, "x") == [2, 3]
    assert value == [1, "x", 10]
    assert value.indexOf("x") == 1
    assert value.indexOf("y") == value.lastIndexOf("y") == -1
    assert value.includes(10)
    assert (value.shift(), value.pop(), value.unshift(0), value.at(-1)) == (1, 10, 2, "x")
    assert value.concat([5], 6) == [0, "x", 5, 6]
    assert JsArray([1, [2, [3]]]).flat() == [1, 2, [3]]
    assert JsArray().pop() is JsArray().shift() is None


def test_iterators_are_pythons_and_have_next():
    values = JsArray(["a"]).values()
    step = values.next()
    assert (step.value, step.done) == ("a", False)
    assert values.next().done


# --- conversions -----------------------------------------------------------------------------------


def test_to_js_is_a_copy_that_can_be_used_both_ways():
    source = {"a": [1, {"b": b"x"}], 2: {3}, "t": (1,)}
    made = to_js(source)
    assert made == {"a": [1, {"b": b"x"}], 2: {3}, "t": [1]}
    assert made.a[1].b.to_bytes() == b"x"
    assert isinstance(made.a, JsArray)
    made.a.push(5)
    assert source["a"] == [1, {"b": b"x"}]


def test_to_js_gives_the_entries_to_the_dict_converter_from_the_inside_out():
    made = to_js({"a": {"b": 1}}, dict_converter=lambda entries: [list(pair) for pair in entries])
    assert made == [["a", [["b", 1]]]]


def test_to_js_stops_at_the_depth_it_was_given():
    made = to_js({"a": {"b": 1}}, depth=1)
    assert type(made["a"]) is dict


def test_to_js_asks_the_default_converter_for_what_has_no_counterpart():
    made = to_js([1, 2j], default_converter=lambda value, convert, cache: convert([value.real, value.imag]))
    assert made == [1, [0, 2]]
    assert to_js([2j]) == [2j]


def test_to_js_asks_the_eager_converter_first():
    made = to_js(
        ["a", 1], eager_converter=lambda value, convert, cache: "s" if value == "a" else convert(value)
    )
    assert made == ["s", 1]


def test_to_js_keeps_cycles():
    value: list[Any] = []
    value.append(value)
    made = to_js(value)
    assert made[0] is made


def test_to_py_gives_values_of_python_only():
    value = JsObject(a=JsArray([JsMap({1: 2}), JsSet([3]), jsnull, JsBytes(b"x"), JsDate.new(0)]))
    made = value.to_py()
    assert type(made) is dict
    assert [type(item) for item in made["a"]] == [dict, set, type(None), memoryview, datetime.datetime]


def test_to_py_stops_at_the_depth_it_was_given():
    made = to_py(JsObject(a=JsObject(b=1)), depth=1)
    assert type(made) is dict
    assert type(made["a"]) is JsObject


def test_null_is_false_and_there_is_one():
    assert not jsnull
    assert JsNull() is jsnull
    assert copy.deepcopy(jsnull) is jsnull


# --- proxies ---------------------------------------------------------------------------------------


@pytest.mark.members("pyodide.ffi.destroy_proxies")
def test_a_proxy_of_a_function_is_called_as_the_function():
    proxy = create_proxy(lambda *args: args)
    assert proxy(1, 2) == (1, 2)
    proxy.destroy()
    destroy_proxies([proxy])


def test_a_proxy_of_an_object_is_used_as_the_object():
    proxy = create_proxy({"a": 1})
    assert proxy["a"] == 1
    assert proxy.get("a") == 1
    assert proxy.unwrap() == {"a": 1}


def test_a_proxy_has_the_type_of_what_is_in_it():
    assert create_proxy(len).typeof == "function"
    assert create_proxy({}).typeof == "object"


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_proxy_is_copied_with_what_is_in_it(copied: Any):
    value = create_proxy({"a": 1})
    assert copied(value).unwrap() == {"a": 1}


async def test_a_proxy_of_an_awaitable_is_awaited():
    async def work() -> int:
        return 5

    assert await create_proxy(work()) == 5
    assert not inspect.isawaitable(create_proxy(work))


@pytest.mark.members("pyodide.ffi.create_once_callable")
def test_what_may_be_called_once_is_called_once():
    once = create_once_callable(lambda: 5)
    assert once() == 5
    with pytest.raises(JsException, match="already been destroyed"):
        once()


def test_a_relaxed_call_leaves_out_what_a_function_does_not_take():
    assert relaxed_call(lambda: 1, 2, a=3) == 1
    assert relaxed_call(lambda a, *, b: (a, b), 1, 2, b=3, c=4) == (1, 3)
    assert relaxed_call(lambda *args, **kwargs: (args, kwargs), 1, a=2) == ((1,), {"a": 2})
    assert relaxed_call(max, 1, 2) == 2


# --- bytes -----------------------------------------------------------------------------------------


def test_received_bytes_are_bytes_with_the_members_of_buffers():
    data = JsBytes(b"abc")
    assert data == b"abc"
    assert data.byteLength == data.length == 3
    assert data.to_bytes() == data.tobytes() == bytes(data.to_py()) == bytes(data.to_memoryview()) == b"abc"
    assert data.to_string() == "abc"
    assert data.slice(1, 2) == b"b"
    assert data.buffer is data


def test_views_of_a_buffer_share_its_memory():
    buffer = ArrayBuffer.new(4)
    array = Uint8Array.new(buffer)
    array[0] = 0x101
    array.subarray(1, 3).set([2, 3])
    DataView.new(buffer).setUint8(3, 4)
    assert buffer.to_bytes() == bytes(array) == bytes([1, 2, 3, 4])
    assert array.buffer.to_bytes() == buffer.to_bytes()
    copied = array.slice(0, 1)
    copied[0] = 9
    assert array[0] == 1


def test_numbers_that_do_not_fit_wrap_around_or_are_clamped():
    assert list(Int16Array.new([40_000, -1.9, math.nan])) == [-25_536, -1, 0]
    assert list(Uint8ClampedArray.new([300, -5, 1.6])) == [255, 0, 2]
    assert list(Float64Array.of(1, 0.5)) == [1.0, 0.5]


def test_a_typed_array_is_made_from_a_size_numbers_bytes_or_another():
    assert bytes(Uint8Array.new(2)) == b"\0\0"
    assert bytes(Uint8Array.new("2")) == b"\0\0"
    assert bytes(Uint8Array.new(b"ab")) == b"ab"
    assert bytes(Uint8Array.new(Uint8Array.new([1]))) == b"\x01"
    assert bytes(Uint8Array.from_([1, 2], lambda item: item + 1)) == b"\x02\x03"
    assert Uint8Array.new(JsBytes(b"abcd"), 1, 2).to_py().tolist() == [98, 99]
    assert Uint8Array.BYTES_PER_ELEMENT == 1


def test_assign_and_assign_to_copy_all_of_it():
    array = Uint8Array.new(3)
    array.assign(b"abc")
    target = bytearray(3)
    array.assign_to(target)
    assert target == b"abc"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uint8Array.new(-1),
        lambda: ArrayBuffer.new(10**15),
        lambda: Int16Array.new(ArrayBuffer.new(3)),
        lambda: Uint8Array.new(2).set([1, 2, 3]),
        lambda: DataView.new(ArrayBuffer.new(2)).getInt32(0),
    ],
    ids=["size", "huge", "odd", "set", "view"],
)
def test_what_does_not_fit_is_a_rangeerror(make: Any):
    with pytest.raises(JsException, match="RangeError"):
        make()


def test_a_dataview_reads_and_writes_numbers_in_both_orders():
    view = DataView.new(ArrayBuffer.new(8))
    view.setInt16(0, -2)
    view.setUint32(2, 7, True)
    assert view.getInt16(0) == -2
    assert view.getUint16(0) == 0xFFFE
    assert view.getUint32(2, True) == 7
    view.setFloat64(0, 1.5)
    assert view.getFloat64(0) == 1.5
    assert view.buffer.byteLength == 8


# --- dates -----------------------------------------------------------------------------------------


def test_a_date_is_made_from_all_that_dates_are_made_from():
    at = 1_704_164_645_678
    assert JsDate.new(at).toISOString() == "2024-01-02T03:04:05.678Z"
    for source in (
        "2024-01-02T03:04:05.678Z", "2024-01-02T05:04:05.678+02:00", JsDate.new(at),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678_900, tzinfo=datetime.UTC),
    ):  # fmt: skip
        assert JsDate.new(source).getTime() == at
    assert JsDate.new(2024, 0, 2, 3, 4, 5, 678).getTime() == at
    assert JsDate.UTC(2024, 12, 1) == JsDate.parse("2025-01-01")
    assert JsDate.parse("Tue, 02 Jan 2024 03:04:05 GMT") == at - 678


def test_now_is_an_int_of_milliseconds():
    before = datetime.datetime.now().timestamp() * 1000
    assert before - 1 <= JsDate.now() <= JsDate.new().getTime() + 1
    assert type(JsDate.now()) is int


def test_fields_of_a_date_are_read_and_set_in_utc():
    date = JsDate.new("2024-02-29T00:00:00Z")
    assert (date.getFullYear(), date.getMonth(), date.getDate(), date.getDay()) == (2024, 1, 29, 4)
    assert date.getTimezoneOffset() == 0
    date.setHours(25, 30)
    assert date.toISOString() == "2024-03-01T01:30:00.000Z"
    date.setUTCMonth(0)
    assert date.toJSON() == "2024-01-01T01:30:00.000Z"


def test_a_date_is_told_in_the_forms_of_javascript():
    date = JsDate.new("2024-01-02T15:04:05Z")
    assert date.toUTCString() == "Tue, 02 Jan 2024 15:04:05 GMT"
    assert date.toDateString() == "Tue Jan 02 2024"
    assert str(date) == "Tue Jan 02 2024 15:04:05 GMT+0000 (Coordinated Universal Time)"
    assert date.toLocaleString() == "1/2/2024, 3:04:05 PM"


def test_years_that_python_has_no_datetime_for_are_told():
    assert JsDate.new(-1, 0, 1).toISOString() == "-000001-01-01T00:00:00.000Z"
    assert JsDate.new(8.64e15).toISOString() == "+275760-09-13T00:00:00.000Z"


def test_an_invalid_date_is_nan_and_has_no_iso_form():
    date = JsDate.new("soon")
    assert math.isnan(date.getTime())
    assert math.isnan(date.getDay())
    assert date.toJSON() is None
    assert str(date) == "Invalid Date"
    with pytest.raises(JsException, match="RangeError: Invalid time value"):
        date.toISOString()


def test_dates_compare_and_subtract():
    assert JsDate.new(5) - JsDate.new(3) == 2
    assert JsDate.new(3) < JsDate.new(5)
    assert JsDate.new(3) == JsDate.new(3)


# --- texts and numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (1e21, "1e+21"), (123456789012345680000.0, "123456789012345680000"),
        (1.5e-7, "1.5e-7"), (0.000001, "0.000001"), (math.nan, "NaN"), (-math.inf, "-Infinity"), (True, "true"),
        (None, "undefined"), (jsnull, "null"), ([1, [None, 2]], "1,,2"), ({}, "[object Object]"), (JsMap(), "[object Map]"),
        (2**53 - 1, "9007199254740991"), (2**70, "1180591620717411303424"),
    ],
    ids=str,
)  # fmt: skip
def test_texts_are_those_of_javascript(value: Any, text: str):
    assert js_text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [("", 0), (" 12 ", 12), ("1.0", 1), ("0x1f", 31), ("1e3", 1000), (True, 1), (jsnull, 0), ("-Infinity", -math.inf),
     (JsDate.new(5), 5), ([7], 7)],
    ids=str,
)  # fmt: skip
def test_numbers_are_read_as_javascript_reads_them(value: Any, number: float):
    assert js_number(value) == number


@pytest.mark.parametrize("value", ["12px", "1_000", "inf", "nan", None, {}, [1, 2], "0x"], ids=str)
def test_what_is_no_number_is_nan(value: Any):
    assert math.isnan(js_number(value))
