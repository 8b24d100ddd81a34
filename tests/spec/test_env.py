"""`env`: EP-07, EP-08."""

from __future__ import annotations

import asyncio
import inspect
import json

import pytest
from support.inside import an_object, inside

import perdure
from perdure import (
    ConfigError,
    DurableObject,
    PerdureError,
    Request,
    Response,
    Runtime,
    WorkerEntrypoint,
    testing,
)
from perdure.environment import Absent, CurrentEnv


class Room(DurableObject):
    async def own(self):
        return self.env

    async def module(self):
        await asyncio.sleep(0)
        return perdure.env.GREETING, list(perdure.env), len(perdure.env), perdure.env["GREETING"]

    async def in_task(self):
        async def read():
            return perdure.env.GREETING

        return await asyncio.create_task(read())


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await asyncio.sleep(0)
        return Response.json([self.env.GREETING, perdure.env.GREETING])


@pytest.mark.rows("EP-07")
async def test_bindings_and_variables_are_attributes_and_items():
    """Strings, and whatever JSON holds."""
    async with Runtime(objects=[Room], env={"GREETING": "hi", "LIMITS": {"seats": [1, 2]}}) as rt:
        env = rt.env
        assert env.GREETING == env["GREETING"] == "hi"
        assert env.LIMITS == {"seats": [1, 2]}
        assert sorted(env) == ["GREETING", "LIMITS", "ROOM"]
        assert len(env) == 3
        assert "ROOM" in env
        assert env.get("NOPE", 5) == 5


@pytest.mark.rows("EP-07")
async def test_worker_and_objects_have_the_same_env():
    """One and the same object."""
    seen = []

    class Looks(WorkerEntrypoint):
        async def fetch(self, request):
            seen.append(self.env)
            return Response("")

    async with Runtime(objects=[Room], worker=Looks, env={"GREETING": "hi"}) as rt:
        await rt.handle(Request("http://x/"))
        assert seen[0] is rt.env
        assert await inside(rt.env.ROOM.get_by_name("x"), lambda room: room.env) is rt.env


@pytest.mark.rows("EP-07")
async def test_a_binding_that_is_not_there_is_named():
    """With those that are; a mapping's own error for an item."""
    async with Runtime(objects=[Room], env={"GREETING": "hi"}) as rt:
        with pytest.raises(
            AttributeError, match="env has no binding or variable 'NOPE'; it has GREETING, ROOM"
        ):
            rt.env.NOPE
        with pytest.raises(KeyError):
            rt.env["NOPE"]


async def test_secrets_are_not_shown():
    """`repr` has names only."""
    async with Runtime(env={"PASSWORD": "hunter2"}) as rt:
        assert repr(rt.env) == "<env: PASSWORD>"


async def test_a_name_cannot_be_a_binding_and_a_variable():
    """One of them must be renamed."""
    with pytest.raises(ConfigError, match="'ROOM' stands for two things in env"):
        Runtime(objects=[Room], env={"ROOM": "x"})


@pytest.mark.rows("EP-08")
async def test_the_modules_env_is_that_of_the_event_that_runs():
    """In objects, their tasks, and the worker; two runtimes do not mix."""
    options = {"objects": [Room], "worker": Default}
    async with (
        Runtime(env={"GREETING": "one"}, **options) as one,
        Runtime(env={"GREETING": "two"}, **options) as two,
    ):
        for rt, greeting in ((one, "one"), (two, "two")):
            stub = rt.env.ROOM.get_by_name("x")
            assert await stub.module() == (greeting, ["GREETING", "ROOM"], 2, greeting)
            assert await stub.in_task() == greeting
            assert await (await rt.handle(Request("http://x/"))).json() == [greeting, greeting]


@pytest.mark.rows("EP-08")
async def test_outside_of_events_the_modules_env_is_the_only_runtimes():
    """None, or several, is an error that says so."""
    env = CurrentEnv()
    with pytest.raises(AttributeError, match="env is empty until a Runtime has started"):
        env.GREETING
    async with Runtime(env={"GREETING": "hi"}):
        assert env.GREETING == "hi"
        assert repr(env) == "<env of the running event>"
        async with Runtime(env={"GREETING": "ho"}):
            with pytest.raises(AttributeError, match="2 runtimes are running"):
                env.GREETING
        assert env.GREETING == "hi"
    with pytest.raises(AttributeError, match="env is empty"):
        env.GREETING


async def test_an_object_of_another_runtime_sees_its_own_env():
    """Also when it is called from an object."""

    class Caller(DurableObject):
        async def call(self, other):
            return perdure.env.GREETING

    async with (
        an_object(Caller, env={"GREETING": "one"}) as caller,
        an_object(Room, env={"GREETING": "two"}) as room,
    ):

        async def call(instance):
            return (await room.module())[0], perdure.env.GREETING

        assert await inside(caller, call) == ("two", "one")


@pytest.mark.parametrize("use", [lambda ai: ai.run, lambda ai: ai(), lambda ai: ai["x"]])
def test_the_use_of_an_absent_binding_says_what_it_needs(use):
    """What is called, read or asked of it: the error names the binding, and what is not here."""
    with pytest.raises(PerdureError, match=r"env\.AI.* is bound to Workers AI, which is not here"):
        use(Absent("AI", "Workers AI"))


def test_an_absent_binding_can_be_looked_at():
    """A debugger shows what it is, and Python's own protocols find that it has none of them."""
    absent = Absent("AI", "Workers AI")
    assert repr(absent) == "<env.AI: Workers AI, which is not here>"
    assert not hasattr(absent, "__len__")
    assert inspect.unwrap(absent) is absent


async def test_an_application_with_absent_bindings_starts(tmp_path):
    """In a test something else stands in the place of one."""
    (tmp_path / "absent_bindings.py").write_text("")
    hosted = {"ai": {"binding": "AI"}, "kv_namespaces": [{"binding": "KV", "id": "f00"}]}
    (tmp_path / "wrangler.jsonc").write_text(json.dumps({"main": "absent_bindings.py", **hosted}))
    async with testing.runtime(config=tmp_path) as app:
        with pytest.raises(PerdureError, match="Workers AI"):
            app.env.AI.run("model")
        await app.env.KV.put("k", "1")
        assert repr(app.env.KV) == "<KvNamespace 'f00'>"
    async with testing.runtime(config=tmp_path, vars={"AI": "a stand-in"}) as app:
        assert app.env.AI == "a stand-in"
