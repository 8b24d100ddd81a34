"""A connection that is written to by a task: what waits for it."""

from __future__ import annotations

import asyncio

from perdure import WebSocketPair
from perdure._sockets.carrier import Carrier


class Stuck(Carrier):
    """To somebody who neither takes nor says anything."""

    async def receive(self):
        await asyncio.Event().wait()

    async def send(self, data):
        await asyncio.Event().wait()

    async def send_close(self, code, reason):
        raise AssertionError("nobody takes it")


async def test_what_a_slow_side_did_not_take_is_let_go_when_it_is_closed(monkeypatch):
    """It would else be kept as long as that side stays there, and takes nothing."""
    monkeypatch.setattr("perdure._sockets.carrier.WEBSOCKET_BUFFER_BYTES", 1000)
    one, other = WebSocketPair()
    ends = []
    one.add_event_listener("close", lambda event: ends.append(event.code))
    one.accept()
    carrier = Stuck()
    running = asyncio.ensure_future(carrier.run(other._end))
    one.send("the one under way")
    for _ in range(5):
        await asyncio.sleep(0)
    for _ in range(100):
        one.send("x" * 100)
    async with asyncio.timeout(5):
        while not ends:
            await asyncio.sleep(0)
    assert ends == [1013]
    assert [said[0] for said in carrier._unsent] == [1013]
    running.cancel()
