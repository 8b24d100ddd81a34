"""Expressions of Cap'n Web: what is written is what is read, and nonsense is refused."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from array import array as make_array
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from perdure import errors
from perdure._base.bigint import BigInt
from perdure._base.registry import Registry
from perdure._rpc.capnweb import text
from perdure._rpc.capnweb.decode import Decoder
from perdure._rpc.capnweb.encode import encode, encode_error
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.capnweb.values import SIZES, UNDEFINED, TypedArray
from perdure.web import Headers, Request, Response

SAFE = 2**53 - 1
UTC = datetime.UTC


def over(value, **options):
    """*value* as the other side gets it."""
    return Decoder(**options).decode(text.read(text.write([encode(value)]))[0]).value


def read(expression, **options):
    return Decoder(**options).decode(text.read(json.dumps([expression]))[0]).value


def same(one, other):
    """Equal, of the same types, with NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other or (one != one and other != other)


anything_of_text = st.text(st.characters(exclude_categories=()))  # also halves of surrogate pairs
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.integers().map(BigInt)
    | st.floats()
    | anything_of_text
    | st.binary()
    | st.just(UNDEFINED)
    | st.sampled_from([kind for kind in SIZES if kind != "Uint8Array"]).flatmap(
        lambda kind: st.binary(max_size=5).map(lambda data: TypedArray(kind, data * SIZES[kind]))
    )
    | st.datetimes(timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    )
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(anything_of_text, inner), max_leaves=30
)


@given(values)
def test_what_is_written_is_what_is_read(value):
    """Every value that the wire has a form for, with its type."""
    assert same(over(value, strict_undefined=True), value)


@given(values)
def test_what_is_written_is_one_line_of_json(value):
    """A batch joins messages by line breaks; lone surrogates must not reach UTF-8."""
    line = text.write(["push", encode(value)])
    assert "\n" not in line
    line.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
tags = st.sampled_from(
    "undefined inf nan bigint date bytes url error headers request response import pipeline remap export promise "
    "writable readable blob".split()
)
expressions = st.recursive(
    json_values | st.lists(tags, min_size=1),
    lambda inner: (
        st.tuples(tags, inner, inner, inner).map(list) | st.tuples(tags, inner).map(list) | st.lists(inner)
    ),
)


@pytest.mark.fuzz
@given(expressions)
def test_nonsense_is_a_protocol_error_or_a_value(expression):
    """Whatever the peer says, nothing else is raised."""
    with suppress(ProtocolError):
        read(expression)


@pytest.mark.fuzz
@given(st.text() | st.text('[]{}",:0123456789eE+-.\\ud8nulltrefasNI'))
def test_any_text_is_a_message_or_a_protocol_error(line):
    with suppress(ProtocolError):
        assert isinstance(text.read(line), list)


# --- numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        (SAFE, SAFE),
        (SAFE + 1, ["bigint", "9007199254740992"]),
        (-SAFE - 1, ["bigint", "-9007199254740992"]),
        (BigInt(5), ["bigint", "5"]),
        (math.inf, ["inf"]),
        (-math.inf, ["-inf"]),
        (math.nan, ["nan"]),
        (True, True),
        (1.5, 1.5),
    ],
)
def test_numbers(value, expression):
    assert encode(value) == expression


def test_a_big_integer_stays_one():
    """So that an echo is a bigint again."""
    assert type(read(["bigint", "5"])) is BigInt
    assert encode(read(["bigint", "5"])) == ["bigint", "5"]


def test_a_number_beyond_the_safe_ones_is_a_double_as_in_javascript():
    """JSON.stringify(1e20) has no exponent, and still is a number."""
    assert repr(read(10**20)) == "1e+20"
    assert read(int("1" * 400)) == math.inf
    assert Decoder().decode(text.read("[-1e999]")[0]).value == -math.inf


@pytest.mark.parametrize("digits", [4000, 4001, 16_384])
def test_a_big_integer_may_have_many_digits(digits):
    """More than Python itself would read."""
    value = 10**digits - 7
    assert over(value) == value
    assert over(-value) == -value


