"""Namespaces, ids and stubs under Cloudflare's names."""

from __future__ import annotations

import asyncio

import pytest
from cloudflare.inside import inside

from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.values import JsDict, to_js
from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint
from perdure._cloudflare.workers.response import Response


class Room(DurableObject):
    async def echo(self, *args):
        return list(args)

    def plain(self):
        return {"who": self.ctx.id.name, "nested": {"n": 1.0}}

    async def _cf_private(self):
        return "reached"

    @property
    def secret(self):
        return "never"

    async def fetch(self, request):
        return Response(f"{request.method} {request.url} {await request.text()}", status=201)

    async def fail(self):
        raise ValueError("no such thing")

    async def add_message(self, text):
        return text

    async def twice(self, function):
        return await function(await function(1))

    async def adder(self, by):
        async def add(n):
            return n + by

        return add


@pytest.mark.members(
    "DurableObjectNamespace.idFromString",
    "DurableObjectNamespace.newUniqueId",
    "DurableObjectId.toString",
    "DurableObjectId.equals",
    "DurableObjectId.name",
    "DurableObjectId.jurisdiction",
    "DurableObjectState.id",
)
async def test_an_id_is_told_by_its_digits():
    """`str(id)`, `id.toString()`, `name`, `equals`; ids of the same object are equal."""
    async with inside(Room) as app:
        rooms = app.cf.ROOM
        named = rooms.idFromName("lobby")
        again = rooms.idFromString(named.toString())
        fresh = rooms.newUniqueId()
        assert str(named) == named.toString() == str(again)
        assert len(str(named)) == 64
        assert named.name == "lobby"
        assert again.name is None
        assert again.jurisdiction is None
        assert named == again
        assert named.equals(again)
        assert named != fresh
        assert {named: 1}[again] == 1


@pytest.mark.members(
    "DurableObjectNamespace.get",
    "DurableObjectNamespace.getByName",
    "DurableObjectNamespace.jurisdiction",
    "DurableObjectStub.id",
    "DurableObjectStub.name",
)
async def test_a_stub_is_got_in_three_ways():
    """By id, by name, with options as keywords or as an object; it knows its id and name."""
    async with inside(Room) as app:
        rooms = app.cf.ROOM
        by_id = rooms.get(rooms.idFromName("lobby"), locationHint="weur")
        by_name = rooms.getByName("lobby", to_js({"locationHint": "weur"}))
        here = rooms.jurisdiction().getByName("lobby")
        assert by_id.name == by_name.name == here.name == "lobby"
        assert by_id.id == by_name.id == here.id
        assert (await by_id.plain()).who == "lobby"
        with pytest.raises(Exception, match="Jurisdiction restrictions are not implemented"):
            rooms.jurisdiction("eu")


@pytest.mark.members("workers.python_to_rpc", "workers.python_from_rpc")
async def test_arguments_and_results_are_converted():
    """Keyword arguments are one more dict; a dict that comes back has attributes."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        assert await stub.echo(1, [2.0, None], {"x": 1}, y=2) == [1, [2, None], {"x": 1}, {"y": 2}]
        answer = await stub.plain()
        assert type(answer) is JsDict
        assert type(answer.nested.n) is int


async def test_a_call_is_a_coroutine_that_has_begun():
    """`create_task` and `gather` take calls; one that nobody awaits is made all the same."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        task = asyncio.create_task(stub.echo("task"))
        assert await asyncio.gather(stub.echo(1), task) == [[1], ["task"]]


async def test_names_of_methods_pass_as_they_are():
    """Nothing is translated; one underscore is no bar; properties and dunders are not reached."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        assert await stub.add_message("hi") == "hi"
        assert await stub._cf_private() == "reached"
        for name in ("addMessage", "secret", "missing"):
            with pytest.raises(TypeError, match=f'does not implement the method "{name}"') as caught:
                await getattr(stub, name)()
            assert isinstance(caught.value, JsException)
        with pytest.raises(AttributeError):
            stub.__secret__


@pytest.mark.parametrize("name", ["alarm", "webSocketMessage", "connect"])
async def test_handlers_cannot_be_called(name):
    """The runtime's own events are reserved."""
    async with inside(Room) as app:
        with pytest.raises(TypeError, match="is a reserved method and cannot be called over RPC"):
            await getattr(app.cf.ROOM.getByName("a"), name)()


