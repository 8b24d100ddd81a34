"""The binary form: Python's values as they are within the process, and bytes that are no message."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import functools
import gc
import zoneinfo
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sessions import Api, Pair
from support.sessions import Heard as HeardAny

from perdure import Response, RpcTarget
from perdure._base import codec, limits
from perdure._base.registry import Registry
from perdure._rpc.wire import BinaryForm
from perdure.errors import DataCloneError, PerdureError, RemoteError

pack = msgspec.msgpack.encode


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any = None


class Row(msgspec.Struct):
    a: Any


class Refused(Exception):
    """An error of the application's own."""

    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


REGISTRY = Registry([__name__])


class Both(Pair):
    """Two sessions of processes that know the same classes."""

    form = BinaryForm

    def __init__(self, target, **options):
        super().__init__(target, registry=REGISTRY)
        self.server = self._session("client", target, registry=REGISTRY)


class Heard(HeardAny):
    def __init__(self, target=None):
        super().__init__(target, form=BinaryForm)

    def say(self, *messages):
        for message in messages:
            self.receive(message if isinstance(message, bytes | str) else pack(message))

    def aborted(self):
        """The text of the abort that was the last word, when nothing is left in the tables."""
        kind, error = msgspec.msgpack.decode(self.said[-1])
        assert kind == "abort"
        assert self.session.counts == (0, 0)
        text = str(codec.loads(error))
        assert text == str(self.end)
        return text


async def waited(promise):
    return await promise


def args(*given):
    return codec.dumps(dict(enumerate(given)))


def call(*given, method="add"):
    return ["push", ["pipeline", 0, [method], args(*given)]]


# --- values -----------------------------------------------------------------------------------------------


async def test_values_of_python_arrive_as_they_are():
    moment = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    value = {
        (1, 2): {3, frozenset({4})}, "when": moment, "much": Decimal("1.10"), "point": Point(1, (2,)), "row": Row([5]),
        "buffer": bytearray(b"\xff"), "big": 2**80, 7: None,
    }  # fmt: skip
    async with Both(Api()) as pair:
        found = await pair.api.echo(value)
        assert found == value
        assert found["when"].tzinfo.key == "Europe/Berlin"
        assert type(found["buffer"]) is bytearray


async def test_bytes_go_as_bytes():
    data = bytes(range(256)) * 4
    async with Both(Api()) as pair:
        assert await pair.api.echo(data) == data
        assert all(data in line for _, line in pair.lines if len(line) > 100)


async def test_what_arguments_share_stays_shared():
    class Target(RpcTarget):
        def same(self, first, *, second):
            return first is second and first[0] is first

    ring = []
    ring.append(ring)
    async with Both(Target()) as pair:
        assert await pair.api.same(ring, second=ring)


async def test_arguments_by_name_may_have_any_name():
    class Target(RpcTarget):
        def named(self, *args, **kwargs):
            return args, kwargs

    async with Both(Target()) as pair:
        assert await pair.api.named({"**": {}}, **{"**": 1, "0": 2}) == (({"**": {}},), {"**": 1, "0": 2})


async def test_errors_of_the_applications_classes_arrive_as_themselves():
    class Target(RpcTarget):
        def fail(self):
            error = Refused(17, "not now")
            error.add_note("a note")
            raise error from ValueError("the cause")

    async with Both(Target()) as pair:
        with pytest.raises(Refused) as caught:
            await pair.api.fail()
        assert (caught.value.args, caught.value.code) == ((17, "not now"), 17)
        assert "a note" in caught.value.__notes__
        assert repr(caught.value.__cause__) == "ValueError('the cause')"


async def test_an_error_of_an_unknown_class_is_a_remote_error():
    class Target(RpcTarget):
        def fail(self):
            raise Refused(17, "not now")

    async with Both(Target()) as pair:
        pair.client = pair._session("server", None)
        with pytest.raises(RemoteError, match="not now"):
            await pair.api.fail()


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), StopIteration(1), asyncio.CancelledError()]
)
async def test_an_error_that_would_end_who_hears_it_is_a_remote_error(error):
    """Whether it is sent like that or not."""
    heard = Heard()
    found = codec.loads(BinaryForm().error(error))
    assert type(found) is RemoteError
    promise = asyncio.ensure_future(waited(heard.session.main.anything()))
    await asyncio.sleep(0)
    heard.say(["reject", 1, codec.dumps(error)])
    with pytest.raises(RemoteError):
        await promise


