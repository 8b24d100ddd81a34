"""WebSockets of a real process: `perdure dev` that reloads, `perdure serve` that stops or is killed."""

from __future__ import annotations

import signal

import pytest
from cli_process import Perdure
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

APP = """
from perdure import DurableObject, Response, WebSocketPair, WorkerEntrypoint

class Room(DurableObject):
    async def fetch(self, request):
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws, message):
        n = await self.ctx.storage.get("n", 0) + 1
        await self.ctx.storage.put("n", n)
        ws.send(f"{message} {n}")

    async def websocket_close(self, *news):
        await self.ctx.storage.put("closed", True)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.ROOM.get_by_name("room").fetch(request)
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def connected(server):
    return connect(server.url.replace("http", "ws"), close_timeout=5)


def ask(client, text):
    client.send(text)
    return client.recv(timeout=10)


def closed_with(client):
    """What the end of the connection says; None if it says nothing."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    return closed.value.rcvd and (closed.value.rcvd.code, closed.value.rcvd.reason)


RESTARTING = (1012, "The server is restarting. Connect again.")


def test_a_reload_closes_with_1012_and_keeps_what_was_stored(app):
    """Clients that connect again reach the new version."""
    with Perdure("dev", "--port", "0", cwd=app) as server:
        with connected(server) as client:
            assert ask(client, "a") == "a 1"
            (app / "app.py").write_text(APP.replace("{message} {n}", "{message}, version two: {n}"))
            assert closed_with(client) == RESTARTING
        server.wait_for(r"Reloaded in")
        with connected(server) as client:
            assert ask(client, "b") == "b, version two: 2"


def test_a_server_that_is_told_to_stop_closes_with_1012(app):
    with Perdure("serve", "--port", "0", cwd=app) as server, connected(server) as client:
        assert ask(client, "a") == "a 1"
        server.signal(signal.SIGTERM)
        assert closed_with(client) == RESTARTING
        assert server.wait() == 0


def test_what_a_client_was_told_survives_kill(app):
    """A message leaves only when the writes before it are durable."""
    for round_ in range(3):
        with Perdure("serve", "--port", "0", cwd=app) as server, connected(server) as client:
            for n in range(10):
                assert ask(client, "m") == f"m {10 * round_ + n + 1}"
            server.signal(signal.SIGKILL)
            assert closed_with(client) is None


def test_settings_of_the_command_reach_the_connection(app):
    """Sizes, pings and compression."""
    options = ("--max-message", "100", "--websocket-ping", "0.5", "--websocket-compression")
    with (
        Perdure("serve", "--port", "0", *options, cwd=app) as server,
        connected(server) as client,
    ):
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        assert ask(client, "x" * 100).startswith("xx")
        client.send("\N{SNOWMAN}" * 100)
        assert closed_with(client)[0] == 1009


def test_connections_beyond_the_limit_are_refused_in_the_handshake(app):
    """WebSockets count; the log says which limit it is."""
    with Perdure("serve", "--port", "0", "--max-connections", "2", cwd=app) as server:
        with connected(server) as one, connected(server) as other:
            assert server.get("/").status_code == 503
            assert ask(one, "a") == "a 1"
            assert ask(other, "b") == "b 2"
            server.wait_for(
                r"connections were turned away: 2 are open, which is the limit \(--max-connections\)"
            )
