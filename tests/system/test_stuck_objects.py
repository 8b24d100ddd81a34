"""SIGTERM and Ctrl-C end `perdure serve` whatever its objects do."""

from __future__ import annotations

import signal
import time

import pytest
from cli_process import Perdure, eventually, in_thread

from perdure._cli.exits import STUCK
from perdure._cli.guard import SILENCE_S

DRAIN_S = 0.2
APP = """\
import asyncio, time
from perdure import DurableObject, Response, WorkerEntrypoint

async def refuse_to_end():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

class Room(DurableObject):
    async def write(self):
        self.ctx.storage.kv["n"] = n = self.ctx.storage.kv.get("n", 0) + 1
        return n

    async def waits(self):
        await asyncio.Event().wait()

    async def refuses_to_end(self):
        await refuse_to_end()

    async def keeps_a_section(self):
        await self.ctx.block_concurrency_while(refuse_to_end)

    async def leaves_a_task(self):
        self.task = asyncio.create_task(refuse_to_end())
        await self.task

    async def sleeps(self):
        time.sleep(3600)

    async def loops(self):
        while True:
            pass

    async def selects(self):
        self.ctx.storage.sql.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n").one()

    async def fetch(self, request):
        async def pieces():
            yield b"begun"
            await refuse_to_end()
        return Response(pieces())

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        room = self.env.ROOM.get_by_name("x")
        method = request.path.removeprefix("/")
        if method == "streams":
            print("streams began", flush=True)
            return await room.fetch(request)
        print(method, "began", flush=True)
        return Response(str(await getattr(room, method)()))
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def serve(app, data="data"):
    return Perdure("serve", "--port", "0", "--drain", str(DRAIN_S), "--data", data, cwd=app)


@pytest.mark.parametrize("how", ["waits", "refuses_to_end", "keeps_a_section", "leaves_a_task", "streams"])
def test_a_stuck_object_does_not_keep_the_process(app, how):
    """Exit code 0, soon after the time to drain; the next process finds what was confirmed."""
    with serve(app) as server:
        assert server.get("write").text == "1"
        in_thread(server.get, how)
        server.wait_for(f"{how} began")
        began_s = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - began_s < DRAIN_S + SILENCE_S
    with serve(app) as server:
        assert server.get("write").text == "2"


def test_an_object_that_keeps_the_event_loop_does_not_keep_the_process(app):
    """Not in Python, not in SQLite; who it was is told, and what was confirmed is there."""
    with serve(app, "1") as sleeps, serve(app, "2") as loops, serve(app, "3") as selects:
        servers = {"sleeps": sleeps, "loops": loops, "selects": selects}
        for how, server in servers.items():
            assert server.get("write").text == "1"
            in_thread(server.get, how)
            server.wait_for(f"{how} began")
            server.wait_for(r"has blocked the event loop")
            server.signal(signal.SIGTERM)
        for how, server in servers.items():
            assert server.wait() == STUCK
            server.wait_for(rf"the event loop does not answer: {how}\(\) at \S+app\.py:\d+ keeps it")
    with serve(app, "3") as server:
        assert server.get("write").text == "2"


def test_a_second_ctrl_c_ends_a_process_whose_loop_is_kept(app):
    """At once: the time to drain does not count."""
    with Perdure("serve", "--port", "0", "--drain", "600", cwd=app) as server:
        in_thread(server.get, "selects")
        server.wait_for("has blocked the event loop")
        # Two at one moment may be one to the system.
        eventually(lambda: server.signal(signal.SIGINT) or server.process.poll() is not None, "the end")
        assert server.wait() in {130, -signal.SIGINT}


def test_signals_still_end_a_process_in_order(app):
    """With nothing in the way, at once."""
    with serve(app) as server:
        assert server.get("write").text == "1"
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "does not answer" not in server.output
