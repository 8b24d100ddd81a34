"""Static files in front of the worker."""

from __future__ import annotations

import asyncio
import os
import queue
import threading

import pytest
from support.inside import until

from perdure import ConfigError, DataCloneError, Runtime, WorkerEntrypoint
from perdure._assets.folder import PIECE_BYTES, WHOLE_BYTES_MAX, AssetFolder, contents
from perdure._assets.settings import Assets
from perdure._assets.site import Site
from perdure._assets.types import content_type
from perdure.web import Request, Response


async def worker(request):
    return Response("worker", status=404)


@pytest.fixture
def folder(tmp_path):
    public = tmp_path / "public"
    files = {
        "index.html": "home",
        "about.html": "about",
        "style.css": "css",
        "docs/index.html": "docs",
        "a b.txt": "space",
        ".well-known/x": "known",
    }
    for name, text in files.items():
        (public / name).parent.mkdir(parents=True, exist_ok=True)
        (public / name).write_text(text)
    (tmp_path / "secret.txt").write_text("secret")
    (public / "leak.txt").symlink_to(tmp_path / "secret.txt")
    (public / "inner.txt").symlink_to(public / "style.css")
    (public / "loop").symlink_to(public / "loop")
    return public


def ask(folder, path, *, worker=worker, settings=None, **more):
    async def run():
        site = Site(Assets(folder, **(settings or {})))
        response = await site.handle(Request(f"http://x{path}", **more), worker)
        return response, await response.bytes()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "home"),
        ("/about", "about"),
        ("/docs/", "docs"),
        ("//docs///", "docs"),
        ("/style.css?v=1", "css"),
        ("/a%20b.txt", "space"),
        ("/.well-known/x", "known"),
        ("/inner.txt", "css"),
        ("/nothing", "worker"),
        ("/style.css/", "worker"),
        ("/leak.txt", "worker"),
        ("/loop", "worker"),
        ("/../secret.txt", "worker"),
        ("/%2e%2e/secret.txt", "worker"),
        ("/..%2fsecret.txt", "worker"),
        ("/docs/..%2f..%2fsecret.txt", "worker"),
        ("//etc/passwd", "worker"),
        ("/%2fetc/passwd", "worker"),
        ("/x%00.html", "worker"),
        ("/..%5csecret.txt", "worker"),
        ("/" + "x" * 5000, "worker"),
        ("/%ff%fe", "worker"),
    ],
)
def test_a_path_that_names_a_file_in_the_folder_is_answered_with_it(folder, path, text):
    """Everything else goes to the worker; nothing outside is ever read."""
    response, body = ask(folder, path)
    assert body == text.encode()
    assert response.status == (404 if text == "worker" else 200)


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/about.html", "/about"),
        ("/docs", "/docs/"),
        ("/docs/index.html?a=1&b", "/docs/?a=1&b"),
        ("/d%C3%A9j%C3%A0/index", "/d%C3%A9j%C3%A0/"),
        ("//docs", "/docs/"),
    ],
)
def test_a_page_has_one_path_and_others_lead_there(folder, path, where):
    """With status 307, and the query."""
    (folder / "déjà").mkdir()
    (folder / "déjà/index.html").write_text("x")
    response, _ = ask(folder, path)
    assert (response.status, response.headers.get("location")) == (307, where)


def test_files_are_for_get_and_head(folder):
    """Another method is told so, and how the worker gets it; where no file is the worker gets all."""
    response, body = ask(folder, "/", method="POST")
    assert (response.status, response.headers.get("allow")) == (405, "GET, HEAD")
    assert b"run_worker_first" in body
    assert ask(folder, "/about.html", method="POST")[0].status == 405
    assert ask(folder, "/api", method="POST")[1] == b"worker"


def test_head_has_the_headers_alone(folder):
    """With the length of what GET would bring."""
    response, body = ask(folder, "/about", method="HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers.get("content-length") == "5"
    assert response.headers.get("content-type") == "text/html; charset=utf-8"


# --- files and the worker -------------------------------------------------------------------------------


def answers(folder, path, **more):
    """Who answers: "worker", or the file's text; a redirect's place."""
    response, body = ask(folder, path, **more)
    return response.headers.get("location") or body.decode() or str(response.status)


def test_the_worker_may_get_every_request(folder):
    """`run_worker_first: true`."""
    assert answers(folder, "/about", settings={"run_worker_first": True}) == "worker"


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/api/x", "worker"),
        ("/api/docs/", "apidocs"),
        ("/api/docs/nothing", "404"),
        ("/about", "about"),
        ("/nothing", "worker"),
        ("/apis", "worker"),
    ],
)
def test_the_worker_may_get_what_patterns_say(folder, path, who):
    """With `!` they keep it out, even of what is not there; what matches none is a file's, or the worker's."""
    (folder / "api/docs").mkdir(parents=True)
    (folder / "api/docs/index.html").write_text("apidocs")
    assert answers(folder, path, settings={"run_worker_first": ["/api/*", "!/api/docs/*"]}) == who


