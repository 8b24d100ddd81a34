"""The FastAPI application, started as its README says, with its objects in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .serving import EXAMPLES, Served


def uvicorn(data: Path) -> Served:
    return Served("uvicorn", "app:app", "--app-dir", EXAMPLES / "fastapi_app", NOTEBOOKS_DATA=data)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = uvicorn(tmp_path / "data")
    served.start()
    yield served
    served.stop()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30, verify=False) as client:
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


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_notes_are_there_after_a_restart(served, client, end):
    """The data folder outlives the application, stopped or killed, and the next one finds all in it."""
    client.post("/notebooks/garden", json={"text": "beans"})
    getattr(served, end)()
    served.start()
    assert [note["text"] for note in client.get("/notebooks/garden").json()] == ["beans"]


def test_a_second_process_on_the_same_folder_is_refused(served, tmp_path):
    """An object is alive in exactly one place: the second application does not start, and says why."""
    second = uvicorn(tmp_path / "data")
    with pytest.raises(RuntimeError, match="is in use by process"):
        second.start()
