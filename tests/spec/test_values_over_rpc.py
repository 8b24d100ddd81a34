"""Values on their way to an object and back: RPC-08, RPC-14. The copy itself is tested in unit/base."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import threading
import uuid
from dataclasses import dataclass, field

import msgspec
import pydantic
import pytest
from support.inside import an_object, attempt, inside

from perdure import (
    DataCloneError,
    DurableObject,
    Headers,
    RemoteError,
    Request,
    Response,
    Runtime,
    WebSocketPair,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Seat:
    row: int
    taken_by: list[str] = field(default_factory=list)


class Point(msgspec.Struct):
    x: int


class User(pydantic.BaseModel):
    name: str


class Refused(Exception):
    """An exception of the application's own."""

    def __init__(self, seat, code):
        super().__init__(f"seat {seat} refused")
        self.seat = seat
        self.code = code


class Store(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.kept = None

    async def echo(self, value):
        return value

    async def keep(self, value):
        self.kept = value

    async def change(self):
        self.kept.append("changed inside")
        return self.kept

    async def give(self):
        return self.kept

    async def kind(self, value):
        return type(value).__name__

    async def bad(self, what):
        return {"list": [1, {"key": what_cannot_travel(what)}]}

    async def fail(self, seat):
        raise Refused(seat, 7)


def what_cannot_travel(what):
    return {
        "lock": threading.Lock(),
        "generator": (n for n in ()),
        "task": asyncio.Event(),
        "class": Seat,
        "instance": object(),
        "module": asyncio,
        "naive": datetime.datetime(2026, 1, 1),
    }[what]


CYCLE: list = [1]
CYCLE.append(CYCLE)
SHARED = {"a": 1}


@pytest.mark.rows("RPC-08", "RPC-14")
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**200),
        1.5,
        float("inf"),
        "text ✓",
        b"\0\xff",
        bytearray(b"x"),
        [1, [2, [3]]],
        (1, "a", None),
        {"a": 1, 2: "b", (1, 2): [3], None: 4},
        {1, 2},
        frozenset({"x"}),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        datetime.date(2026, 1, 1),
        datetime.time(1, 2),
        datetime.timedelta(days=1),
        uuid.UUID(int=5),
        decimal.Decimal("1.10"),
        Colour.RED,
        Seat(1, ["ann"]),
        Point(3),
        User(name="ann"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_value_arrives_as_what_it_was(value):
    """There and back, of the same class."""
    async with an_object(Store) as stub:
        back = await stub.echo(value)
        assert back == value
        assert type(back) is type(value)
        assert await stub.kind(value) == type(value).__name__


@pytest.mark.rows("RPC-08")
async def test_the_two_sides_share_nothing_that_can_change():
    """Neither the arguments nor the result."""
    async with an_object(Store) as stub:
        mine = ["mine"]
        await stub.keep(mine)
        mine.append("changed outside")
        assert await stub.give() == ["mine"]
        theirs = await stub.give()
        theirs.append("changed outside")
        assert await stub.change() == ["mine", "changed inside"]


@pytest.mark.rows("RPC-08")
async def test_arguments_are_copied_when_the_call_is_made():
    """What is changed before the call arrives does not count."""
    async with an_object(Store) as stub:
        value = [1]
        call = stub.echo(value)
        value.append(2)
        assert await call == [1]


@pytest.mark.rows("RPC-08")
async def test_cycles_and_shared_references_are_kept():
    """Over all arguments of one call."""
    async with an_object(Store) as stub:
        back = await stub.echo(CYCLE)
        assert back[1] is back
        first, second = await stub.echo([SHARED, SHARED])
        assert first is second
        assert first == SHARED


@pytest.mark.rows("RPC-08")
@pytest.mark.parametrize("what", ["lock", "generator", "task", "class", "instance", "module", "naive"])
async def test_what_cannot_travel_is_refused_with_its_place(what):
    """In arguments before anything is sent; in results at the caller, as the object's error."""
    async with an_object(Store) as stub:
        with pytest.raises(DataCloneError) as sent:
            stub.echo({"list": [1, {"key": what_cannot_travel(what)}]})
        assert "['list'][1]['key']" in str(sent.value) or '["list"][1]["key"]' in str(sent.value)
        assert not stub.id._space.lives
        with pytest.raises(DataCloneError) as returned:
            await stub.bad(what)
        assert "[1]" in str(returned.value)
        assert "result" in str(returned.value)
        assert returned.value.remote
        assert isinstance(returned.value, TypeError)


@pytest.mark.rows("RPC-08")
async def test_a_result_that_cannot_travel_undoes_nothing():
    """What the method wrote is written."""

    class Writer(DurableObject):
        async def work(self):
            await self.ctx.storage.put("k", 1)
            return object()

    async with an_object(Writer) as stub:
        with pytest.raises(DataCloneError):
            await stub.work()
        assert await inside(stub, lambda writer: writer.ctx.storage.get("k")) == 1


@pytest.mark.rows("RPC-14")
async def test_http_messages_cross_as_values():
    """Bodies are streams of the other side then."""
    async with an_object(Store) as stub:
        headers = await stub.echo(Headers({"a": "1"}))
        assert headers["a"] == "1"
        request = await stub.echo(Request("http://x/p", method="PUT", body="hello", headers={"x-a": "b"}))
        assert (request.method, request.url, request.headers["x-a"]) == ("PUT", "http://x/p", "b")
        assert await request.text() == "hello"

        async def pieces():
            yield b"one "
            yield b"two"

        response = await stub.echo(Response(pieces(), status=418))
        assert response.status == 418
        assert await response.text() == "one two"


@pytest.mark.rows("RPC-14", "NS-18")
async def test_ids_and_namespaces_do_not_cross():
    """Send a name or `str(id)`."""
    async with Runtime(objects=[Store]) as rt:
        stub = rt.env.STORE.get_by_name("x")
        for value in (stub.id, rt.env.STORE, rt.env, stub.echo, WebSocketPair()[0]):
            with pytest.raises(DataCloneError):
                await stub.echo(value)


@pytest.mark.rows("RPC-25", "ERR-07")
async def test_an_exception_of_the_application_arrives_as_itself():
    """Class, text and attributes; by copy."""
    async with an_object(Store) as stub:
        with pytest.raises(Refused, match="seat 5 refused") as caught:
            await stub.fail(5)
        assert (caught.value.seat, caught.value.code) == (5, 7)


@pytest.mark.rows("ERR-07")
async def test_an_exception_of_somebody_elses_class_arrives_as_a_remote_error():
    """With its name and text."""

    class Odd(DurableObject):
        async def fail(self):
            raise pydantic.errors.PydanticUserError("no", code=None)

    async with an_object(Odd) as stub:
        error = await attempt(stub.fail())
        assert isinstance(error, RemoteError)
        assert error.name == "pydantic.errors.PydanticUserError"
        assert error.remote


@pytest.mark.rows("RPC-08")
async def test_every_caller_gets_an_exception_of_its_own():
    """One that a caller changes is not another's."""

    class Doomed(DurableObject):
        async def wait(self):
            await asyncio.Event().wait()

        async def abort(self):
            self.ctx.abort("gone")

    async with an_object(Doomed) as stub:
        calls = [asyncio.ensure_future(attempt(call)) for call in (stub.wait(), stub.wait(), stub.abort())]
        errors = await asyncio.gather(*calls)
        assert len({id(error) for error in errors}) == 3
        assert {str(error) for error in errors} == {"gone"}
