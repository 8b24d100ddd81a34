"""The project `fastapi_worker`: a FastAPI application in a worker, with bindings, streams and a WebSocket."""

from __future__ import annotations

import json
import signal

import pytest
from cloudflare.projects import FOLDER, Project
from websockets.exceptions import ConnectionClosed


def test_a_route_sees_the_variables_of_the_configuration(project: Project):
    assert project.get("/").json() == {"message": "from the configuration", "most": 3}


def test_the_lifespan_starts_once(project: Project):
    assert [project.get("/start").json() for _ in range(2)] == [{"start": 1}, {"start": 1}]


def test_the_lifespan_ends_with_the_process(tmp_path):
    with Project(FOLDER / "fastapi_worker", tmp_path) as project:
        project.get("/")
        assert "the application has ended" not in project.output
        project.signal(signal.SIGINT)
        assert project.wait() == 0
        assert "the application has ended" in project.output


def test_parameters_are_checked_and_plain_routes_run(project: Project):
    assert project.get("/items/7?q=x").json() == {"item_id": 7, "q": "x"}
    assert project.get("/items/seven").status_code == 422
    answer = project.get("/items/101")
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such item"})


def test_a_body_becomes_a_model(project: Project):
    answer = project.post("/items", json={"name": "a", "price": 1.5, "tags": ["x"]})
    assert (answer.status_code, answer.json()) == (201, {"name": "a", "price": 1.5, "tags": ["x"]})
    assert project.post("/items", json={"name": "a"}).status_code == 422


def test_routes_call_objects(project: Project):
    assert project.post("/count/a").json() == {"count": 1}
    assert project.post("/count/a?by=4").json() == {"count": 5}
    assert project.post("/count/b").json() == {"count": 1}


def test_background_tasks_run_after_the_answer(project: Project):
    assert project.post("/later/c").json() == {"accepted": "c"}
    assert project.post("/count/c?by=0").json() == {"count": 10}


def test_headers_and_cookies_go_both_ways(project: Project):
    answer = project.get("/headers", headers={"user-agent": "test", "cookie": "a=1; b=2"})
    assert answer.json() == {"agent": "test", "host": "127.0.0.1", "cookies": {"a": "1", "b": "2"}}
    assert [cookie.partition(";")[0] for cookie in answer.headers.get_list("set-cookie")] == [
        "one=1",
        "two=2",
    ]


def test_middleware_answers_preflights_and_compresses(project: Project):
    headers = {"origin": "http://a.example", "access-control-request-method": "POST"}
    answer = project.request("OPTIONS", "/items", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    answer = project.get("/large")
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", "large " * 1000)


def test_a_status_without_a_body(project: Project):
    answer = project.request("DELETE", "/items/1")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_streamed_response(project: Project):
    answer = project.get("/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_bodies_arrive_as_they_are(project: Project):
    data = bytes(range(256)) * 4096
    answer = project.post("/echo", content=data, headers={"content-type": "application/octet-stream"})
    assert answer.content == data


def test_errors_are_answered(project: Project):
    assert project.get("/key/b").json() == {"missing": "'b'"}
    assert project.get("/broken").status_code == 500
    assert project.get("/").status_code == 200


def test_the_documentation_is_served(project: Project):
    assert "Items" in project.get("/docs").text
    assert "/items/{item_id}" in project.get("/openapi.json").json()["paths"]


def test_a_websocket_talks_and_is_closed_with_a_code(project: Project):
    with project.websocket("/ws/hall") as ws:
        assert json.loads(ws.recv()) == {"room": "hall", "message": "from the configuration"}
        ws.send("abc")
        assert ws.recv() == "cba"
        ws.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "bye")
