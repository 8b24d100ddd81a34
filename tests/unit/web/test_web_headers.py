"""Header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._web.headers import from_wire, to_wire
from perdure.web import Headers


def test_names_compare_without_case():
    """`X-One` and `x-one` are one header."""
    headers = Headers({"X-One": "1"})
    assert headers["x-ONE"] == headers.get("X-one") == "1"
    assert "X-ONE" in headers


def test_several_values_are_joined_by_get_and_listed_by_get_all():
    """Set-Cookie needs them one by one."""
    headers = Headers([("Set-Cookie", "a=1"), ("X", "y"), ("set-cookie", "b=2")])
    assert headers.get("set-cookie") == "a=1, b=2"
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_a_missing_header_is_none_or_a_key_error():
    """`get` has a default, `[]` insists."""
    headers = Headers()
    assert headers.get("x") is None
    assert headers.get("x", "d") == "d"
    assert headers.get_all("x") == []
    with pytest.raises(KeyError):
        headers["x"]
    with pytest.raises(KeyError):
        del headers["x"]


def test_set_replaces_every_value_in_the_first_ones_place():
    """The order of other headers stays."""
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
    headers["A"] = "4"
    headers.set("c", "5")
    assert list(headers.items()) == [("a", "4"), ("b", "2"), ("c", "5")]


def test_append_keeps_and_delete_removes_all():
    """Deleting what is not there is nothing."""
    headers = Headers({"a": "1"})
    headers.append("A", "2")
    assert headers.get_all("a") == ["1", "2"]
    headers.delete("A")
    headers.delete("A")
    assert len(headers) == 0


def test_iteration_gives_each_name_once():
    """So that `dict(headers)` works; `items` gives each pair."""
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    assert list(headers) == list(headers.keys()) == ["a", "b"]
    assert list(headers.values()) == ["1", "2", "3"]
    assert dict(headers) == {"a": "1, 3", "b": "2"}


def test_a_copy_is_independent():
    """Changing one leaves the other."""
    first = Headers({"a": "1"})
    second, third = Headers(first), first.copy()
    second["a"] = "2"
    assert first == third == Headers({"A": "1"})
    assert first != second
    assert (first == {"a": "1"}) is False


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "a\x00"])
def test_a_name_that_could_break_the_line_is_a_type_error(name):
    """Names are tokens."""
    with pytest.raises(TypeError, match="Invalid header name"):
        Headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\x00b", "\x1b[31m", "\x7f", "€"])
def test_a_value_that_could_break_the_line_is_a_type_error(value):
    """No CR or LF gets into a header by any door."""
    headers = Headers({"x": "old"})
    for attempt in (headers.set, headers.append, headers.__setitem__):
        with pytest.raises(TypeError, match="Invalid value of header 'x'"):
            attempt("x", value)
    with pytest.raises(TypeError):
        Headers([("x", value)])
    assert headers["x"] == "old"


@pytest.mark.parametrize("pairs", ["text", 5, [("a",)], {"a": 1}, {"a": None}, {1: "a"}, {"a": b"x"}])
def test_what_is_not_header_pairs_is_a_type_error(pairs):
    """The text tells what came instead."""
    with pytest.raises(TypeError):
        Headers(pairs)


def test_blanks_around_a_value_are_not_part_of_it():
    """As on the wire."""
    assert Headers({"a": " x\t"})["a"] == "x"


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True), st.text("ab é,;=\t\xff", max_size=9))
    )
)
def test_the_wire_carries_headers_unchanged(pairs):
    """Latin-1 out, Latin-1 in."""
    headers = Headers(pairs)
    assert from_wire(to_wire(headers)) == headers


def test_a_bad_header_from_another_server_is_a_type_error():
    """Not every ASGI server checks."""
    with pytest.raises(TypeError):
        from_wire([(b"x", b"a\r\nb")])


def test_the_repr_shows_the_pairs():
    """For debugging."""
    assert repr(Headers({"A": "1"})) == "Headers([('a', '1')])"
