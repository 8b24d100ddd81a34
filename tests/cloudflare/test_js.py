"""The module `js`: its classes and functions that need no event loop."""

from __future__ import annotations

import importlib
import math
import re
from typing import Any

import pytest

from perdure._cloudflare import js
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsArray, JsMap, JsObject, create_proxy, jsnull, to_js


def error_of(call: Any, *args: Any) -> str:
    """Return the text of the JsException that a call raises."""
    with pytest.raises(JsException) as caught:
        call(*args)
    return str(caught.value)


# --- the module ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", dir(js))
def test_every_name_is_there_and_is_not_a_module(name: str):
    assert name in ("globalThis", "self") or type(getattr(js, name)).__name__ != "module"


def test_a_name_that_is_not_supplied_says_which_are():
    with pytest.raises(
        AttributeError, match=r"js\.HTMLElement is not supplied here: js has .*Headers, .*fetch"
    ) as caught:
        _ = js.HTMLElement
    assert caught.value.name == "HTMLElement"
    assert not hasattr(js, "HTMLElement")
    assert getattr(js, "HTMLElement", None) is None


def test_from_js_import_says_so_too():
    with pytest.raises(ImportError, match=r"js\.HTMLElement is not supplied here: js has .*Headers"):
        exec("from perdure._cloudflare.js import Date, HTMLElement", {})


@pytest.mark.members("js.globalThis", "js.self")
def test_the_global_object_is_the_module():
    assert js.globalThis.Date is js.self.Date is js.Date


def test_a_static_member_that_a_class_does_not_have_says_which_there_are():
    with pytest.raises(AttributeError, match=r"js\.Object has no 'fromEntry': it has .*fromEntries"):
        _ = js.Object.fromEntry


def test_names_of_tests_are_imported_as_projects_do():
    module = importlib.import_module("perdure._cloudflare.js")
    assert module.undefined is None


# --- objects ---------------------------------------------------------------------------------------


@pytest.mark.members("js.Object.fromEntries")
@pytest.mark.parametrize(
    "entries",
    [
        [["a", 1], [2, 3]],
        {"a": 1, 2: 3},
        JsMap({"a": 1, 2: 3}),
        to_js({"a": 1, 2: 3}),
        {"a": 1, 2: 3}.items(),
    ],
    ids=["pairs", "dict", "Map", "to_js", "items"],
)
def test_from_entries_makes_an_object_of_pairs_a_map_or_a_dict(entries: Any):
    made = js.Object.fromEntries(entries)
    assert type(made) is JsObject
    assert made == {"a": 1, "2": 3}
    assert made.a == 1


@pytest.mark.members("js.Object.fromEntries", "pyodide.ffi.to_js")
def test_to_js_with_from_entries_makes_objects_at_any_depth():
    made = to_js({"a": {"b": [{"c": 1}]}}, dict_converter=js.Object.fromEntries)
    assert type(made.a) is JsObject
    assert made.a.b[0].c == 1


@pytest.mark.members(
    "js.Object.new",
    "js.Object.keys",
    "js.Object.values",
    "js.Object.entries",
    "js.Object.assign",
    "js.Object",
)
def test_an_object_is_filled_and_listed():
    made = js.Object.new()
    made.a = 1
    made["b"] = 2
    js.Object.assign(made, {"c": 3}, None, to_js({"d": 4}))
    assert list(js.Object.keys(made)) == ["a", "b", "c", "d"]
    assert list(js.Object.values(made)) == [1, 2, 3, 4]
    assert js.Object.entries(made)[3] == ["d", 4]
    assert js.Object.keys(["x"]) == ["0"]
    assert js.Object.keys(5) == []


@pytest.mark.members("js.Object.prototype")
def test_functions_of_the_prototype_are_called_on_any_value():
    """`Object.prototype.toString.call(value)` is how JavaScript tells kinds apart."""
    kinds = [
        js.Object.prototype.toString.call(value) for value in ({}, [], js.Date.new(0), js.Uint8Array.new(1))
    ]
    assert kinds == ["[object Object]", "[object Array]", "[object Date]", "[object Uint8Array]"]
    assert js.Object.prototype.hasOwnProperty.call({"a": 1}, "a")
    assert not js.Object.prototype.hasOwnProperty.call({"a": 1}, "b")


@pytest.mark.members("js.Object: create is_ hasOwn groupBy")
def test_less_common_members_of_object():
    assert js.Object.freeze({"a": 1}) == {"a": 1}
    assert js.Object.hasOwn({"a": 1}, "a")
    assert js.Object.is_(math.nan, math.nan)
    assert getattr(js.Object, "is")(1, 1)
    assert not js.Object.is_(1, 2)
    assert js.Object.create() == {}
    assert js.Object.groupBy([1, 2, 3], lambda item: "odd" if item % 2 else "even").odd == [1, 3]


