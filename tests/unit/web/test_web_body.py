"""Bodies: used once, pulled as read."""

import asyncio

import pytest

from perdure._web import body as body_module
from perdure._web.body import USED, Body, BodyError, make_body


async def counted(pulls, count=3):
    for number in range(count):
        pulls.append(number)
        yield f"<{number}>"


@pytest.mark.parametrize(
    ("given", "data", "content_type"),
    [
        ("é", "é".encode(), "text/plain;charset=UTF-8"),
        ("", b"", "text/plain;charset=UTF-8"),
        ("\ud800", b"\xef\xbf\xbd", "text/plain;charset=UTF-8"),
        (b"b", b"b", None),
        (bytearray(b"b"), b"b", None),
        (memoryview(b"bcd")[1:], b"cd", None),
    ],
)
def test_bytes_and_text_are_bodies_of_known_size(given, data, content_type):
    """Text brings its content type."""
    body, found_type = make_body(given)
    assert (body.data, body.size, found_type) == (data, len(data), content_type)
    assert asyncio.run(body.read()) == data


def test_no_body_is_none():
    """Nothing is not an empty body."""
    assert make_body(None) == (None, None)


@pytest.mark.parametrize("wrong", [{}, [], ["a"], (), set(), 5, object(), {"a": 1}])
def test_a_container_is_a_type_error_that_proposes_json(wrong):
    """A dict is what people pass who mean JSON."""
    with pytest.raises(TypeError, match=r"got \w+\. For JSON use Response\.json"):
        make_body(wrong)


def test_an_async_iterable_is_pulled_only_as_it_is_read():
    """Back pressure begins here."""

    async def main():
        pulls = []
        body, _ = make_body(counted(pulls))
        assert body.size is None
        assert pulls == []
        assert await anext(body) == b"<0>"
        assert pulls == [0]
        assert b"".join([chunk async for chunk in body]) == b"<1><2>"

    asyncio.run(main())


def test_a_plain_iterator_is_a_stream_too():
    """A generator, an open file, and with either bytes or text."""

    async def main():
        body, _ = make_body(piece for piece in (b"a", "b", bytearray(b"c")))
        assert await body.read() == b"abc"

    asyncio.run(main())


def test_a_stream_that_gives_something_else_is_a_type_error():
    """The text names what came."""

    async def main():
        body, _ = make_body(iter([1]))
        with pytest.raises(TypeError, match="it gave int"):
            await body.read()

    asyncio.run(main())


@pytest.mark.parametrize("make", [lambda: b"data", lambda: counted([])])
def test_a_body_is_read_once(make):
    """The second reader is told so, however it reads."""

    async def main():
        body, _ = make_body(make())
        assert not body.used
        await body.read()
        assert body.used
        with pytest.raises(TypeError) as raised:
            await body.read()
        assert str(raised.value) == USED
        with pytest.raises(TypeError):
            async for _ in body:
                pass
        with pytest.raises(TypeError):
            body.take()
        with pytest.raises(TypeError):
            body.tee()

    asyncio.run(main())


def test_an_interrupted_loop_may_go_on():
    """Leaving a `for` does not end the body."""

    async def main():
        body, _ = make_body(counted([]))
        async for chunk in body:
            assert chunk == b"<0>"
            break
        assert [chunk async for chunk in body] == [b"<1>", b"<2>"]

    asyncio.run(main())


def test_taking_a_body_over_leaves_the_giver_used():
    """Two messages never share one stream."""

    async def main():
        first, _ = make_body(counted([]))
        second, _ = make_body(first)
        assert first.used
        assert not second.used
        assert await second.read() == b"<0><1><2>"

    asyncio.run(main())


def test_a_half_read_stream_cannot_be_a_body():
    """What was read is missing from it."""

    async def main():
        body, _ = make_body(counted([]))
        await anext(body)
        with pytest.raises(TypeError, match="disturbed"):
            make_body(body)

    asyncio.run(main())