async def test_an_argument_that_cannot_be_sent_is_refused_at_the_call():
    """Before anything is sent, without await."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        with pytest.raises(TypeError, match="tuple cannot be sent over RPC"):
            stub.echo((1, 2))
        with pytest.raises(JsException, match="DataCloneError"):
            stub.echo({"room": Room})


async def test_an_exception_is_a_jsexception_and_what_it_was():
    """The caller catches it by either class; it knows that it came from elsewhere."""
    async with inside(Room) as app:
        with pytest.raises(ValueError, match="no such thing") as caught:
            await app.cf.ROOM.getByName("a").fail()
        assert isinstance(caught.value, JsException)
        assert caught.value.remote
        assert "no such thing" in caught.value.message


@pytest.mark.members("DurableObjectStub.fetch", "DurableObject.fetch")
async def test_a_request_is_sent_and_answered():
    """`stub.fetch` takes a URL and options; `fetch` gets a request with text, and its response comes back."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        response = await stub.fetch("https://room/path?x=1", method="POST", body="hello")
        assert response.status == 201
        assert await response.text() == "POST https://room/path?x=1 hello"


async def test_functions_cross_by_reference():
    """A function that is passed is called back; one that is returned can be called."""
    async with inside(Room) as app:
        stub = app.cf.ROOM.getByName("a")
        assert await stub.twice(lambda n: n * 3) == 9
        add = await stub.adder(5)
        assert await add(2) == 7


class Keeper(DurableObject):
    async def keep(self, function):
        self.kept = function

    async def keep_dup(self, function):
        self.kept = function.dup()

    async def use(self):
        return await self.kept(20)

    async def call(self, function):
        return await function()

    async def abort_in_callback(self):
        return await self.env.KEEPER.getByName("b").call(lambda: self.ctx.abort("stop here"))


async def test_a_function_that_is_kept_after_the_call_needs_dup():
    """What was passed is given back with the call; a duplicate lasts."""
    async with inside(Keeper) as app:
        stub = app.cf.KEEPER.getByName("a")
        await stub.keep(lambda n: n + 1)
        with pytest.raises(JsException, match="used after being disposed"):
            await stub.use()
        await stub.keep_dup(lambda n: n + 1)
        assert await stub.use() == 21


async def test_an_abort_in_a_callback_resets_the_object_that_it_is_of():
    """Not the one that called it."""
    async with inside(Keeper) as app:
        other = app.cf.KEEPER.getByName("b")
        await other.keep_dup(lambda n: n)
        with pytest.raises(JsException, match="stop here") as caught:
            await app.cf.KEEPER.getByName("a").abort_in_callback()
        assert caught.value.durableObjectReset
        assert await other.use() == 20


async def test_what_a_namespace_does_not_have_is_named():
    """The error says what exists; names of Perdure's own API are none of them."""
    async with inside(Room) as app:
        with pytest.raises(
            AttributeError, match="DurableObjectNamespace has no 'get_by_name' here; it has get, getByName"
        ):
            app.cf.ROOM.get_by_name("a")


# --- workers --------------------------------------------------------------------------------------------


class Auth(WorkerEntrypoint):
    async def check(self, name, options=None):
        return {"name": name, "by": self.ctx.props.by if "by" in self.ctx.props else None, "options": options}

    async def fetch(self, request):
        return Response("auth")


class Default(WorkerEntrypoint):
    async def by_service(self):
        answer = await self.env.AUTH.check("ann", strict=True)
        return [answer, await (await self.env.AUTH.fetch("http://auth/")).text()]

    async def by_exports(self):
        inside = await self.ctx.exports.Auth(props={"by": "exports"}).check("bob")
        room = await self.ctx.exports.Room.getByName("x").plain()
        return [inside.by, room.who]


@pytest.mark.members("Fetcher.fetch", "ExecutionContext.props")
async def test_a_service_is_called_and_asked():
    """`env.AUTH` calls a worker of the project; keyword arguments are one more dict."""
    from perdure._cloudflare.adapter import WorkerAdapter, adapt

    auth = adapt(Auth, WorkerAdapter)
    async with inside(Default, services={"AUTH": (auth, {"by": "service"})}) as app:
        from perdure._cloudflare.convert import python_from_rpc

        stub = python_from_rpc(app.exports["Default"])
        answer, text = await stub.by_service()
        assert answer == {"name": "ann", "by": "service", "options": {"strict": True}}
        assert text == "auth"


@pytest.mark.members("ExecutionContext.exports")
async def test_exports_are_ways_back():
    """`ctx.exports` has the classes by name, workers with props."""
    from perdure._cloudflare.convert import python_from_rpc

    async with inside(Room, Auth, Default) as app:
        assert await python_from_rpc(app.exports["Default"]).by_exports() == ["exports", "x"]


@pytest.mark.parametrize("value", [None, {"a": 1}, "text"])
async def test_a_fetch_that_returns_no_response_says_so(value):
    """The error names what came instead."""

    class Wrong(DurableObject):
        async def fetch(self, request):
            return value

    async with inside(Wrong) as app:
        with pytest.raises(TypeError, match=r"fetch\(\) must return a Response"):
            await app.cf.WRONG.getByName("a").fetch("http://a/")
