"""The project `uploads`: forms, files, streams, cookies and requests to the outside, played over HTTP."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest


class Origin(http.server.BaseHTTPRequestHandler):
    """A server that tells what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.stopped.wait(30)  # type: ignore[attr-defined]
            self.close_connection = True
            return
        body = self._body() or f"{self.command} {self.headers['x-number']}".encode()
        self.send_response(404 if self.path.endswith("/missing") else 200)
        self.send_header("x-origin", "origin")
        self.send_header("x-type", self.headers.get("content-type", ""))
        self.send_header("set-cookie", "o=1")
        self.send_header("set-cookie", "o=2")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The address of a server in the outside world."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin) as server:
        server.daemon_threads = True
        server.stopped = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.stopped.set()  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.members(
    "workers.Request.form_data", "workers.FormData.items", "workers.File", "workers.Request.bytes"
)
def test_a_browsers_form_brings_its_files(project):
    """They are passed to an object, which keeps them, and come back as they were."""
    data = bytes(range(256)) * 200
    answer = project.post(
        "/form",
        data={"note": "hi ä"},
        files={"first": ("a b.bin", data, "application/x-test"), "second": ("c.txt", b"text")},
    )
    assert (answer.status_code, answer.json()) == (
        201,
        [{"note": "hi ä"}, {"name": "a b.bin", "size": len(data)}, {"name": "c.txt", "size": 4}],
    )
    assert answer.headers["content-type"] == "application/json"
    back = project.get("/files/a%20b.bin")
    assert (back.content, back.headers["content-type"]) == (data, "application/x-test")
    assert project.get("/files/none").status_code == 404


def test_a_urlencoded_form_is_a_form(project):
    assert project.post("/form", data={"a": "1 2", "b": "ä"}).json() == [{"a": "1 2"}, {"b": "ä"}]


@pytest.mark.parametrize(
    ("content", "kind"), [(b"{}", "application/json"), (b"--x", "multipart/form-data; boundary=x")]
)
def test_what_is_no_form_is_an_error_of_the_request_alone(project, content, kind):
    assert project.post("/form", content=content, headers={"content-type": kind}).status_code == 500
    assert project.get("/empty").status_code == 204


@pytest.mark.members("js.TransformStream.new", "js.TextEncoder.encode", "WorkerEntrypoint.fetch")
def test_a_response_is_streamed_while_a_task_writes_it(project):
    with httpx.stream("GET", project.url + "/stream?count=50", timeout=30) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert "".join(answer.iter_text()) == "".join(f"data: {number}\n\n" for number in range(50))


@pytest.mark.members("workers.Request.body", "js.ReadableStream.pipeThrough")
def test_a_request_is_streamed_through(project):
    def chunks():
        for number in range(100):
            yield f"line {number}\n".encode()

    answer = project.post("/upper", content=chunks())
    assert answer.text == "".join(f"LINE {number}\n" for number in range(100))
    assert project.post("/count", content=chunks()).text == "790"
    assert project.post("/count", content=b"x" * 1_000_000).text == "1000000"


@pytest.mark.members("js.ReadableStream.from_")
def test_a_stream_goes_to_an_object_and_another_one_comes_back(project):
    assert project.post("/over_rpc", content=iter([b"a", b"b" * 100_000])).text == "A" + "B" * 100_000


@pytest.mark.members("js.HTMLRewriter.transform", "js.Cache.match", "js.Cache.put")
def test_a_page_is_rewritten_once_and_comes_from_the_cache_then(project):
    first, second = project.get("/page?title=a %3C b"), project.get("/page?title=a %3C b")
    assert first.text == second.text == "<html><head><title>a &lt; b</title></head></html>"
    assert [answer.headers.get("cf-cache-status") for answer in (first, second)] == [None, "HIT"]
    assert second.headers["content-type"] == "text/html"


def test_every_cookie_arrives(project):
    answer = project.get("/cookies", headers={"cookie": "x=y"})
    assert (answer.text, answer.headers.get_list("set-cookie")) == ("x=y", ["a=1", "b=2; Path=/", "c=3"])
    assert project.get("/cookies").text == "none"


def test_a_body_is_read_once(project):
    assert project.post("/twice", json={"a": 1}).json() == {
        "first": {"a": 1},
        "second": "Body already used",
        "used": True,
    }


def test_responses_without_a_body(project):
    answer = project.get("/redirect?to=http://example.com/x")
    assert (answer.status_code, answer.headers["location"], answer.content) == (
        307,
        "http://example.com/x",
        b"",
    )
    answer = project.get("/empty")
    assert (answer.status_code, answer.headers["x-empty"], answer.content) == (204, "yes", b"")


def test_a_handler_that_returns_nothing_is_told_so(project):
    answer = project.get("/nothing")
    assert answer.status_code == 500
    assert (
        "fetch() must return a Response; it returned NoneType. Does a branch of it end without return?"
        in answer.text
    )


@pytest.mark.members("workers.Request.cf", "workers.Request.headers", "workers.Request.url")
def test_what_is_known_of_a_request(project):
    """Who sent it is the server's word, whatever the sender says."""
    told = project.get("/about?a=b#c", headers={"X-Custom": "1", "CF-Connecting-IP": "6.6.6.6"}).json()
    assert told["headers"]["x-custom"] == "1"
    assert told["url"] == f"{project.url}/about?a=b"
    assert (told["method"], told["country"], told["ip"], told["has_body"]) == (
        "GET",
        None,
        "127.0.0.1",
        False,
    )


# --- to the outside ------------------------------------------------------------------------------------------


@pytest.mark.members("workers.fetch")
def test_a_worker_stands_in_front_of_an_origin(project, origin):
    answer = project.get(f"/proxy?url={origin}/x")
    assert (answer.status_code, answer.text) == (203, "GET 5")
    assert (answer.headers["x-was"], answer.headers["x-url"]) == ("origin", f"{origin}/x")
    assert project.get(f"/proxy?url={origin}/missing").headers["x-origin"] == "origin"
    assert project.post(f"/proxy?url={origin}/x", content=b"body").text == "body"


@pytest.mark.members("js.fetch")
def test_a_request_is_passed_on_and_the_answer_comes_back_whole(project, origin):
    answer = project.post(f"/passed?url={origin}/x", content=b"body", headers={"x-number": "7"})
    assert (answer.text, answer.headers.get_list("set-cookie")) == ("body", ["o=1", "o=2"])


@pytest.mark.members("pyodide.http.pyfetch", "js.fetch")
def test_json_comes_as_javascripts_values(project, origin):
    answer = project.get(f"/json?url={origin}/x").json()
    assert (answer["echo"], answer["py"]) == (1, [1])
    assert answer["error"] == f"404 Client Error: Not Found for url: {origin}/x/missing"


@pytest.mark.members("workers.FormData", "workers.Blob")
def test_a_form_is_sent(project, origin):
    answer = project.get(f"/send_form?url={origin}/x")
    assert answer.headers["x-type"].startswith("multipart/form-data; boundary=")
    for part in (
        b'name="note"\r\n\r\nhi\r\n',
        b'filename="blob"\r\nContent-Type: text/csv\r\n\r\na,b',
        b'filename="x.bin"',
    ):
        assert part in answer.content


@pytest.mark.members("js.AbortController.new")
def test_a_request_that_takes_too_long_is_given_up(project, origin):
    answer = project.get(f"/slow?url={origin}/slow")
    assert (answer.status_code, answer.text) == (504, "gave up: The operation was aborted")