def test_a_pattern_with_many_stars_takes_no_time(folder):
    """Whatever path a client sends."""
    settings = {"run_worker_first": ["/*/*/*/*/x"], "not_found_handling": "single-page-application"}
    assert ask(folder, "/a" * 4000, settings=settings)[1] == b"home"
    assert ask(folder, "/a" * 4000 + "/x", settings=settings)[1] == b"worker"


def test_with_patterns_the_worker_gets_nothing_else_where_something_answers_all(folder):
    """An application of one page has the other paths."""
    settings = {"run_worker_first": ["/api/*"], "not_found_handling": "single-page-application"}
    assert answers(folder, "/nothing", settings=settings) == "home"
    assert answers(folder, "/api/x", settings=settings) == "worker"


@pytest.mark.parametrize(
    ("handling", "status", "text"), [("single-page-application", 200, "home"), ("404-page", 404, "lost")]
)
def test_a_browser_that_goes_to_nothing_gets_the_page_and_its_scripts_the_worker(
    folder, handling, status, text
):
    """`Sec-Fetch-Mode` tells them apart; a setting switches it off."""
    (folder / "404.html").write_text("lost")
    going = {"sec-fetch-mode": "navigate"}
    settings = {"not_found_handling": handling}
    response, body = ask(folder, "/deep/link", settings=settings, headers=going)
    assert (response.status, body.decode()) == (status, text)
    assert answers(folder, "/deep/link", settings=settings, headers={"sec-fetch-mode": "cors"}) == "worker"
    never = {**settings, "prefers_navigations": False}
    assert answers(folder, "/deep/link", settings=never, headers=going) == "worker"


def test_without_a_worker_what_is_not_there_is_404(folder):
    """Or what `not_found_handling` says, for every request."""
    assert answers(folder, "/nothing", worker=None) == "404"
    spa = {"not_found_handling": "single-page-application"}
    assert answers(folder, "/nothing", worker=None, settings=spa) == "home"


def test_a_404_page_is_sent_whole(folder):
    """Its ETag does not make a 304 of it: the path is not there all the same."""
    (folder / "404.html").write_text("lost")
    settings = {"not_found_handling": "404-page"}
    tag = ask(folder, "/nothing", worker=None, settings=settings)[0].headers.get("etag")
    response, body = ask(folder, "/other", worker=None, settings=settings, headers={"if-none-match": tag})
    assert (response.status, body) == (404, b"lost")


# --- rules of the folder --------------------------------------------------------------------------------


def test_redirects_come_before_files_and_the_worker(folder):
    """Also where a file is, for every method; 200 answers with another path's file."""
    (folder / "_redirects").write_text("/style.css /new.css 301\n/old/* /docs/:splat\n/alias /about 200\n")
    response, _ = ask(folder, "/style.css?v=1")
    assert (response.status, response.headers.get("location")) == (301, "/new.css?v=1")
    assert answers(folder, "/old/x", method="POST") == "/docs/x"
    assert answers(folder, "/alias") == "about"
    assert answers(folder, "/_redirects") == "worker"


def test_headers_of_rules_are_on_files_alone(folder):
    """They take the place of the file's own; what the worker answers is its own affair."""
    (folder / "_headers").write_text("/*\n  Cache-Control: max-age=60\n  X-Own: 1\n  ! ETag\n")
    response, _ = ask(folder, "/about")
    assert response.headers.get("cache-control") == "max-age=60"
    assert response.headers.get("x-own") == "1"
    assert response.headers.get("etag") is None
    assert ask(folder, "/nothing")[0].headers.get("x-own") is None


def test_ignored_files_are_not_there(folder):
    """Not through a link with another name either; rules that change count at once."""
    site = Site(Assets(folder))

    def text(path):
        async def run():
            return await (await site.handle(Request(f"http://x{path}"), worker)).text()

        return asyncio.run(run())

    assert text("/style.css") == "css"
    (folder / ".assetsignore").write_text("*.css\n")
    assert text("/style.css") == "worker"
    assert text("/inner.txt") == "worker"
    assert text("/.assetsignore") == "worker"
    (folder / ".assetsignore").unlink()
    assert text("/style.css") == "css"


# --- in a runtime ---------------------------------------------------------------------------------------


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "/through" in request.url:
            return await self.env.ASSETS.fetch("/about")
        return Response("worker")


async def test_a_runtime_serves_files_in_front_of_its_worker(folder):
    """From a path alone, or with settings; the binding answers with files and asks no worker."""
    async with Runtime(worker=Default, assets=folder) as rt:
        assert await (await rt.handle(Request("http://x/about"))).text() == "about"
        assert await (await rt.handle(Request("http://x/nothing"))).text() == "worker"
    async with Runtime(worker=Default, assets=Assets(folder, binding="ASSETS", run_worker_first=True)) as rt:
        assert await (await rt.handle(Request("http://x/about"))).text() == "worker"
        assert await (await rt.handle(Request("http://x/through"))).text() == "about"
        assert (await rt.env.ASSETS.fetch(Request("https://any.host/about"))).status == 200
        assert (await rt.env.ASSETS.fetch("http://any.host/nothing")).status == 404
        assert (await rt.env.ASSETS.fetch("/about", method="HEAD")).headers.get("content-length") == "5"