def test_a_failing_source_fails_its_reader_and_then_is_over():
    """The error is not swallowed."""

    async def broken():
        yield b"a"
        raise ValueError("mid-way")

    async def main():
        body, _ = make_body(broken())
        with pytest.raises(ValueError, match="mid-way"):
            await body.read()
        with pytest.raises(StopAsyncIteration):
            await anext(body)

    asyncio.run(main())


def test_giving_up_runs_the_generators_finally():
    """Resources behind a stream are let go."""

    async def main():
        ended = []

        async def source():
            try:
                yield b"a"
                yield b"b"
            finally:
                ended.append("async")

        def plain():
            try:
                yield b"a"
                yield b"b"
            finally:
                ended.append("plain")

        for make in (source, plain):
            body, _ = make_body(make())
            await anext(body)
            await body.aclose()
            await body.aclose()
            assert body.used
        assert ended == ["async", "plain"]

    asyncio.run(main())


class TestTee:
    def test_bytes_are_simply_shared(self):
        """Nothing to copy."""

        async def main():
            first = Body(b"x")
            second = first.tee()
            assert (await first.read(), await second.read()) == (b"x", b"x")

        asyncio.run(main())

    def test_both_readers_get_all_in_any_order(self):
        """One after the other, or at the same time, and each chunk is pulled once."""

        async def main():
            for together in (False, True):
                pulls = []
                first, _ = make_body(counted(pulls))
                second = first.tee()
                if together:
                    read = await asyncio.gather(first.read(), second.read())
                else:
                    read = [await second.read(), await first.read()]
                assert read == [b"<0><1><2>"] * 2
                assert pulls == [0, 1, 2]

        asyncio.run(main())

    def test_a_tee_of_a_tee_works(self):
        """Three readers."""

        async def main():
            first, _ = make_body(counted([]))
            second = first.tee()
            third = second.tee()
            assert await asyncio.gather(third.read(), first.read(), second.read()) == [b"<0><1><2>"] * 3

        asyncio.run(main())

    def test_a_failure_reaches_both(self):
        """Neither takes the break for the end."""

        async def broken():
            yield b"a"
            raise ValueError("mid-way")

        async def main():
            first, _ = make_body(broken())
            second = first.tee()
            for reader in (first, second):
                with pytest.raises(ValueError, match="mid-way"):
                    await reader.read()

        asyncio.run(main())

    def test_a_cancelled_reader_does_not_fake_the_others_end(self):
        """The source was interrupted: the other reader hears of it."""

        async def main():
            async def source():
                yield b"a"
                await asyncio.Event().wait()

            first, _ = make_body(source())
            second = first.tee()
            reading = asyncio.ensure_future(first.read())
            while second._source._fork.waiting_bytes[1] == 0:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert await anext(second) == b"a"
            with pytest.raises(BodyError, match="cut off"):
                await anext(second)

        asyncio.run(main())

    def test_the_slower_reader_is_bounded(self, monkeypatch):
        """A forgotten copy does not fill the memory."""
        monkeypatch.setattr(body_module, "TEE_BUFFER_BYTES_MAX", 5)

        async def main():
            first, _ = make_body(counted([]))
            second = first.tee()
            with pytest.raises(BodyError, match="more than 5 bytes behind"):
                await first.read()
            assert await anext(second) == b"<0>"

        asyncio.run(main())

    def test_a_reader_that_gave_up_holds_nothing(self, monkeypatch):
        """And the source is closed when both have."""
        monkeypatch.setattr(body_module, "TEE_BUFFER_BYTES_MAX", 5)

        async def main():
            ended = []

            async def source():
                try:
                    while True:
                        yield b"abc"
                finally:
                    ended.append(True)

            first, _ = make_body(source())
            second = first.tee()
            await second.aclose()
            for _ in range(5):
                assert await anext(first) == b"abc"
            assert ended == []
            await first.aclose()
            assert ended == [True]

        asyncio.run(main())
