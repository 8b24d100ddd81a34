"""The input gate by itself: sections, their order, and who is admitted."""

from __future__ import annotations

import asyncio

import pytest

from perdure._gates.input import InputGate, Section, SectionFuture, effective


class Log:
    """Sections that note when they start."""

    def __init__(self) -> None:
        self.gate = InputGate()
        self.started: list[str] = []

    def enter(self, name: str, parent: Section | None = None) -> Section:
        section = Section(parent, lambda: self.started.append(name))
        self.gate.enter(section)
        return section


async def tick() -> None:
    await asyncio.sleep(0)


async def test_an_open_gate_admits_everybody():
    """Without a section nothing waits."""
    gate = InputGate()
    assert gate.active is None
    assert gate.admits(None)
    assert gate.admits(Section(None, lambda: None))


async def test_a_section_starts_at_once_when_nothing_is_open():
    """`enter` calls `start` before it returns."""
    log = Log()
    section = log.enter("a")
    assert log.started == ["a"]
    assert log.gate.active is section


async def test_only_code_of_the_open_section_is_admitted():
    """Everything outside waits."""
    log = Log()
    section = log.enter("a")
    assert log.gate.admits(section)
    assert not log.gate.admits(None)
    assert not log.gate.admits(Section(None, lambda: None))


async def test_sections_of_one_level_run_in_the_order_asked_for():
    """The next starts when the one before has handed back."""
    log = Log()
    a = log.enter("a")
    b = log.enter("b")
    log.enter("c")
    assert log.started == ["a"]
    log.gate.leave(a)
    await tick()
    assert log.started == ["a", "b"]
    log.gate.leave(b)
    await tick()
    assert log.started == ["a", "b", "c"]


async def test_a_nested_section_holds_back_its_parent():
    """The innermost open section alone runs."""
    log = Log()
    outer = log.enter("outer")
    inner = log.enter("inner", outer)
    assert log.started == ["outer", "inner"]
    assert log.gate.admits(inner)
    assert not log.gate.admits(outer)
    assert not log.gate.admits(None)
    log.gate.leave(inner)
    await tick()
    assert log.gate.active is outer
    assert log.gate.admits(outer)
    assert not log.gate.admits(None)


async def test_depth_counts_sections_from_outside():
    """The outermost section has depth 1."""
    outer = Section(None, lambda: None)
    assert (outer.depth, Section(outer, lambda: None).depth) == (1, 2)


async def test_between_the_end_and_the_opening_only_the_one_who_awaited_is_admitted():
    """The handover moment belongs to the step that the section's future resumes (GATE-13)."""
    log = Log()
    section = log.enter("a")
    future = SectionFuture()
    future.section = section
    log.gate.leave(section)
    assert log.gate.admits(None, future)
    assert not log.gate.admits(None)
    assert not log.gate.admits(None, SectionFuture())
    assert not log.gate.admits(None, asyncio.get_running_loop().create_future())
    await tick()
    assert log.gate.admits(None)


async def test_waiters_are_woken_in_the_order_in_which_they_came():
    """FIFO (GATE-02)."""
    log = Log()
    section = log.enter("a")
    woken: list[int] = []

    async def wait(number: int) -> None:
        await log.gate.wait(None)
        assert log.gate.active is log.gate.opening, "who comes now is behind those who waited"
        woken.append(number)
        log.gate.go_on()  # as the driver does after the step

    tasks = [asyncio.create_task(wait(number)) for number in range(5)]
    await tick()
    log.gate.leave(section)
    await asyncio.gather(*tasks)
    assert woken == [0, 1, 2, 3, 4]
    assert log.gate.active is None


async def test_a_section_goes_before_the_waiters():
    """A section about to start is served first (GATE-02)."""
    log = Log()
    a = log.enter("a")
    waiting = log.gate.wait(None)
    b = log.enter("b")
    log.gate.leave(a)
    await tick()
    assert log.started == ["a", "b"]
    assert not waiting.done()
    log.gate.leave(b)
    await tick()
    assert waiting.done()


async def test_a_nested_sections_end_wakes_code_of_the_parent_only():
    """Who waits outside goes on waiting."""
    log = Log()
    outer = log.enter("outer")
    inner = log.enter("inner", outer)
    inside, outside = log.gate.wait(outer), log.gate.wait(None)
    log.gate.leave(inner)
    await tick()
    assert inside.done()
    assert not outside.done()
    log.gate.leave(outer)
    await tick()
    assert outside.done()


async def test_a_waiter_that_was_cancelled_is_passed_over():
    """Its future is done already."""
    log = Log()
    section = log.enter("a")
    gone, there = log.gate.wait(None), log.gate.wait(None)
    gone.cancel()
    log.gate.leave(section)
    await tick()
    assert there.done()


async def test_code_of_a_finished_section_belongs_to_its_parent():
    """Stragglers are adopted (GATE-16)."""
    outer = Section(None, lambda: None)
    inner = Section(outer, lambda: None)
    inner.finished = True
    assert effective(inner) is outer
    outer.finished = True
    assert effective(inner) is None


async def test_a_section_asked_for_by_a_straggler_is_its_parents():
    """It queues where the parent's sections do."""
    log = Log()
    outer = log.enter("outer")
    inner = log.enter("inner", outer)
    log.gate.leave(inner)
    await tick()
    late = log.enter("late", inner)
    assert log.started == ["outer", "inner", "late"]
    assert late.parent is outer


async def test_sections_that_nobody_waited_for_run_after_the_one_that_asked():
    """A section asked for inside another, whose code then ends, still has its turn."""
    log = Log()
    outer = log.enter("outer")
    first = log.enter("first", outer)
    log.enter("second", outer)
    log.gate.leave(outer)  # while `first` is open and `second` in line
    await tick()
    assert log.gate.active is first
    log.gate.leave(first)
    await tick()
    assert log.started == ["outer", "first", "second"]


async def test_sections_of_finished_ancestors_all_have_their_turn():
    """At any depth."""
    log = Log()
    a = log.enter("a")
    b = log.enter("b", a)
    c = log.enter("c", b)
    log.enter("in b", b)
    log.enter("in a", a)
    log.enter("outside")
    log.gate.leave(a)
    log.gate.leave(b)
    log.gate.leave(c)
    for _ in range(3):
        await tick()
        assert log.gate.active is not None
        log.gate.leave(log.gate.active)
    await tick()
    assert log.gate.active is None
    assert sorted(log.started[3:]) == ["in a", "in b", "outside"]


async def test_code_that_waits_for_its_own_section_is_woken_when_that_starts():
    """So does a block that was cancelled while it stood in line: it must hear of its turn to give it up."""
    log = Log()
    a = log.enter("a")
    b = log.enter("b")
    waiting = log.gate.wait(b)
    log.gate.leave(a)
    await tick()
    assert waiting.done()


@pytest.mark.parametrize("depth", [1, 5])
async def test_the_gate_is_open_again_after_all_have_left(depth):
    """From the innermost out."""
    log = Log()
    sections: list[Section] = []
    for level in range(depth):
        sections.append(log.enter(str(level), sections[-1] if sections else None))
    for section in reversed(sections):
        log.gate.leave(section)
        await tick()
    assert log.gate.active is None
    assert log.gate.admits(None)
