"""What a command makes of a server's answer, or of its silence."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from perdure._admin import client, protocol
from perdure._admin.operations import Evict
from perdure._config.problem import ProblemsFound

REQUEST = protocol.frame(protocol.Request(protocol.VERSION, Evict()))
HELLO = protocol.Hello("0.1.0", protocol.VERSION, 1)


def asked(*said):
    """Ask a server that says these bytes or messages, and then closes."""
    here, there = socket.socketpair()
    here.settimeout(5)

    def serve():
        with there:
            for message in said:
                there.sendall(message if isinstance(message, bytes) else protocol.frame(message))
            there.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while there.recv(1000):
                    pass

    threading.Thread(target=serve, daemon=True).start()
    told = []
    return client.ask(here, REQUEST, lambda *news: told.append(news)), told


def test_an_answer_comes_after_any_progress():
    """Which is told as it comes."""
    answer, told = asked(
        HELLO, protocol.Progress(1, 2, "x"), protocol.Progress(2, 2, "x"), protocol.Answer([3])
    )
    assert answer == [3]
    assert told == [(1, 2, "x"), (2, 2, "x")]


@pytest.mark.parametrize(
    "said", [(), (b"\x00\x00",), (HELLO, protocol.Failure([{"code": protocol.STOPPING, "message": "x"}]))]
)
def test_a_server_that_stops_without_having_done_anything_can_be_asked_again(said):
    """Whoever comes next."""
    with pytest.raises(client.Gone):
        asked(*said)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((HELLO,), "control/lost"),
        ((HELLO, protocol.Progress(1)), "control/lost"),
        ((HELLO, b"\x00\x00\x00\x09half"), "control/lost"),
        ((HELLO, protocol.Failure([{"code": "a/b", "message": "c"}])), "a/b"),
        ((protocol.Hello("9.9", 99, 1),), "control/version"),
        ((protocol.Failure([{"code": "control/busy", "message": "c"}]),), "control/busy"),
        ((b"\xff\xff\xff\xff",), "control/bad-answer"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "control/bad-answer"),
        ((HELLO, b"\x00\x00\x00\x01\xc1"), "control/bad-answer"),
    ],
)
def test_what_else_may_come_is_told_as_a_problem(said, code):
    """Never a traceback, whatever listens there."""
    with pytest.raises(ProblemsFound) as caught:
        asked(*said)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_server_that_says_nothing_is_not_waited_for_without_end():
    """Its event loop is blocked."""
    here, there = socket.socketpair()
    here.settimeout(0.05)
    with there, pytest.raises(ProblemsFound, match="control/no-answer"):
        client.ask(here, REQUEST)


def test_nobody_listens_where_there_is_no_socket(tmp_path):
    """Or only a file, or a socket that its process has left behind."""
    assert client.connect(str(tmp_path / "missing")) is None
    assert client.connect(str(tmp_path)) is None
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    assert client.connect(str(tmp_path)) is None
