"""Two sessions back to back, in both forms: what crosses, in which order, and that nothing is left."""

from __future__ import annotations

import asyncio
import gc

import pytest
from support.sessions import Api, Heard, Pair, Room

from perdure import Headers, Request, Response, RpcTarget
from perdure._rpc.capnweb.form import TextForm
from perdure._rpc.wire import BinaryForm
from perdure.errors import DataCloneError, Disconnected, PerdureError, RemoteError
from perdure.rpc import UNDEFINED, BigInt, Blob, RpcStub, TypedArray, WritableStream


@pytest.fixture(autouse=True, params=[TextForm, BinaryForm])
def form(request, monkeypatch):
    monkeypatch.setattr(Pair, "form", request.param)
    return request.param


text_only = pytest.mark.parametrize("form", [TextForm], indirect=True)


async def test_a_call_has_its_result():
    async with Pair(Api()) as pair:
        assert await pair.api.add(1, 2) == 3
        assert await pair.api.nothing() is None


@text_only
async def test_arguments_by_name_go_as_one_last_object():
    async with Pair(Api()) as pair:
        assert await pair.api.add(1, b=5) == 6
        assert '{"**":{"b":5}}' in pair.lines[0][1]


async def test_an_argument_that_looks_like_those_by_name_arrives_as_it_is():
    async with Pair(Api()) as pair:
        assert await pair.api.echo({"**": {"value": 1}}) == {"**": {"value": 1}}


async def test_calls_start_in_the_order_made():
    started = []

    class Target(RpcTarget):
        def note(self, number):
            started.append(number)

    async with Pair(Target()) as pair:
        await asyncio.gather(*[pair.api.note(number) for number in range(50)])
    assert started == list(range(50))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1.5, "text \ud800", b"bytes", [1, [2, []]], {"a": {"b": [None]}}, BigInt(5), 2**80,
        TypedArray("Float32Array", b"12345678"), Blob(b"blob" * 100_000, "text/plain"), Blob(b""),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
async def test_values_come_back_as_they_went(value, form):
    async with Pair(Api()) as pair:
        found = await pair.api.echo(value)
        assert found == value
        is_big = form is TextForm and type(value) is int and value > 2**53
        assert type(found) is (BigInt if is_big else type(value))


@text_only
async def test_undefined_comes_back_as_itself_only_if_the_session_is_strict():
    async with Pair(Api()) as pair:
        assert await pair.api.echo(UNDEFINED) is None
    async with Pair(Api(), strict_undefined=True) as pair:
        assert await pair.api.function(2)  # a stub is not undefined


async def test_http_messages_cross_with_their_bodies():
    async def pieces():
        yield b"stre"
        yield b"amed"

    async with Pair(Api()) as pair:
        response = await pair.api.respond(Request("http://a/", method="PUT", body=pieces()))
        assert (response.status, response.headers["x-method"]) == (201, "PUT")
        assert await response.text() == "streamed"
        response = await pair.api.echo(Response(pieces()))
        assert await response.bytes() == b"streamed"
        assert list(await pair.api.echo(Headers({"a": "b"}))) == ["a"]


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "cls", "text"),
    [
        ("range", ValueError, "out of range"),
        ("type", TypeError, "wrong type"),
        ("other", KeyError, "'other'"),
        ("exit", RemoteError, "3"),
    ],
)
async def test_an_error_of_a_method_is_the_callers(what, cls, text):
    async with Pair(Api()) as pair:
        with pytest.raises(cls) as caught:
            await pair.api.raises(what)
        assert str(caught.value) == text
        assert caught.value.remote
        assert await pair.api.add(1) == 2


async def test_a_group_of_errors_stays_one():
    async with Pair(Api()) as pair:
        with pytest.raises(ExceptionGroup) as caught:
            await pair.api.raises("group")
        assert [type(error) for error in caught.value.exceptions] == [ValueError, TypeError]


async def test_properties_of_an_error_cross():
    async with Pair(Api()) as pair:
        with pytest.raises(KeyError) as caught:
            await pair.api.raises("other")
        assert caught.value.code == 17


@pytest.mark.parametrize("name", ["missing", "_private", "kept", "dup", "constructor", "__init__", "dispose"])
async def test_what_is_not_public_cannot_be_called(name):
    async with Pair(Api()) as pair:
        with pytest.raises(TypeError):
            await pair.api[name]()


