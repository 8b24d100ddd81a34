"""Arguments and results are what the method's annotations say: converted where they can be, else refused."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from support.inside import an_object, attempt, until

from perdure import DurableObject, Row, RpcStub, RpcTarget, Runtime, WorkerEntrypoint, confirmed

if TYPE_CHECKING:
    from nowhere import Nothing


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Seat:
    row: str
    number: int = 1


@dataclass
class Box(Seat):
    places: int = 4


class User(pydantic.BaseModel):
    name: str


class Clerk(RpcTarget):
    def book(self, seat: Seat) -> Seat:
        return seat

    def lie(self) -> int:
        return "x"

    @property
    def price(self) -> float:
        return 5


def priced(seat: Seat) -> float:
    return seat.number


class Hall(DurableObject):
    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Hall.made += 1
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS sold (seat TEXT)")

    async def book(self, seat: Seat, by: int = 1, *, colour: Colour = Colour.RED) -> str:
        return f"{type(seat).__name__} {seat.row} {by!r} {colour!r}"

    async def kinds(self, seats: list[Seat], rate: float, id: uuid.UUID | None, user: User) -> list[str]:
        return [type(value).__name__ for value in (*seats, rate, id, user)]

    async def anything(self, value, other: Any, nothing: Nothing = None, room: Hall | None = None):
        return type(value).__name__, type(other).__name__, type(nothing).__name__, type(room).__name__

    async def sold(self) -> list[Row]:
        return self.ctx.storage.sql.exec("SELECT seat FROM sold").to_list()

    async def sell(self, seat: str) -> int:
        self.ctx.storage.sql.exec("INSERT INTO sold VALUES (?)", seat)
        return "sold"

    async def best(self) -> Seat:
        return {"row": "A", "number": 2}

    def sync_price(self) -> float:
        return 5

    @property
    async def price(self) -> float:
        return 5

    @property
    def wrong(self) -> int:
        return "x"

    def clerk(self) -> Clerk:
        return Clerk()

    def holder(self) -> dict[str, Any]:
        return {"clerk": Clerk(), "priced": priced}

    async def call(self, function: Callable[[Any], Any], *args: Any):
        return await function(*args)

    async def _hidden(self, seat: Seat):
        pass

    async def fetch(self, request: int):
        pass


class Desk(WorkerEntrypoint):
    async def book(self, seat: Seat) -> Seat:
        return seat

    def price(self) -> float:
        return 5


@pytest.fixture(autouse=True)
def _none_made():
    Hall.made = 0


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((5,), {}, "Hall.book() argument seat (a value of type int) does not fit Seat: Expected `dict`, got `int`."),
        (({"row": 1},), {}, "Hall.book() argument seat (a value of type dict) does not fit Seat: Expected `str`, got `int` at seat.row."),
        (({},), {}, "Hall.book() argument seat (a value of type dict) does not fit Seat: Object missing required field `row`."),
        ((Seat("A"), "1"), {}, "Hall.book() argument by (a value of type str) does not fit int: Expected `int`, got `str`."),
        ((Seat("A"), True), {}, "Hall.book() argument by (a value of type bool) does not fit int: Expected `int`, got `bool`."),
        ((Seat("A"),), {"colour": "blue"}, "Hall.book() argument colour (a value of type str) does not fit Colour: Invalid enum value 'blue'."),
    ],
)  # fmt: skip
async def test_a_wrong_argument_is_a_type_error_before_the_object_runs(args, kwargs, text):
    """Raised by the call itself, in the caller's code; there is no instance yet."""
    async with an_object(Hall) as stub:
        with pytest.raises(TypeError) as caught:
            stub.book(*args, **kwargs)  # it needs no await
        assert str(caught.value) == text
        assert Hall.made == 0


async def test_arguments_arrive_as_they_are_annotated():
    """From a peer that only knows dicts and texts as from Python."""
    async with an_object(Hall) as stub:
        assert await stub.book({"row": "A"}, 2, colour="red") == "Seat A 2 <Colour.RED: 'red'>"
        assert await stub.book(seat=Box("A")) == "Box A 1 <Colour.RED: 'red'>"
        given = ([{"row": "A"}, {"row": "B"}], 1, str(uuid.uuid4()), {"name": "u"})
        assert await stub.kinds(*given) == ["Seat", "Seat", "float", "UUID", "User"]
        assert await stub.kinds([Box("A"), Seat("B")], 1.5, None, User(name="u")) == [
            "Box", "Seat", "float", "NoneType", "User",
        ]  # fmt: skip


