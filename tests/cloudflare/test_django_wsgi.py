"""The project `django_wsgi`: Django through `workers.wsgi`, whose views call a durable object with `run_sync`."""

from __future__ import annotations

import hashlib

import httpx
from cloudflare.projects import Project


def test_views_call_an_object_and_render_what_it_says(project: Project):
    assert project.post("/stock/apples/", json={"by": 3}).json() == {"name": "apples", "pieces": 3}
    assert project.post("/stock/apples/", json={"by": 2}).json() == {"name": "apples", "pieces": 5}
    assert project.post("/stock/b%C3%BCcher/", json={"by": 1}).json() == {"name": "bücher", "pieces": 1}
    assert project.get("/").text == "<h1>Corner Shop</h1><p>apples: 5</p><p>bücher: 1</p>"


def test_a_streamed_response_calls_it_too(project: Project):
    project.post("/stock/pears/", json={"by": 4})
    answer = project.get("/report.csv")
    assert answer.headers["content-type"] == "text/csv"
    assert answer.text.startswith("name,pieces\n")
    assert "pears,4\n" in answer.text


def test_views_use_a_database(project: Project):
    assert project.post("/orders/", data={"what": "apples"}).json() == {"id": 1}
    assert project.post("/orders/", data={"what": "pears"}).json() == {"id": 2}
    assert project.get("/orders/").json() == {"orders": ["apples", "pears"]}


def test_a_session_is_kept_in_a_cookie(project: Project):
    with httpx.Client(base_url=project.url, verify=False) as client:
        assert [client.get("/visits/").json()["visits"] for _ in range(3)] == [1, 2, 3]


def test_a_file_of_a_form_is_read_from_the_streamed_body(project: Project):
    data = bytes(range(256)) * 20_000  # Django keeps what is as large as this in a file
    answer = project.post("/upload/", files={"file": ("data.bin", data)}, data={"note": "über"})
    assert answer.json() == {
        "name": "data.bin",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "note": "über",
    }


def test_django_answers_what_is_wrong(project: Project):
    assert project.get("/stock/apples/").status_code == 405
    assert project.get("/nowhere/").status_code == 404
    answer = project.get("/broken/")
    assert (answer.status_code, "Server Error (500)" in answer.text) == (500, True)


def test_requests_that_wait_do_not_hold_each_other_up(project: Project):
    for _ in range(5):
        assert project.post("/stock/plums/", json={"by": 1}).status_code == 200
    assert "<p>plums: 5</p>" in project.get("/").text