def test_more_digits_are_refused_on_both_sides():
    with pytest.raises(errors.DataCloneError, match="16,384 digits"):
        encode(10**16_384)
    with pytest.raises(ProtocolError, match="maximum length of 16384 digits"):
        read(["bigint", "1" * 16_385])


@pytest.mark.parametrize("digits", ["", "-", "1e5", "١", " 1", "0x1", "1_0"])
def test_a_big_integer_is_decimal_digits(digits):
    with pytest.raises(ProtocolError):
        read(["bigint", digits])


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "[NaN]", '["push",Infinity]'])
def test_numbers_that_are_no_json_are_refused(literal):
    with pytest.raises(ProtocolError):
        text.read(literal)


# --- limits -----------------------------------------------------------------------------------------------


def nested(levels, wrap):
    value = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_a_message_may_be_255_levels_deep(wrap):
    value = nested(255, wrap)
    assert over(value) == value
    with pytest.raises(errors.DataCloneError, match="256 levels"):
        encode(nested(256, wrap))


def test_a_cycle_is_refused():
    value = []
    value.append(value)
    with pytest.raises(errors.DataCloneError, match="contain itself"):
        encode(value)


@pytest.mark.parametrize("levels", [520, 5000, 200_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_a_depth_bomb_is_a_protocol_error(levels, opened, closed):
    bomb = opened * levels + "1" + closed * levels
    with pytest.raises(ProtocolError, match="maximum allowed message depth of 256"):
        Decoder().arguments(text.read(f"[{bomb}]"))


def test_a_message_is_measured_as_javascript_does():
    """In UTF-16 code units."""
    text.read('["aaaa"]', 8)
    text.read('["\U0001f600\U0001f600"]', 8)
    with pytest.raises(ProtocolError, match="maximum size of 8 UTF-16"):
        text.read('["aaaaa"]', 8)
    with pytest.raises(ProtocolError, match="maximum size of 8 UTF-16"):
        text.read('["\U0001f600\U0001f600a"]', 8)


# --- dates and bytes --------------------------------------------------------------------------------------


def test_a_date_has_milliseconds():
    """What JavaScript's has; the zone is not part of it."""
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123_999, datetime.timezone(datetime.timedelta(hours=2)))
    assert over(at) == datetime.datetime(2024, 5, 6, 5, 8, 9, 123_000, UTC)
    assert encode(datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)) == ["date", -1]


def test_a_date_without_a_zone_is_refused():
    with pytest.raises(errors.DataCloneError, match="give it a time zone"):
        encode(datetime.datetime(2024, 1, 1))


@pytest.mark.parametrize("ms", [8.64e15, -8.64e15, math.inf])
def test_a_date_that_python_has_not_is_a_protocol_error(ms):
    with pytest.raises(ProtocolError, match="years 1 to 9999"):
        Decoder().decode(["date", ms])


def test_an_invalid_date_is_none():
    assert read(["date", None]) is None


def test_bytes_come_with_and_without_padding():
    assert read(["bytes", "YQ"]) == read(["bytes", "YQ=="]) == b"a"
    assert encode(b"a") == encode(bytearray(b"a")) == encode(memoryview(b"a")) == ["bytes", "YQ"]


@pytest.mark.parametrize("data", ["Y", "Y!==", "é", 5])
def test_bytes_that_are_no_base64_are_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        read(["bytes", data])


def test_a_typed_array_has_its_elements():
    array = over(TypedArray("Float64Array", make_array("d", [0.5, -1]).tobytes()))
    assert list(array.elements()) == [0.5, -1.0]
    assert len(array) == 2
    assert over(TypedArray("Uint8Array", b"ab")) == b"ab"


def test_the_elements_are_little_endian_on_every_machine(monkeypatch):
    """On one that is not, they are turned round: seen from here, one too often."""
    values = TypedArray("Int16Array", b"\x01\x02")
    assert list(values.elements()) == [0x0201]
    monkeypatch.setattr("sys.byteorder", "big")
    assert list(values.elements()) == [0x0102]


def test_a_typed_array_of_half_an_element_is_refused():
    with pytest.raises(ValueError, match="multiple of 4 bytes"):
        TypedArray("Int32Array", b"abc")
    with pytest.raises(ProtocolError, match="multiple of 4"):
        read(["bytes", "YWJj", "Int32Array"])
    with pytest.raises(ProtocolError, match="Unknown bytes type marker"):
        read(["bytes", "YWJj", "Float16Array"])


