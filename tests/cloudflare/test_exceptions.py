"""Errors of the other side: JsException and the Python error at once."""

from __future__ import annotations

import json

import pytest

from perdure import errors
from perdure._cloudflare.exceptions import JsException, js_error, js_exception, leaving, python_exception


class Refused(Exception):
    def __init__(self, who: str, why: str) -> None:
        super().__init__(f"{who}: {why}")
        self.who = who


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        FileNotFoundError(2, "No such file", "f"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
        json.JSONDecodeError("bad", "x", 0),
        Refused("me", "no"),
        ExceptionGroup("many", [ValueError("x")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_python_is_its_own_class_and_a_jsexception(error: Exception):
    got = js_exception(error)
    assert isinstance(got, JsException)
    assert isinstance(got, type(error))
    assert got.args == error.args
    assert got.name == "PythonError"
    assert str(error) in str(got)
    assert got.message.startswith(type(error).__name__) or "." in got.message.partition(":")[0]


def test_attributes_and_flags_come_along():
    error = Refused("me", "no")
    error.remote = True  # type: ignore[attr-defined]
    got = js_exception(error)
    assert isinstance(got, Refused)
    assert (got.who, got.remote, got.retryable, got.overloaded) == ("me", True, False, False)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.SqlError("no such table: t: SQLITE_ERROR"), "Error: no such table: t: SQLITE_ERROR"),
        (errors.DataCloneError("Could not"), "DataCloneError: Could not"),
        (errors.RemoteError("no", "shop.Refused"), "PythonError: shop.Refused: no"),
        (TypeError("of the platform"), "TypeError: of the platform"),
    ],
    ids=str,
)
def test_an_error_of_the_platform_is_shown_as_javascript_does(error: Exception, shown: str):
    assert str(js_exception(error)) == shown


def test_an_error_that_python_raised_elsewhere_is_a_pythonerror():
    error = TypeError("theirs")
    error.remote = True  # type: ignore[attr-defined]
    assert str(js_exception(error)) == "PythonError: TypeError: theirs"


def test_an_error_of_javascript_is_caught_as_what_it_resembles():
    with pytest.raises(ValueError, match="RangeError: too far"):
        raise js_error("RangeError", "too far")


def test_an_unknown_name_of_javascript_is_a_jsexception():
    error = js_error("InvalidStateError", "closed")
    assert (error.name, error.message, str(error)) == (
        "InvalidStateError",
        "closed",
        "InvalidStateError: closed",
    )
    assert type(error) is JsException


def test_notes_are_in_the_stack_and_not_in_the_message():
    error = KeyError("k")
    error.add_note("raised in Room.say")
    got = js_exception(error)
    assert isinstance(got, JsException)
    assert "raised in Room.say" in got.stack
    assert "raised in" not in got.message


def test_what_is_no_exception_stays_what_it_is():
    error = KeyboardInterrupt()
    assert js_exception(error) is error


def test_a_jsexception_is_not_wrapped_again():
    error = js_exception(KeyError("k"))
    assert js_exception(error) is error


def test_the_error_of_python_can_be_had_back():
    error = KeyError("k")
    assert python_exception(js_exception(error)) is error
    assert python_exception(error) is error


def test_a_class_that_cannot_be_extended_is_a_jsexception_still():
    class Final(Exception):
        def __init_subclass__(cls) -> None:
            raise TypeError("final")

    got = js_exception(Final("x"))
    assert type(got) is JsException
    assert "x" in str(got)


def test_an_error_leaves_as_what_it_was():
    error = KeyError("k")
    with pytest.raises(KeyError) as caught, leaving:
        raise js_exception(error)
    assert caught.value is error


def test_an_error_of_the_project_leaves_with_the_one_in_whose_handling_it_was_raised():
    """Without that a traceback does not show where it all began."""

    def fail() -> None:
        try:
            raise ValueError("first")
        except ValueError:
            raise LookupError("second")  # noqa: B904

    with pytest.raises(LookupError) as caught, leaving:
        fail()
    assert isinstance(caught.value.__context__, ValueError)
    assert not caught.value.__suppress_context__


def test_what_is_no_exception_leaves_untouched():
    with pytest.raises(KeyboardInterrupt), leaving:
        raise KeyboardInterrupt
