"""`perdure serve` as a service of systemd: readiness, signs of life, sockets; and as the first process of a container."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cli_process import APP, Perdure, eventually, in_thread

import perdure

SOURCE = str(Path(perdure.__file__).parents[1])


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def notified(tmp_path):
    """The socket that systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def next_that(sock, begins):
    while not (message := sock.recv(4096)).startswith(begins):
        pass
    return message


def test_a_service_says_when_it_serves_lives_and_stops(app, notified):
    """READY after the port answers, WATCHDOG as long as the loop runs, STOPPING before the requests have ended."""
    with Perdure(
        "serve",
        "--port",
        "0",
        cwd=app,
        NOTIFY_SOCKET=str(app / "notify"),
        WATCHDOG_USEC="200000",
    ) as server:
        next_that(notified, b"READY=1")
        assert server.get("version").text == "one"
        next_that(notified, b"WATCHDOG=1")
        slow = in_thread(server.get, "slow")
        server.wait_for("slow began")
        server.signal(signal.SIGTERM)
        next_that(notified, b"STOPPING=1")
        assert not slow.done()
        next_that(notified, b"WATCHDOG=1")  # while it drains, too
        assert slow.result().text == "ok"
        assert server.wait() == 0


def test_a_loop_that_is_kept_gives_no_sign_of_life(app, notified):
    """So systemd ends and restarts a service that an object blocks."""
    (app / "app.py").write_text(APP.replace("await asyncio.sleep(600)", "import time; time.sleep(600)"))
    with Perdure(
        "serve", "--port", "0", cwd=app, NOTIFY_SOCKET=str(app / "notify"), WATCHDOG_USEC="100000"
    ) as server:
        next_that(notified, b"WATCHDOG=1")
        in_thread(server.get, "block")
        server.wait_for("block began")
        notified.settimeout(0.3)  # three times as long as systemd would wait
        with pytest.raises(TimeoutError):
            next_that(notified, b"nothing of this kind")


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "perdure", "serve"])
"""


def test_a_service_takes_the_socket_that_systemd_opened(app):
    """Connections wait in it over a restart: none is refused."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        for hits in ("1", "2"):
            process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, str(sock.fileno())],
                pass_fds=[sock.fileno()],
                cwd=app,
                env={**os.environ, "PYTHONPATH": SOURCE},
                stdout=subprocess.PIPE,
                text=True,
            )
            # Asked before it serves, and answered.
            assert httpx.get(f"{url}/hit", timeout=30).text == hits
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
            assert process.returncode == 0
            assert f"Ready on {url}\n" in output


def may_make_a_container():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-r", "-p", "-f", "true"], capture_output=True).returncode == 0


IMPORTS_SLOWLY = "print('imports', flush=True)\nimport time; time.sleep(600)\n"


@pytest.mark.skipif(
    not may_make_a_container(), reason="this machine lets nobody make a namespace of processes"
)
@pytest.mark.parametrize("when", ["while it serves", "while it starts"])
def test_the_first_process_of_a_container_ends_at_sigterm(app, when):
    """The system delivers it no signal that it has no handler for."""
    if when == "while it starts":
        (app / "app.py").write_text(IMPORTS_SLOWLY)
    outside = subprocess.Popen(
        ["unshare", "-r", "-p", "-f", sys.executable, "-m", "perdure", "serve", "--port", "0"],
        cwd=app,
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for line in outside.stdout:
            if line.startswith(("Ready on", "imports")):
                break
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        (inside,) = eventually(lambda: children.read_text().split(), "the process in the namespace")
        os.kill(int(inside), signal.SIGTERM)
        assert outside.wait(30) == (0 if when == "while it serves" else 143)
    finally:
        if outside.poll() is None:
            os.killpg(outside.pid, signal.SIGKILL)
        outside.wait()
