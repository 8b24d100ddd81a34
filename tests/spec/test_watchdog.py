"""The watchdog names whoever keeps the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading

from support.inside import an_object

from perdure import DurableObject
from perdure._base.observer import Observer

SLOW_MS = 20


class Watching(Observer):
    """Lets the blocked code go on when it has been reported."""

    def __init__(self):
        self.reports = []
        self.reported = threading.Event()

    def step_blocked(self, live, method, place, stack, blocked_s):
        self.reports.append((live.label, method, place, stack, blocked_s))
        self.reported.set()


class Room(DurableObject):
    async def block(self):
        self.helper()

    def helper(self):
        assert self.env.REPORTED.wait(10)  # the line

    async def block_in_task(self):
        async def in_task():
            assert self.env.REPORTED.wait(10)

        await asyncio.create_task(in_task())

    async def sleep(self):
        await asyncio.sleep(SLOW_MS * 4 / 1000)

    async def count(self, n):
        sql = self.ctx.storage.sql
        query = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT max(i) AS m FROM n"
        while not self.env.REPORTED.is_set():
            sql.exec(query, n).one()


def line_of(text):
    with open(__file__) as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


async def test_a_step_that_blocks_is_named():
    """Object, method, file and line; the code that the class called counts as its own."""
    observer = Watching()
    async with an_object(
        Room, "home", observer=observer, slow_ms=SLOW_MS, env={"REPORTED": observer.reported}
    ) as stub:
        await stub.block()
    label, method, place, stack, blocked_s = observer.reports[0]
    assert label == "Room(home)"
    assert method == "block"
    assert place == f"{__file__}:{line_of('# the line')}"
    assert f'{__file__}", line {line_of("# the line")}' in stack
    assert blocked_s >= SLOW_MS / 1000


async def test_a_long_step_is_told_once():
    """Not every few milliseconds."""
    observer = Watching()
    async with an_object(
        Room, observer=observer, slow_ms=SLOW_MS, env={"REPORTED": observer.reported}
    ) as stub:
        await stub.block()
        await stub.sleep()
    assert len(observer.reports) == 1


async def test_a_task_of_an_object_is_named_too():
    """By its function."""
    observer = Watching()
    async with an_object(
        Room, observer=observer, slow_ms=SLOW_MS, env={"REPORTED": observer.reported}
    ) as stub:
        await stub.block_in_task()
    assert observer.reports[0][1] == "in_task"


async def test_slow_statements_are_told_as_any_code():
    """SQL runs on the loop."""
    observer = Watching()
    async with an_object(
        Room, observer=observer, slow_ms=SLOW_MS, env={"REPORTED": observer.reported}
    ) as stub:
        await asyncio.wait_for(stub.count(300_000), 20)
    assert observer.reports[0][1] == "count"
    assert observer.reports[0][2].startswith(__file__)


async def test_waiting_is_not_blocking():
    """An await gives the loop to others."""
    observer = Watching()
    async with an_object(
        Room, observer=observer, slow_ms=SLOW_MS, env={"REPORTED": observer.reported}
    ) as stub:
        await asyncio.gather(stub.sleep(), stub.sleep())
    assert observer.reports == []


async def test_zero_turns_it_off():
    """No thread is started."""
    async with an_object(Room, slow_ms=0):
        assert not [thread for thread in threading.enumerate() if thread.name == "perdure-watchdog"]
    async with an_object(Room, slow_ms=SLOW_MS):
        assert [thread for thread in threading.enumerate() if thread.name == "perdure-watchdog"]
    assert not [thread for thread in threading.enumerate() if thread.name == "perdure-watchdog"]


async def test_the_log_says_what_to_do(caplog):
    """It proposes a thread."""
    released = threading.Event()

    class Release(logging.Handler):
        def emit(self, record):
            released.set()

    handler = Release()
    logging.getLogger("perdure").addHandler(handler)
    try:
        with caplog.at_level(logging.WARNING, "perdure"):
            async with an_object(Room, "home", slow_ms=SLOW_MS, env={"REPORTED": released}) as stub:
                await stub.block()
    finally:
        logging.getLogger("perdure").removeHandler(handler)
    (record,) = [record for record in caplog.records if record.name == "perdure"]
    text = record.getMessage()
    assert text.startswith("Room(home) has blocked the event loop for ")
    assert "in block() at " in text
    assert "asyncio.to_thread" in text
