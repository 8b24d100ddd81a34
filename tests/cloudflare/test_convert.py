"""What becomes of values that compat code sends and gets: the rows of Cloudflare's conversions, one by one."""

from __future__ import annotations

import array
import dataclasses
import datetime
import enum
import math
import re
from typing import Any

import pytest

import perdure
from perdure._cloudflare.convert import (
    arguments_from_rpc,
    arguments_to_rpc,
    python_from_rpc,
    python_to_rpc,
    register_incoming,
    register_outgoing,
)
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import (
    ArrayBuffer,
    JsDate,
    JsDict,
    JsMap,
    Uint8Array,
    create_proxy,
    jsnull,
    to_js,
    undefined,
)
from perdure.rpc import RpcStub


def crossed(value: Any) -> Any:
    """Return what arrives when compat code sends *value* to compat code."""
    return python_from_rpc(python_to_rpc(value))


@pytest.mark.parametrize("nothing", [None, jsnull, undefined], ids=str)
def test_none_null_and_undefined_arrive_as_none(nothing: Any):
    assert crossed(nothing) is None
    assert crossed({"a": [nothing]}) == {"a": [None]}


@pytest.mark.parametrize("value", [True, False, "", "text", 0, -1, 2**53, 2**64, -(2**70)], ids=str)
def test_bools_texts_and_ints_of_any_size_arrive_as_they_are(value: Any):
    got = crossed(value)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(("sent", "arrives"), [(1.5, 1.5), (1.0, 1), (-0.0, 0), (1e300, 1e300)], ids=str)
def test_a_whole_float_arrives_as_an_int(sent: float, arrives: float):
    got = crossed({"n": sent})["n"]
    assert got == arrives
    assert type(got) is type(arrives)


def test_nan_and_infinity_arrive():
    assert math.isnan(crossed(math.nan))
    assert crossed(-math.inf) == -math.inf


def test_a_list_arrives_as_a_plain_list():
    got = crossed([1, [2]])
    assert type(got) is list
    assert type(got[1]) is list


def test_a_dict_arrives_with_text_keys_and_attributes_at_any_depth():
    got = crossed({"a": {"b": [{"c": 1}]}, 2: "two", True: "yes"})
    assert type(got) is JsDict
    assert got.a.b[0].c == 1
    assert got == {"a": {"b": [{"c": 1}]}, "2": "two", "true": "yes"}


def test_the_core_gets_plain_dicts():
    sent = python_to_rpc(JsDict(a=JsDict(b=1)))
    assert type(sent) is dict
    assert type(sent["a"]) is dict


def test_a_map_keeps_its_keys():
    assert crossed(JsMap({1: "a", "b": {2: 3}})) == {1: "a", "b": {"2": 3}}


def test_a_set_arrives_as_a_set():
    got = crossed({1, "a"})
    assert got == {1, "a"}
    assert type(got) is set


@pytest.mark.parametrize(
    "data",
    [b"ab", memoryview(b"ab"), Uint8Array.new([97, 98]), ArrayBuffer.new(b"ab"), array.array("B", b"ab")],
    ids=lambda data: type(data).__name__,
)
def test_bytes_of_all_kinds_arrive_as_a_memoryview(data: Any):
    got = crossed([data])[0]
    assert type(got) is memoryview
    assert got == b"ab"
    assert type(python_to_rpc(data)) is bytes


def test_a_datetime_arrives_naive_local_and_to_the_millisecond():
    aware = datetime.datetime(
        2024, 5, 6, 7, 8, 9, 123_987, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
    )
    local = aware.astimezone().replace(tzinfo=None, microsecond=123_000)
    assert crossed(aware) == local
    assert crossed(aware.astimezone().replace(tzinfo=None)) == local
    assert crossed(JsDate.new(aware)) == local
    assert python_to_rpc(aware).tzinfo is datetime.UTC


def test_an_exception_as_a_value_arrives_as_a_bare_exception_with_its_text():
    got = crossed([KeyError("k")])[0]
    assert type(got) is Exception
    assert str(got) == "Error: 'k'"


async def test_a_function_arrives_as_something_to_call_and_await():
    async def double(number: int) -> dict[str, int]:
        return {"doubled": number * 2}

    got = python_from_rpc(RpcStub(python_to_rpc(double)))
    assert (await got(21)).doubled == 42


