"""`rpc` and `pipeline`: what they do when the program runs."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from support.inside import an_object, attempt

from perdure import DurableObject, RpcTarget
from perdure.rpc import pipeline, rpc


class Member(RpcTarget):
    async def say(self, text: str) -> str:
        return text


class Counter(DurableObject):
    n = 5

    @rpc
    def read(self, by: int = 1) -> int:
        """Tell how many."""
        return self.n * by

    @rpc
    async def slow(self) -> int:
        return self.n

    @rpc
    def later(self):
        return self.slow()

    @rpc
    def fail(self) -> None:
        raise ValueError("on purpose")

    @property
    @rpc
    def size(self) -> int:
        return self.n

    @rpc
    def enter(self) -> Member:
        return Member()

    async def inside(self) -> list[int]:
        self.read()  # it has worked, and nobody complains that it was not awaited
        return [await self.read(by=2), await self.slow(), await self.later(), await self.size]

    async def as_tasks(self) -> list[int]:
        return await asyncio.gather(asyncio.create_task(self.read()), self.slow())


async def test_a_plain_method_is_called_as_ever():
    """By position, by name, by property."""
    async with an_object(Counter) as stub:
        assert await stub.read() == 5
        assert await stub.read(by=3) == 15
        assert await stub.later() == 5
        assert await stub.size == 5
        assert type(await attempt(stub.fail())) is ValueError


async def test_its_annotations_are_looked_at():
    async with an_object(Counter) as stub:
        with pytest.raises(TypeError, match=r"Counter.read\(\) argument by"):
            stub.read("x")


async def test_it_is_awaited_inside_of_the_class_too():
    """And may be a task."""
    async with an_object(Counter) as stub:
        assert await stub.inside() == [10, 5, 5, 5]
        assert await stub.as_tasks() == [5, 5]


def test_an_async_method_stays_as_it_is():
    async def method(self): ...

    assert rpc(method) is method


def test_the_method_keeps_its_name_docstring_and_signature():
    assert Counter.read.__name__ == "read"
    assert Counter.read.__doc__ == "Tell how many."
    assert str(inspect.signature(Counter.read)) == "(self, by: 'int' = 1) -> 'int'"


async def test_pipeline_is_the_call_itself():
    """It says to type checkers what it will bring, and does nothing."""
    async with an_object(Counter) as stub:
        call = stub.enter()
        assert pipeline(call) is call
        assert await pipeline(call).say("x") == "x"
