"""Cloudflare's helpers for tests, by their names in snake_case (TEST-01…08)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from support.inside import attempt, until
from support.kit_app import Counter, Default, Room

from perdure import ObjectReset, PerdureError, Runtime, testing


@asynccontextmanager
async def an_app(**options: Any) -> AsyncIterator[testing.Perdure]:
    async with testing.runtime(Counter, Room, Default, **options) as app:
        yield app


# --- run_in_durable_object ---------------------------------------------------------------------------------


@pytest.mark.rows("TEST-01")
async def test_code_of_a_test_runs_in_the_object_with_its_instance_and_ctx():
    """`runInDurableObject(stub, (instance, state) => R)` gives the real instance and ctx (TEST-01)."""
    async with an_app() as app:
        stub = app.env.COUNTER.get_by_name("a")
        await stub.hit()
        seen = await testing.run_in_durable_object(
            stub, lambda instance, ctx: (instance.in_memory, ctx is instance.ctx, ctx.storage.kv.get("n"))
        )
        assert seen == (1, True, 1)


@pytest.mark.rows("TEST-01")
async def test_code_of_a_test_starts_the_object_if_needed_and_may_return_anything():
    """The object is started if needed; the result need not be serialisable (TEST-01)."""
    async with an_app() as app:
        instance = await testing.run_in_durable_object(
            app.env.COUNTER.get_by_name("new"), lambda instance, ctx: instance
        )
        assert isinstance(instance, Counter)


async def test_code_of_a_test_is_an_event_whose_writes_are_durable_when_it_returns():
    """It runs under the object's gates: what it wrote survives a crash right after it (TEST-01)."""
    async with an_app() as app:

        async def write(instance: Any, ctx: Any) -> None:
            ctx.storage.kv.put("n", 41)
            await asyncio.sleep(0)

        await testing.run_in_durable_object(app.env.COUNTER.get_by_name("a"), write)
        await app.crash()
        assert await app.env.COUNTER.get_by_name("a").hit() == 42


async def test_code_of_a_test_raises_what_it_raised_and_leaves_the_object_alive():
    async with an_app() as app:
        stub = app.env.COUNTER.get_by_name("a")
        await stub.hit()
        with pytest.raises(KeyError, match="missing"):
            await testing.run_in_durable_object(stub, lambda instance, ctx: {}["missing"])
        assert await stub.hits_in_memory() == 1


async def test_a_helper_for_one_object_refuses_what_is_no_stub():
    async with an_app() as app:
        with pytest.raises(
            TypeError, match=r"run_in_durable_object\(\) takes the stub of an object.*Namespace"
        ):
            await testing.run_in_durable_object(app.env.COUNTER, lambda instance, ctx: None)


# --- alarms and ids ----------------------------------------------------------------------------------------


@pytest.mark.rows("TEST-02")
async def test_an_alarm_runs_at_once_and_is_gone():
    """`runDurableObjectAlarm` runs and removes a scheduled alarm; false if there is none (TEST-02)."""
    async with an_app() as app:
        stub = app.env.COUNTER.get_by_name("a")
        assert await testing.run_durable_object_alarm(stub) is False
        await stub.set_alarm()
        assert await testing.run_durable_object_alarm(stub) is True
        assert await testing.run_in_durable_object(stub, lambda _, ctx: ctx.storage.kv.get("alarmed")) is True
        assert await testing.run_durable_object_alarm(stub) is False


@pytest.mark.rows("TEST-03")
async def test_ids_are_listed_of_what_is_stored_and_of_what_is_in_memory():
    """`listDurableObjectIds(namespace)`: the ids created so far, names first (TEST-03)."""
    async with an_app() as app:
        counters = app.env.COUNTER
        unnamed = counters.get(counters.new_unique_id())
        await unnamed.hit()
        for name in ("b", "a"):
            await counters.get_by_name(name).hit()
        await counters.get_by_name("only in memory").hits_in_memory()
        listed = testing.list_durable_object_ids(counters)
        assert [id.name for id in listed] == ["a", "b", "only in memory", None]
        assert listed[0].equals(counters.id_from_name("a"))
        assert listed[3].equals(unnamed.id)
        assert testing.list_durable_object_ids(app.env.ROOM) == []


# --- evictions ---------------------------------------------------------------------------------------------


@pytest.mark.rows("TEST-05", "LIFE-24")
async def test_an_evicted_object_loses_its_memory_and_keeps_its_data():
    """`evictDurableObject(stub)`: storage kept, memory dropped, the constructor runs again next time (TEST-05)."""
    async with an_app() as app:
        stub = app.env.COUNTER.get_by_name("a")
        await stub.hit()
        await testing.evict_durable_object(stub)
        assert await stub.hits_in_memory() == 0
        assert await stub.hit() == 2


@pytest.mark.rows("TEST-05")
async def test_what_is_not_in_memory_cannot_be_evicted():
    """Not running: "Cannot evict Durable Object: it is not currently running." (TEST-05)."""
    async with an_app() as app:
        with pytest.raises(PerdureError, match="^Cannot evict Durable Object: it is not currently running.$"):
            await testing.evict_durable_object(app.env.COUNTER.get_by_name("a"))


@pytest.mark.rows("TEST-05")
@pytest.mark.parametrize("everything", [False, True])
async def test_an_eviction_lets_sockets_hibernate_or_closes_them(everything: bool):
    """`webSockets: "hibernate" | "close"`; hibernation is the default (TEST-05)."""
    async with an_app() as app:
        room = app.env.ROOM.get_by_name("a")
        ws = await app.websocket("/room/a")

        async def evict(**how: Any) -> None:
            await (
                testing.evict_all_durable_objects(app, **how)
                if everything
                else testing.evict_durable_object(room, **how)
            )

        await evict()
        await ws.send("still there?")
        assert await ws.receive() == "still there?"
        await evict(websockets="close")
        assert await ws.wait_closed() == (1001, "")
        with pytest.raises(ValueError, match='"hibernate" or "close"; got \'drop\''):
            await evict(websockets="drop")