async def test_what_cannot_be_sent_is_refused_where_it_is():
    """And what went before it in the same message is exported no more."""
    async with Pair(Api()) as pair:
        with pytest.raises(DataCloneError, match=r"arguments\[1\]"):
            pair.api.call(lambda: 1, object())
        assert await pair.api.add(1) == 2


async def test_a_result_that_cannot_be_sent_is_an_error_of_the_call():
    class Target(RpcTarget):
        def odd(self):
            return {"fine": Room("x"), "odd": object()}

    async with Pair(Target()) as pair:
        with pytest.raises(DataCloneError, match=r'result\["odd"\]'):
            await pair.api.odd()


async def test_an_error_may_be_replaced_before_it_is_sent():
    heard = Heard(None, on_send_error=lambda error: PerdureError("something went wrong"))
    heard.receive('["push",["pipeline",0,["x"],[]]]')
    heard.receive('["pull",1]')
    answer = await heard.answer()
    assert "something went wrong" in answer
    assert "no main object" not in answer


async def test_a_message_that_no_peer_would_take_is_refused_where_it_is():
    """Arguments to the caller, a result to who asked for it (RPC-15); nothing of it stays exported."""
    large = "x" * (33 << 20)

    class Target(RpcTarget):
        def large(self):
            return [large, Room("a")]

    async with Pair(Target()) as pair:
        with pytest.raises(PerdureError, match="limited to 32MiB"):
            pair.api.echo(large, lambda: 1)
        with pytest.raises(PerdureError, match="limited to 32MiB"):
            await pair.api.large()


# --- stubs ------------------------------------------------------------------------------------------------


async def test_functions_are_called_back():
    async with Pair(Api()) as pair:
        assert await pair.api.call(lambda value: value * 2, 21) == 42

        async def later(value):
            await asyncio.sleep(0)
            return [value]

        assert await pair.api.call(later, 1) == [1]


async def test_an_error_of_a_callback_is_the_methods_and_then_the_callers():
    def fails():
        raise LookupError("no such thing")

    async with Pair(Api()) as pair:
        with pytest.raises(LookupError, match="no such thing"):
            await pair.api.call(fails)


async def test_a_function_that_came_back_is_called_there():
    async with Pair(Api()) as pair:
        with await pair.api.function(3) as triple:
            assert await triple(5) == 15


async def test_a_stub_that_goes_back_is_the_thing_itself():
    """Its calls do not travel."""
    async with Pair(Api()) as pair:
        with RpcStub(lambda: "called") as stub, (await pair.api.echo([stub]))[0] as back:
            await pair.settled()
            said = len(pair.lines)
            assert await back() == "called"
            assert len(pair.lines) == said


async def test_a_stub_that_is_the_whole_result_goes_back_as_a_new_one():
    """The npm client could not use it otherwise."""
    async with Pair(Api()) as pair:
        with RpcStub(lambda: "called") as stub, await pair.api.echo(stub) as back:
            assert await back() == "called"


async def test_a_stub_of_the_peer_goes_back_as_itself():
    async with Pair(Api()) as pair:
        with await pair.api.function(3) as triple:
            assert await pair.api.call(triple, 2) == 6


async def test_a_stub_in_arguments_ends_with_the_call_unless_it_is_dupd():
    async with Pair(Api()) as pair:
        await pair.api.keep(lambda value: value + 1)
        assert await pair.api.use_kept(1) == 2
        await pair.settled(((1, 2), (2, 1)))
        await pair.api.drop_kept()


async def test_a_stub_that_is_dropped_is_released():
    """Python counts references: nobody has to dispose."""
    Room.disposed.clear()
    async with Pair(Api()) as pair:
        room = await pair.api.room("a")
        assert await room.name == "a"
        assert pair.counts == ((2, 1), (1, 2))
        del room
        await pair.settled()
        assert Room.disposed == ["a"]


async def test_disposal_twice_is_fine():
    async with Pair(Api()) as pair:
        room = await pair.api.room("a")
        with room:
            pass
        room.dispose()
        with pytest.raises(PerdureError, match="after being disposed"):
            await room.name
        await pair.settled()


async def test_duplicates_hold_the_target():
    Room.disposed.clear()
    async with Pair(Api()) as pair:
        room = await pair.api.room("b")
        other = room.dup()
        room.dispose()
        assert await other.name == "b"
        assert Room.disposed == []
        other.dispose()


