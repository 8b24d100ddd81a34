"""The project `chat`: rooms whose WebSockets hibernate."""

from __future__ import annotations

import json

import pytest


def heard(ws):
    """Return the next message as JSON."""
    return json.loads(ws.recv(timeout=30))


@pytest.mark.members(
    "js.WebSocketPair.new",
    "DurableObjectState.acceptWebSocket",
    "DurableObjectState.getWebSockets",
    "DurableObject.webSocketMessage",
    "WebSocket.send",
)
def test_what_one_says_the_others_hear(project):
    """A message goes to all sockets of the room but the sender's; views of one socket are equal."""
    with project.websocket("/talk?name=ann") as ann, project.websocket("/talk?name=bob") as bob:
        assert heard(ann) == {"joined": "ann", "here": 1}
        assert heard(ann) == {"joined": "bob", "here": 2}
        assert heard(bob) == {"joined": "bob", "here": 2}
        ann.send("hello")
        assert heard(bob) == {"from": "ann", "text": "hello"}
        bob.send("hi")
        assert heard(ann) == {"from": "bob", "text": "hi"}


@pytest.mark.members(
    "DurableObjectState.getTags", "WebSocket.serializeAttachment", "WebSocket.deserializeAttachment"
)
def test_a_socket_is_found_by_its_tag(project):
    """Tags given with `to_js([...])` find a socket; its attachment says whose it is."""
    with project.websocket("/tags?name=ann") as ann, project.websocket("/tags?name=bob") as bob:
        heard(ann), heard(ann), heard(bob)
        bob.send("@ann psst")
        assert heard(ann) == {"from": "bob", "text": "psst"}
        ann.send("/tags")
        assert heard(ann) == ["ann"]


@pytest.mark.members("DurableObject.webSocketMessage")
def test_bytes_have_the_members_of_both_worlds(project):
    """A message of bytes has `to_py()`; what is sent back is bytes."""
    with project.websocket("/bytes?name=ann") as ann:
        heard(ann)
        ann.send(b"\x01\x02\x03")
        assert ann.recv(timeout=30) == b"\x03\x02\x01"


@pytest.mark.members("DurableObject.webSocketClose", "WebSocket.close", "WebSocket.readyState")
def test_a_close_is_told_to_the_object(project):
    """`webSocketClose` gets code, reason and whether it was clean."""
    with project.websocket("/close?name=ann") as ann:
        with project.websocket("/close?name=bob") as bob:
            heard(ann), heard(ann), heard(bob)
            bob.close(4001, "enough")
        assert heard(ann) == {"left": "bob", "code": 4001, "clean": True}


@pytest.mark.members("DurableObjectState.setWebSocketAutoResponse", "js.WebSocketRequestResponsePair.new")
def test_a_ping_is_answered_by_the_pair(project):
    """The auto-response answers, and the handler hears nothing of it."""
    with project.websocket("/auto?name=ann") as ann:
        heard(ann)
        ann.send("ping")
        assert ann.recv(timeout=30) == "pong"


@pytest.mark.members("WebSocket.accept", "WebSocket.addEventListener", "js.Object.values", "js.Response.new")
def test_a_socket_without_an_object_is_heard_by_listeners(project):
    """A worker takes a socket with `accept()`, and returns the other end in a response in JavaScript's shape."""
    with project.websocket("/echo") as ws:
        ws.send("hello")
        assert ws.recv(timeout=30) == "echo: hello"


@pytest.mark.members("workers.Request.headers")
def test_a_request_without_an_upgrade_is_refused(project):
    """The room's own answer comes through."""
    answer = project.get("/plain?name=ann")
    assert answer.status_code == 426
