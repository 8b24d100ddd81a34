"""Outcomes that the engine must hand on whatever they are: odd errors, callers who gave up, long streams."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from support.held_disk import HeldDisk
from support.inside import Plain, an_object, begin, inside, live_of

from perdure import DurableObject, Response, Runtime
from perdure.errors import ObjectReset


class Empty(DurableObject):
    """Takes the first of no rows."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        next(ctx.storage.sql.exec("SELECT 1 WHERE 0"))

    def ping(self):
        return "pong"


async def test_a_constructor_that_raises_stop_iteration_fails_its_calls():
    """No future takes a StopIteration, and every waiting call hears of a failure (LIFE-03)."""
    async with an_object(Empty) as stub:
        calls = [stub.ping(), stub.ping()]
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
    assert [type(outcome) for outcome in outcomes] == [RuntimeError, RuntimeError]
    assert outcomes[0].durable_object_reset


async def test_a_call_given_up_before_it_left_holds_nothing_back():
    """It waits for its caller's writes, is cancelled meanwhile, and its object is reset: the caller's answer comes."""
    disk = HeldDisk()
    async with Runtime(objects=[Plain], disk=disk) as runtime:
        namespace = runtime.namespace(Plain)
        caller, other = namespace.get_by_name("caller"), namespace.get_by_name("other")
        kept = namespace.get_by_name("other")
        with pytest.raises(TypeError):
            await kept.no_such_method()
        live_of(other).abort(ObjectReset("gone"))

        async def give_up(instance):
            instance.ctx.storage.kv.put("n", 1)
            call = kept.no_such_method()
            call.cancel()
            return "answer"

        with disk.held():
            answer = begin(caller, give_up)
            await asyncio.sleep(0.05)
            assert not answer.done()
        assert await asyncio.wait_for(answer, 10) == "answer"


async def test_commits_that_wrote_nothing_are_forgotten_once_durable():
    """Also when commits before and after them became durable in one batch."""

    def nothing(instance):
        instance.ctx.storage.sql.exec("UPDATE t SET a = 1 WHERE 0")

    async with an_object() as stub:
        await inside(stub, lambda instance: instance.ctx.storage.sql.exec("CREATE TABLE t (a)") and None)
        for number in range(10):
            await asyncio.gather(
                inside(stub, lambda instance, n=number: instance.ctx.storage.kv.put("n", n)),
                inside(stub, nothing),
                inside(stub, lambda instance, n=number: instance.ctx.storage.kv.put("n", -n)),
                inside(stub, nothing),
            )
        store = live_of(stub).used_store
        await inside(stub, lambda instance: instance.ctx.storage.kv.put("n", "last"))
        assert store.is_durable
        assert store._empty == set()


variable: ContextVar[str] = ContextVar("variable", default="")


class Streams(DurableObject):
    """Answers with streams whose code keeps something from chunk to chunk."""

    async def fetch(self, request):
        return Response(getattr(self, request.url.rpartition("/")[2])())

    async def transaction(self):
        async with self.ctx.storage.transaction():
            yield "a"
            self.ctx.storage.kv.put("n", 1)
            yield "b"

    async def context(self):
        token = variable.set("c")
        yield "a"
        yield variable.get()
        variable.reset(token)


@pytest.mark.parametrize(("kind", "text"), [("transaction", "ab"), ("context", "ac")])
async def test_a_stream_keeps_its_context_from_chunk_to_chunk(kind, text):
    """A transaction, or a context variable, lasts over the yields of a generator."""
    async with an_object(Streams) as stub:
        response = await stub.fetch(f"http://object/{kind}")
        assert await asyncio.wait_for(response.text(), 10) == text
