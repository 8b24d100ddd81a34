"""The application that is simulated: objects that write down what happens to them, and say how far they have come.

A cell keeps a log. Each row has a digest of all rows before it, so `[n, digest, era]` says all that the cell has written;
whoever hears that, by whatever way, holds a promise. A cell that deletes everything begins a new log later, of another *era*.
Each step of a cell's code tells the `Watch` that it runs.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from simulation.watch import Watch

from perdure import DurableObject, Response, RpcTarget, WebSocketPair, WorkerEntrypoint
from perdure.errors import PerdureError

Head = list[int]
"""Number of the newest row, its digest, and the era of the log."""


class Undo(Exception):
    """Ends a transaction whose writes shall not be there."""


class Default(WorkerEntrypoint):
    """Gives a request for a WebSocket to the cell that it names."""

    async def fetch(self, request):
        return await self.env.CELL.get_by_name(request.url.rpartition("/")[2]).fetch(request)


class Desk(RpcTarget):
    """A place in a cell, which its holder writes from, and whose listener hears what others shout."""

    def __init__(self, cell, listener):
        self.cell, self.listener = cell, listener

    def write(self, op: str) -> Head:
        self.cell.step()
        return self.cell.note(op)

    def dispose(self):
        self.cell.step()
        self.cell.desks.pop(self, None)
        self.listener.dispose()


class Cell(DurableObject):
    watch: Watch

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.name = ctx.id.name
        self.number = self.watch.born(self.name)
        self.alone = ""  # the operation whose critical section is open
        self.is_ringing = False
        self.desks: dict[Desk, None] = {}
        self.make_table()

    def make_table(self) -> None:
        self.ctx.storage.sql.exec(
            "CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, op TEXT, digest INTEGER, careless INTEGER, filler BLOB)"
        )

    # --- writing --------------------------------------------------------------------------------------

    def step(self, within: str = "") -> None:
        """Say that a step begins; *within* is the critical section that it belongs to."""
        self.watch.step(self.name, self.number)
        if self.alone != within:
            self.watch.violation(
                f"{self.name}: a step of {within or 'no section'} runs in section {self.alone}"
            )

    def head(self) -> Head:
        return self.ctx.storage.kv.get("head", [0, 0, 0])

    def note(self, op: str, size: int = 0) -> Head:
        n, digest, era = self.head()
        if not n:
            self.make_table()
            era = self.watch.new_era(self.name)
            digest = beginning(era)
        n, digest = n + 1, chain(digest, op)
        careless = self.ctx.storage.kv.get("careless", 0)
        self.ctx.storage.sql.exec(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)", n, op, digest, careless, filler(op, size)
        )
        self.ctx.storage.kv["head"] = [n, digest, era]
        return [n, digest, era]

    # --- what clients call; the first thing that each does is to write its name down ----------------------

    async def write(self, op: str, size: int, pause_s: float) -> Head:
        self.step()
        self.note(op, size)
        if pause_s:
            await asyncio.sleep(pause_s)
            self.step()
            self.note(f"{op} later")
        return self.head()

    async def read(self, op: str) -> Head:
        self.step()
        return self.head()

    async def careless(self, op: str) -> Head:
        """Nothing waits for this write, and later ones carry it along."""
        self.step()
        self.ctx.storage.put("careless", self.ctx.storage.kv.get("careless", 0) + 1, allow_unconfirmed=True)
        return []

    async def fail(self, op: str) -> Head:
        self.step()
        n, digest, era = self.note(op)
        raise ValueError(f"{n} {digest} {era}")

    async def reset(self, op: str) -> Head:
        self.step()
        self.note(f"{op} undone")
        self.ctx.abort("a client wants it")

    async def transact(self, op: str, pause_s: float) -> Head:
        self.step()
        self.note(op)
        async with self.ctx.storage.transaction():
            self.step()
            self.note(f"{op} first")
            await asyncio.sleep(pause_s)
            self.step()
            self.note(f"{op} second")
        return self.head()

    async def undo(self, op: str, pause_s: float) -> Head:
        self.step()
        self.note(op)
        try:
            async with self.ctx.storage.transaction():
                self.note(f"{op} undone")
                await asyncio.sleep(pause_s)
                raise Undo
        except Undo:
            self.step()
        return self.head()

    async def section(self, op: str, pause_s: float) -> Head:
        self.step()
        self.note(op)

        async def alone():
            self.step()
            self.alone = op
            self.note(f"{op} inside")
            await asyncio.sleep(pause_s)
            self.step(op)
            self.alone = ""

        await self.ctx.block_concurrency_while(alone)
        self.step()
        return self.head()

    async def pass_on(self, op: str, other: str) -> list[Any]:
        """Call another cell, which writes down what it hears of this one."""
        self.step()
        n, digest, era = self.note(op)
        told = f"{op} from {self.name} {n} {digest} {era}"
        theirs = await self.env.CELL.get_by_name(other).write(told, 0, 0)
        self.step()
        return [*self.head(), *theirs]

    async def background(self, op: str, pause_s: float) -> Head:
        self.step()

        async def later():
            await asyncio.sleep(pause_s)
            self.step()
            self.note(f"{op} in the background")

        self.ctx.wait_until(later())
        return self.note(op)

    async def forget(self, op: str, goes_on: bool) -> list[int]:
        """Delete everything, and perhaps begin a new log at once; return its head, and the era that has ended."""
        self.step()
        *_, era = self.head()
        self.watch.forgets(self.name, era)
        self.ctx.storage.delete_all()
        return [*(self.note(op) if goes_on else self.head()), era]

    # --- calls by reference -----------------------------------------------------------------------------

    async def join(self, op: str, listener: Any) -> Desk:
        self.step()
        self.note(op)
        desk = Desk(self, listener.dup())
        self.desks[desk] = None
        return desk

    async def shout(self, op: str) -> Head:
        """Tell everybody at a desk."""
        self.step()
        head = self.note(op)
        for desk in list(self.desks):
            try:
                await desk.listener(head)
            except PerdureError:  # its holder has just gone
                pass
            self.step()
        return head

    async def feed(self, op: str, count: int, pause_s: float):
        """Write rows, and give the head after each."""
        for number in range(count):
            self.step()
            yield self.note(f"{op} row {number}")
            await asyncio.sleep(pause_s)

    # --- alarms ---------------------------------------------------------------------------------------

    async def set_alarm(self, op: str, delay_ms: int, failures: int, pause_s: float) -> Head:
        self.step()
        kv = self.ctx.storage.kv
        kv["due_ms"] = due_ms = int(time.time() * 1000) + delay_ms
        kv["failures"], kv["pause_s"] = failures, pause_s
        self.ctx.storage.set_alarm(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=due_ms))
        return self.note(op)

    async def delete_alarm(self, op: str) -> Head:
        self.step()
        self.ctx.storage.kv["due_ms"] = None
        self.ctx.storage.delete_alarm()
        return self.note(op)

    async def alarm(self, info):
        self.step()
        kv = self.ctx.storage.kv
        due_ms = to_ms(info.scheduled_time)
        self.watch.rings(self.name, due_ms, kv.get("due_ms"), time.time() * 1000)
        self.is_ringing = True
        try:
            self.note(f"alarm {due_ms}")
            if info.retry_count < kv["failures"]:
                raise ValueError("an alarm that fails")
            if kv["pause_s"]:
                await asyncio.sleep(kv["pause_s"])  # meanwhile everything may be deleted
                self.step()
        finally:
            self.is_ringing = False
        self.note(f"alarm {due_ms} done")
        if kv.get("due_ms") == due_ms:
            kv["due_ms"] = None

    # --- WebSockets -----------------------------------------------------------------------------------

    async def fetch(self, request):
        self.step()
        client, server = WebSocketPair()
        self.ctx.accept_websocket(server)
        server.serialize_attachment(0)
        return Response(None, status=101, websocket=client)

    async def websocket_message(self, ws, message):
        """Messages are `<socket> <number>`, counted from 1; the socket remembers how many it has heard."""
        self.step()
        socket, _, number = message.partition(" ")
        heard = (ws.deserialize_attachment() or 0) + 1
        if heard != int(number):
            self.watch.violation(f"{self.name}: message {number} of {socket} came as number {heard}")
        ws.serialize_attachment(heard)
        ws.send(" ".join(map(str, [number, *self.note(f"socket {message}")])))

    async def websocket_close(self, ws, code, reason, was_clean):
        self.step()
        self.note("a socket has gone")

    # --- the account ----------------------------------------------------------------------------------

    async def account(self):
        """Return all that is there."""
        self.step()
        storage = self.ctx.storage
        self.make_table()
        rows = storage.sql.exec("SELECT n, op, digest, careless, filler FROM log ORDER BY n").raw().to_list()
        alarm = storage.get_alarm()
        return {
            "rows": [list(row[:4]) for row in rows],
            "fillers_are_right": all(bytes(row[4]) == filler(row[1], len(row[4])) for row in rows),
            "head": self.head(),
            "careless": storage.kv.get("careless", 0),
            "due_ms": storage.kv.get("due_ms"),
            "alarm_ms": None if await alarm is None else to_ms(await alarm),
            "is_ringing": self.is_ringing,
            "tables": [
                row["name"] for row in storage.sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'")
            ],
        }


def beginning(era: int) -> int:
    """Return the digest of a log without rows."""
    return chain(0, f"era {era}")


def chain(digest: int, op: str) -> int:
    """Return the digest of a log that goes on with *op*."""
    return crc32(op.encode(), digest)


def filler(op: str, size: int) -> bytes:
    """Return *size* bytes that belong to *op* alone."""
    return (op.encode() * (size // len(op) + 1))[:size]


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