@pytest.mark.members("js.Array.new", "js.Array.of", "js.Array.from_", "js.Array.isArray", "js.Array")
def test_an_array_is_made_in_all_ways():
    assert js.Array.new() == []
    assert js.Array.new(2) == [None, None]
    assert js.Array.new(1, 2) == js.Array.of(1, 2) == [1, 2]
    assert js.Array.from_(iter("ab")) == getattr(js.Array, "from")("ab") == ["a", "b"]
    assert js.Array.from_([1, 2], lambda item: item * 2) == [2, 4]
    assert js.Array.from_({"length": 2}, lambda item, index: index) == [0, 1]
    assert js.Array.from_(js.Map.new([["a", 1]])) == [["a", 1]]
    assert js.Array.isArray(js.Array.of())
    assert not js.Array.isArray("ab")


@pytest.mark.members("js.Map", "js.Set")
def test_maps_and_sets_are_made_of_what_is_in_them():
    assert js.Map.new([["a", 1]]).get("a") == 1
    assert js.Map.new({"a": 1}).size == 1
    assert js.Set.new([1, 1]).size == 1
    assert js.Map.new().size == js.Set.new().size == 0


@pytest.mark.members("js.structuredClone")
def test_a_structured_clone_is_a_deep_copy():
    value = to_js({"a": [1]})
    made = js.structuredClone(value)
    made.a.push(2)
    assert value.a == [1]
    assert "DataCloneError" in error_of(js.structuredClone, [object()])


# --- JSON ------------------------------------------------------------------------------------------


@pytest.mark.members("js.JSON.parse", "js.JSON")
def test_json_is_parsed_to_objects_and_arrays_of_javascript():
    value = js.JSON.parse('{"items": [{"n": 1.0}], "none": null, "big": 12345678901234567890}')
    assert value.items[0].n == 1
    assert type(value.items[0].n) is int
    assert value.none is None
    assert value.big == 12345678901234567890
    assert type(value.items) is JsArray
    assert value.to_py() == {"items": [{"n": 1}], "none": None, "big": 12345678901234567890}


def test_a_reviver_changes_what_was_parsed_from_the_inside_out():
    assert js.JSON.parse("[1, [2]]", lambda key, value: value + 1 if isinstance(value, int) else value) == [
        2,
        [3],
    ]


@pytest.mark.members("js.SyntaxError")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Unexpected end of JSON input"),
        ('{"a": ', "Unexpected end of JSON input"),
        ("{a}", r"Unexpected token 'a' in JSON at position 1 \(line 1 column 2\)"),
        ("[1] 2", "Unexpected token '2'"),
        ("NaN", ".*NaN is not valid JSON"),
    ],
    ids=str,
)
def test_what_is_no_json_is_a_syntaxerror(text: str, says: str):
    assert re.match(f"SyntaxError: {says}", error_of(js.JSON.parse, text))


@pytest.mark.members("js.JSON.stringify")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.0, None, True, "é\n"]}, '{"a":[1,2,null,true,"é\\n"]}'),
        (to_js({"a": {1: 2}}), '{"a":{"1":2}}'),
        ([math.nan, jsnull, str], "[null,null,null]"),
        ({"f": print, "d": js.Date.new(0)}, '{"d":"1970-01-01T00:00:00.000Z"}'),
        (js.Uint8Array.new([1, 2]), '{"0":1,"1":2}'),
        (js.Set.new([1]), "{}"),
        ("\ud800", '"\\ud800"'),
        (js.URL.new("http://a/b"), '"http://a/b"'),
        (create_proxy({"a": 1}), '{"a":1}'),
        (1e21, "1e+21"),
        (2**70, str(2**70)),
        (None, "null"),
    ],
    ids=str,
)
def test_values_are_written_as_json(value: Any, text: str):
    assert js.JSON.stringify(value) == text


def test_json_is_indented_and_filtered():
    value = {"a": 1, "b": [], "c": [{"a": 2}]}
    assert (
        js.JSON.stringify(value, None, 2)
        == '{\n  "a": 1,\n  "b": [],\n  "c": [\n    {\n      "a": 2\n    }\n  ]\n}'
    )
    assert js.JSON.stringify(value, ["a"]) == '{"a":1}'
    assert (
        js.JSON.stringify(value, lambda key, item: None if key == "c" else item) == '{"a":1,"b":[],"c":null}'
    )
    assert js.JSON.stringify([1], None, "\t") == "[\n\t1\n]"


