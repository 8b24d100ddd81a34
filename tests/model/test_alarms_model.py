"""Alarms do what one remembered time does, whatever the order of calls, evictions and restarts (ALM, TXN-13)."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from typing import Any

import pytest
from conftest import run
from hypothesis import given, settings
from hypothesis import strategies as st
from support.inside import Unsynced, inside, settled

from perdure import AlarmInfo, DurableObject, Runtime
from perdure.testing import evict_durable_object
from perdure.testing.clock import ManualClock

pytestmark = pytest.mark.rows("ALM-01", "ALM-04", "ALM-06", "ALM-08", "ALM-11", "TXN-13")

START = 1_000_000
seconds = st.integers(-5, 40)
steps = st.one_of(
    st.tuples(st.just("set"), seconds),
    st.tuples(st.just("set_to"), seconds),
    st.tuples(st.just("delete")),
    st.tuples(st.just("delete_all")),
    st.tuples(st.just("roll_back"), seconds),
    st.tuples(st.just("undo_delete")),
    st.tuples(st.just("set_and_abort"), seconds),
    st.tuples(st.just("again"), st.integers(1, 20)),
    st.tuples(st.just("pass"), st.integers(1, 60)),
    st.tuples(st.just("evict")),
    st.tuples(st.just("restart"), st.integers(0, 60)),
)


class Noting(DurableObject):
    """Notes what runs, and when."""

    async def alarm(self, info: AlarmInfo) -> None:
        now_s = self.ctx._live.host.clock.time_s()
        self.env.RUNS.append((round(info.scheduled_time.timestamp()), round(now_s)))
        if self.env.AGAIN:
            await self.ctx.storage.set_alarm(timedelta(seconds=self.env.AGAIN.pop(0)))


class Model:
    """One object's alarm as plain numbers."""

    def __init__(self) -> None:
        self.now = START
        self.due: int | None = None
        self.again: list[int] = []
        self.runs: list[tuple[int, int]] = []

    def fire(self) -> None:
        """Run what is due, as long as something is."""
        while self.due is not None and self.due <= self.now:
            self.runs.append((self.due, self.now))
            self.due = self.now + self.again.pop(0) if self.again else None

    def set(self, when: int) -> None:
        self.due = max(when, self.now)


class Pair:
    """The object and its model, side by side."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.model = Model()
        self.runs: list[tuple[int, int]] = []
        self.again: list[int] = []

    async def start(self) -> None:
        self.clock = ManualClock(self.model.now)
        self.runtime = Runtime(
            objects=[Noting],
            data=self.folder,
            disk=Unsynced(),
            clock=self.clock,
            idle_s=1e9,
            env={"RUNS": self.runs, "AGAIN": self.again},
        )
        await self.runtime.start()
        self.stub = self.runtime.namespace(Noting).get_by_name("one")
        await self.settle()

    async def settle(self) -> None:
        for _ in range(3):
            self.clock.advance(0)
            await settled(self.runtime)

    async def compare(self) -> None:
        await self.settle()
        self.model.fire()
        due = await inside(self.stub, lambda one: one.ctx.storage.get_alarm())
        assert (None if due is None else round(due.timestamp())) == self.model.due
        assert self.runs == self.model.runs

    async def do(self, name: str, *arguments: Any) -> None:
        await getattr(self, f"do_{name}")(*arguments)

    async def do_set(self, delay: int) -> None:
        await inside(self.stub, lambda one: one.ctx.storage.set_alarm(timedelta(seconds=delay)))
        self.model.set(self.model.now + delay)

    async def do_set_to(self, place: int) -> None:
        await inside(self.stub, lambda one: one.ctx.storage.set_alarm(START + place))
        self.model.set(START + place)

    async def do_delete(self) -> None:
        await inside(self.stub, lambda one: one.ctx.storage.delete_alarm())
        self.model.due = None

    async def do_delete_all(self) -> None:
        await inside(self.stub, lambda one: one.ctx.storage.delete_all())
        self.model.due = None

    async def do_roll_back(self, delay: int) -> None:
        async def change(one: Any) -> None:
            async def closure(txn: Any) -> None:
                await txn.set_alarm(timedelta(seconds=delay))
                txn.rollback()

            await one.ctx.storage.transaction(closure)

        await inside(self.stub, change)

    async def do_undo_delete(self) -> None:
        def change(one: Any) -> None:
            try:
                with one.ctx.storage.transaction_sync():
                    one.ctx.storage.delete_alarm()
                    raise KeyError
            except KeyError:
                pass

        await inside(self.stub, change)

    async def do_set_and_abort(self, delay: int) -> None:
        def change(one: Any) -> None:
            one.ctx.storage.set_alarm(timedelta(seconds=delay))
            one.ctx.abort("stop")

        with pytest.raises(Exception, match="stop"):
            await inside(self.stub, change)

    async def do_again(self, delay: int) -> None:
        self.again.append(delay)
        self.model.again.append(delay)

    async def do_pass(self, length: int) -> None:
        end = self.model.now + length
        while self.model.now < end:
            due = end if self.model.due is None else min(end, self.model.due)
            self.clock.advance(due - self.model.now)
            self.model.now = due
            await self.compare()

    async def do_evict(self) -> None:
        await inside(self.stub, lambda _: None)
        await evict_durable_object(self.stub)

    async def do_restart(self, down: int) -> None:
        await self.runtime.stop()
        self.model.now += down
        await self.start()


@settings(max_examples=80)
@given(st.lists(steps, min_size=1, max_size=25))
def test_alarms_are_those_of_the_model(story: list[Any]) -> None:
    """Each runs once, at its time or as soon after as the process runs, and what is told of it is true."""

    async def told(folder: str) -> None:
        pair = Pair(folder)
        await pair.start()
        try:
            for name, *arguments in story:
                await pair.do(name, *arguments)
                await pair.compare()
        finally:
            await pair.runtime.stop()

    with tempfile.TemporaryDirectory(prefix="perdure-model-") as folder:
        run(told(folder))
