"""The project `fastapi_object`: each durable object is a FastAPI application of its own, with a WebSocket endpoint."""

from __future__ import annotations

import json

from cloudflare.projects import Project


def test_each_object_is_an_application_with_its_own_storage(project: Project):
    assert project.post("/one/notes", json={"text": "first"}).json() == {"id": 1}
    assert project.post("/one/notes", json={"text": "second"}).json() == {"id": 2}
    assert project.post("/two/notes", json={"text": "other"}).status_code == 201
    assert project.request("PUT", "/one/notes/1/done").json() == {"ok": True}
    assert project.get("/one/notes").json() == [
        {"id": 1, "text": "first", "done": True},
        {"id": 2, "text": "second", "done": False},
    ]
    assert project.get("/two/notes").json() == [{"id": 1, "text": "other", "done": False}]


def test_its_errors_are_answered(project: Project):
    assert project.post("/three/notes", json={"no": "text"}).status_code == 422
    assert project.request("PUT", "/three/notes/9/done").status_code == 404
    assert project.get("/").status_code == 404


def test_its_routes_use_storage(project: Project):
    assert project.get("/four/notes/count").json() == {"asked": 1, "notes": 0}
    assert project.get("/four/notes/count").json() == {"asked": 2, "notes": 0}


def test_its_websocket_hears_of_what_others_do(project: Project):
    with project.websocket("/five/live") as one, project.websocket("/five/live") as two:
        assert {json.loads(ws.recv())["listeners"] for ws in (one, two)} == {1, 2}
        project.post("/five/notes", json={"text": "news"})
        assert json.loads(one.recv()) == json.loads(two.recv()) == {"added": "news"}
        one.send(b"\x00\xff")
        assert one.recv() == b"\x00\xff!"
        one.send(b"")
        assert one.recv() == b"!"