async def test_an_error_that_cannot_be_written_crosses_as_a_remote_error():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert type(codec.loads(BinaryForm(Registry([__name__])).error(Odd()))) is RemoteError


async def test_an_instance_of_an_unknown_class_fails_its_own_call():
    async with Both(Api()) as pair:
        with await pair.api.function(2) as double:
            server = pair.server
            pair.server._decoder._registry = Registry()
            with pytest.raises(DataCloneError, match="no such class here"):
                await pair.api.call(double, Point(1))
            server._decoder._registry = REGISTRY
            assert await pair.api.call(double, 3) == 6


async def test_stubs_may_stand_anywhere_in_a_value():
    class Target(RpcTarget):
        async def use(self, point, *, more):
            return [await point.x(1), await more[0].a(2)]

    async with Both(Target()) as pair:
        value = Point(lambda value: value + 1)
        assert await pair.api.use(value, more=(Row(lambda value: value * 10),)) == [2, 20]


async def test_one_function_in_two_places_is_exported_once():
    async with Both(Api()) as pair:

        def function(value):
            return value

        # A lone surrogate makes the codec write the value twice.
        promise = pair.api.echo(["\ud800", function, {"again": function}])
        assert len(pair.client.exports) == 2
        found = await promise
        assert await found[1](5) == 5


async def test_promises_are_replaced_by_their_values_wherever_they_stand():
    async with Both(Api()) as pair:
        assert await pair.api.echo(Point(pair.api.add(1, 2), (pair.api.room("a").name,))) == Point(3, ("a",))
        with pytest.raises(ValueError, match="out of range"):
            await pair.api.echo(Point(pair.api.raises("range")))


async def test_map_makes_values_where_the_items_are():
    async with Both(Api()) as pair:
        found = await pair.api.echo([1, 2]).map(lambda item: {"item": pair.api.add(item, b=10), "what": b"x"})
        assert found == [{"item": 11, "what": b"x"}, {"item": 12, "what": b"x"}]


async def test_bodies_of_http_messages_go_as_bytes():
    async with Both(Api()) as pair:
        response = await pair.api.echo(Response(b"\xff\x00" * 100, status=404))
        assert (response.status, await response.bytes()) == (404, b"\xff\x00" * 100)
        assert any(b"\xff\x00" * 100 in line for _, line in pair.lines)


@pytest.mark.parametrize("name", ["\ud800", 2**70])
async def test_a_name_that_no_message_holds_is_refused_where_it_is(name):
    """And what its arguments would have exported is not."""
    async with Both(Api()) as pair:
        with pytest.raises(PerdureError, match="cannot be sent"):
            pair.api[name](lambda: 1)
        assert await pair.api.add(1) == 2