async def test_stubs_inside_of_values_are_stubs():
    async with Pair(Api()) as pair:
        found = await pair.api.room("a").me()
        assert found["more"] == [1, {"a": None}]
        with found["room"] as room:
            assert await room.messages() == ["in a", "bye"]


# --- promises ---------------------------------------------------------------------------------------------


async def test_calls_on_a_result_that_is_not_there_go_in_one_round_trip():
    async with Pair(Api()) as pair:
        promise = pair.api.room("a").messages()
        assert [side for side, _ in pair.lines] == ["server", "server"]
        assert await promise == ["in a", "bye"]
        assert await pair.api.room("b").me()["room"].name == "b"


async def test_a_promise_is_asked_for_only_when_it_is_awaited():
    async with Pair(Api()) as pair:
        promise = pair.api.add(1, 2)
        await asyncio.sleep(0.01)
        assert not pair.said("pull")
        assert not pair.said("resolve")
        assert await promise == 3


async def test_a_promise_as_an_argument_is_replaced_by_its_value():
    async with Pair(Api()) as pair:
        with pair.api.add(1, 2) as three:
            assert await pair.api.add(three, pair.api.add(10, 20)) == 33
        assert await pair.api.echo([pair.api.room("a").name]) == ["a"]


async def test_an_error_of_a_promise_is_that_of_all_that_use_it():
    async with Pair(Api()) as pair:
        with pytest.raises(ValueError, match="out of range"):
            await pair.api.add(pair.api.raises("range"), 1)
        with pytest.raises(ValueError, match="out of range"):
            await pair.api.raises("range").anything.at.all()


async def test_a_promise_that_is_dropped_or_disposed_is_released_without_an_answer():
    async with Pair(Api()) as pair:
        pair.api.room("a")
        promise = pair.api.room("b")
        promise.dispose()
        promise.dispose()
        with pytest.raises(PerdureError, match="after being disposed"):
            await promise
        await pair.settled()
        assert not pair.said("resolve")


async def test_a_caller_that_stops_waiting_lets_go():
    """What the call brings later is dropped; the call itself goes on (STB-15)."""
    async with Pair(Api()) as pair:
        go_on = asyncio.Event()
        waiting = asyncio.ensure_future(pair.api.call(go_on.wait))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()


async def test_a_path_may_be_64_names_long():
    async with Pair(Api()) as pair:
        prop = pair.api
        for _ in range(64):
            prop = prop.x
        with pytest.raises(TypeError, match="max 64"):
            prop.x  # noqa: B018


# --- streams ----------------------------------------------------------------------------------------------


async def numbers(count):
    for number in range(count):
        yield number


async def test_an_async_generator_is_a_stream():
    async with Pair(Api()) as pair:
        assert await pair.api.sum(numbers(100)) == 4950


async def test_a_stream_in_a_result_outlives_the_call():
    """The peer lets go of the call as soon as it has the stream; that does not end what flows."""
    async with Pair(Api()) as pair:
        stream = await pair.api.numbers(3000)
        assert [n async for n in stream] == list(range(3000))
        del stream


async def test_a_stream_flows_only_as_fast_as_it_is_read():
    """At most a window is on its way."""
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield bytes(100_000)

    class Target(RpcTarget):
        async def look(self, stream):
            await anext(stream)
            for _ in range(200):
                await asyncio.sleep(0)
            self.seen = sent
            return sum([len(chunk) async for chunk in stream])

        def how_many(self):
            return self.seen

    async with Pair(Target()) as pair:
        assert await pair.api.look(pieces()) == 99 * 100_000
        assert await pair.api.how_many() < 15


async def test_a_reader_that_stops_ends_the_generator():
    ended = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield 1
        finally:
            ended.set()

    async with Pair(Api()) as pair:
        assert await pair.api.sum_two(pieces()) == 3
        await asyncio.wait_for(ended.wait(), 5)


async def test_an_error_of_the_generator_reaches_the_reader():
    async def pieces():
        yield 1
        raise LookupError("no more")

    async with Pair(Api()) as pair:
        with pytest.raises(LookupError, match="no more"):
            await pair.api.sum(pieces())


class Sink:
    def __init__(self, fails=False):
        self.got = []
        self.fails = fails

    async def write(self, chunk):
        await asyncio.sleep(0)
        if self.fails and len(self.got) == 2:
            raise OSError("full")
        self.got.append(chunk)

    def close(self):
        self.got.append("closed")

    def abort(self, reason):
        self.got.append(reason)