# --- undefined, objects -----------------------------------------------------------------------------------


def test_undefined_is_none_unless_a_session_is_strict():
    assert read({"a": ["undefined"]}) == {"a": None}
    assert read(["undefined"], strict_undefined=True) is UNDEFINED
    assert not UNDEFINED
    assert encode({"a": UNDEFINED}) == {"a": ["undefined"]}


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Seat:
    row: int
    _secret: str = "no"


class Tagged(msgspec.Struct, tag="tagged", rename="camel"):
    first_name: str


class Model(BaseModel):
    a: int


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Seat(3), {"row": 3}),
        (Tagged("x"), {"type": "tagged", "firstName": "x"}),
        (Model(a=1), {"a": 1}),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.timedelta(seconds=90), "PT90S"),
        ({1: "a"}, {"1": "a"}),
        ((1, 2), [1, 2]),
        ({1}, [1]),
    ],
)
def test_what_javascript_has_not_arrives_in_the_form_that_json_gives_it(value, plain):
    """As `Response.json` writes it."""
    assert over(value) == plain


@pytest.mark.parametrize("key", [None, 1.5, (1,), b"a"])
def test_a_key_that_is_no_text_is_refused_with_its_place(key):
    with pytest.raises(errors.DataCloneError, match=r'value\["a"\]\.key|are text'):
        encode({"a": {key: 1}})


def test_what_cannot_be_sent_is_named_with_its_place():
    with pytest.raises(errors.DataCloneError, match=r'at value\["a"\]\[0\]'):
        encode({"a": [object()]})


def test_a_key_of_every_javascript_object_is_a_key_like_others():
    assert over({"__proto__": 1, "constructor": [2]}) == {"__proto__": 1, "constructor": [2]}


@pytest.mark.parametrize("kind", ["import", "pipeline", "export", "promise", "writable", "readable"])
def test_references_are_refused_without_a_session(kind):
    with pytest.raises(ProtocolError, match="only a plain value"):
        read([kind, 1])


@pytest.mark.parametrize(
    "expression",
    [
        [],
        ["what"],
        [1, 2],
        [None],
        ["export", "1"],
        ["export", 1.5],
        ["export", True],
        ["pipeline", 1, "path"],
        ["pipeline", 1, [None]],
        ["pipeline", 1, [], {}],
        ["remap", 1, [], [["import"]], []],
        ["error", "Error"],
        ["error", "Error", "m", None, []],
        ["blob", "t", "text"],
        ["headers", {"a": "b"}],
        ["headers", [["a"]]],
        ["headers", [["a", "b\n"]]],
        ["request", "no url", {}],
        ["request", "http://x", {"method": 1}],
        ["response", 5, {}],
        ["response", "", {"status": 999}],
        ["response", "", {"webSocket": {}}],
    ],
)
def test_a_wrong_shape_is_a_protocol_error(expression):
    with pytest.raises(ProtocolError):
        read(expression)


# --- HTTP -------------------------------------------------------------------------------------------------


def test_headers_keep_order_and_repeats():
    headers = Headers([("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x", "y")])
    assert list(over(headers).items()) == list(headers.items())


async def _text(message):
    return await message.text()


def test_a_request_and_a_response_cross():
    request = over(Request("http://a/b", method="POST", body="hi", headers={"x": "y"}, redirect="manual"))
    assert (request.method, request.url, request.redirect) == ("POST", "http://a/b", "manual")
    assert request.headers["x"] == "y"
    assert request.body.data == b"hi"
    response = over(Response("body", status=404, status_text="Gone fishing", headers={"x": "y"}))
    assert (response.status, response.status_text, response.body.data) == (404, "Gone fishing", b"body")
    assert over(Response(None, status=204)).body is None


def test_sending_a_message_takes_its_body():
    """It can be read once."""
    response = Response("body")
    encode(response)
    assert response.body_used
    with pytest.raises(errors.DataCloneError, match="read or passed on"):
        encode(response)


# --- errors -----------------------------------------------------------------------------------------------


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a = a
        self._b = b


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no")


