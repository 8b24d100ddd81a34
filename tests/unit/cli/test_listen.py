"""The listening sockets."""

from __future__ import annotations

import socket

import pytest

from perdure._cli.listen import close, listen_on_port
from perdure._config.problem import ProblemsFound


def problem_of(host, port):
    with pytest.raises(ProblemsFound) as raised:
        listen_on_port(host, port)
    return raised.value.problems[0]


def test_port_0_takes_a_free_one_and_listens():
    """Connections wait in the backlog from now on."""
    sockets = listen_on_port("127.0.0.1", 0)
    try:
        with socket.create_connection(sockets[0].getsockname(), timeout=5):
            pass
    finally:
        close(sockets)


def test_a_port_in_use_is_told_with_a_free_one():
    """Which really is free."""
    taken = listen_on_port("127.0.0.1", 0)
    try:
        port = taken[0].getsockname()[1]
        problem = problem_of("127.0.0.1", port)
        assert problem.code == "cli/port-in-use"
        free = int(problem.help.split("--port ")[1])
        close(listen_on_port("127.0.0.1", free))
    finally:
        close(taken)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "198.51.100.7", "a" * 300])
def test_a_host_that_is_not_ours_is_told(host):
    """Unknown names and foreign addresses."""
    assert problem_of(host, 0).code == "cli/unknown-host"