# --- what is no message -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"", "is not"),
        (b"\xc1", "is not"),
        (b"\x93\x01", "is not"),
        (b"\x81\x90\x01", "is not"),
        ("[]", "text message"),
        ({"push": 1}, "is not"),
        ([], "bad RPC message"),
        ([b"push", 1], "bad RPC message"),
        (["what", 1], "bad RPC message"),
        (["push", ["what"]], "unknown special value"),
        (["push", {"a": b"x"}], "unknown special value"),
        (["push", ["pipeline", 7, ["x"], b"\x01\x80"]], "no such entry on exports table: 7"),
        (["push", ["pipeline", 0, b"add", b"\x01\x80"]], "unknown special value"),
        (["push", [b"\x01\xc0", ["export", 1]]], "negative id"),
        (["push", [b"\x01\xc0", b"\x01\xc0"]], "unknown special value"),
        (["push", ["remap", 0, [], [], []]], "Invalid empty mapper"),
        (["pull", "0"], "bad RPC message"),
        (["pull", msgspec.msgpack.Ext(5, b"x")], "bad RPC message"),
        (["release", 0, 2], "refcount would go negative"),
        (b"\x91" * 200_000, "depth of 256"),
        (b"\x92\xa4push" + b"\x91" * 700 + b"\x90", "depth of 256"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_message_ends_the_session_with_its_reason(message, text):
    heard = Heard(Api())
    heard.say(message)
    assert text in heard.aborted()


async def test_a_message_over_the_limit_ends_the_session(monkeypatch):
    monkeypatch.setattr(limits, "RPC_MESSAGE_BYTES_MAX", 1000)
    heard = Heard(Api())
    heard.say(call("x" * 1000))
    assert "maximum size of 1,000 bytes" in heard.aborted()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x01",
        b"\x09what",
        b"\x02\x95\x90\xc4\x01x\x91\x05\x90\x00",
        codec.dumps([1]),
        codec.dumps({0: 1, None: 2}),
    ],
)
async def test_arguments_that_cannot_be_read_fail_their_own_call(value):
    heard = Heard(Api())
    heard.say(["push", ["pipeline", 0, ["add"], value]], ["pull", 1], call(1, 2), ["pull", 2])
    await asyncio.sleep(0.01)
    rejected, resolved = [msgspec.msgpack.decode(line) for line in heard.said]
    assert rejected[:2] == ["reject", 1]
    assert isinstance(codec.loads(rejected[2]), DataCloneError | TypeError)
    assert resolved == ["resolve", 2, codec.dumps(3)]


async def test_a_result_that_cannot_be_read_fails_its_own_call_and_lets_go_of_what_it_brought():
    heard = Heard()
    promise = asyncio.ensure_future(waited(heard.session.main.anything()))
    await asyncio.sleep(0)
    heard.say(["resolve", 1, [b"\x02damaged", ["export", -1]]])
    with pytest.raises(DataCloneError, match="value that the peer sent is corrupt"):
        await promise
    assert heard.session.counts == (1, 1)


async def test_a_reason_that_cannot_be_read_is_no_secret():
    heard = Heard()
    heard.say(["abort", b"\x02damaged"])
    assert isinstance(heard.end, DataCloneError)
    assert heard.session.counts == (0, 0)


async def test_stored_values_never_refer_to_anything_elsewhere():
    expression = BinaryForm().encode([len], lambda part: ["export", -1], "value")
    with pytest.raises(DataCloneError, match="corrupt"):
        codec.loads(expression[0])


async def _said_to_a_server():
    async with Both(Api()) as pair:
        await pair.api.echo([Point((1,)), lambda: 1, 2**80])
        await pair.api.call(lambda value: value, {"a": {1, 2}})
        await pair.api.room("a").messages()
        with pytest.raises(KeyError):
            await pair.api.raises("other")

        async def numbers():
            yield 1
            yield 2

        await pair.api.sum(numbers())
        await pair.api.echo([1]).map(lambda item: pair.api.add(item))
        await pair.settled()
        return [line for side, line in pair.lines if side == "server"]


@functools.cache
def sample_lines():
    return asyncio.run(_said_to_a_server())


@pytest.mark.fuzz
@given(data=st.data())
def test_random_and_mutated_messages_do_no_harm(data):
    """Nothing is raised or logged, and when the session is over nothing is left."""

    lines = sample_lines()

    async def run():
        heard = Heard(Api())
        for line in lines:
            what = data.draw(st.sampled_from(["as it is", "as it is", "changed", "cut", "random"]))
            if what == "changed":
                mutable = bytearray(line)
                at = data.draw(st.integers(0, len(line) - 1))
                mutable[at] = data.draw(st.integers(0, 255))
                line = bytes(mutable)
            elif what == "cut":
                line = line[: data.draw(st.integers(0, len(line)))]
            elif what == "random":
                line = data.draw(st.binary(max_size=40))
            heard.receive(line)
            await asyncio.sleep(0)
        if heard.session.ended is None:
            heard.session.lose(PerdureError("the end"))
        gc.collect()
        await asyncio.sleep(0)
        assert heard.session.counts == (0, 0)
        assert "internal error" not in str(heard.end)

    asyncio.run(run())
