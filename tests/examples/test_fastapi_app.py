"""The FastAPI application with its objects in its own process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from .serving import EXAMPLES


@pytest.fixture
def create_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., FastAPI]:
    """Return the example's `create_app`, its module imported under a name of its own."""
    monkeypatch.setenv("NOTEBOOKS_DATA", str(tmp_path / "unused"))
    spec = importlib.util.spec_from_file_location("fastapi_example", EXAMPLES / "fastapi_app" / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fastapi_example", module)
    spec.loader.exec_module(module)
    assert not (tmp_path / "unused").exists(), "importing the application touches no disk"
    return module.create_app


@pytest.fixture
def client(create_app: Callable[..., FastAPI]) -> Iterator[TestClient]:
    with TestClient(create_app(None)) as client:
        yield client


def test_a_route_awaits_a_method_and_answers_with_its_dataclass(client):
    """What the object returns is the JSON of the answer."""
    answer = client.post("/notebooks/garden", json={"text": "  water the beans "})
    assert answer.status_code == 201
    assert answer.json() == {"id": 1, "text": "water the beans", "done": False}


def test_notebooks_are_separate(client):
    """Each name is an object with a database of its own."""
    client.post("/notebooks/garden", json={"text": "beans"})
    assert client.get("/notebooks/kitchen").json() == []
    assert [note["text"] for note in client.get("/notebooks/garden").json()] == ["beans"]


def test_a_note_is_done(client):
    """A change made through one route is seen through the other."""
    client.post("/notebooks/garden", json={"text": "beans"})
    assert client.post("/notebooks/garden/1/done").status_code == 204
    assert client.get("/notebooks/garden").json() == [{"id": 1, "text": "beans", "done": True}]


def test_an_unknown_note_is_a_404(client):
    """The route turns the object's False into FastAPI's own error."""
    answer = client.post("/notebooks/garden/7/done")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Notebook 'garden' has no note 7."})


def test_an_empty_note_is_refused_before_the_object_is_asked(client):
    """FastAPI's validation stands in front of the object."""
    assert client.post("/notebooks/garden", json={"text": " "}).status_code == 422


def test_the_runtime_answers_below_its_mount(client):
    """`runtime.asgi` under a path hands requests to the worker."""
    client.post("/notebooks/garden", json={"text": "beans"})
    answer = client.get("/export/garden")
    assert (answer.status_code, answer.text) == (200, "[ ] beans\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_notes_are_there_after_a_restart(create_app, tmp_path):
    """The data folder is given back when the application stops, and the next one finds all in it."""
    with TestClient(create_app(tmp_path / "data")) as first:
        first.post("/notebooks/garden", json={"text": "beans"})
    with TestClient(create_app(tmp_path / "data")) as second:
        assert [note["text"] for note in second.get("/notebooks/garden").json()] == ["beans"]
