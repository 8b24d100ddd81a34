"""The development warning about connections that leave before writes are durable."""

from __future__ import annotations

import asyncio
import logging

from perdure import DurableObject, Runtime, confirmed
from perdure._telemetry.unconfirmed import ConnectionWatch


class Caller(DurableObject):
    async def call_out(self, port: int, wait: bool) -> None:
        await self.ctx.storage.put("k", 1)
        if wait:
            await confirmed()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    async def only_connect(self, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


async def _play(play):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with Runtime(objects=[Caller]) as rt:
            await play(rt.namespace(Caller).get_by_name("a"), port)
    finally:
        server.close()


def _run(play, caplog):
    watch = ConnectionWatch()
    with (
        asyncio.Runner(loop_factory=watch.new_event_loop) as runner,
        caplog.at_level(logging.WARNING, "perdure"),
    ):
        runner.run(_play(play))
    return [r.getMessage() for r in caplog.records if "opens a connection" in r.getMessage()]


def test_a_connection_before_durability_is_warned_about_once_a_place(caplog):
    """The warning names the object and the line, once for each place."""

    async def play(stub, port):
        await stub.call_out(port, False)
        await stub.call_out(port, False)

    (message,) = _run(play, caplog)
    assert "Caller(a)" in message
    assert "test_unconfirmed.py:" in message


def test_no_warning_after_confirmed_or_without_writes(caplog):
    """An object that waited, or that wrote nothing, is not warned about."""

    async def play(stub, port):
        await stub.call_out(port, True)
        await stub.only_connect(port)

    assert _run(play, caplog) == []