async def test_a_writable_stream_is_written_to_in_order():
    async with Pair(Api()) as pair:
        sink = Sink()
        assert await pair.api.pour(WritableStream(sink), 50) == "poured"
        assert sink.got == [*({"number": number} for number in range(50)), "closed"]


async def test_a_write_that_fails_is_the_writers_error():
    async with Pair(Api()) as pair:
        sink = Sink(fails=True)
        with pytest.raises(OSError, match="full"):
            await pair.api.pour(WritableStream(sink), 50)
        assert len(sink.got) == 2


async def test_a_stream_that_is_broken_off_tells_the_sink():
    async with Pair(Api()) as pair:
        sink = Sink()
        await pair.api.pour_and_fail(WritableStream(sink))
        assert sink.got[0] == 1
        assert repr(sink.got[1]) == "ValueError('enough')"


async def test_a_writable_stream_that_is_dropped_is_aborted():
    class Forgets(RpcTarget):
        def forget(self, stream):
            return None

    async with Pair(Forgets()) as pair:
        sink = Sink()
        await pair.api.forget(WritableStream(sink))
        async with asyncio.timeout(30):
            while not sink.got:
                gc.collect()
                for _ in range(100):
                    await asyncio.sleep(0)
        assert "without calling close" in str(sink.got[0])


async def test_a_stream_can_be_passed_on_and_is_then_somebody_elses():
    async with Pair(Api()) as other:

        class Between(RpcTarget):
            async def sum(self, stream):
                return await other.api.sum(stream)

        async with Pair(Between()) as pair:
            assert await pair.api.sum(numbers(10)) == 45


async def test_a_stub_of_one_session_goes_on_into_another():
    """Its calls lead through whoever introduced the two (RPC-27)."""
    async with Pair(Api()) as other:

        class Between(RpcTarget):
            async def room(self, name):
                return await other.api.room(name)

        async with Pair(Between()) as pair:
            assert await pair.api.room("far").messages() == ["in far", "bye"]
            with await pair.api.room("far") as room:
                assert await room.me()["room"].name == "far"


# --- the end ----------------------------------------------------------------------------------------------


async def test_the_end_fails_what_waits_and_disposes_what_was_given():
    Room.disposed.clear()
    pair = Pair(Api())
    room = await pair.api.room("a")
    broken = []
    room.on_broken(lambda error: broken.append(("first", str(error))))
    pair.api.on_broken(lambda error: broken.append(("second", str(error))))
    never = asyncio.Event()
    waiting = asyncio.ensure_future(pair.api.call(never.wait))
    await asyncio.sleep(0.01)
    for session in (pair.client, pair.server):
        session.lose(Disconnected("the cable was cut"))
    with pytest.raises(Disconnected, match="cable was cut"):
        await waiting
    with pytest.raises(Disconnected, match="cable was cut"):
        await room.name
    with pytest.raises(Disconnected, match="cable was cut"):
        await pair.api.add(1)
    await asyncio.sleep(0.01)
    assert broken == [("first", "the cable was cut"), ("second", "the cable was cut")]
    assert Room.disposed == ["a"]
    assert pair.counts == ((0, 0), (0, 0))


async def test_a_stub_that_was_disposed_hears_of_no_end():
    pair = Pair(Api())
    heard = []
    for _ in range(3):
        with await pair.api.room("a") as room:
            room.on_broken(heard.append)
    assert pair.client._watchers == {}
    pair.client.lose(Disconnected("gone"))
    await asyncio.sleep(0.01)
    assert heard == []


async def test_disposing_the_main_stub_ends_the_session():
    pair = Pair(Api())
    pair.api.dispose()
    assert pair.client.ended is not None
    with pytest.raises(PerdureError, match="being disposed"):
        await pair.api.add(1)


async def test_both_sides_may_have_a_main_object():
    class Page(RpcTarget):
        def title(self):
            return "a page"

    async with Pair(Api(), Page()) as pair:
        assert await pair.server.main.title() == "a page"


async def test_an_abort_of_the_peer_fails_what_waits_with_its_error():
    pair = Pair(Api())
    waiting = asyncio.ensure_future(pair.api.call(asyncio.Event().wait))
    await asyncio.sleep(0.01)
    pair.server.abort(ValueError("I have enough"))
    with pytest.raises(ValueError, match="I have enough"):
        await waiting
    assert pair.counts == ((0, 0), (0, 0))