@pytest.mark.rows("TEST-05")
async def test_the_bulk_form_needs_no_runtime_and_skips_what_is_not_in_memory():
    """`evictAllDurableObjects()` (TEST-05)."""
    async with an_app() as app:
        stubs = [app.env.COUNTER.get_by_name(name) for name in "ab"]
        for stub in stubs:
            await stub.hit()
        await testing.evict_all_durable_objects()
        await testing.evict_all_durable_objects()
        assert [await stub.hits_in_memory() for stub in stubs] == [0, 0]


# --- the end of everything ---------------------------------------------------------------------------------


@pytest.mark.rows("TEST-06")
async def test_aborting_all_objects_fails_their_calls_and_keeps_what_is_stored():
    """`abortAllDurableObjects()` (TEST-06)."""
    async with an_app() as app:
        stub = app.env.COUNTER.get_by_name("a")
        await stub.hit()
        call = asyncio.ensure_future(stub.write_and_wait())
        ws = await app.websocket("/room/a")
        await asyncio.sleep(0)
        testing.abort_all_durable_objects()
        assert isinstance(await attempt(call), ObjectReset)
        assert (await ws.wait_closed())[0] == 1006
        assert await app.env.COUNTER.get_by_name("a").hits_in_memory() == 0


@pytest.mark.rows("TEST-06")
async def test_deleting_all_objects_takes_their_data_and_alarms():
    """`deleteAllDurableObjects()`: also storage and alarms (TEST-06)."""
    async with an_app(strict=True) as app:
        await app.env.COUNTER.get_by_name("a").hit()
        await app.env.COUNTER.get_by_name("b").set_alarm()
        await testing.delete_all_durable_objects()
        assert testing.list_durable_object_ids(app.env.COUNTER) == []
        assert await app.env.COUNTER.get_by_name("a").hit() == 1
        assert await testing.run_durable_object_alarm(app.env.COUNTER.get_by_name("b")) is False


@pytest.mark.rows("TEST-09")
async def test_a_reset_brings_the_runtime_back_to_its_start():
    """Storage isolation inside one test (TEST-09)."""
    async with an_app(strict=True) as app:
        await app.env.COUNTER.get_by_name("a").fail_later()
        await until(lambda: app.logs)
        await app.env.COUNTER.get_by_name("a").set_alarm()
        ws = await app.websocket("/room/a")
        app.outbound.get("https://api.example.com/price").respond(json=1)
        await testing.reset()
        assert await app.env.COUNTER.get_by_name("a").hit() == 1
        assert not ws.is_open
        with pytest.raises(testing.NetworkRefused):
            await app.env.COUNTER.get_by_name("a").price()
        await testing.reset()


async def test_without_a_test_runtime_a_helper_for_all_objects_wants_one():
    with pytest.raises(PerdureError, match="No test runtime is running"):
        testing.abort_all_durable_objects()
    async with Runtime(objects=[Counter]) as runtime:
        stub = runtime.namespace(Counter).get_by_name("a")
        await stub.hit()
        testing.abort_all_durable_objects(runtime)
        with pytest.raises(ObjectReset):
            await stub.hit()


async def test_of_several_test_runtimes_a_helper_for_all_objects_must_be_told_which():
    async with an_app() as one, an_app():
        with pytest.raises(PerdureError, match="2 test runtimes are running: say which one"):
            await testing.reset()
        await testing.reset(one)


# --- workers -----------------------------------------------------------------------------------------------


@pytest.mark.rows("TEST-07")
async def test_a_worker_can_be_made_with_a_context_and_waited_for():
    """`createExecutionContext()`, `waitOnExecutionContext(ctx)` (TEST-07)."""
    async with an_app() as app:
        ctx = testing.create_execution_context(props={"who": "me"})
        worker = Default(ctx, app.env)
        done: list[str] = []

        async def later() -> None:
            await asyncio.sleep(0)
            done.append(ctx.props["who"])

        ctx.wait_until(later())
        assert worker.ctx.exports.Counter is app.exports.Counter
        await testing.wait_on_execution_context(ctx)
        assert done == ["me"]


@pytest.mark.rows("TEST-07")
async def test_waiting_on_a_context_raises_what_its_work_raised():
    """Also where no runtime is (TEST-07)."""
    ctx = testing.create_execution_context()

    async def fail() -> None:
        raise LookupError("gone")

    ctx.wait_until(fail())
    with pytest.raises(LookupError, match="gone"):
        await testing.wait_on_execution_context(ctx)


@pytest.mark.rows("TEST-08")
async def test_a_scheduled_controller_is_what_a_worker_gets():
    """`createScheduledController({ scheduledTime?, cron? })` (TEST-08)."""
    async with an_app() as app:
        controller = testing.create_scheduled_controller(
            scheduled_time=datetime(2030, 1, 1, tzinfo=UTC), cron="0 3 * * *"
        )
        ctx = testing.create_execution_context()
        await Default(ctx, app.env).scheduled(controller)
        await testing.wait_on_execution_context(ctx)
        assert (controller.scheduled_time.year, controller.cron) == (2030, "0 3 * * *")
        assert [id.name for id in testing.list_durable_object_ids(app.env.COUNTER)] == ["0 3 * * *"]
    assert testing.create_scheduled_controller().scheduled_time.tzinfo is UTC
    with pytest.raises(ValueError, match="must be aware"):
        testing.create_scheduled_controller(scheduled_time=datetime(2030, 1, 1))