async def test_the_binding_follows_redirects_between_pages_unless_the_request_is_a_clients(folder):
    """A worker that asks for `about.html` gets the page, not the way to it; a client that does is sent there."""

    class Passes(WorkerEntrypoint):
        async def fetch(self, request):
            return await self.env.ASSETS.fetch(request)

    async with Runtime(worker=Passes, assets=Assets(folder, binding="ASSETS", run_worker_first=True)) as rt:
        followed = await rt.env.ASSETS.fetch("/about.html")
        assert (followed.status, followed.redirected, await followed.text()) == (200, True, "about")
        told = await rt.env.ASSETS.fetch("/about.html", redirect="manual")
        assert (told.status, told.headers.get("location")) == (307, "/about")
        sent = await rt.handle(Request("http://x/about.html"))
        assert (sent.status, sent.headers.get("location")) == (307, "/about")


async def test_a_runtime_needs_no_worker_for_files(folder):
    """What is not there is a 404."""
    async with Runtime(assets=folder) as rt:
        assert await (await rt.handle(Request("http://x/about"))).text() == "about"
        assert (await rt.handle(Request("http://x/nothing"))).status == 404


async def test_the_binding_has_a_name_of_its_own_and_stays(folder):
    """It is no value for a call."""
    with pytest.raises(ConfigError, match="'ASSETS' stands for two things in env"):
        Runtime(assets=Assets(folder, binding="ASSETS"), env={"ASSETS": "1"})
    async with Runtime(assets=Assets(folder, binding="ASSETS"), kv_namespaces=["KV"]) as rt:
        with pytest.raises(DataCloneError, match="AssetsBinding"):
            await rt._all_namespaces["perdure:kv"].get_by_name("KV").remove(rt.env.ASSETS)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"html_handling": "auto"}, "html_handling is 'auto'; it must be one of auto-trailing-slash"),
        ({"not_found_handling": "spa"}, "not_found_handling is 'spa'; it must be one of none, 404-page"),
        ({"run_worker_first": ["api"]}, 'run_worker_first: "api" must begin with "/"'),
        ({"run_worker_first": [5]}, "a pattern is a text, not 5"),
        ({"run_worker_first": ["!/x"]}, 'needs a pattern without "!"'),
        ({"run_worker_first": ["/" + "x" * 100]}, "has 101 characters"),
        ({"run_worker_first": ["/x"] * 101}, "has 101 patterns"),
    ],
)
def test_wrong_settings_are_refused(folder, settings, text):
    """With the values there are."""
    with pytest.raises(ConfigError) as caught:
        Assets(folder, **settings)
    assert text in str(caught.value)


# --- files ----------------------------------------------------------------------------------------------


def test_a_file_that_the_client_has_is_not_sent_again(folder):
    """By its ETag; a changed file has another."""
    first, _ = ask(folder, "/style.css")
    tag = first.headers.get("etag")
    response, body = ask(folder, "/style.css", headers={"if-none-match": f'"other", W/{tag}'})
    assert (response.status, body) == (304, b"")
    (folder / "style.css").write_text("changed")
    assert ask(folder, "/style.css", headers={"if-none-match": tag})[1] == b"changed"


def test_a_large_file_is_streamed_whole(folder):
    """Piece by piece, with its length told."""
    data = bytes(range(256)) * ((WHOLE_BYTES_MAX + 3 * PIECE_BYTES) // 256)
    (folder / "large.bin").write_bytes(data)
    response, body = ask(folder, "/large.bin")
    assert body == data
    assert response.headers.get("content-length") == str(len(data))


async def test_a_file_is_closed_behind_the_thread_that_reads_it(folder, monkeypatch):
    """The client has gone meanwhile: the thread must not read from what has the file's number next."""
    (folder / "large.bin").write_bytes(bytes(WHOLE_BYTES_MAX + 1))
    body = await contents(AssetFolder(folder).find("/large.bin"))
    numbers, goes_on = queue.SimpleQueue(), threading.Event()

    def read(file, size_bytes):
        numbers.put(file)
        goes_on.wait(10)
        return b"read"

    monkeypatch.setattr(os, "read", read)
    reader = asyncio.create_task(anext(body))
    file = await asyncio.to_thread(numbers.get)
    reader.cancel()
    await asyncio.wait([reader])
    os.fstat(file)
    goes_on.set()
    await until(lambda: not is_open(file))


def is_open(file):
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.WOFF2", "font/woff2"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("png", "application/octet-stream"),
        ("a.png", "image/png"),
        ("a.unknown", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
    ],
)
def test_files_have_their_media_type(name, kind):
    """Texts are UTF-8."""
    assert content_type(name) == kind
