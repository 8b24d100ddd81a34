"""The project `stream_consumer`: an object that listens to a server over an outgoing WebSocket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import websockets.sync.server as websockets
from cli_process import eventually
from cloudflare.projects import FOLDER, Project


class Feed:
    """The server: it answers a subscription with two messages, pings with pongs, and bytes with bytes."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.heard: list[Any] = []
        self.server = websockets.serve(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/feed"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _serve(self, connection: websockets.ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        for message in connection:
            self.heard.append(message)
            if isinstance(message, bytes):
                connection.send(message[::-1])
            elif message == "ping":
                connection.send(json.dumps({"type": "pong"}))
            elif message == "drop":
                connection.close(4000, "dropped")
            elif json.loads(message)["type"] == "subscribe":
                for number in (1, 2):
                    connection.send(json.dumps({"type": "post", "number": number}))


@pytest.fixture(scope="module")
def feed() -> Iterator[Feed]:
    feed = Feed()
    yield feed
    feed.server.shutdown()


@pytest.fixture(scope="module")
def project(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    data = tmp_path_factory.mktemp("data")
    with Project(FOLDER / "stream_consumer", data, "--var", f"FEED_URL:{feed.url}") as running:
        running.get("/status")  # the object begins, and connects by its alarm
        eventually(lambda: running.get("/status").json()["connected"], "the object's connection")
        yield running


def status(project: Project) -> Any:
    return project.get("/status").json()


@pytest.mark.members("js.WebSocket.new", "WebSocket.addEventListener", "WebSocket.send", "js.JSON.stringify")
def test_it_connects_by_its_alarm_subscribes_and_keeps_what_comes(project: Project, feed: Feed):
    eventually(lambda: status(project)["seen"] == 2, "two messages of the feed")
    now = status(project)
    assert now["last"] == {"type": "post", "number": 2}
    assert now["state"] == 1
    assert now["events"][0] == ["open", "open"]
    assert feed.paths[0] == "/feed?cursor=0"
    assert json.loads(feed.heard[0]) == {"type": "subscribe", "topics": ["a", "b"]}


@pytest.mark.members("js.setInterval", "js.clearInterval")
def test_a_timer_in_the_object_talks_to_the_feed(project: Project):
    eventually(lambda: ["pong", True] in status(project)["events"], "the answer to a ping")


@pytest.mark.members("WebSocket.onmessage", "pyodide.ffi.to_js")
def test_bytes_go_out_and_come_in(project: Project):
    project.post("/binary")
    eventually(lambda: status(project)["last"] == {"bytes": [3, 2, 1]}, "bytes of the feed")


@pytest.mark.members("WebSocket.readyState", "WebSocket.onclose")
def test_a_connection_that_the_server_ends_is_made_again_with_what_was_kept(project: Project, feed: Feed):
    before = len(feed.paths)
    assert project.post("/say", content="drop").text == "sent"
    eventually(
        lambda: ["close", 4000, "dropped", True] in status(project)["events"], "the end of the connection"
    )
    eventually(lambda: len(feed.paths) > before and status(project)["connected"], "the next connection")
    assert feed.paths[before].startswith("/feed?cursor=")
    assert feed.paths[before] != "/feed?cursor=0"


@pytest.mark.members("WebSocket.close")
def test_the_object_closes_with_code_and_reason(project: Project):
    project.post("/disconnect")
    eventually(lambda: ["close", 1000, "enough", True] in status(project)["events"], "its own Close")
