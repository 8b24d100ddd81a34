"""Static files in front of the worker."""

from __future__ import annotations

import asyncio

import pytest

from perdure._cli.assets import PIECE_BYTES, WHOLE_BYTES_MAX, Assets, content_type
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


def ask(folder, path, **more):
    async def run():
        assets = Assets(folder, worker)
        response = await assets.handle(Request(f"http://x{path}", **more))
        return response, await response.bytes()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "home"),
        ("/index.html", "home"),
        ("/about", "about"),
        ("/about.html", "about"),
        ("/docs", "docs"),
        ("/docs/", "docs"),
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


def test_other_methods_go_to_the_worker(folder):
    """A form may be posted to the page's own path."""
    assert ask(folder, "/", method="POST")[1] == b"worker"


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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.unknown", "application/octet-stream"),
        ("a.tar.gz", "application/octet-stream"),
    ],
)
def test_files_have_their_media_type(name, kind):
    """Texts are UTF-8."""
    assert content_type(name) == kind
