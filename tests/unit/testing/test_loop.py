"""The simulated loop: virtual time, an order that a seed decides, and an end to what would never end."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from perdure import DurableObject, Runtime
from perdure.testing.clock import VirtualClock
from perdure.testing.disk import SimulatedDisk
from perdure.testing.loop import AWAITED_S_MAX, Deadlock, SimulatedLoop, simulate

DAY_S = 86_400.0


class Desk(DurableObject):
    """Does what the tests ask, and tells the order of its steps."""

    async def add(self):
        value = self.ctx.storage.kv.get("n", 0)
        await asyncio.sleep(1)
        self.ctx.storage.kv["n"] = value + 1
        return value + 1

    async def hold(self):
        async def for_ever():
            await asyncio.get_running_loop().create_future()

        await self.ctx.block_concurrency_while(for_ever)

    async def start_daily(self):
        self.ctx.storage.kv["runs"] = 0
        self.ctx.storage.set_alarm(timedelta(days=1))

    async def alarm(self):
        self.ctx.storage.kv["runs"] += 1
        self.ctx.storage.set_alarm(timedelta(days=1))

    async def runs(self):
        return self.ctx.storage.kv["runs"]


def on_objects(test, *, seed, tmp_path, **options):
    """Run `test(runtime)` on a simulated loop, clock and disk."""

    async def run():
        runtime = Runtime(
            [Desk],
            data=tmp_path,
            disk=SimulatedDisk(str(tmp_path)),
            clock=VirtualClock(1.9e9),
            slow_ms=0,
            **options,
        )
        async with runtime:
            return await test(runtime)

    return simulate(run(), seed=seed)


def test_time_jumps_to_the_next_timer():
    """A month of sleep takes no time."""

    async def run():
        began_s = time.monotonic()
        await asyncio.sleep(30 * DAY_S)
        return time.monotonic() - began_s, asyncio.get_running_loop().time()

    real_s, virtual_s = simulate(run())
    assert virtual_s == 30 * DAY_S
    assert real_s < 60


def test_advance_runs_every_timer_at_its_own_moment():
    """Also one that is set meanwhile."""

    async def run():
        loop = asyncio.get_running_loop()
        seen = []

        def tick():
            seen.append(loop.time())
            loop.call_later(10, tick)

        loop.call_later(10, tick)
        await loop.advance(35)
        return seen, loop.time()

    assert simulate(run()) == ([10, 20, 30], 35)


def test_time_does_not_go_back():
    async def run():
        await asyncio.get_running_loop().advance(-1)

    with pytest.raises(ValueError, match="cannot go back"):
        simulate(run())


def test_held_time_moves_only_when_told():
    async def run():
        loop = asyncio.get_running_loop()
        loop.is_held = True
        await loop.advance(5)
        assert loop.time() == 5
        await asyncio.sleep(1)

    with pytest.raises(Deadlock, match=r"time is held.* 1 s from now"):
        simulate(run())


def test_until_idle_lets_no_time_pass():
    async def run():
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: None)
        steps = []

        async def work():
            for number in range(5):
                steps.append(number)
                await asyncio.sleep(0)

        task = asyncio.create_task(work())
        await loop.until_idle()
        return steps, task.done(), loop.time()

    assert simulate(run(), seed=1) == ([0, 1, 2, 3, 4], True, 0)


def test_until_idle_waits_for_work_of_threads():
    async def run():
        loop = asyncio.get_running_loop()
        loop.slow_s = 2.0
        job = asyncio.ensure_future(asyncio.to_thread(lambda: 7))
        await loop.until_idle()
        return job.done() and job.result()

    assert simulate(run()) == 7


def test_work_for_threads_runs_on_the_loop_and_finds_none():
    async def run():
        def work():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return threading.get_ident()

        return await asyncio.to_thread(work) == threading.get_ident()

    assert simulate(run())


def test_a_failure_of_work_for_threads_reaches_its_caller():
    async def run():
        await asyncio.to_thread(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        simulate(run())


def test_another_thread_may_still_wake_the_loop():
    async def run():
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        reader, writer = await asyncio.open_connection(*await serving())
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set))
        thread.start()
        thread.join()
        await done.wait()
        writer.write(b"x")
        told = await reader.read(1)
        writer.close()
        return told

    async def serving():
        async def echo(reader, writer):
            writer.write(await reader.read(1))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        return server.sockets[0].getsockname()

    assert simulate(run(), seed=3) == b"x"


# --- the order -------------------------------------------------------------------------------------------


def tasks_in_order(seed):
    async def run():
        seen = []

        async def work(name):
            for number in range(4):
                seen.append((name, number))
                await asyncio.sleep(0)

        await asyncio.gather(*(work(name) for name in "abc"))
        return tuple(seen)

    return simulate(run(), seed=seed)


def test_without_a_seed_the_order_is_asyncios():
    assert tasks_in_order(None) == tuple((name, number) for number in range(4) for name in "abc")


def test_the_same_seed_gives_the_same_order():
    assert all(tasks_in_order(seed) == tasks_in_order(seed) for seed in range(20))


def test_other_seeds_give_other_orders():
    assert len({tasks_in_order(seed) for seed in range(20)}) > 15


def test_each_task_keeps_its_own_order():
    for seed in range(20):
        for name in "abc":
            assert [number for who, number in tasks_in_order(seed) if who == name] == [0, 1, 2, 3]


def test_callbacks_stay_in_the_order_in_which_they_were_asked_for():
    async def run():
        seen = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_soon(seen.append, number)
        await loop.until_idle()
        return seen

    assert all(simulate(run(), seed=seed) == list(range(20)) for seed in range(20))


SEEN = []


class Noting(DurableObject):
    async def note(self, number):
        SEEN.append((self.ctx.id.name, number))
        await asyncio.sleep(0)
        SEEN.append((self.ctx.id.name, number + 100))


def noted(seed, tmp_path):
    async def run():
        SEEN.clear()
        disk = SimulatedDisk(str(tmp_path))
        async with Runtime(
            [Noting], data=tmp_path, disk=disk, clock=VirtualClock(1.9e9), slow_ms=0
        ) as runtime:
            stubs = [runtime.env.NOTING.get_by_name(name) for name in "abc"]
            await asyncio.gather(*(stub.note(number) for number in range(3) for stub in stubs))
        return tuple(SEEN)

    return simulate(run(), seed=seed)


def test_events_of_one_object_begin_in_order_and_those_of_several_interleave(tmp_path):
    orders = {noted(seed, tmp_path) for seed in range(20)}
    assert len(orders) > 10
    for order in orders:
        for name in "abc":
            own = [number for who, number in order if who == name]
            assert own == [0, 1, 2, 100, 101, 102]


# --- time in objects -------------------------------------------------------------------------------------


@pytest.mark.rows("TEST-11")
def test_thirty_days_of_alarms(tmp_path):
    async def test(runtime):
        desk = runtime.env.DESK.get_by_name("a")
        await desk.start_daily()
        await asyncio.get_running_loop().advance(30 * DAY_S + 1)
        return await desk.runs()

    assert on_objects(test, seed=1, tmp_path=tmp_path) == 30


def test_sleep_inside_an_object_is_virtual(tmp_path):
    """And what others do meanwhile shows: two calls read the same value."""

    async def test(runtime):
        desk = runtime.env.DESK.get_by_name("a")
        answers = await asyncio.gather(desk.add(), desk.add())
        return sorted(answers), asyncio.get_running_loop().time() >= 1

    assert on_objects(test, seed=1, tmp_path=tmp_path) == ([1, 1], True)


# --- what never ends --------------------------------------------------------------------------------------


def test_a_deadlock_tells_every_task_and_where_it_waits():
    async def run():
        never = asyncio.get_running_loop().create_future()

        async def waiting_for_nothing():
            await never

        await asyncio.gather(waiting_for_nothing(), waiting_for_nothing())

    with pytest.raises(Deadlock) as told:
        simulate(run())
    text = str(told.value)
    assert text.startswith("deadlock: nothing is ready, no timer is set, and no I/O is waited for.")
    assert (
        text.count(
            "in test_a_deadlock_tells_every_task_and_where_it_waits.<locals>.run.<locals>.waiting_for_nothing"
        )
        == 2
    )
    assert "outside of objects" in text


def test_a_held_gate_is_told_with_who_holds_it(tmp_path):
    async def test(runtime):
        loop = asyncio.get_running_loop()
        desk = runtime.env.DESK.get_by_name("a")
        calls = [asyncio.ensure_future(desk.hold())]
        await loop.until_idle()
        calls.append(asyncio.ensure_future(desk.runs()))
        loop.is_held = True
        await asyncio.wait(calls)

    with pytest.raises(Deadlock) as told:
        on_objects(test, seed=1, tmp_path=tmp_path)
    text = str(told.value)
    assert "in Desk(a), waits for the input gate:" in text
    assert "in Desk.hold.<locals>.for_ever" in text
    assert "Desk(a): its input gate is held by a critical section of Task-" in text
    assert "1 wait for it" in text


def test_what_is_awaited_for_ever_ends_though_timers_go_on():
    """Else a daily alarm would keep the test running until the end of time."""

    async def run():
        loop = asyncio.get_running_loop()

        def daily():
            loop.call_later(DAY_S, daily)

        daily()
        await loop.create_future()

    with pytest.raises(Deadlock, match="what is awaited does not come"):
        simulate(run())


def test_advance_may_go_as_far_as_it_likes():
    async def run():
        await asyncio.get_running_loop().advance(3 * AWAITED_S_MAX)
        return asyncio.get_running_loop().time()

    assert simulate(run()) == 3 * AWAITED_S_MAX


def test_a_loop_can_be_closed_with_work_left():
    loop = SimulatedLoop(1)
    loop.call_soon(lambda: None)
    loop.run_until_complete(asyncio.sleep(1))
    loop.call_soon(lambda: None)
    loop.close()


def test_timers_of_the_same_moment_run_in_the_order_in_which_they_were_set():
    async def main() -> list[int]:
        ran: list[int] = []
        for number in range(20):
            asyncio.get_running_loop().call_later(1.0, ran.append, number)
        await asyncio.sleep(2)
        return ran

    assert simulate(main()) == list(range(20))
