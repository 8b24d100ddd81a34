"""Starting, draining and stopping a server."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_serving import HOST, Client, ask, run, serving, until

from perdure._http.limits import HttpLimits
from perdure._http.responder import Responder
from perdure._http.server import bind, sockets_from_fds
from perdure.web import Response

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def gated():
    """A handler that waits, what says that it waits, and what lets it go on."""
    waiting, go = asyncio.Event(), asyncio.Event()

    async def handle(request):
        waiting.set()
        await go.wait()
        return Response("done")

    return handle, waiting, go


async def refused(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


def test_a_request_under_way_finishes_before_the_stop():
    """New connections are refused meanwhile, and `on_stopping` comes last."""

    async def main():
        handle, waiting, go = gated()
        order = []

        async def on_stopping():
            order.append("stopping")

        async with serving(handle, on_stopping=on_stopping) as server, Client(server.port) as client:
            await client.say(GET)
            await waiting.wait()
            server.server.stop()
            while not await refused(server.port):
                await asyncio.sleep(0.01)
            assert not server.stopped.done()
            assert order == []
            go.set()
            answer = await client.answer()
            assert (answer.text, answer.headers["connection"]) == ("done", ["close"])
            await asyncio.wait_for(server.stopped, 2)
            assert order == ["stopping"]

    run(main())


def test_a_stream_under_way_finishes_before_the_stop():
    """Its connection is closed after it."""

    async def main():
        go = asyncio.Event()

        async def pieces():
            yield b"one"
            await go.wait()
            yield b"two"

        async def handle(request):
            return Response(pieces())

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            await client.reader.readuntil(b"one\r\n")
            server.server.stop()
            await asyncio.sleep(0.05)
            assert not server.stopped.done()
            go.set()
            assert (await client.reader.read()).endswith(b"two\r\n0\r\n\r\n")
            await asyncio.wait_for(server.stopped, 2)

    run(main())


def test_idle_connections_delay_nothing():
    """Neither one that was used nor one that never said a word."""

    async def main():
        async def handle(request):
            return Response("done")

        limits = HttpLimits(first_request_grace_s=0.0)
        async with (
            serving(handle, limits=limits) as server,
            Client(server.port) as used,
            Client(server.port) as silent,
        ):
            await used.say(GET)
            assert (await used.answer()).status == 200
            assert await used.reader.read(0) == b""
            began_s = time.monotonic()
            server.server.stop()
            await asyncio.wait_for(server.stopped, 2)
            assert time.monotonic() - began_s < 1
            assert await used.ended()
            assert await silent.ended()

    run(main())


def test_a_connection_just_accepted_may_still_send_its_request():
    """Who connects at the moment of a restart gets an answer."""

    async def main():
        async def handle(request):
            return Response("done")

        limits = HttpLimits(first_request_grace_s=2.0)
        async with serving(handle, limits=limits) as server, Client(server.port) as client:
            await until(lambda: server.server.hub.connections)
            server.server.stop()
            await asyncio.sleep(0.05)
            await client.say(GET)
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, ["close"])
            await asyncio.wait_for(server.stopped, 1)

    run(main())


def test_what_does_not_finish_in_time_is_answered_with_503():
    """After `drain_s` the handler is cancelled, and its client told to come back."""

    async def main():
        cancelled = []
        waiting = asyncio.Event()

        async def handle(request):
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        async with serving(handle, drain_s=0.1) as server, Client(server.port) as client:
            await client.say(GET)
            await waiting.wait()
            server.server.stop()
            answer = await client.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, ["1"])
            await asyncio.wait_for(server.stopped, 3)
            assert cancelled == [True]

    run(main())


def test_a_stream_that_does_not_finish_in_time_is_cut():
    """Its client can tell that it is not whole."""

    async def main():
        ended = []

        async def pieces():
            try:
                yield b"one"
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        async def handle(request):
            return Response(pieces())

        async with serving(handle, drain_s=0.1) as server, Client(server.port) as client:
            await client.say(GET)
            await client.reader.readuntil(b"one\r\n")
            server.server.stop()
            assert await client.piece() == b""
            await asyncio.wait_for(server.stopped, 3)
            assert ended == [True]

    run(main())


def test_a_handler_that_refuses_to_end_does_not_hold_the_stop():
    """It is left behind."""

    async def main():
        waiting, release = asyncio.Event(), asyncio.Event()

        async def handle(request):
            waiting.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    pass
            return Response("at last")

        async with serving(handle, drain_s=0.1) as server, Client(server.port) as client:
            await client.say(GET)
            await waiting.wait()
            server.server.stop()
            await asyncio.wait_for(server.stopped, 5)
            release.set()
            await asyncio.sleep(0.05)

    run(main())


def test_a_slow_reader_gets_its_whole_response():
    """What is in the server's buffers counts as under way."""

    async def main():
        async def handle(request):
            return Response(b"x" * 20_000_000)

        async with serving(handle) as server, Client(server.port) as client:
            await client.say(GET)
            await until(lambda: server.lines)
            server.server.stop()
            await asyncio.sleep(0.1)
            assert not server.stopped.done()
            answer = await client.answer(timeout_s=20)
            assert (len(answer.body), answer.complete) == (20_000_000, True)
            await asyncio.wait_for(server.stopped, 2)

    run(main())


