"""The guard over the end of the event loop, without ending this process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest
from support.inside import until

from perdure._cli import exits, guard
from perdure._cli.guard import Guard


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What takes seconds takes moments; signals have a handler, as the server has one, that does nothing."""
    monkeypatch.setattr(guard, "SILENCE_S", 0.05)
    monkeypatch.setattr(guard, "_LOOK_S", 0.01)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class End:
    """Takes the place of `os._exit`."""

    def __init__(self):
        self.code = None
        self.came = threading.Event()

    def __call__(self, code):
        self.code = code
        self.came.set()


async def test_a_loop_that_is_silent_after_the_drain_ends_the_process(caplog):
    """The log names what keeps it."""
    end = End()
    with Guard(0.05, end=end):
        os.kill(os.getpid(), signal.SIGTERM)
        assert end.came.wait(10)  # keeps the loop
    assert end.code == exits.STUCK
    assert "the event loop does not answer" in caplog.text


class Asked:
    """The loop, and how often it was asked whether it answers."""

    def __init__(self):
        self.times = 0
        self._loop = asyncio.get_running_loop()

    def call_soon_threadsafe(self, callback):
        self.times += 1
        self._loop.call_soon_threadsafe(callback)


async def test_a_loop_that_answers_may_take_its_time(monkeypatch):
    """Commits may be slow; nobody is ended for that."""
    monkeypatch.setattr(guard, "SILENCE_S", 10.0)
    end = End()
    with Guard(0.0, end=end) as watching:
        asked = watching._loop = Asked()
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: asked.times > 5)
    assert end.code is None


async def test_without_a_signal_nothing_is_enforced():
    """A loop that is kept while it serves is the watchdog's."""
    end = End()
    with Guard(0.0, end=end):
        assert not end.came.wait(0.2)


async def test_a_second_ctrl_c_ends_at_once():
    """Whatever the time to drain is."""
    end = End()
    with Guard(600.0, end=end):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGINT)
            if end.came.wait(0.1):
                break
    assert end.code == exits.INTERRUPTED


async def test_the_loop_gets_its_signals_all_the_same():
    """uvloop listens to the same file."""
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.set)
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with Guard(600.0, end=End()):
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(heard.wait(), 10)
    assert signal.set_wakeup_fd(before) == before
