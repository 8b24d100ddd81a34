"""How many connections and requests a server takes, what it says beyond that, and how it tells that it is well."""

import asyncio
import logging
import socket

import pytest
from http_serving import HOST, Client, ask, run, serving, until

from perdure._base.limits import HTTP_TURNED_AWAY_MAX
from perdure._http.limits import HttpLimits, connections_that_fit
from perdure.web import Response

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
HEALTH = b"GET /cdn-cgi/health HTTP/1.1\r\n" + HOST + b"\r\n"


async def fine(request):
    return Response("fine")


def gated():
    go = asyncio.Event()

    async def handle(request):
        await go.wait()
        return Response("done")

    return handle, go


def test_a_connection_too_many_is_told_503_and_closed():
    """Before it has asked; those that are open go on, and when one ends there is room again."""

    async def main():
        async with serving(fine, limits=HttpLimits(connections=2)) as server:
            async with Client(server.port) as one, Client(server.port) as two:
                for client in (one, two):
                    await client.say(GET)
                    assert (await client.answer()).status == 200
                async with Client(server.port) as three:
                    answer = await three.answer()
                    assert (answer.status, answer.headers["retry-after"]) == (503, ["5"])
                    assert "2 connections are open" in answer.text
                    assert await three.ended()
                await one.say(GET)
                assert (await one.answer()).status == 200
            await until(lambda: not server.server.hub.connections)
            assert (await ask(server.port, GET)).status == 200

    run(main())


def test_a_flood_of_connections_is_bounded(caplog):
    """So many are told why; the rest is closed at once, and the log has one line a second."""

    async def main():
        async with serving(fine, limits=HttpLimits(connections=1, linger_s=30)) as server:
            flood = [Client(server.port) for _ in range(HTTP_TURNED_AWAY_MAX + 50)]
            for client in flood:
                await client.__aenter__()
            await until(lambda: len(server.server.hub.connections) == 1 + HTTP_TURNED_AWAY_MAX)
            server.server.hub.tick()
            for client in flood:
                client.abort()

    with caplog.at_level(logging.WARNING, "perdure.http"):
        run(main())
    lines = [record.getMessage() for record in caplog.records if "turned away" in record.getMessage()]
    assert 1 <= len(lines) <= 3
    assert sum(int(line.split()[0]) for line in lines) == HTTP_TURNED_AWAY_MAX + 49
    assert "--max-connections" in lines[0]


def test_half_open_connections_end_by_themselves():
    """They never say a word; others are served meanwhile."""

    async def main():
        limits = HttpLimits(head_timeout_s=0.3, connections=200)
        async with serving(fine, limits=limits) as server:
            silent = [Client(server.port) for _ in range(100)]
            for client in silent:
                await client.__aenter__()
            assert (await ask(server.port, GET)).status == 200
            await until(lambda: not server.server.hub.connections)
            for client in silent:
                client.abort()

    run(main())


def test_a_request_too_many_is_503_and_the_connection_goes_on():
    """With when to come back; the application is not asked."""

    async def main():
        handle, go = gated()
        async with (
            serving(handle, limits=HttpLimits(requests=2)) as server,
            Client(server.port) as one,
            Client(server.port) as two,
            Client(server.port) as three,
        ):
            await one.say(GET)
            await two.say(GET)
            await until(lambda: len(server.server.hub.requests) == 2)
            await three.say(GET)
            answer = await three.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, ["5"])
            assert "2 requests are in progress" in answer.text
            assert [line.status for line in server.lines] == [503]
            await three.say(HEALTH)
            assert (await three.answer()).status == 200
            go.set()
            assert [(await client.answer()).text for client in (one, two)] == ["done"] * 2
            await three.say(GET)
            assert (await three.answer()).text == "done"

    run(main())


def test_pipelined_requests_too_many_are_all_answered():
    """In order, though each is refused."""

    async def main():
        handle, go = gated()
        async with (
            serving(handle, limits=HttpLimits(requests=1)) as server,
            Client(server.port) as one,
            Client(server.port) as two,
        ):
            await one.say(GET)
            await until(lambda: server.server.hub.requests)
            await two.say(GET * 2000)
            assert {(await two.answer()).status for _ in range(2000)} == {503}
            go.set()
            assert (await one.answer()).text == "done"

    run(main())


class TestHealth:
    def test_it_is_answered_without_the_application(self):
        """And without a line in the log."""

        async def main():
            async def handle(request):
                raise AssertionError("not asked")

            async with serving(handle) as server:
                answer = await ask(server.port, HEALTH)
                assert (answer.status, answer.text) == (200, "ok\n")
                assert answer.headers["cache-control"] == ["no-store"]
                head = await ask(server.port, HEALTH.replace(b"GET", b"HEAD"), method="HEAD")
                assert (head.status, head.body) == (200, b"")
                assert server.lines == []

        run(main())

    def test_it_is_503_while_the_server_stops(self):
        """Whoever asks on an open connection is sent elsewhere."""

        async def main():
            handle, go = gated()
            async with serving(handle) as server, Client(server.port) as client:
                await client.say(GET)
                await until(lambda: server.server.hub.requests)
                await client.say(HEALTH)
                await asyncio.sleep(0.05)
                server.server.stop()
                await until(lambda: server.server.hub.is_stopping)
                go.set()
                assert (await client.answer()).text == "done"
                answer = await client.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, ["1"])

        run(main())

    @pytest.mark.parametrize("path", ["/cdn-cgi/health/", "/cdn-cgi/healthy", "/cdn-cgi/"])
    def test_other_paths_are_the_applications(self, path):
        """Also those beside it."""

        async def main():
            async with serving(fine) as server:
                request = b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"
                assert (await ask(server.port, request)).text == "fine"

        run(main())

    def test_it_can_be_elsewhere_or_nowhere(self):
        """The application may want the path."""

        async def main():
            async with serving(fine, health_path="/up") as server:
                assert (await ask(server.port, HEALTH)).text == "fine"
                assert (await ask(server.port, b"GET /up HTTP/1.1\r\n" + HOST + b"\r\n")).text == "ok\n"
            async with serving(fine, health_path="") as server:
                assert (await ask(server.port, HEALTH)).text == "fine"

        run(main())


@pytest.mark.parametrize(("descriptors", "connections"), [(256, 48), (1024, 192), (1 << 20, 50_000), (1, 1)])
def test_as_many_connections_as_the_limit_of_open_files_lets(descriptors, connections):
    """Stores come first, and something is left for the rest."""
    assert connections_that_fit(descriptors) == connections


def test_the_system_finds_out_peers_that_vanished():
    """Connections inherit it from the listening socket."""

    async def main():
        async with serving(fine) as server, Client(server.port):
            await until(lambda: server.server.hub.connections)
            (connection,) = server.server.hub.connections
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60

    run(main())
