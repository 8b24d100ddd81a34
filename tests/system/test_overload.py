"""Overload as a client of `perdure serve` sees it."""

from __future__ import annotations

import pytest
from cli_process import Perdure, in_thread

APP = """\
import asyncio
from perdure import DurableObject, Response, WorkerEntrypoint

class Room(DurableObject):
    async def hold(self):
        self.open = asyncio.Event()
        await self.ctx.block_concurrency_while(self.open.wait)

    async def enter(self):
        return "in"

    async def wait(self):
        await asyncio.Event().wait()

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        room = self.env.ROOM.get_by_name("x")
        match request.path:
            case "/hold":
                self.ctx.wait_until(room.hold())
                return Response("held")
            case "/wait":
                await room.wait()
            case "/enter":
                print("enters", flush=True)
                return Response(await room.enter())
            case _:
                return Response(await self.env.ROOM.get_by_name("another").enter())
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.rows("ERR-13", "GATE-20", "ERR-03")
def test_an_overload_that_nobody_catches_is_a_503_that_says_when_to_come_back(app):
    """Other objects answer meanwhile."""
    with Perdure("serve", "--port", "0", "--queue-events", "1", cwd=app) as server:
        assert server.get("hold").text == "held"
        in_thread(server.get, "enter")
        server.wait_for("enters")
        refused = server.get("enter")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "queued" not in refused.text  # what broke is in the log, not with the client
        server.wait_for(r"Room\(x\) refuses events: Durable Object is overloaded. Too many requests queued\.")
        assert server.get("other").text == "in"


def test_an_event_that_takes_too_long_is_a_failed_request(app):
    """With `--event-timeout`."""
    with Perdure("serve", "--port", "0", "--event-timeout", "0.2", cwd=app) as server:
        assert server.get("wait").status_code == 500
        server.wait_for(r"wait\(\) of Room\(x\) ran longer than the time limit of 0\.2 seconds")
        assert server.get("enter").text == "in"