async def test_without_an_annotation_values_are_taken_as_they_come():
    """Also for Any, for a name that is not there at run time, and for a class that arrives as a stub."""
    async with an_object(Hall) as stub:
        assert await stub.anything({"row": "A"}, 5, "x", stub) == ("dict", "int", "str", "ServiceStub")


async def test_the_caller_s_own_values_are_not_touched():
    """What is converted is the copy."""
    async with an_object(Hall) as stub:
        seats = [{"row": "A"}]
        await stub.kinds(seats, 1, None, {"name": "u"})
        assert seats == [{"row": "A"}]


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "missing 1 required positional argument: 'seat'"),
        ((Seat("A"), 1, 2), {}, "takes from 2 to 3 positional arguments but 4 were given"),
        ((Seat("A"),), {"colors": 1}, "got an unexpected keyword argument 'colors'"),
    ],
)
async def test_missing_and_surplus_arguments_are_told_in_python_s_words(args, kwargs, text):
    async with an_object(Hall) as stub:
        assert text in str(await attempt(stub.book(*args, **kwargs)))


async def test_results_arrive_as_they_are_annotated():
    """A dict as the dataclass, an int as a float; a row, which travels as a dict, as that."""
    async with an_object(Hall) as stub:
        assert await stub.best() == Seat("A", 2)
        assert repr(await stub.sync_price()) == repr(await stub.price) == "5.0"
        await attempt(stub.sell("A1"))
        assert await stub.sold() == [{"seat": "A1"}]


async def test_a_result_that_does_not_fit_is_an_error_of_the_method():
    """What it wrote is written: the method itself did not fail."""
    async with an_object(Hall) as stub:
        error = await attempt(stub.sell("A1"))
        assert type(error) is TypeError
        assert str(error) == (
            "Hall.sell() returned what its annotation does not allow: "
            "result (a value of type str) does not fit int: Expected `int`, got `str`."
        )
        assert await stub.sold() == [{"seat": "A1"}]
        assert "Hall.wrong() returned" in str(await attempt(stub.wrong))


@pytest.mark.parametrize("name", ["_hidden", "fetch", "missing"])
async def test_of_what_is_not_reachable_nothing_is_told(name):
    """Not even what its parameters are."""
    async with an_object(Hall) as stub:
        error = await attempt(stub[name]({}))
        assert "argument" not in str(error)
        assert name in str(error)


async def test_a_target_gets_and_gives_what_its_annotations_say():
    """On a stub, on the way to one, and by property."""
    async with an_object(Hall) as stub:
        with await stub.clerk() as clerk:
            assert await clerk.book({"row": "A"}) == Seat("A")
            assert repr(await clerk.price) == "5.0"
            assert "Clerk.book() argument seat" in str(await attempt(clerk.book(5)))
            assert "Clerk.lie() returned" in str(await attempt(clerk.lie()))
        assert await stub.clerk().book({"row": "B"}) == Seat("B")
        assert "Clerk.book() argument seat" in str(await attempt(stub.clerk().book(5)))
        with RpcStub({"clerk": Clerk(), "priced": priced}) as box:
            assert await box.clerk.book({"row": "A"}) == Seat("A")
            assert repr(await box.priced({"row": "A"})) == "1.0"


async def test_a_callback_gets_and_gives_what_its_annotations_say():
    async with an_object(Hall) as stub:
        assert repr(await stub.call(priced, {"row": "A", "number": 3})) == "3.0"
        assert "priced() argument seat" in str(await attempt(stub.call(priced, 5)))
        assert await stub.call(Clerk().book, {"row": "A"}) == Seat("A")


async def test_a_worker_gets_and_gives_what_its_annotations_say():
    """Of `env` and of `ctx.exports`."""
    async with Runtime(services={"DESK": Desk}) as rt:
        assert await rt.env.DESK.book({"row": "A"}) == Seat("A")
        assert repr(await rt.env.DESK.price()) == "5.0"
        error = await attempt(rt.env.DESK.book(5))
        assert type(error) is TypeError
        assert "Desk.book() argument seat" in str(error)
        await confirmed()


async def test_stubs_in_arguments_end_when_the_call_was_refused():
    """A target that never arrived is let go."""
    gone = []

    class Watched(RpcTarget):
        def dispose(self):
            gone.append(self)

    async with an_object(Hall) as stub:
        with pytest.raises(TypeError):
            stub.book(5, Watched())
        await until(lambda: gone)
