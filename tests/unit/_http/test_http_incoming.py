"""One queue of messages, read by the handler and watched for the disconnect."""

import asyncio

import pytest

from perdure._http.incoming import Incoming
from perdure.web import BodyError


class Source:
    """A server's queue: what is put in comes out of `receive`."""

    def __init__(self, *messages):
        self.queue = asyncio.Queue()
        self.received = 0
        for message in messages:
            self.queue.put_nowait(message)

    async def receive(self):
        message = await self.queue.get()
        self.received += 1
        return message


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_body_is_taken_from_the_server_as_it_is_read():
    """No message before it is asked for."""

    async def main():
        source = Source(piece(b"a"), piece(b""), piece(b"b", more=False))
        incoming = Incoming(source.receive)
        assert source.received == 0
        assert await anext(incoming) == b"a"
        assert source.received == 1
        assert await anext(incoming) == b"b"
        with pytest.raises(StopAsyncIteration):
            await anext(incoming)
        assert source.received == 3

    asyncio.run(main())


def test_a_disconnect_inside_the_body_is_an_error_not_an_end():
    """Each further read says so again."""

    async def main():
        incoming = Incoming(Source(piece(b"a"), GONE).receive)
        await anext(incoming)
        for _ in range(2):
            with pytest.raises(
                BodyError, match="The client disconnected before the whole request body"
            ) as raised:
                await anext(incoming)
        assert raised.value.status == 499

    asyncio.run(main())


def test_the_watch_sees_the_client_go():
    """When there is no body to read."""

    async def main():
        source = Source(piece(b"", more=False))
        incoming = Incoming(source.receive)
        watch = asyncio.ensure_future(incoming.disconnected())
        await settle()
        assert not watch.done()
        assert incoming.complete
        source.queue.put_nowait(GONE)
        await asyncio.wait_for(watch, 1)

    asyncio.run(main())


def test_the_watch_takes_one_piece_of_an_unread_body_at_most():
    """Back pressure holds while it waits; the reader gets that piece first."""

    async def main():
        source = Source(piece(b"a"), piece(b"b"), piece(b"c", more=False), GONE)
        incoming = Incoming(source.receive)
        watch = asyncio.ensure_future(incoming.disconnected())
        await settle()
        assert source.received == 1
        assert [chunk async for chunk in incoming] == [b"a", b"b", b"c"]
        await asyncio.wait_for(watch, 1)
        assert incoming.complete

    asyncio.run(main())


def test_the_watch_goes_on_past_an_unread_last_piece():
    """Nothing but the disconnect can follow it."""

    async def main():
        source = Source(piece(b"a", more=False), GONE)
        incoming = Incoming(source.receive)
        await asyncio.wait_for(incoming.disconnected(), 1)
        assert await anext(incoming) == b"a"
        with pytest.raises(StopAsyncIteration):
            await anext(incoming)

    asyncio.run(main())


def test_reader_and_watch_never_wait_on_the_server_together():
    """Whoever comes second waits for the first, and nothing is lost."""

    async def main():
        waiting = 0
        source = Source()

        async def receive():
            nonlocal waiting
            waiting += 1
            assert waiting == 1
            try:
                return await source.receive()
            finally:
                waiting -= 1

        incoming = Incoming(receive)
        reading = asyncio.ensure_future(anext(incoming))
        await settle()
        watch = asyncio.ensure_future(incoming.disconnected())
        await settle()
        source.queue.put_nowait(piece(b"a"))
        assert await asyncio.wait_for(reading, 1) == b"a"
        reading = asyncio.ensure_future(anext(incoming))
        await settle()
        source.queue.put_nowait(GONE)
        with pytest.raises(BodyError):
            await asyncio.wait_for(reading, 1)
        await asyncio.wait_for(watch, 1)

    asyncio.run(main())


def test_a_reader_that_waits_while_the_watch_finds_the_end_ends():
    """The last piece may be empty."""

    async def main():
        source = Source()
        incoming = Incoming(source.receive)
        watch = asyncio.ensure_future(incoming.disconnected())
        await settle()
        reading = asyncio.ensure_future(anext(incoming, None))
        await settle()
        source.queue.put_nowait(piece(b"", more=False))
        assert await asyncio.wait_for(reading, 1) is None
        watch.cancel()

    asyncio.run(main())


def test_an_abandoned_watch_leaves_the_reader_its_turn():
    """Cancelling it in the middle loses nothing."""

    async def main():
        source = Source()
        incoming = Incoming(source.receive)
        watch = asyncio.ensure_future(incoming.disconnected())
        await settle()
        watch.cancel()
        await settle()
        source.queue.put_nowait(piece(b"a", more=False))
        assert [chunk async for chunk in incoming] == [b"a"]

    asyncio.run(main())
