"""A checker that cannot fail is no checker: each deliberate mistake in the engine is caught within some seeds."""

from __future__ import annotations

import asyncio
import re

import pytest
from simulation.story import play

from perdure._alarms import scheduler
from perdure._base.handover import Handover
from perdure._engine import alarms
from perdure._engine.host import Space
from perdure._gates.input import InputGate
from perdure._sockets.roster import Roster
from perdure._storage import metadata
from perdure._storage.journal import recovery
from perdure._storage.journal.writer import Writer
from perdure._storage.output_gate import OutputGate
from perdure.object_stub import ObjectCapability

SEEDS_MAX = 60
"""Each mistake is caught by one of the first few of them; how many that takes changes with every change of a story."""


def confirms_before_the_sync(patch):
    """A batch counts as durable when it is written."""
    real = Writer.write

    def write(self, commits):
        sync, self._disk.datasync = self._disk.datasync, lambda fd: None
        try:
            return real(self, commits)
        finally:
            self._disk.datasync = sync

    patch.setattr(Writer, "write", write)


def skips_the_output_gate(patch):
    """What leaves an object waits for nothing."""
    patch.setattr(OutputGate, "is_open", property(lambda self: True))


def lets_streams_leave_early(patch):
    """What a generator yields waits for nothing."""
    real = Handover.next

    async def next(self):
        self._maker = None
        return await real(self)

    patch.setattr(Handover, "next", next)


def skips_the_input_gate(patch):
    """A critical section keeps nobody out."""
    patch.setattr(InputGate, "admits", lambda self, section, yielded: True)


def replays_out_of_order(patch):
    """Recovery lets the oldest form of a page win."""
    real = recovery._plan
    patch.setattr(recovery, "_plan", lambda layout, batches: real(layout, batches[::-1]))


def drops_the_alarm_write(patch):
    """The journal is not told of an alarm that was set."""
    real = metadata.set_alarm

    def set_alarm(store, *args, **options):
        real(store, *args, **options)
        store.tells_alarm = False

    patch.setattr(metadata, "set_alarm", set_alarm)


def forgets_the_torn_tail(patch):
    """Recovery believes what it reads, whatever its checksum."""
    patch.setattr(recovery, "is_intact", lambda header, batch: len(batch) == header.size_bytes)


def rings_early(patch):
    """Alarms run when their time has nearly come."""
    for module in (scheduler, alarms):
        real = module.clock_ms
        patch.setattr(module, "clock_ms", lambda now_s, real=real: real(now_s) + 20)


def lets_calls_overtake(patch):
    """One call in three is delivered a moment later."""
    real = ObjectCapability._deliver
    count = 0

    def deliver(self, event):
        nonlocal count
        count += 1
        if count % 3:
            real(self, event)
        else:
            asyncio.get_running_loop().call_later(0.001, real, self, event)

    patch.setattr(ObjectCapability, "_deliver", deliver)


def leaves_the_journal_open(patch):
    """A runtime that stops does not close its segment."""
    patch.setattr(Writer, "close", lambda self: None)


def forgets_attachments(patch):
    """What is kept with a socket goes with the instance."""
    real = Roster.hibernate

    def hibernate(self):
        real(self)
        for end in self._sockets:
            end.attachment = None

    patch.setattr(Roster, "hibernate", hibernate)


def makes_a_second_instance(patch):
    """One look-up in ten does not find an object that is in memory."""
    real = Space.live
    count = 0

    def live(self, object_id, name):
        nonlocal count
        count += 1
        if not count % 10:
            self.lives.pop(object_id, None)
        return real(self, object_id, name)

    patch.setattr(Space, "live", live)


MISTAKES = {
    confirms_before_the_sync: "heard of .*row",
    skips_the_output_gate: "heard of .*row",
    lets_streams_leave_early: "heard of .*row",
    skips_the_input_gate: "runs in section|half of a transaction|does not follow the first half",
    replays_out_of_order: "heard of|is not what follows|DataFolderError|the head is",
    drops_the_alarm_write: "never came",
    forgets_the_torn_tail: "heard of|is not what follows|DataFolderError|malformed",
    rings_early: "the alarm of .* runs at",
    lets_calls_overtake: "came after call",
    makes_a_second_instance: "runs beside instance",
    leaves_the_journal_open: "left: open file",
    forgets_attachments: "message .* came as number",
}


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_caught(mistake, monkeypatch):
    """For what it is, by the rule that it breaks."""
    mistake(monkeypatch)
    for seed in range(SEEDS_MAX):
        if any(re.search(MISTAKES[mistake], text) for text in play(seed).violations):
            return
    pytest.fail(f"{SEEDS_MAX} seeds have not caught it")
