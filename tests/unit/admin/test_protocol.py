"""The control socket's language."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._admin import protocol
from perdure._admin.operations import Abort, Call, Evict, KvList, Sql

REQUESTS = [
    Sql(class_name="A", name="x", query="SELECT 1", write=True),
    KvList(class_name="A", id="0" * 64, prefix="p"),
    Call(class_name="A", name="", method="m", args=(1, {"a": [None]}), kwargs={"k": b"x"}),
    Evict(),
    Abort(class_name="A", name="x"),
]


@pytest.mark.parametrize("operation", REQUESTS, ids=lambda operation: type(operation).__name__)
def test_a_request_arrives_as_it_was_sent(operation):
    """Each operation by its tag."""
    request = protocol.Request(protocol.VERSION, operation)
    sent = protocol.frame(request)
    assert protocol.length(sent[:4], 10_000) == len(sent) - 4
    assert protocol.read_request(sent[4:]) == request


@pytest.mark.parametrize(
    "reply",
    [
        protocol.Hello("0.1.0", 1, 7),
        protocol.Progress(3, None, "x"),
        protocol.Answer({"rows": [[1, b"x", None, 2**63]]}),
        protocol.Failure([{"code": "a/b", "message": "c"}]),
    ],
    ids=lambda reply: type(reply).__name__,
)
def test_a_reply_arrives_as_it_was_sent(reply):
    """So does each of these."""
    assert protocol.read_reply(protocol.frame(reply)[4:]) == reply


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "sql", "class_name": "A", "query": "x"},
        {"op": "sql", "class_name": "A", "name": "x", "id": "y", "query": "x"},
        {"op": "evict", "name": "x"},
        {"op": "sql", "class_name": 3, "name": "x", "query": "x"},
        {"op": "sql", "class_name": "A", "name": "x", "query": "x", "more": 1},
        {"op": "format"},
        {},
        None,
    ],
)
def test_what_is_no_operation_is_refused(operation):
    """Before anybody acts on it."""
    body = msgspec.msgpack.encode({"protocol": protocol.VERSION, "operation": operation})
    with pytest.raises(ValueError):
        protocol.read_request(body)


def test_another_version_is_told_before_its_request_is_read():
    """It may know operations that we do not."""
    body = msgspec.msgpack.encode({"protocol": 99, "operation": {"op": "from the future"}})
    with pytest.raises(protocol.WrongVersion):
        protocol.read_request(body)


def test_a_length_beyond_the_limit_is_refused():
    """Before anything is read into memory."""
    with pytest.raises(ValueError, match="at most 10"):
        protocol.length((11).to_bytes(4, "big"), 10)


@pytest.mark.fuzz
@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_otherwise(body):
    """Whatever somebody writes to the socket."""
    for read in (protocol.read_request, protocol.read_reply):
        try:
            read(body)
        except ValueError:
            pass