def test_the_hook_runs_even_when_ready_fails():
    """What was started is stopped."""

    async def main():
        stopped = []

        async def on_stopping():
            stopped.append(True)

        from perdure._http.server import Server

        def ready():
            raise RuntimeError("no banner")

        server = Server(Responder(None), sockets=bind("127.0.0.1", 0), signals=False)
        with pytest.raises(RuntimeError, match="no banner"):
            await server.run(ready=ready, on_stopping=on_stopping)
        assert stopped == [True]

    run(main())


class TestBind:
    def test_port_zero_takes_a_free_one_for_all_addresses(self):
        """`localhost` may have two."""
        sockets = bind("localhost", 0)
        try:
            ports = {sock.getsockname()[1] for sock in sockets}
            assert len(ports) == 1
            assert ports != {0}
        finally:
            for sock in sockets:
                sock.close()

    def test_a_port_in_use_is_an_os_error(self):
        """And nothing stays open."""
        (first,) = bind("127.0.0.1", 0)
        first.listen()
        try:
            with pytest.raises(OSError, match="in use"):
                bind("127.0.0.1", first.getsockname()[1])
        finally:
            first.close()

    def test_an_unknown_host_is_an_os_error(self):
        """The name is checked before anything is bound."""
        with pytest.raises(OSError):
            bind("256.256.256.256", 0)

    def test_sockets_travel_as_descriptors(self):
        """From a supervisor to its child."""
        (sock,) = bind("127.0.0.1", 0)
        address = sock.getsockname()
        (again,) = sockets_from_fds([os.dup(sock.fileno())])
        sock.close()
        assert again.getsockname() == address
        assert again.family == socket.AF_INET
        again.close()


PROGRAM = """
import asyncio, os, sys
from perdure._http.responder import Responder
from perdure._http.server import Server, run, sockets_from_fds
from perdure.web import Response

async def handle(request):
    if request.path == "/slow":
        print("waiting", flush=True)
        await asyncio.sleep(float(request.query["s"]))
    return Response(f"pid {os.getpid()}")

async def main():
    server = Server(Responder(handle), sockets=sockets_from_fds([int(sys.argv[1])]))

    async def stopping():
        print("stopping", flush=True)

    await server.run(ready=lambda: print("ready", flush=True), on_stopping=stopping)
    print("ended", flush=True)

run(main())
"""


class Process:
    """A server in a process of its own, on a socket of ours."""

    def __init__(self):
        (self.socket,) = bind("127.0.0.1", 0)
        self.socket.listen()
        self.port = self.socket.getsockname()[1]

    async def __aenter__(self):
        source = Path(__file__).resolve().parents[2] / "src"
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            str(self.socket.fileno()),
            pass_fds=[self.socket.fileno()],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(source)},
        )
        assert await self.line() == "ready"
        return self

    async def __aexit__(self, *exc):
        self.socket.close()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def line(self):
        async with asyncio.timeout(20):
            return (await self.process.stdout.readline()).decode().strip()

    async def end(self):
        async with asyncio.timeout(20):
            return await self.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_zero(number):
    """The request under way is answered."""

    async def main():
        async with Process() as server, Client(server.port) as client:
            await client.say(b"GET /slow?s=0.4 HTTP/1.1\r\n" + HOST + b"\r\n")
            assert await server.line() == "waiting"
            server.process.send_signal(number)
            answer = await client.answer()
            assert (answer.status, answer.text) == (200, f"pid {server.process.pid}")
            assert [await server.line(), await server.line()] == ["stopping", "ended"]
            assert await server.end() == 0

    run(main())


def test_a_signal_wakes_an_idle_server():
    """It does not wait for the next request, nor for a tick."""

    async def main():
        async with Process() as server:
            await asyncio.sleep(0.2)
            began_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert await server.line() == "stopping"
            assert time.monotonic() - began_s < 0.8
            assert await server.end() == 0

    run(main())


def test_a_second_interrupt_ends_the_process_at_once():
    """Ctrl-C twice: nobody wants to wait."""

    async def main():
        async with Process() as server, Client(server.port) as client:
            await client.say(b"GET /slow?s=30 HTTP/1.1\r\n" + HOST + b"\r\n")
            assert await server.line() == "waiting"
            server.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
            assert server.process.returncode is None
            server.process.send_signal(signal.SIGINT)
            assert await server.end() == -signal.SIGINT

    run(main())


def test_sigterm_after_sigint_is_not_impatience():
    """A supervisor sends it to children that have the terminal's Ctrl-C already."""

    async def main():
        async with Process() as server, Client(server.port) as client:
            await client.say(b"GET /slow?s=0.4 HTTP/1.1\r\n" + HOST + b"\r\n")
            assert await server.line() == "waiting"
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
                server.process.send_signal(number)
                await asyncio.sleep(0.05)
            assert (await client.answer()).status == 200
            assert await server.end() == 0

    run(main())


def test_connections_wait_in_the_backlog_while_no_process_accepts():
    """The socket outlives the server: a reload loses nobody."""

    async def main():
        async with Process() as server:
            server.process.send_signal(signal.SIGTERM)
            assert await server.end() == 0
            asking = asyncio.create_task(ask(server.port, GET, timeout_s=20))
            await asyncio.sleep(0.05)
            await Process.__aenter__(server)
            assert (await asking).text == f"pid {server.process.pid}"

    run(main())
