"""Group commit: one write in flight, the rest joins the next."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest
from support.log import settle

from perdure._storage.journal.committer import Committer
from perdure._storage.journal.worker import Inline, Worker


class ByHand:
    """Work that is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple] = []

    def submit(self, function):
        future: Future = Future()
        self.waiting.append((function, future))
        return future

    def finish(self) -> None:
        function, future = self.waiting.pop(0)
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    def stop(self) -> None:
        pass


class Log:
    def __init__(self, work) -> None:
        self.work = work
        self.written: list[list] = []
        self.settled: list = []
        self.error: Exception | None = None
        self.failure: Exception | None = None
        self.committer = Committer(work, self.write, self.settle)

    def write(self, commits):
        self.written.append(list(commits))
        if self.error is not None:
            raise self.error
        return len(commits)

    def settle(self, commits, result, error):
        self.settled.append((list(commits), result, error))
        return self.failure


async def test_commits_of_one_turn_of_the_loop_are_one_batch():
    log = Log(ByHand())
    for commit in "abc":
        log.committer.add(commit)
    assert log.work.waiting == []
    await settle()
    log.work.finish()
    await settle()
    assert log.written == [["a", "b", "c"]]


async def test_only_one_batch_is_in_flight():
    """What is appended meanwhile goes together when it has come back."""
    log = Log(ByHand())
    log.committer.add("a")
    await settle()
    log.committer.add("b")
    await settle()
    log.committer.add("c")
    await settle()
    assert len(log.work.waiting) == 1
    log.work.finish()
    await settle()
    assert len(log.work.waiting) == 1
    log.work.finish()
    assert log.written == [["a"], ["b", "c"]]


async def test_a_commit_is_settled_after_its_own_write_only():
    """A commit appended while the disk syncs may or may not be covered by that sync, so it waits for the next."""
    log = Log(ByHand())
    log.committer.add("a")
    await settle()
    log.committer.add("b")
    log.work.finish()
    await settle()
    assert log.settled == [(["a"], 1, None)]


async def test_what_the_write_raised_is_settled_too():
    log = Log(ByHand())
    log.error = OSError(5, "broken")
    log.committer.add("a")
    await settle()
    log.work.finish()
    await settle()
    assert log.settled == [(["a"], None, log.error)]


async def test_flush_with_nothing_appended_returns_at_once():
    log = Log(ByHand())
    await log.committer.flush()


async def test_flush_waits_for_what_was_appended_before_it():
    log = Log(ByHand())
    log.committer.add("a")
    await settle()
    in_flight = asyncio.ensure_future(log.committer.flush())
    await settle()
    log.committer.add("b")
    gathered = asyncio.ensure_future(log.committer.flush())
    await settle()
    assert not in_flight.done()
    log.work.finish()
    await settle()
    assert in_flight.done()
    assert not gathered.done()
    log.work.finish()
    await settle()
    assert gathered.done()


async def test_flush_right_after_a_batch_came_back_returns():
    """The committer has not yet noticed that nothing is left to do."""
    log = Log(Inline())
    log.committer.add("a")
    await log.committer.flush()
    await asyncio.wait_for(log.committer.flush(), 5)


async def test_flush_raises_what_became_of_the_commits():
    log = Log(Inline())
    log.failure = ValueError("full")
    log.committer.add("a")
    with pytest.raises(ValueError, match="full"):
        await log.committer.flush()


async def test_a_flush_that_is_cancelled_takes_nothing_with_it():
    log = Log(ByHand())
    log.committer.add("a")
    first, second = (asyncio.ensure_future(log.committer.flush()) for _ in range(2))
    await settle()
    first.cancel()
    log.work.finish()
    await settle()
    assert second.done()
    assert not second.cancelled()
    assert log.settled == [(["a"], 1, None)]


async def test_commits_that_settling_takes_out_are_not_written():
    """A full disk drops what its stores have built on the lost commits."""
    log = Log(ByHand())
    log.committer.add("a")
    await settle()
    log.committer.add("b")
    flush = asyncio.ensure_future(log.committer.flush())
    await settle()
    log.committer.gathered.clear()
    log.work.finish()
    await settle()
    assert log.written == [["a"]]
    assert flush.done()
    log.committer.add("c")
    await settle()
    log.work.finish()
    assert log.written == [["a"], ["c"]]


async def test_a_worker_writes_in_its_own_thread_in_order():
    log = Log(Worker("test"))
    for commit in range(100):
        log.committer.add(commit)
        if commit % 7 == 0:
            await asyncio.sleep(0)
    await log.committer.flush()
    log.work.stop()
    assert [commit for batch in log.written for commit in batch] == list(range(100))


def test_a_loop_that_was_closed_meanwhile_is_no_error():
    """A program may end without closing its runtime."""
    work = ByHand()

    async def leave() -> None:
        Log(work).committer.add("a")
        await settle()

    asyncio.run(leave())
    work.finish()
