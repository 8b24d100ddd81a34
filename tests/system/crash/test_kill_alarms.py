"""`kill -9` around alarms, in real time: none is lost, none is early, what was not completed runs again.

PERDURE_CRASH_ROUNDS sets how often (3 in the normal run), PERDURE_CRASH_SEED which run it is; the seed is printed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import httpx
import pytest
from cli_process import Perdure

ROUNDS = int(os.environ.get("PERDURE_CRASH_ROUNDS", "3"))
CHAINS = 15

APP = """
import asyncio, os, signal, time
from datetime import timedelta
from perdure import DurableObject, Response, WorkerEntrypoint

class Clock(DurableObject):
    async def set(self, delay_s, mode):
        await self.ctx.storage.put("mode", mode)
        await self.ctx.storage.set_alarm(timedelta(seconds=delay_s))
        return (await self.ctx.storage.get_alarm()).timestamp()

    async def state(self):
        alarm = await self.ctx.storage.get_alarm()
        return {
            "runs": await self.ctx.storage.get("runs", []),
            "alarm": None if alarm is None else alarm.timestamp(),
        }

    async def alarm(self, info):
        storage = self.ctx.storage
        mode = await storage.get("mode")
        runs = await storage.get("runs", [])
        due = info.scheduled_time.timestamp()
        await storage.put("runs", [*runs[-50:], [self.ctx.id.name, due, time.time(), info.retry_count]])
        if mode == "chain":
            await storage.set_alarm(timedelta(milliseconds=20))
        if mode == "killed" and not runs:
            await storage.sync()  # the work is done and durable; the alarm is not completed
            os.kill(os.getpid(), signal.SIGKILL)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        _, name, method, *args = request.url.split("/", 3)[3].split("/")
        args = [float(args[0]), args[1]] if args else []
        return Response.json(await getattr(self.env.CLOCK.get_by_name(name), method)(*args))
"""


@pytest.fixture
def serve(tmp_path):
    """Start the process on the one data folder, anew after each kill."""
    (tmp_path / "app.py").write_text(APP)
    return lambda: Perdure("serve", "app.py", "--port", 0, "--data", "data", cwd=tmp_path)


def ask(process, name, *rest):
    return (
        httpx.get("/".join([process.url, "o", name, *map(str, rest)]), timeout=30, verify=False)
        .raise_for_status()
        .json()
    )


def wait_for(process, name, condition):
    """Return the object's state as soon as the condition holds."""
    deadline_s = time.monotonic() + 30
    while not condition(state := ask(process, name, "state")):
        assert time.monotonic() < deadline_s, state
        threading.Event().wait(0.02)
    return state


def kill(process):
    process.signal(signal.SIGKILL)
    process.wait()


@pytest.mark.rows("ALM-06", "ALM-10")
def test_an_alarm_set_before_a_kill_runs_after_the_start(serve):
    """At its time, if that has not come, or at once; under the object's name, and never before."""
    with serve() as process:
        late = ask(process, "late", "set", 0.1, "once")
        early = ask(process, "early", "set", 2.5, "once")
        kill(process)
    with serve() as process:
        for name, due in (("late", late), ("early", early)):
            state = wait_for(process, name, lambda state: state["runs"])
            ((of, scheduled, began, retries),) = state["runs"]
            assert (of, scheduled, retries) == (name, due, 0)
            assert began >= due
            assert state["alarm"] is None


@pytest.mark.rows("ALM-16")
def test_an_alarm_killed_between_its_work_and_its_completion_runs_again(serve):
    """At least once: the work that was done is still there, and no try is used up."""
    with serve() as process:
        ask(process, "x", "set", 0.1, "killed")
        assert process.wait() == -signal.SIGKILL
    with serve() as process:
        state = wait_for(process, "x", lambda state: len(state["runs"]) == 2)
        first, second = state["runs"]
        assert first[1] == second[1]
        assert second[3] == 0
        assert wait_for(process, "x", lambda state: state["alarm"] is None)["runs"] == [first, second]


def test_alarms_that_set_themselves_again_never_stop(serve):
    """Whenever the process is killed, each object has its next alarm: a chain that breaks once is broken for good."""
    seed = int(os.environ.get("PERDURE_CRASH_SEED", random.randrange(10**6)))
    print(f"PERDURE_CRASH_SEED={seed}")
    chance = random.Random(seed)
    names = [f"chain {number}" for number in range(CHAINS)]
    with serve() as process:
        for name in names:
            ask(process, name, "set", 0.01, "chain")
        kill(process)
    for _ in range(ROUNDS):
        with serve() as process:
            assert process.url
            threading.Event().wait(chance.uniform(0, 0.7))  # the moment of the kill is what is tried here
            kill(process)
    with serve() as process:
        for name in names:
            before = ask(process, name, "state")
            last = before["runs"][-1][1] if before["runs"] else 0.0
            after = wait_for(
                process, name, lambda state, last=last: state["runs"] and state["runs"][-1][1] > last
            )
            assert all(began >= due for _, due, began, _ in after["runs"])
