"""Whatever is asked or raised: the process and every other object go on, and nothing confirmed is lost."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import bad_application
import httpx
import pytest
from cli_process import Perdure, eventually

from perdure import Request, Runtime

HERE = Path(__file__).parent

ASKED = {
    "unknown-binding": (
        "AttributeError",
        "env has no binding or variable 'NOPE'; it has COUNTER, UNBORN, VICTIM",
    ),
    "unknown-method": ("TypeError", 'The RPC receiver does not implement the method "nothing".'),
    "private-method": ("TypeError", 'The RPC receiver does not implement the method "_private".'),
    "field": ("TypeError", 'The RPC receiver does not implement the method "field".'),
    "ctx": ("TypeError", 'The RPC receiver does not implement the method "ctx".'),
    "reserved-alarm": ("TypeError", "'alarm' is a reserved method and cannot be called over RPC."),
    "reserved-websocket": (
        "TypeError",
        "'websocket_message' is a reserved method and cannot be called over RPC.",
    ),
    "reserved-dup": ("TypeError", "'dup' is a reserved method and cannot be called over RPC."),
    "wrong-arguments": ("TypeError", "takes 2 positional arguments but 4 were given"),
    "uncloneable-argument": ("DataCloneError", '["deep"][1]["er"]'),
    "uncloneable-cycle": ("DataCloneError", '["list"][1]["bad"]'),
    "uncloneable-result": ("DataCloneError", '["lock"]'),
    "too-deep-argument": ("DataCloneError", "10,000"),
    "too-large-argument": ("PerdureError", "limited to 32MiB"),
    "too-large-result": ("PerdureError", "limited to 32MiB"),
    "too-large-key": ("SqlError", "SQLITE_TOOBIG"),
    "too-large-value": ("SqlError", "SQLITE_TOOBIG"),
    "uncloneable-value": ("DataCloneError", '["a"][0]'),
    "key-no-text": ("TypeError", "parameter 1 is not of type 'string'"),
    "key-half-a-character": ("ValueError", ""),
    "sql-too-long": ("SqlError", "SQLITE_TOOBIG"),
    "sql-syntax": ("SqlError", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'),
    "sql-begin": ("SqlError", "transaction() or"),
    "sql-attach": ("SqlError", "not authorized"),
    "sql-vacuum-into": ("SqlError", "VACUUM"),
    "sql-pragma": ("SqlError", "not authorized"),
    "sql-hidden-table": ("SqlError", "_cf_KV"),
    "sql-function": ("SqlError", "not authorized to use function: sqlite_version"),
    "sql-temp": ("SqlError", "not authorized"),
    "sql-bindings": ("SqlError", "Wrong number of parameter bindings for SQL query."),
    "sql-binding-type": ("TypeError", "list"),
    "sql-empty": ("SqlError", "SQL code did not contain a statement."),
    "id-short": ("TypeError", "Invalid Durable Object ID: must be 64 hex digits"),
    "id-forged": ("TypeError", "Durable Object ID is not valid for this namespace."),
    "id-foreign": ("TypeError", "Durable Object ID is not valid for this namespace."),
    "id-no-text": ("TypeError", "parameter 1 is not of type 'string'"),
    "get-no-id": ("TypeError", "parameter 1 is not of type 'DurableObjectId'"),
    "name-no-text": ("TypeError", "parameter 1 is not of type 'string'"),
    "fetch-no-url": ("TypeError", "Invalid URL"),
    "fetch-no-handler": ("PerdureError", "Handler does not export a fetch() function."),
    "fetch-no-response": ("TypeError", "did not resolve to 'Response'"),
    "constructor": ("RemoteError", "cannot start"),
    "section": ("RemoteError", "in a section"),
    "abort": ("ObjectReset", "enough"),
    "task": ("RemoteError", "SystemExit"),
}

MALFORMED = {
    "nonsense": b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + b"x" * 100,
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "two lengths": b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length that is none": b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    "length and chunks": b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is none": b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    "a head without an end": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000,
    "a target that is none": b"GET http://[::x/ HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    shutil.copy(HERE / "bad_application.py", folder / "app.py")
    return folder


@pytest.fixture(scope="module")
def served(folder):
    """A real process for the whole module; at its end, nothing that was confirmed is lost."""
    with Perdure("serve", "--port", "0", cwd=folder) as server:
        yield Asked(server)
        last = server.get("count").text
        server.process.kill()
        server.wait()
    with Perdure("serve", "--port", "0", cwd=folder) as server:
        assert server.get("count").text == last


class Asked:
    """The process, and how often its counter was hit."""

    def __init__(self, server):
        self.server = server
        self.hits = 0

    def goes_on(self):
        """The counter, an object that did nothing wrong, answers as if nothing had been."""
        self.hits += 1
        assert self.server.get("hit").text == str(self.hits)


@pytest.mark.parametrize("what", bad_application.REQUESTS)
def test_a_server_asked_for_what_cannot_be_goes_on(served, what):
    """The answer names the mistake."""
    answer = served.server.get(f"ask/{what}").json()
    check(what, answer)
    served.goes_on()


@pytest.mark.parametrize("what", bad_application.REQUESTS)
async def test_a_runtime_asked_for_what_cannot_be_goes_on(what):
    """The same, embedded."""
    app = bad_application
    async with Runtime(objects=[app.Counter, app.Victim, app.Unborn], worker=app.Default) as rt:
        assert await (await rt.handle(Request("http://x/hit"))).text() == "1"
        check(what, json.loads(await (await rt.handle(Request(f"http://x/ask/{what}"))).text()))
        assert await (await rt.handle(Request("http://x/hit"))).text() == "2"


def check(what, answer):
    cls, text = ASKED[what]
    assert answer.get("error") == cls, answer
    assert text in answer["text"]


@pytest.mark.parametrize("kind", bad_application.RAISES)
@pytest.mark.parametrize("where", ["object", "object-uncaught", "worker"])
def test_a_handler_may_raise_anything(served, where, kind):
    """Caught by the worker, or by nobody: then one request failed, and says nothing of the inside."""
    answer = served.server.get(f"{where}/{kind}")
    if where == "object":
        assert answer.status_code == 200
        assert "remote" in answer.json()["flags"]
    else:
        assert answer.status_code == 500
        assert "bad_application" not in answer.text
        assert "Traceback" not in answer.text
        assert "reference" in answer.text.lower()
    served.goes_on()


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_http_harms_nobody(served, what):
    """It is refused, and the connection closed."""
    address = ("127.0.0.1", httpx.URL(served.server.url).port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(MALFORMED[what])
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer[:100]
    served.goes_on()


@pytest.mark.rows("EP-15", "STB-15")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_client_that_goes_away_interrupts_neither_worker_nor_object(served, method):
    """What they were doing is done, and stored."""
    server = served.server
    began = server.output.count("slow began")
    with connect(server) as connection:
        connection.sendall(f"{method} /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        server.wait_for("slow began", times=began + 1)
    server.wait_for("slow ended", times=began + 1)
    server.wait_for("worker ended", times=began + 1)
    served.goes_on()


def test_a_client_that_goes_away_ends_the_stream_it_read(served):
    """The generator's `finally` runs."""
    server = served.server
    with connect(server) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    server.wait_for("stream ended")
    served.goes_on()


def test_a_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(served):
    """The handler that read it fails."""
    with connect(served.server) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")
    served.goes_on()


def test_many_clients_that_go_away_leave_nothing_open(served):
    """No connection, and no descriptor."""
    server = served.server
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    served.goes_on()
    before = len(list(descriptors.iterdir()))
    for _ in range(50):
        with connect(server) as connection:
            connection.sendall(b"GET /hit HTTP/1.1\r\nHost: x\r\n")
    eventually(lambda: len(list(descriptors.iterdir())) <= before, "the connections are closed")
    served.goes_on()


def connect(server):
    """A connection that is reset when it is closed."""
    connection = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return connection
