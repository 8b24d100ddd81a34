"""The project `assets_api`: a single-page application, its files, and an API that keeps links in KV namespaces."""

from __future__ import annotations

import pytest


def add(project, slug, **more):
    answer = project.post("/api/links", json={"slug": slug, "url": f"https://x.test/{slug}", **more})
    assert answer.status_code == 201, answer.text
    return answer


# --- files ----------------------------------------------------------------------------------------------


def test_files_are_served_without_the_worker(project):
    """Pages at their one path, with types and validators; rules of the folder count."""
    page = project.get("/")
    assert "<title>Links</title>" in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    script = project.get("/assets/app.js")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["x-content-type-options"] == "nosniff"
    again = project.get("/assets/app.js", headers={"if-none-match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    moved = project.get("/about.html?a=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "/about?a=1")
    head = project.request("HEAD", "/about")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "36", b"")


def test_what_is_not_there_is_the_application(project):
    """It has the links of the page; what is ignored is not there."""
    for path in ("/any/deep/link", "/assets/app.js.map", "/_headers", "/.dev.vars"):
        answer = project.get(path)
        assert (answer.status_code, "<title>Links</title>" in answer.text) == (200, True)


@pytest.mark.parametrize(
    ("path", "status", "where"),
    [("/home", 301, "/"), ("/blog/2026/x", 302, "https://blog.example/2026/x")],
)
def test_redirects_are_those_of_the_folder(project, path, status, where):
    """`_redirects`."""
    answer = project.get(path)
    assert (answer.status_code, answer.headers["location"]) == (status, where)


def test_patterns_say_what_the_worker_gets(project):
    """And what it does not: the pages of the documentation below `/api/`."""
    assert project.get("/api/nothing").text == "no such thing"
    assert "<title>API</title>" in project.get("/api/docs/").text
    assert project.get("/api/docs").text == "no such thing"
    assert project.post("/about").status_code == 405


@pytest.mark.members("Fetcher.fetch", "workers.env")
def test_the_worker_answers_with_files(project):
    """Through the binding; a secret of `.dev.vars` is a variable."""
    assert project.get("/admin.html").status_code == 401
    answer = project.get("/admin.html", headers={"authorization": "Bearer let me in"})
    assert (answer.status_code, "<title>Admin</title>" in answer.text) == (200, True)


# --- keys and values ------------------------------------------------------------------------------------


@pytest.mark.members(
    "KvNamespace.put", "KvNamespace.get", "KvNamespace.getWithMetadata", "KvNamespace.delete"
)
def test_a_link_is_kept_followed_and_removed(project):
    """Values as JSON with items and attributes, metadata beside them."""
    assert add(project, "docs", owner="ada").json() == {"short": "https://sho.rt/s/docs"}
    for _ in range(2):
        followed = project.get("/s/docs")
        assert (followed.status_code, followed.headers["location"]) == (302, "https://x.test/docs")
        assert followed.headers["x-owner"] == "ada"
    assert project.get("/api/links/docs").json() == {"url": "https://x.test/docs", "hits": 2}
    assert project.request("DELETE", "/api/links/docs").status_code == 204
    assert project.get("/api/links/docs").status_code == 404
    assert "<title>Links</title>" in project.get("/s/docs").text


@pytest.mark.members("KvNamespace.list")
def test_links_are_listed_page_by_page(project):
    """With a prefix, a limit and a cursor."""
    for slug in ("list-c", "list-a", "list-b"):
        add(project, slug, owner=slug[-1])
    first = project.get("/api/links?prefix=list-&limit=2").json()
    assert [link["owner"] for link in first["links"]] == ["a", "b"]
    assert not first["complete"]
    rest = project.get(f"/api/links?prefix=list-&cursor={first['cursor']}").json()
    assert rest == {
        "links": [{"slug": "list-c", "owner": "c", "expires": False}],
        "complete": True,
        "cursor": None,
    }


@pytest.mark.members("KvNamespace.get")
def test_several_links_are_read_at_once(project):
    """A Map of all that were asked for."""
    add(project, "many-a")
    assert project.get("/api/many?slugs=many-a,many-b").json() == {
        "many-a": {"url": "https://x.test/many-a"},
        "many-b": None,
    }


@pytest.mark.members("KvNamespace.put")
def test_links_expire(project):
    """After seconds, or at a time that need not be whole."""
    add(project, "ttl", ttl=60)
    add(project, "until", until=90.5)
    links = project.get("/api/links").json()["links"]
    assert {link["slug"] for link in links if link["expires"]} == {"ttl", "until"}


@pytest.mark.members("KvNamespace.put")
def test_a_mistake_has_cloudflares_text(project):
    """As a `JsException`."""
    answer = project.post("/api/links", json={"slug": "x", "url": "y", "ttl": 30})
    assert answer.json() == {
        "error": "KV PUT failed: 400 Invalid expiration_ttl of 30. Expiration TTL must be at least 60."
    }
    answer = project.post("/api/links", json={"slug": "", "url": "y"})
    assert answer.json() == {"error": "Key name cannot be empty."}


@pytest.mark.members("KvNamespace.put", "KvNamespace.get")
def test_a_body_is_streamed_in_and_out(project):
    """Put from the request's stream, read as an ArrayBuffer and as a stream."""
    data = bytes(range(256)) * 8000
    assert project.request("PUT", "/api/blob/picture", content=data).status_code == 201
    assert project.get("/api/blob/picture").content == data
    assert project.get("/api/blob/picture?stream").content == data


def test_what_only_cloudflare_has_fails_where_it_is_used(project):
    """The project starts all the same."""
    answer = project.get("/api/summary")
    assert answer.status_code >= 400
    assert "Workers AI" in answer.json()["error"]
    assert '"AI" and "BUCKET" need Cloudflare\'s platform' in project.output
