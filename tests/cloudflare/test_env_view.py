"""`env`: of the event, while the application is imported, and patched."""

from __future__ import annotations

import pytest
from cloudflare.inside import inside

from perdure._cloudflare import env_view
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.workers.entrypoints import DurableObject
from perdure._cloudflare.workers.utils import env, import_from_javascript, patch_env


class Room(DurableObject):
    async def who(self):
        return self.ctx.id.name

    async def imported(self):
        return [env.WORD, await env.ROOM.getByName("other").who(), env.ROOM == self.env.ROOM]


@pytest.fixture
def at_import():
    """What a configuration says, as while the main module is imported."""
    env_view.know({"WORD": "early", "TABLE": {"a": [1]}}, ("ROOM",))
    yield
    env_view.know({}, ())


async def test_a_variable_has_the_members_of_both_worlds():
    """A table is read as `env.TABLE.a`, `env["TABLE"]["a"]`, `env.TABLE.to_py()`."""
    async with inside(Room, vars={"TABLE": {"a": [1, {"b": 2}]}, "WORD": "hello"}) as app:
        assert app.cf.WORD == app.cf["WORD"] == "hello"
        assert app.cf.TABLE.a[1].b == app.cf["TABLE"]["a"][1]["b"] == 2
        assert app.cf.TABLE.to_py() == {"a": [1, {"b": 2}]}
        assert sorted(app.cf.object_keys()) == ["ROOM", "TABLE", "WORD"]
        assert "WORD" in app.cf


async def test_what_is_not_there_is_an_attribute_error():
    """`hasattr` and `getattr` with a default work, and the error says what is there."""
    async with inside(Room) as app:
        assert getattr(app.cf, "MISSING", None) is None
        assert not hasattr(app.cf, "MISSING")
        with pytest.raises(AttributeError, match="env has no binding or variable 'MISSING'; it has ROOM"):
            app.cf.MISSING


@pytest.mark.members("workers.env")
async def test_the_imported_env_is_the_events():
    """`from workers import env` works in nested code."""
    async with inside(Room, vars={"WORD": "hello"}) as app:
        assert await app.cf.ROOM.getByName("one").imported() == ["hello", "other", True]


async def test_variables_are_there_while_the_application_is_imported(at_import):
    """At the top level of a module variables have their values, and bindings can be kept for later."""
    word, table, rooms = env.WORD, env.TABLE, env.ROOM
    assert (word, table.a) == ("early", [1])
    assert set(env) == {"WORD", "TABLE", "ROOM"}
    assert getattr(env, "MISSING", None) is None
    async with inside(Room, vars={"WORD": "late"}):
        assert await rooms.getByName("a").who() == "a"
        assert env.WORD == "late"


def test_a_binding_used_too_early_says_so(at_import):
    """Objects can be called when the application runs."""
    with pytest.raises(AttributeError, match="env is empty until a Runtime has started"):
        env.ROOM.getByName("a")


@pytest.mark.members("workers.patch_env")
def test_env_is_patched_for_a_block(at_import):
    """`patch_env` takes a dict, pairs or keywords, nests, and ends with its block."""
    with patch_env({"WORD": "patched"}, OTHER={"x": 1}):
        assert (env.WORD, env.OTHER.x) == ("patched", 1)
        with patch_env([("WORD", "inner")]):
            assert (env.WORD, env.OTHER.x) == ("inner", 1)
        assert env.WORD == "patched"
    assert env.WORD == "early"
    assert not hasattr(env, "OTHER")


@pytest.mark.members("workers.import_from_javascript")
def test_cloudflares_modules_are_imported_by_name(at_import):
    """`cloudflare:workers` has env, withEnv and waitUntil; what is JavaScript is not there."""
    module = import_from_javascript("cloudflare:workers")
    assert module.env.WORD == "early"
    assert module.withEnv({"WORD": "with"}, lambda: env.WORD) == "with"
    with pytest.raises(JsException, match="asyncio.open_connection"):
        import_from_javascript("cloudflare:sockets").connect("host:1")
    with pytest.raises(ImportError, match="'./lib.js': there is no JavaScript here"):
        import_from_javascript("./lib.js")
