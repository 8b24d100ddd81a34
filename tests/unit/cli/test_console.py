"""Lines marked with the object they came from."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import warnings

import pytest

from perdure._base.current import current
from perdure._cli.console import JsonStream, MarkedStream, has_colour, marked_output


class Running:
    def __init__(self, label):
        self.label = label


@contextlib.contextmanager
def inside(label):
    token = current.set(Running(label))
    try:
        yield
    finally:
        current.reset(token)


@pytest.fixture
def out():
    raw = io.StringIO()
    return raw, MarkedStream(raw, lambda label, line: f"[{label}] {line}")


def test_what_an_object_prints_is_marked(out):
    """Each line of it."""
    raw, stream = out
    with inside("Counter(home)"):
        print("one\ntwo", file=stream)
    assert raw.getvalue() == "[Counter(home)] one\n[Counter(home)] two\n"


def test_what_is_printed_outside_of_objects_is_not(out):
    """The worker's own lines."""
    raw, stream = out
    print("hello", file=stream)
    assert raw.getvalue() == "hello\n"


def test_a_line_written_in_parts_is_marked_once(out):
    """`print(end="")`."""
    raw, stream = out
    with inside("A(x)"):
        print("a", end="", file=stream)
        print("b", file=stream)
    assert raw.getvalue() == "[A(x)] ab\n"


def test_no_line_has_two_authors(out):
    """An unfinished line is ended before another object writes."""
    raw, stream = out
    with inside("A(x)"):
        print("a", end="", file=stream)
    with inside("B(y)"):
        print("b", file=stream)
    assert raw.getvalue() == "[A(x)] a\n[B(y)] b\n"


def test_json_lines_carry_the_object():
    """One record a line; parts of objects are kept apart."""
    raw = io.StringIO()
    stream = JsonStream(raw, "stdout")
    with inside("A(x)"):
        print("a", end="", file=stream)
    print("plain", file=stream)
    with inside("A(x)"):
        print("b", file=stream)
    records = [json.loads(line) for line in raw.getvalue().splitlines()]
    assert [(record.get("object"), record["message"]) for record in records] == [
        (None, "plain"),
        ("A(x)", "ab"),
    ]
    assert all(record["stream"] == "stdout" and record["time"].endswith("Z") for record in records)


def test_log_records_of_an_object_are_marked(capsys):
    """With level and logger."""
    with marked_output(), inside("A(x)"):
        logging.getLogger("app").warning("careful %d", 1)
    assert capsys.readouterr().err == "[A(x)] warning app: careful 1\n"


def test_log_records_as_json(capsys):
    """With the exception, if there is one."""
    with marked_output(log_format="json"), inside("A(x)"):
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("app").exception("failed")
    record = json.loads(capsys.readouterr().err)
    assert (record["level"], record["logger"], record["object"]) == ("error", "app", "A(x)")
    assert "ZeroDivisionError" in record["exception"]


@pytest.mark.parametrize(
    ("level", "shown"), [("info", ["b", "c"]), ("warning", ["c"]), ("debug", ["a", "b", "c"])]
)
def test_the_log_level_says_what_is_shown(level, shown, capsys):
    """The least important record."""
    with marked_output(log_level=level):
        log = logging.getLogger("app")
        log.debug("a")
        log.info("b")
        log.warning("c")
    assert [line[-1] for line in capsys.readouterr().err.splitlines()] == shown


def test_everything_is_as_before_afterwards():
    """Embedding it in a test leaves no trace."""
    before = sys.stdout, sys.stderr, logging.getLogger().handlers[:], logging.getLogger().level
    with marked_output(), warnings.catch_warnings():
        pass
    assert (sys.stdout, sys.stderr, logging.getLogger().handlers[:], logging.getLogger().level) == before


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "stream", "colour"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Terminal(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"TERM": "dumb"}, Terminal(), False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environment, stream, colour, monkeypatch):
    """NO_COLOR wins over all."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert has_colour(stream) is colour
