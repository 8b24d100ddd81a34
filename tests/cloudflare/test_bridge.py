"""`run_sync` in handlers: of workers, of objects under their gates, and in the tasks that they start."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextvars import Context, ContextVar

import pytest
from support.inside import Plain, an_object, attempt, begin, inside, until
from support.loops import on_both_loops

from perdure import DurableObject, Runtime, StorageError
from perdure._cloudflare import bridge
from perdure._cloudflare.bridge import can_run_sync, run, run_sync


@pytest.fixture(autouse=True)
def _on():
    bridge.turn_on()
    yield
    bridge.turn_off()


async def later(value):
    await asyncio.sleep(0)
    return value


# --- what can wait -----------------------------------------------------------------------------------------


@pytest.mark.members("pyodide.ffi.run_sync")
@on_both_loops
async def test_a_plain_handler_waits_for_a_coroutine():
    def handler(number):
        return run_sync(later(number)) + run_sync(later(1))

    assert await run(handler, 41) == 42


async def test_an_async_handler_may_call_plain_code_that_waits():
    async def handler():
        before = await later(1)
        return [before, run_sync(later(2)), await later(3)]

    assert await run(handler) == [1, 2, 3]


async def test_what_run_sync_waits_for_may_use_run_sync_itself():
    async def inner():
        return run_sync(later(1)) + await later(1)

    assert await run(lambda: run_sync(inner())) == 2


@pytest.mark.parametrize("kind", ["future", "task", "awaitable"])
async def test_anything_that_can_be_awaited_will_do(kind):
    loop = asyncio.get_running_loop()

    class Awaitable:
        def __await__(self):
            return later("it").__await__()

    def handler():
        if kind == "future":
            waited = loop.create_future()
            loop.call_soon(waited.set_result, "it")
        else:
            waited = loop.create_task(later("it")) if kind == "task" else Awaitable()
        return run_sync(waited)

    assert await run(handler) == "it"


@on_both_loops
async def test_the_tasks_of_a_handler_can_wait_as_well():
    def part(number):
        return run_sync(later(number))

    async def each(number):
        return part(number)

    async def handler():
        return await asyncio.gather(*[each(number) for number in range(3)])

    assert await run(handler) == [0, 1, 2]


async def test_a_handler_can_wait_in_whichever_task_it_is_run():
    """Also if another handler made it, and gave it to a task that has nothing of its own context."""

    async def handler():
        inner = run(lambda: run_sync(later("it")))
        return await asyncio.get_running_loop().create_task(inner, context=Context())

    assert await run(handler) == "it"


async def test_tasks_outside_of_handlers_stay_as_they_are():
    await run(later, 1)

    async def outside():
        return can_run_sync()

    assert await asyncio.get_running_loop().create_task(outside(), context=Context()) is False


async def test_others_go_on_while_a_plain_function_waits():
    told = []
    event = asyncio.Event()

    async def other():
        told.append("other")
        event.set()

    def handler():
        told.append("before")
        run_sync(event.wait())
        told.append("after")

    await asyncio.gather(run(handler), other())
    assert told == ["before", "other", "after"]


# --- errors, cancellation, context -------------------------------------------------------------------------


async def test_an_error_of_the_awaited_is_raised_by_run_sync():
    async def fails():
        await asyncio.sleep(0)
        raise LookupError("no such thing")

    def handler():
        try:
            run_sync(fails())
        except LookupError as error:
            return str(error)

    assert await run(handler) == "no such thing"


async def test_an_error_of_the_handler_reaches_who_called_it():
    def handler():
        run_sync(later(1))
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await run(handler)


async def test_a_timeout_cuts_a_plain_function_short():
    reached = []

    def handler():
        try:
            run_sync(asyncio.Event().wait())
        finally:
            reached.append(asyncio.current_task() is task)

    async def bounded():
        async with asyncio.timeout(0):
            await run(handler)

    task = asyncio.ensure_future(bounded())
    with pytest.raises(TimeoutError):
        await task
    assert reached == [True]


async def test_context_variables_that_a_handler_sets_stay_set():
    variable = ContextVar("variable", default="unset")

    async def inner():
        await asyncio.sleep(0)
        variable.set(variable.get() + "+inner")

    def handler():
        variable.set("handler")
        run_sync(inner())

    await run(handler)
    assert variable.get() == "handler+inner"


async def test_a_handler_that_nobody_finishes_is_closed_with_its_finally():
    closed = []

    def handler():
        try:
            run_sync(asyncio.Event().wait())
        finally:
            closed.append(True)

    coro = run(handler)
    coro.send(None)
    coro.close()
    assert closed == [True]


async def test_a_task_that_is_cancelled_before_it_begins_leaves_no_warning(recwarn):
    async def handler():
        task = asyncio.ensure_future(later(1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await run(handler)
    gc.collect()
    assert not recwarn.list


# --- where nothing can wait --------------------------------------------------------------------------------


@pytest.mark.members("pyodide.ffi.can_run_sync")
async def test_outside_of_a_handler_it_says_where_it_works():
    assert not can_run_sync()
    with pytest.raises(RuntimeError, match="works in handlers of workers and durable objects"):
        run_sync(later(1))


async def test_in_another_thread_it_says_where_it_works():
    def handler():
        raised = []

        def call():
            try:
                run_sync(later(1))
            except RuntimeError as error:
                raised.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return raised

    (text,) = await run(handler)
    assert "other threads" in text


async def test_what_cannot_be_awaited_is_named():
    with pytest.raises(TypeError, match=r"run_sync\(\) takes an awaitable .*, not 42"):
        await run(lambda: run_sync(42))


async def test_without_greenlet_the_error_has_the_command_that_installs_it(monkeypatch):
    bridge.turn_off()
    monkeypatch.setitem(sys.modules, "greenlet", None)
    monkeypatch.setattr(bridge, "find_spec", lambda name: None)
    bridge.turn_on()

    def handler():
        return can_run_sync(), run_sync(later(1))

    with pytest.raises(RuntimeError, match=r"pip install 'perdure\[cloudflare\]'"):
        await run(handler)


async def test_without_the_bridge_a_handler_is_called_as_it_is():
    bridge.turn_off()
    assert await run(lambda number: number, 1) == 1
    assert await run(later, 2) == 2


# --- in an object ------------------------------------------------------------------------------------------


class Counter(DurableObject):
    async def add(self, number):
        total = await self.ctx.storage.get("total", 0) + number
        self.ctx.storage.put("total", total)
        return total


async def test_a_plain_method_of_an_object_calls_another_object():
    async with Runtime(objects=[Plain, Counter]) as runtime:
        counter = runtime.namespace(Counter).get_by_name("c")
        plain = runtime.namespace(Plain).get_by_name("p")

        def method(instance):
            instance.ctx.storage.put("seen", [run_sync(counter.add(1)), run_sync(counter.add(2))])
            return run_sync(instance.ctx.storage.get("seen"))

        assert await inside(plain, lambda instance: run(method, instance)) == [1, 3]


async def test_other_events_are_delivered_while_a_plain_method_waits():
    """As at an `await` (GATE-01): the step ended when the method began to wait."""
    async with an_object() as stub:
        event = asyncio.Event()
        told = []

        def waits(instance):
            told.append("begins")
            run_sync(event.wait())
            told.append("goes on")

        first = begin(stub, lambda instance: run(waits, instance))
        await inside(stub, lambda instance: told.append("other"))
        event.set()
        await first
        assert told == ["begins", "other", "goes on"]


async def test_what_a_plain_method_wrote_is_committed_when_it_waits():
    """A step ends at `run_sync`, and its writes are one commit: what resets the object later does not undo them."""
    async with Runtime(objects=[Plain]) as runtime:

        def writes(instance):
            instance.ctx.storage.put("a", 1)
            run_sync(asyncio.sleep(0))
            instance.ctx.storage.put("b", 2)
            instance.ctx.abort("enough")

        namespace = runtime.namespace(Plain)
        await attempt(inside(namespace.get_by_name("p"), lambda instance: run(writes, instance)))
        found = await inside(namespace.get_by_name("p"), lambda instance: instance.ctx.storage.list())
        assert found == {"a": 1}


async def test_a_critical_section_holds_back_others_while_it_waits():
    async with an_object() as stub:
        told = []
        event = asyncio.Event()

        def section():
            told.append("section begins")
            run_sync(event.wait())
            told.append("section ends")

        async def blocks(instance):
            await instance.ctx.block_concurrency_while(lambda: run(section))

        first = begin(stub, blocks)
        second = begin(stub, lambda instance: told.append("other"))
        await until(lambda: told)
        event.set()
        await asyncio.gather(first, second)
        assert told == ["section begins", "section ends", "other"]


async def test_a_synchronous_transaction_that_waits_is_undone_and_says_so():
    async with an_object() as stub:

        def method(instance):
            def transaction():
                instance.ctx.storage.kv.put("a", 1)
                run_sync(asyncio.sleep(0))

            instance.ctx.storage.transaction_sync(transaction)

        with pytest.raises(StorageError):
            await inside(stub, lambda instance: run(method, instance))
        assert await inside(stub, lambda instance: instance.ctx.storage.kv.get("a")) is None


async def test_the_tasks_of_an_object_wait_under_its_gates():
    async with an_object() as stub:

        async def part(instance, number):
            run_sync(asyncio.sleep(0))
            instance.ctx.storage.put(str(number), number)
            return run_sync(instance.ctx.storage.get(str(number)))

        async def method(instance):
            return await asyncio.gather(*[part(instance, number) for number in range(3)])

        assert await inside(stub, lambda instance: run(method, instance)) == [0, 1, 2]


async def test_the_code_of_an_object_that_was_aborted_goes_no_further():
    async with an_object() as stub:
        told = []
        event = asyncio.Event()

        def waits(instance):
            run_sync(event.wait())
            told.append("went on")

        first = begin(stub, lambda instance: run(waits, instance))
        await attempt(inside(stub, lambda instance: instance.ctx.abort("enough")))
        event.set()
        assert isinstance(await attempt(first), Exception)
        await asyncio.sleep(0)
        assert told == []
