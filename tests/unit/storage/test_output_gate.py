"""output_gate: what waits for which commit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._storage.output_gate import OutputGate

pytestmark = pytest.mark.rows("GATE-06", "GATE-07", "GATE-09")


class Outputs:
    """Remembers what became of each output."""

    def __init__(self, gate: OutputGate) -> None:
        self.gate = gate
        self.heard: list[tuple[str, BaseException | None]] = []

    def wait(self, name: str, number: int) -> None:
        self.gate.when(number, lambda error: self.heard.append((name, error)))


def test_a_gate_is_open_until_a_commit_is_issued() -> None:
    """A confirmed write closes the gate, its durability opens it."""
    gate = OutputGate()
    states = [gate.is_open]
    gate.issue(1)
    states.append(gate.is_open)
    gate.release(1)
    assert [*states, gate.is_open] == [True, False, True]


def test_an_output_waits_only_for_commits_before_it() -> None:
    """Later writes never delay an output (GATE-07)."""
    gate = OutputGate()
    outputs = Outputs(gate)
    gate.issue(1)
    outputs.wait("first", gate.issued)
    gate.issue(2)
    outputs.wait("second", gate.issued)
    gate.release(1)
    assert outputs.heard == [("first", None)]


def test_an_output_of_an_open_gate_leaves_at_once() -> None:
    """Nothing to wait for: the callback runs within the call."""
    gate = OutputGate(5)
    outputs = Outputs(gate)
    outputs.wait("now", 5)
    assert outputs.heard == [("now", None)]


def test_outputs_leave_in_the_order_in_which_they_came() -> None:
    """Those that wait for one commit, and those for a later one behind them."""
    gate = OutputGate()
    outputs = Outputs(gate)
    gate.issue(2)
    outputs.wait("first", 1)
    outputs.wait("second", 1)
    outputs.wait("third", 2)
    gate.release(2)
    assert [name for name, _ in outputs.heard] == ["first", "second", "third"]


def test_a_sync_of_later_writes_does_not_delay_an_output() -> None:
    """An output waits only for what was written before it (GATE-07, GATE-10)."""
    gate = OutputGate()
    outputs = Outputs(gate)
    gate.issue(1)
    outputs.wait("sync of an unconfirmed write", 2)
    outputs.wait("output", 1)
    gate.release(1)
    assert [name for name, _ in outputs.heard] == ["output"]


async def test_a_callback_that_fails_keeps_nobody_else_waiting() -> None:
    """It is reported to the loop, and those behind it hear."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: failures.append(context["exception"])
    )
    gate = OutputGate()
    outputs = Outputs(gate)
    gate.issue(1)
    error = ValueError("callback")

    def fail(_: object) -> None:
        raise error

    gate.when(1, fail)
    outputs.wait("behind", 1)
    gate.release(1)
    assert [name for name, _ in outputs.heard] == ["behind"]
    assert failures == [error]


def test_issuing_an_older_commit_changes_nothing() -> None:
    """The gate remembers the highest number."""
    gate = OutputGate()
    gate.issue(3)
    gate.issue(2)
    assert gate.issued == 3


def test_releasing_more_than_was_issued_is_fine() -> None:
    """Unconfirmed commits are released without ever having closed the gate."""
    gate = OutputGate()
    gate.release(4)
    assert (gate.issued, gate.released, gate.is_open) == (4, 4, True)


def test_what_a_callback_issues_is_not_released_with_it() -> None:
    """Code that an output lets run may write at once; its own outputs wait anew."""
    gate = OutputGate()
    outputs = Outputs(gate)
    gate.issue(1)

    def writes(error: BaseException | None) -> None:
        gate.issue(2)
        outputs.wait("later", 2)

    gate.when(1, writes)
    gate.release(1)
    assert outputs.heard == []
    gate.release(2)
    assert outputs.heard == [("later", None)]


def test_a_broken_gate_discards_every_output() -> None:
    """All that wait, and all that come later, get the error (GATE-09)."""
    gate = OutputGate()
    outputs = Outputs(gate)
    error = OSError("lost")
    gate.issue(1)
    outputs.wait("waiting", 1)
    gate.break_(error)
    outputs.wait("later", 0)
    assert outputs.heard == [("waiting", error), ("later", error)]
    assert not gate.is_open


def test_a_broken_gate_releases_nothing() -> None:
    """A commit that turns out durable after all changes nothing, nor does a second error (GATE-09)."""
    gate = OutputGate()
    error = OSError("first")
    gate.issue(1)
    gate.break_(error)
    gate.break_(OSError("second"))
    gate.release(1)
    assert (gate.released, gate.broken) == (0, error)


def test_a_promise_that_is_taken_back_fails_what_waits_for_it_alone() -> None:
    """A turn that is undone fails its own outputs; those of commits before it go on waiting."""
    gate = OutputGate()
    outputs = Outputs(gate)
    error = OSError("undone")
    gate.issue(1)
    outputs.wait("before", 1)
    gate.issue(2)
    outputs.wait("undone", 2)
    gate.take_back(1, error)
    assert (outputs.heard, gate.issued) == ([("undone", error)], 1)
    gate.release(1)
    assert outputs.heard[1:] == [("before", None)]


def test_taking_back_what_was_not_promised_does_nothing() -> None:
    """Nothing waits for it, so nobody hears."""
    gate = OutputGate()
    gate.issue(1)
    gate.take_back(1, OSError())
    assert gate.issued == 1


async def test_waiting_is_a_future() -> None:
    """`wait()` is done when the outputs of this moment may leave."""
    gate = OutputGate()
    gate.issue(1)
    waiting = gate.wait()
    gate.issue(2)
    later = gate.wait(2)
    gate.release(1)
    await waiting
    assert not later.done()
    gate.break_(OSError("lost"))
    with pytest.raises(OSError, match="lost"):
        await later


async def test_a_waiter_that_was_cancelled_is_left_alone() -> None:
    """Opening or breaking the gate is no error for one that no longer waits."""
    gate = OutputGate()
    gate.issue(2)
    first, second = gate.wait(1), gate.wait(2)
    first.cancel()
    second.cancel()
    gate.release(1)
    gate.break_(OSError())
    await asyncio.sleep(0)
    assert first.cancelled()


@given(st.lists(st.one_of(st.just("issue"), st.just("release"), st.just("output")), max_size=30))
def test_no_output_leaves_before_its_commit_and_none_is_kept_after_it(story: list[str]) -> None:
    """Whatever the order of commits, releases and outputs: each leaves exactly when its commit is durable."""
    gate = OutputGate()
    outputs = Outputs(gate)
    number = released = count = 0
    needs: dict[str, int] = {}
    for step in story:
        if step == "issue":
            number += 1
            gate.issue(number)
        elif step == "release":
            released = min(number, released + 1)
            gate.release(released)
        else:
            count += 1
            needs[str(count)] = gate.issued
            outputs.wait(str(count), gate.issued)
        assert gate.released <= gate.issued
        assert [name for name, _ in outputs.heard] == [
            name for name, need in needs.items() if need <= released
        ]