def test_what_holds_itself_is_no_json():
    value: dict[str, Any] = {}
    value["self"] = value
    assert "TypeError: Converting circular structure" in error_of(js.JSON.stringify, value)
    shared: list[Any] = []
    assert js.JSON.stringify([shared, shared]) == "[[],[]]"


def test_json_of_any_depth_or_size_is_read_or_refused():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "RangeError: Maximum call stack" in error_of(js.JSON.stringify, deep)
    assert "RangeError: Maximum call stack" in error_of(js.JSON.parse, "[" * 100_000 + "]" * 100_000)
    assert js.JSON.parse("1" * 10_000) == math.inf
    assert len(js.JSON.stringify(10**10_000)) == 10_001


def test_an_instance_of_a_class_is_no_json():
    class Room:
        pass

    assert re.search(
        "cannot write an instance of the Python class .*Room: give it a dict",
        error_of(js.JSON.stringify, [Room()]),
    )


# --- numbers and texts -----------------------------------------------------------------------------


@pytest.mark.members("js.Number.new", "js.Number", "js.parseInt", "js.parseFloat", "js.isNaN", "js.isFinite")
def test_numbers_are_read_from_texts():
    assert js.Number("12") == js.Number.new("12") == 12
    assert js.parseInt("12.7px") == 12
    assert js.parseInt("-0x1f") == -31
    assert js.parseInt("ff", 16) == 255
    assert js.isNaN(js.parseInt("px"))
    assert js.parseFloat("1.5e2 m") == 150
    assert js.parseFloat("-.5") == -0.5
    assert js.isNaN(js.parseFloat("m"))
    assert not js.isFinite("Infinity")


@pytest.mark.members("js.Number: isInteger isSafeInteger MAX_SAFE_INTEGER isNaN isFinite", "js: NaN Infinity")
def test_members_of_number():
    assert js.Number.isInteger(5.0)
    assert not js.Number.isInteger("5")
    assert js.Number.isSafeInteger(js.Number.MAX_SAFE_INTEGER)
    assert not js.Number.isSafeInteger(2**53)
    assert js.Number.isNaN(js.NaN)
    assert js.Number.isFinite(1)
    assert js.Infinity == math.inf


@pytest.mark.members("js.Math")
def test_math_is_that_of_javascript():
    assert (
        js.Math.floor(1.7),
        js.Math.ceil(1.2),
        js.Math.round(2.5),
        js.Math.round(-2.5),
        js.Math.trunc(-1.5),
    ) == (1, 2, 3, -2, -1)
    assert (js.Math.max(1, "3"), js.Math.min(), js.Math.abs(-2), js.Math.pow(2, 3), js.Math.sign(-5)) == (
        3,
        math.inf,
        2,
        8,
        -1,
    )
    assert math.isnan(js.Math.sqrt(-1))
    assert js.Math.log(0) == -math.inf
    assert js.Math.hypot(3, 4) == 5
    assert 0 <= js.Math.random() < 1


@pytest.mark.members("js.String", "js.Boolean", "js.BigInt")
def test_texts_booleans_and_bigints_of_values():
    assert js.String(1.0) == "1"
    assert js.String.fromCharCode(72, 105) == "Hi"
    assert js.String.fromCodePoint(0x1F600) == "😀"
    assert [js.Boolean(value) for value in ("", 0, math.nan, None, jsnull, "a", [], {})] == [False] * 5 + [
        True
    ] * 3
    assert js.BigInt("5") == 5
    assert js.BigInt.asUintN(8, -1) == 255
    assert js.BigInt.asIntN(8, 255) == -1
    assert "SyntaxError: Cannot convert x" in error_of(js.BigInt, "x")


@pytest.mark.members(
    "js.encodeURIComponent",
    "js.decodeURIComponent",
    "js.encodeURI",
    "js.decodeURI",
    "js.btoa",
    "js.atob",
    "js.URIError",
)
def test_texts_are_coded():
    assert js.encodeURIComponent("a b/ü!") == "a%20b%2F%C3%BC!"
    assert js.encodeURI("http://a/b c?d=ü") == "http://a/b%20c?d=%C3%BC"
    assert js.decodeURIComponent("a%20b%2F%C3%BC") == "a b/ü"
    assert js.decodeURI("%20%2F%C3%BC") == " %2Fü"
    assert js.btoa("hÿ") == "aP8="
    assert js.atob(" aP8") == "hÿ"
    assert "URIError" in error_of(js.decodeURIComponent, "%E0%A4%A")
    assert "InvalidCharacterError" in error_of(js.btoa, "€")
    assert "InvalidCharacterError" in error_of(js.atob, "a")


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.members("js.Error", "js.TypeError", "js.RangeError", "js.DOMException", "js.AggregateError")
def test_errors_are_made_raised_and_told_apart():
    error = js.Error.new("bad", {"cause": "worse"})
    assert (error.name, error.message, error.cause, error.toString()) == (
        "Error",
        "bad",
        "worse",
        "Error: bad",
    )
    with pytest.raises(JsException, match="TypeError: wrong"):
        raise js.TypeError.new("wrong")
    assert isinstance(js.RangeError.new("far"), ValueError)
    assert isinstance(js.RangeError.new("far"), js.RangeError)
    assert isinstance(js.RangeError.new("far"), js.Error)
    assert not isinstance(js.Error.new("far"), js.RangeError)
    assert js.DOMException.new("gone", "AbortError").name == "AbortError"
    assert js.AggregateError.new([error]).errors == [error]


