"""Behind Debian's nginx, as docs/how-to/deployment.md sets it up."""

import asyncio
import contextlib
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from http_serving import run, serving, until

from perdure._http.forwarded import Proxies
from perdure._http.limits import HttpLimits
from perdure._http.server import bind
from perdure._http.unix import bind_unix
from perdure.web import Response

pytestmark = pytest.mark.foreign

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/deployment.md"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CLIENT = "127.0.0.2"  # every address of 127/8 is this machine's: one by which a client is told from the proxy

CONF = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    {page}
}}
"""


def page_configuration(upstream, port):
    """Return the configuration that the documentation shows, with our places in it."""
    shown = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    replaced = {
        "server unix:/run/perdure/http.sock;": f"server {upstream};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
    }
    for there, ours in replaced.items():
        assert there in shown, there
        shown = shown.replace(there, ours)
    return shown


@contextlib.asynccontextmanager
async def nginx(folder, upstream):
    """Run nginx in front of *upstream*; its port."""
    (sock,) = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    sock.close()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )
    (folder / "nginx.conf").write_text(CONF.format(folder=folder, page=page_configuration(upstream, port)))
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, (await process.stderr.read()).decode()
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                break
        yield port
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def behind_nginx(folder, handle, way="unix", limits=None):
    """Serve *handle* behind nginx, by *way* of a Unix socket or of TCP; the server, and a client of nginx."""
    if way == "unix":
        path = folder / "http.sock"
        sockets, upstream = [bind_unix(str(path), 0o600)], f"unix:{path}"
    else:
        sockets = bind("127.0.0.1", 0)
        upstream = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    transport = httpx.AsyncHTTPTransport(verify=False, local_address=CLIENT)
    async with (
        serving(handle, sockets=sockets, proxies=Proxies("127.0.0.1"), limits=limits) as server,
        nginx(folder, upstream) as port,
        httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", transport=transport) as client,
    ):
        yield server, client


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_url_and_client_are_those_of_the_client(tmp_path, way):
    """Whatever the client says of itself."""

    async def main():
        async def tell(request):
            return Response(f"{request.url} {request.client.host} {request.headers['x-mine']}")

        async with behind_nginx(tmp_path, tell, way) as (_, client):
            for claims in ({}, {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "ftp"}):
                answer = await client.get("/a%20b?c=%C3%A9", headers={"x-mine": "1", **claims})
                assert answer.text == f"{client.base_url}/a%20b?c=%C3%A9 {CLIENT} 1"

    run(main())


def test_a_stream_arrives_as_it_is_made(tmp_path):
    """Nothing waits in the proxy."""

    async def main():
        go = asyncio.Event()

        async def pieces():
            yield b"one"
            await go.wait()
            yield b"two"

        async def handle(request):
            return Response(pieces(), headers={"content-type": "text/event-stream"})

        async with (
            behind_nginx(tmp_path, handle) as (_, client),
            client.stream("GET", "/") as answer,
        ):
            parts = answer.aiter_bytes()
            assert await anext(parts) == b"one"
            go.set()
            assert [part async for part in parts] == [b"two"]

    run(main())


def test_an_upload_arrives_as_it_is_sent(tmp_path):
    """The handler has the first piece before the last exists."""

    async def main():
        arrived = []

        async def handle(request):
            async for piece in request.body:
                arrived.append(piece)
            return Response(b"".join(arrived))

        async def pieces():
            yield b"one"
            await until(lambda: arrived)
            yield b"two"

        async with behind_nginx(tmp_path, handle) as (_, client):
            assert (await client.post("/", content=pieces())).text == "onetwo"

    run(main())


@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_large_bodies_go_both_ways_whole(tmp_path, way):
    """Thirty megabytes."""

    async def main():
        async def handle(request):
            data = await request.bytes()
            return Response(data, headers={"x-hash": hashlib.sha256(data).hexdigest()})

        data = bytes(range(256)) * 120_000
        async with behind_nginx(tmp_path, handle, way) as (_, client):
            answer = await client.post("/", content=data, timeout=60)
            assert answer.headers["x-hash"] == hashlib.sha256(data).hexdigest()
            assert answer.content == data

    run(main())


def test_connections_to_the_server_are_kept(tmp_path):
    """Many requests, one after the other, take one."""

    async def main():
        made = set()

        async def handle(request):
            made.update(server.server.hub.connections)
            return Response("ok")

        async with behind_nginx(tmp_path, handle) as (server, client):
            for _ in range(50):
                assert (await client.get("/")).text == "ok"
        assert len(made) == 1

    run(main())


def test_a_failing_stream_is_no_whole_answer(tmp_path):
    """The client of the proxy can tell too."""

    async def main():
        async def pieces():
            yield b"one"
            await asyncio.sleep(0.02)
            raise ValueError("mid-way")

        async def handle(request):
            return Response(pieces())

        async with behind_nginx(tmp_path, handle) as (_, client):
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/")

    run(main())


def test_a_client_that_leaves_ends_its_stream(tmp_path):
    """nginx hangs up for it."""

    async def main():
        ended = asyncio.Event()

        async def pieces():
            try:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.01)
            finally:
                ended.set()

        async def handle(request):
            return Response(pieces())

        async with behind_nginx(tmp_path, handle) as (_, client):
            async with client.stream("GET", "/") as answer:
                await anext(answer.aiter_bytes())
            await asyncio.wait_for(ended.wait(), 10)

    run(main())


def test_errors_of_the_edge_come_through(tmp_path):
    """413 of the server, not a 502."""

    async def main():
        async def handle(request):
            return Response(str(len(await request.bytes())))

        async with behind_nginx(tmp_path, handle, limits=HttpLimits(body_bytes=1000)) as (_, client):
            assert (await client.post("/", content=b"x" * 1000)).text == "1000"
            answer = await client.post("/", content=b"x" * 1001)
            assert (answer.status_code, answer.text) == (413, "The request body is larger than 1000 bytes.\n")
            assert (await client.get("/cdn-cgi/health")).text == "ok\n"

    run(main())
