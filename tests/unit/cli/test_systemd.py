"""What systemd gives and is told, with real sockets."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys

import pytest

from perdure._cli.systemd import FIRST_DESCRIPTOR, Notifier, given_sockets


@pytest.fixture(params=["a file", "an abstract name"])
def listener(request, tmp_path):
    """A socket as systemd has one, and the name that it is given by."""
    name = str(tmp_path / "notify") if request.param == "a file" else f"@perdure-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0") if name[0] == "@" else name)
        sock.settimeout(10)
        yield sock, name


def test_readiness_and_the_end_are_told(listener):
    """One datagram each."""
    sock, name = listener
    notifier = Notifier.take({"NOTIFY_SOCKET": name})
    notifier.ready()
    assert sock.recv(4096) == b"READY=1\nSTATUS=serving"
    notifier.stopping()
    assert sock.recv(4096).startswith(b"STOPPING=1\n")


async def test_signs_of_life_come_twice_as_often_as_they_must(listener):
    """Until nobody wants them any more."""
    sock, name = listener
    sock.setblocking(False)
    notifier = Notifier.take(
        {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "40000", "WATCHDOG_PID": str(os.getpid())}
    )
    assert notifier.watchdog_s == 0.04
    alive = asyncio.create_task(notifier.keep_alive())
    loop = asyncio.get_running_loop()
    for _ in range(3):
        assert await asyncio.wait_for(loop.sock_recv(sock, 100), 10) == b"WATCHDOG=1"
    alive.cancel()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "40000"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "40000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "nonsense"},
        {"NOTIFY_SOCKET": "@x"},
    ],
)
async def test_who_does_not_wait_gets_no_signs_of_life(environment):
    """They are for another process, or nobody asked."""
    await asyncio.wait_for(Notifier.take(environment).keep_alive(), 5)


@pytest.mark.parametrize("name", ["", "/nowhere/notify", "@nobody-listens-here", "/" + "x" * 200])
def test_nobody_who_listens_is_no_error(name):
    """The server serves all the same."""
    Notifier.take({"NOTIFY_SOCKET": name}).ready()


def test_the_variables_are_taken_away():
    """What the application starts must not speak for it."""
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.take(environment)
    assert environment == {"HOME": "/"}
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    given_sockets(environment)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    "environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "me"}]
)
def test_sockets_of_another_process_are_left_alone(environment):
    """Only those that are meant for this one count."""
    assert given_sockets(environment) == []


TAKE = """
import os, sys
from perdure._cli.systemd import given_sockets
from perdure._config.problem import ProblemsFound
os.dup2({fd}, 3)
try:
    sockets = given_sockets({{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}})
    print(sockets[0].getsockname()[1], sockets[0].getblocking(), sockets[0].get_inheritable())
except ProblemsFound as found:
    print(found.problems[0].code)
"""


def take(fd):
    ended = subprocess.run(
        [sys.executable, "-c", TAKE.format(fd=fd)], pass_fds=[fd], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def test_a_listening_socket_is_taken():
    """As descriptor 3 and following."""
    assert FIRST_DESCRIPTOR == 3
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert take(sock.fileno()) == f"{sock.getsockname()[1]} False False"


def test_what_is_no_listening_socket_is_told():
    """With what the unit should say."""
    with socket.socket() as sock:
        assert take(sock.fileno()) == "cli/not-a-listener"
    with open(os.devnull) as file:
        assert take(file.fileno()) == "cli/not-a-listener"
