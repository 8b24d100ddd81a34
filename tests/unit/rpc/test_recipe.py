"""`map`: a function recorded once, carried out where the items are; in the process and over a session."""

from __future__ import annotations

import asyncio

import pytest
from support.sessions import Api, Heard, Pair

from perdure import RpcStub, RpcTarget
from perdure._base import limits
from perdure.errors import PerdureError


class Local:
    """The same without a session."""

    def __init__(self, target):
        self.api = RpcStub(target)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        self.api.dispose()


both = pytest.mark.parametrize("kind", [Local, Pair])


@both
async def test_each_item_of_a_list(kind):
    async with kind(Api()) as it:
        with it.api.rooms("a", "b") as rooms:
            assert await rooms.map(lambda room: room.name) == ["a", "b"]
            assert await rooms.map(lambda room: room.messages()) == [["in a", "bye"], ["in b", "bye"]]


@both
async def test_what_the_function_puts_together(kind):
    async with kind(Api()) as it:
        with it.api.echo([1, 2]) as numbers:
            found = await numbers.map(lambda n: {"n": n, "sum": it.api.add(n, b=10), "rest": [n, "x", None]})
        assert found == [{"n": n, "sum": n + 10, "rest": [n, "x", None]} for n in (1, 2)]


@both
async def test_a_value_that_is_no_list_is_one_item_and_none_is_none(kind):
    async with kind(Api()) as it:
        with it.api.echo(5) as five, it.api.nothing() as nothing:
            assert await five.map(lambda n: it.api.add(n, n)) == 10
            assert await nothing.map(lambda n: it.api.add(n, n)) is None


@both
async def test_a_map_inside_of_a_map(kind):
    async with kind(Api()) as it:
        with it.api.echo([[1, 2], [3], []]) as lists:
            assert await lists.map(lambda row: row.map(lambda n: it.api.add(n, 1))) == [[2, 3], [4], []]
        with it.api.echo([{"by": 10, "of": [1, 2]}]) as given:
            found = await given.map(lambda d: d["of"].map(lambda n: it.api.add(n, d["by"])))
            assert found == [[11, 12]]


@both
async def test_stubs_of_the_caller_are_called_from_there(kind):
    class Page(RpcTarget):
        def add(self, a, b):
            return a + b

    async with kind(Api()) as it:
        with RpcStub(Page()) as page, it.api.echo([1, 2]) as numbers:
            assert await numbers.map(lambda n: page.add(n, 100)) == [101, 102]


@both
async def test_steps_build_on_one_another(kind):
    async with kind(Api()) as it:
        with it.api.echo(["a", "b"]) as names:
            assert await names.map(lambda name: it.api.room(name).me()["room"].name) == ["a", "b"]


@both
async def test_an_error_of_one_item_is_that_of_all(kind):
    async with kind(Api()) as it:
        with it.api.echo(["range", "other"]) as names:
            with pytest.raises(ValueError, match="out of range"):
                await names.map(lambda name: it.api.raises(name))


@both
async def test_properties_and_stubs_can_be_mapped(kind):
    class Target(RpcTarget):
        @property
        def numbers(self):
            return [1, 2]

        def double(self, number):
            return 2 * number

    async with kind(Target()) as it:
        assert await it.api.numbers.map(lambda n: it.api.double(n)) == [2, 4]
        if kind is Pair:  # a local stub reads itself as a copy, which is a stub again
            assert await it.api["numbers"].map(lambda n: [n]) == [[1], [2]]


@both
async def test_an_async_function_is_refused(kind):
    async def later(item):
        return item

    async with kind(Api()) as it:
        with it.api.echo([1]) as one, pytest.raises(TypeError, match="plain function"):
            one.map(later)
        assert await it.api.add(1) == 2


@both
async def test_an_item_is_of_no_use_outside_of_its_function(kind):
    async with kind(Api()) as it:
        kept = []
        with it.api.echo([1]) as one:
            assert await one.map(lambda n: kept.append(n)) == [None]
            with pytest.raises(TypeError, match="inside of its own function"):
                kept[0].anything()


@both
async def test_a_function_that_fails_fails_the_map_and_no_call_after_it(kind):
    async with kind(Api()) as it:
        with it.api.echo([1]) as one, pytest.raises(ZeroDivisionError):
            one.map(lambda n: 1 / 0)
        assert await it.api.add(1) == 2


@both
async def test_how_much_one_map_does_is_bounded(kind):
    """A small message must not make much work."""
    async with kind(Api()) as it:
        with it.api.echo([0] * 50_000) as many:
            with pytest.raises(PerdureError, match=f"more than {limits.RPC_MAP_STEPS_MAX:,} things"):
                await many.map(lambda n: [it.api.add(n), it.api.add(n)])


@pytest.mark.parametrize(
    ("captures", "instructions", "text"),
    [
        ([], [], "empty mapper"),
        ([], [["pipeline", 5]], "no such variable"),
        ([], [["pipeline", -1]], "no such variable"),
        ([], [7, ["pipeline", 1, ["x"]]], "no such variable"),
        ([], [["export", -1]], "cannot refer to exports"),
        ([], [["promise", -1]], "cannot refer to exports"),
        ([], [["readable", 1]], "cannot refer to exports"),
        ([], [["remap", 0, [], [["export", -1]], [1]]], "cannot refer to exports"),
        ([], [["remap", 0, [], [["import", 4]], [1]]], "no such variable"),
        ([["import", 9]], [1], "no such entry"),
        ([["what", 9]], [1], "unknown map capture"),
    ],
)
async def test_instructions_that_make_no_sense_end_the_session(captures, instructions, text):
    heard = Heard(Api())
    import json

    heard.receive(json.dumps(["push", ["remap", 0, [], captures, instructions]]))
    assert text in str(heard.end)
    await asyncio.sleep(0)
    assert heard.session.counts == (0, 0)