async def test_a_plain_function_or_a_proxy_of_one_is_a_function_too():
    got = python_from_rpc(RpcStub(python_to_rpc(create_proxy(lambda options: options.name))))
    assert await got(name="x") == "x"


async def test_what_a_called_function_raises_is_a_jsexception_and_what_it_was():
    def fail() -> None:
        raise ValueError("no")

    got = python_from_rpc(RpcStub(python_to_rpc(fail)))
    with pytest.raises(JsException, match="no") as caught:
        await got()
    assert isinstance(caught.value, ValueError)
    assert caught.value.name == "PythonError"


async def test_what_a_function_returns_and_gets_is_converted():
    got = python_from_rpc(RpcStub(python_to_rpc(lambda items: {1: type(items[0]).__name__, "f": 2.0})))
    answer = await got([{"a": 1}])
    assert answer == {"1": "JsDict", "f": 2}
    assert type(answer["f"]) is int


async def test_a_received_function_is_passed_on_as_the_same_stub():
    stub = RpcStub(len)
    assert python_to_rpc([python_from_rpc(stub)])[0] is stub


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2), r"tuple cannot be sent over RPC: send list\(value\)"),
        ({"a": [(1,)]}, r'tuple cannot be sent over RPC \(at value\["a"\]\[0\]\)'),
        ([bytearray(b"x")], r"bytearray cannot be sent over RPC .*send bytes"),
        (re.compile("a"), r"RegExp cannot be sent over RPC: send its text"),
    ],
    ids=["tuple", "tuple inside", "bytearray inside", "pattern"],
)
def test_what_cannot_be_sent_is_a_typeerror_that_says_what_to_do(value: Any, text: str):
    with pytest.raises(TypeError, match=text) as caught:
        python_to_rpc(value)
    assert not isinstance(caught.value, JsException)


def test_a_coroutine_that_was_not_awaited_is_a_typeerror():
    async def later() -> None: ...

    coro = later()
    with pytest.raises(TypeError, match="Awaitable coroutine cannot be sent over RPC: await it first"):
        python_to_rpc(coro)
    coro.close()


class Plain:
    pass


@dataclasses.dataclass
class Point:
    x: int


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [1j, range(3), Plain(), Point(1), Colour.RED, datetime.date(2024, 1, 1), Plain, {b"key": 1}],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_counterpart_is_a_datacloneerror(value: Any):
    with pytest.raises(JsException, match="^DataCloneError: Could not serialize object of type") as caught:
        python_to_rpc([value])
    assert caught.value.name == "DataCloneError"
    assert isinstance(caught.value, perdure.DataCloneError)


def test_enum_members_that_are_texts_or_numbers_go_as_those():
    class Word(enum.StrEnum):
        ONE = "one"

    class Number(enum.IntEnum):
        ONE = 1

    sent = python_to_rpc([Word.ONE, Number.ONE])
    assert [type(item) for item in sent] == [str, int]
    assert sent == ["one", 1]


def test_keyword_arguments_are_one_more_dict_at_the_end():
    assert arguments_to_rpc((1,), {"x": {2: 3}}) == [1, {"x": {"2": 3}}]
    assert arguments_to_rpc((1,), {}) == [1]
    got = arguments_from_rpc((1,), {"x": 2})
    assert got[1].x == 2


def test_what_is_shared_or_cyclic_stays_so():
    value: dict[str, Any] = {"list": []}
    value["self"] = value
    value["again"] = value["list"]
    got = crossed(value)
    assert got["self"] is got
    assert got["again"] is got["list"]


def test_what_is_nested_too_deeply_is_a_datacloneerror():
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(JsException, match="DataCloneError: A value that is nested so deeply"):
        python_to_rpc(value)


def test_a_view_goes_as_the_native_object_it_stands_for():
    class View:
        def __init__(self, native: object) -> None:
            self._native = native

    native = object()
    assert python_to_rpc({"view": View(native)}) == {"view": native}


def test_classes_of_others_are_converted_as_they_were_registered():
    class Native:
        pass

    class Shown:
        pass

    register_outgoing(Shown, lambda value: Native())
    register_incoming(Native, lambda value: Shown())
    assert type(python_to_rpc([Shown()])[0]) is Native
    assert type(python_from_rpc({"a": Native()}).a) is Shown


def test_what_to_js_makes_can_be_sent():
    assert python_to_rpc(to_js({"a": [b"x", {1}]})) == {"a": [b"x", {1}]}
