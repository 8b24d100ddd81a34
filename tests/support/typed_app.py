"""An application with an annotation of every kind: what `perdure types` has to say something of."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NewType, TypedDict

import msgspec
import pydantic

from perdure import DurableObject, Response, RpcTarget, WorkerEntrypoint

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


@dataclass
class Seat:
    """
    A place.

    In a row. */
    """

    row: str
    number: int = 1
    colour: Colour = Colour.RED


class Point(msgspec.Struct, rename="camel"):
    x_axis: float
    seats: list[Seat] = []


class Options(TypedDict, total=False):
    size: int


class Pair(NamedTuple):
    left: int
    right: str = "x"


class User(pydantic.BaseModel):
    name: str


class Tree(msgspec.Struct):
    children: list[Tree] = []


class Subscription(RpcTarget):
    def __init__(self, room):
        self.room = room

    async def end(self) -> None:
        """Hear no more."""

    def dispose(self):
        pass


class Room(DurableObject["Env"]):
    """A room."""

    async def say(self, text: str, by: int = 1) -> int:
        """
        Say it.

        Returns how many heard it.
        """

    async def seats(self, *names: str) -> list[Seat]: ...

    async def sit(self, seat: Seat, *, at: datetime.datetime | None = None) -> None: ...

    def listen(self, callback: Callable[[Seat, int], None]) -> Subscription: ...

    def point(self, p: Point, o: Options, q: Pair, mode: Literal["a", 1]) -> dict[str, Point]: ...

    def mixed(self) -> tuple[int, str, bytes]: ...

    async def stream(self) -> AsyncIterator[bytes]: ...

    async def anything(self, default, x: Any, y: Nothing = None): ...  # noqa: F821 - a name that is not there

    async def ids(self, u: uuid.UUID | None, s: set[UserId]) -> Pair: ...

    async def tree(self, t: Tree, u: User) -> Tree: ...

    @property
    def size(self) -> int:
        """How many are in it."""

    def _hidden(self): ...

    async def fetch(self, request): ...


class Auth(WorkerEntrypoint["Env"]):
    async def check(self, token: str) -> bool: ...


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("x")