HERE = Registry([__name__])


def cause(error, other):
    error.__cause__ = other
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Exception("m"), "Error"),
        (ValueError("m"), "RangeError"),
        (OverflowError("m"), "RangeError"),
        (TypeError("m"), "TypeError"),
        (NameError("m"), "ReferenceError"),
        (SyntaxError("m"), "SyntaxError"),
        (KeyError("k"), "Error"),
        (FileNotFoundError(2, "No such file", "/x"), "Error"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "RangeError"),
        (errors.DataCloneError("m"), "TypeError"),
        (errors.ObjectReset("m"), "Error"),
        (errors.SqlError("m", "SQLITE_ERROR"), "Error"),
        (errors.RemoteError("m", "EvalError"), "EvalError"),
        (errors.RemoteError("m", "app.Gone"), "Error"),
        (ExceptionGroup("several", [ValueError("a"), KeyError("b")]), "AggregateError"),
        (Odd(1, 2), "Error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_arrives_as_what_it_was(error, name):
    """In JavaScript as the class that it has for it, in Python as its own."""
    error.add_note("a note")
    assert encode_error(error)[1] == name
    found = over(error, registry=HERE)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.__notes__ == ["a note"]
    if not isinstance(error, ExceptionGroup):
        assert repr(found.args) == repr(error.args)
    else:
        assert [(type(e), e.args) for e in found.exceptions] == [(type(e), e.args) for e in error.exceptions]


def test_properties_and_flags_of_an_error_cross_and_private_ones_do_not():
    error = Odd(1, 2)
    error.retryable = True
    error.durable_object_id = "ab"
    sent = encode_error(error)
    assert sent[4] == {"pyType": f"{__name__}:Odd", "a": 1, "retryable": True}
    found = over(error, registry=HERE)
    assert (found.a, found.retryable) == (1, True)
    assert not hasattr(found, "_b")


def test_a_cause_crosses():
    found = over(cause(ValueError("a"), KeyError("b")))
    assert type(found.__cause__) is KeyError


def test_a_class_that_is_not_known_is_a_remote_error_that_names_it():
    found = over(Odd(1, 2))
    assert (type(found), str(found), found.name) == (errors.RemoteError, "1 and 2", f"{__name__}.Odd")


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "StopIteration", "BaseException", "open", "os:system", ":"]
)
def test_no_peer_makes_an_exception_that_ends_something(name):
    assert type(read(["error", "Error", "m", None, {"pyType": name}])) is errors.RemoteError


@pytest.mark.parametrize(
    "props",
    [
        {"__class__": 1, "__dict__": {}, "args": [[1]], "add_note": 1, "with_traceback": 1, "_x": 1},
        {"pyNotes": 5, "pyArgs": 5, "cause": 5, "errors": 5},
        {"pyType": "UnicodeDecodeError", "start": "x", "object": 5},
        {"pyType": "ExceptionGroup", "errors": [[1]]},
        {"pyType": "ExceptionGroup"},
        {"pyType": 5},
    ],
)
def test_odd_properties_of_an_error_do_no_harm(props):
    found = read(["error", "Error", "m", None, props])
    assert "m" in str(found)
    assert callable(found.add_note)
    assert type(found).__mro__[-2] is BaseException


def test_what_an_error_cannot_take_along_stays_behind():
    """The error itself always passes."""
    error = ValueError("m")
    error.thing = object()
    error.deep = nested(300, lambda inner: [inner])
    error.fine = 1
    assert encode_error(error)[4] == {"fine": 1}
    assert "text could not be made" in encode_error(Mute())[2]


def test_an_error_of_javascript_arrives_as_its_like():
    assert type(read(["error", "RangeError", "m"])) is ValueError
    assert type(read(["error", "Error", "m", "at foo.js:1", {"code": "E1"}])) is errors.RemoteError
    assert read(["error", "Error", "m", None, {"code": "E1"}]).code == "E1"
    assert read(["error", "Whatever", "m"]).name == "Whatever"
    group = read(["error", "AggregateError", "m", None, {"errors": [[["error", "TypeError", "t"]]]}])
    assert type(group) is ExceptionGroup
    assert type(group.exceptions[0]) is TypeError