@pytest.mark.members("js.EvalError")
def test_javascript_is_not_run_from_text():
    assert "EvalError: Code generation from strings disallowed" in error_of(js.eval, "1 + 1")


# --- console ---------------------------------------------------------------------------------------


@pytest.mark.members("js.console.log", "js.console.info", "js.console.debug", "js.console")
def test_the_console_writes_lines_as_javascript_shows_values(capsys: pytest.CaptureFixture[str]):
    js.console.log("a", 1.0, True, None, jsnull, "b")
    js.console.info({"a": [1, "x"], "b-c": {}}, [], js.Map.new([[1, "x"]]), js.Set.new([2]))
    js.console.debug(
        "%s is %d years, %i, %j %o %c%% %s", "Ann", "7", 7.9, {"a": 1}, "q", "style", "s", "rest"
    )
    assert capsys.readouterr().out.splitlines() == [
        "a 1 true undefined null b",
        "{ a: [ 1, 'x' ], 'b-c': {} } [] Map(1) { 1 => 'x' } Set(1) { 2 }",
        "Ann is 7 years, 7, {\"a\":1} 'q' % s rest",
    ]


@pytest.mark.members("js.console.error", "js.console.warn", "js.console.trace", "js.console.assert_")
def test_warnings_and_errors_go_to_standard_error(capsys: pytest.CaptureFixture[str]):
    js.console.error(js.Error.new("bad"), ValueError("worse"))
    js.console.warn("careful")
    js.console.trace("here", 1)
    js.console.assert_(False, "no", 5)  # noqa: PT009  # of the console
    getattr(js.console, "assert")(True, "not said")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "Error: bad ValueError: worse",
        "careful",
        "Trace: here 1",
        "Assertion failed: no 5",
    ]
    assert captured.out == ""


@pytest.mark.members(
    "js.console.table",
    "js.console.count",
    "js.console.group",
    "js.console.time",
    "js.console: countReset groupEnd timeEnd timeLog",
)
def test_the_console_counts_groups_measures_and_draws_tables(capsys: pytest.CaptureFixture[str]):
    js.console.table([{"a": 1, "b": "x"}, [5]])
    js.console.count("hits")
    js.console.count("hits")
    js.console.countReset("hits")
    js.console.group("inside")
    js.console.log("one\ntwo")
    js.console.groupEnd()
    js.console.time("t")
    js.console.timeEnd("t")
    js.console.timeLog("t")
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "(index) │ a │ b   │ 0"
    assert lines[2:4] == ["0       │ 1 │ 'x' │", "1       │   │     │ 5"]
    assert lines[4:9] == ["hits: 1", "hits: 2", "inside", "  one", "  two"]
    assert re.fullmatch(r"t: [\d.]+ms", lines[9])
    assert "No such label 't'" in captured.err


def test_the_console_ends_for_deep_long_and_cyclic_values(capsys: pytest.CaptureFixture[str]):
    value: list[Any] = list(range(105))
    value.insert(0, value)
    js.console.log(value)
    assert "... 6 more items ]" in capsys.readouterr().out


# --- others ----------------------------------------------------------------------------------------


@pytest.mark.members(
    "js.performance.now", "js.navigator.userAgent", "js.performance.timeOrigin", "js: performance navigator"
)
def test_performance_and_navigator():
    first = js.performance.now()
    assert 0 <= first <= js.performance.now()
    assert abs(js.performance.timeOrigin + js.performance.now() - js.Date.now()) < 60_000
    assert js.navigator.userAgent == "Cloudflare-Workers"


@pytest.mark.members("js.Date.now", "js.Date.new", "js.Date")
def test_date_is_the_class_of_dates():
    assert js.Date.new(js.Date.now()).constructor.name == "Date"
