"""`js.ReadableStream`, `js.WritableStream`, `js.TransformStream` and those made of them."""

from __future__ import annotations

import asyncio
import zlib

import pytest

import perdure
from perdure._cloudflare.exceptions import JsException
from perdure._cloudflare.exchange import response_from_native, response_to_native
from perdure._cloudflare.values import Uint8Array, create_proxy, to_js
from perdure._cloudflare.web.abort import AbortController
from perdure._cloudflare.web.encoding import (
    CompressionStream,
    DecompressionStream,
    TextDecoder,
    TextDecoderStream,
    TextEncoder,
    TextEncoderStream,
)
from perdure._cloudflare.web.readable_streams import ReadableStream
from perdure._cloudflare.web.response import Response as JsResponse
from perdure._cloudflare.web.transform_streams import (
    FixedLengthStream,
    IdentityTransformStream,
    TransformStream,
)
from perdure._cloudflare.web.writable_streams import WritableStream
from perdure._cloudflare.workers.response import Response


async def all_of(stream):
    return [chunk async for chunk in stream]


def collecting():
    """Return a stream to write to, and what was written, with what ended it."""
    seen = []
    sink = {
        "write": seen.append,
        "close": lambda: seen.append("closed"),
        "abort": lambda why: seen.append(f"aborted: {why}"),
    }
    return WritableStream.new(to_js(sink)), seen


def numbers(count, seen=None):
    """Return a stream of numbers, made as they are asked for."""

    def pull(controller):
        nonlocal count
        if not count:
            controller.close()
            return
        count -= 1
        controller.enqueue(count)

    def cancel(reason):
        (seen if seen is not None else []).append(f"cancelled: {reason}")

    return ReadableStream.new({"pull": create_proxy(pull), "cancel": create_proxy(cancel)})


# --- ReadableStream ------------------------------------------------------------------------------------------


@pytest.mark.members("js.ReadableStream", "js.ReadableStream.new")
async def test_a_stream_is_made_of_functions():
    """`start` may put chunks in, `pull` is called for more, also as coroutines."""

    async def start(controller):
        await asyncio.sleep(0)
        controller.enqueue("first")

    async def pull(controller):
        await asyncio.sleep(0)
        controller.enqueue("second")
        controller.close()

    assert await all_of(ReadableStream.new(start=start, pull=pull)) == ["first", "second"]
    assert await all_of(numbers(3)) == [2, 1, 0]


async def test_a_source_may_give_its_chunks_later():
    controllers = []
    stream = ReadableStream.new({"start": controllers.append})
    reading = asyncio.ensure_future(all_of(stream))
    await asyncio.sleep(0)
    (controller,) = controllers
    assert controller.desiredSize == 1
    controller.enqueue(b"a")
    controller.enqueue(Uint8Array([98]))
    assert controller.desiredSize == -1
    controller.close()
    assert [bytes(chunk) for chunk in await reading] == [b"a", b"b"]
    assert controller.desiredSize is None
    with pytest.raises(JsException, match="closed"):
        controller.enqueue(b"c")


@pytest.mark.parametrize("where", ["start", "pull", "error", "async start"])
async def test_a_source_that_fails_fails_its_reader(where):
    def fail(controller):
        if where != "error":
            raise ValueError("broken")
        controller.error(ValueError("broken"))

    async def fail_later(controller):
        fail(controller)

    if where == "start":
        with pytest.raises(ValueError, match="broken"):
            ReadableStream.new({"start": fail})
        return
    stream = ReadableStream.new({"start": fail_later} if where == "async start" else {"pull": fail})
    with pytest.raises(ValueError, match="broken"):
        await all_of(stream)


@pytest.mark.members("js.ReadableStream.from")
async def test_a_stream_is_made_of_what_can_be_iterated_over():
    async def each():
        yield 1
        yield 2

    assert await all_of(ReadableStream.from_(each())) == [1, 2]
    assert await all_of(getattr(ReadableStream, "from")([1, 2])) == [1, 2]


@pytest.mark.members("js.ReadableStream.getReader", "js.ReadableStream.locked")
async def test_a_reader_locks_its_stream():
    stream = ReadableStream.from_(["a"])
    reader = stream.getReader()
    assert stream.locked
    with pytest.raises(JsException, match="currently locked to a reader"):
        stream.getReader()
    with pytest.raises(JsException, match="currently locked to a reader"):
        response_to_native(Response(stream))
    first, end = await reader.read(), await reader.read()
    assert (first.value, first.done, end.value, end.done) == ("a", False, None, True)
    await reader.closed
    reader.releaseLock()
    assert not stream.locked
    with pytest.raises(JsException, match="has been released"):
        await reader.read()


@pytest.mark.members("js.ReadableStream.cancel")
async def test_cancelling_tells_the_source():
    seen = []
    await numbers(3, seen).cancel("why")
    reader = numbers(3, seen).getReader()
    await reader.read()
    await reader.cancel("so")
    async for _ in numbers(3, seen):
        break
    await asyncio.sleep(0)
    assert seen[:2] == ["cancelled: why", "cancelled: so"]


async def test_reading_by_bytes_fills_a_buffer():
    reader = JsResponse.new("abcdef").body.getReader(mode="byob")
    assert (await reader.read(Uint8Array(4))).value.to_bytes() == b"abcd"
    assert (await reader.readAtLeast(2, Uint8Array(4))).value.to_bytes() == b"ef"
    assert (await reader.read(Uint8Array(4))).done


@pytest.mark.members("js.ReadableStream.tee")
async def test_a_stream_forks():
    """Each half has all chunks, however fast the other is read."""
    for stream, chunks in [(numbers(3), [2, 1, 0]), (JsResponse.new("abc").body, [b"abc"])]:
        one, two = stream.tee()
        assert await all_of(one) == chunks
        assert await all_of(two) == chunks
        assert stream.locked


async def test_a_fork_whose_halves_are_cancelled_cancels_its_source():
    seen = []
    one, two = numbers(3, seen).tee()
    await one.cancel()
    assert seen == []
    await two.cancel("why")
    assert seen == ["cancelled: why"]


async def test_the_body_of_a_message_is_one_stream():
    response = JsResponse.new("abc")
    assert response.body is response.body
    chunk = (await all_of(response.body))[0]
    assert (chunk.to_bytes(), chunk, response.bodyUsed) == (b"abc", b"abc", True)
    with pytest.raises(JsException, match="Body has already been used"):
        await response.text()


async def test_a_body_whose_stream_is_locked_is_not_read():
    response = JsResponse.new("abc")
    reader = response.body.getReader()
    for read in (response.text, response.formData):
        with pytest.raises(JsException, match="currently locked to a reader"):
            await read()
    reader.releaseLock()
    assert await response.text() == "abc"


async def test_a_body_of_other_things_than_bytes_fails():
    with pytest.raises(JsException, match="it gave int"):
        await Response(numbers(1)).js_object.text()


# --- WritableStream ------------------------------------------------------------------------------------------


@pytest.mark.members("js.WritableStream", "js.WritableStream.getWriter", "js.WritableStream.locked")
async def test_chunks_are_written_in_order_awaited_or_not():
    stream, seen = collecting()
    writer = stream.getWriter()
    assert stream.locked
    with pytest.raises(JsException, match="currently locked to a writer"):
        stream.getWriter()
    writer.write("a")
    writer.write("b")
    assert writer.desiredSize == 0
    await writer.ready
    assert (seen, writer.desiredSize) == (["a", "b"], 1)
    writer.write("c")
    await writer.close()
    await writer.closed
    assert seen == ["a", "b", "c", "closed"]
    with pytest.raises(JsException, match="has been closed"):
        writer.write("d")
    with pytest.raises(JsException, match="has been closed"):
        writer.close()
    writer.releaseLock()
    assert not stream.locked
    with pytest.raises(JsException, match="has been released"):
        writer.write("d")


async def test_a_sink_that_fails_fails_what_is_written_after():
    async def write(_chunk, _controller):
        raise ValueError("full")

    writer = WritableStream.new(write=write).getWriter()
    with pytest.raises(ValueError, match="full"):
        await writer.write("a")
    with pytest.raises(ValueError, match="full"):
        await writer.write("b")
    with pytest.raises(ValueError, match="full"):
        await writer.closed
    assert writer.desiredSize is None


async def test_a_sink_may_start_slowly_and_say_that_it_can_take_no_more():
    begun = []

    async def start(controller):
        await asyncio.sleep(0)
        begun.append(controller)

    def write(chunk, controller):
        assert begun == [controller]
        controller.error(ValueError("enough"))

    writer = WritableStream.new(to_js({"start": start, "write": write})).getWriter()
    await writer.write("a")
    with pytest.raises(ValueError, match="enough"):
        await writer.write("b")


@pytest.mark.members("js.WritableStream.abort", "js.WritableStream.close")
async def test_aborting_tells_the_sink():
    stream, seen = collecting()
    await stream.abort("why")
    with pytest.raises(JsException, match="why"):
        await stream.getWriter().write("a")
    closed, more = collecting()
    await closed.close()
    assert (seen, more) == (["aborted: why"], ["closed"])


# --- pipes ---------------------------------------------------------------------------------------------------


@pytest.mark.members("js.ReadableStream.pipeTo")
async def test_a_pipe_carries_everything_and_closes():
    stream, seen = collecting()
    source = numbers(2)
    await source.pipeTo(stream)
    assert (seen, source.locked, stream.locked) == ([1, 0, "closed"], True, False)
    again, more = collecting()
    await numbers(1).pipeTo(again, preventClose=True)
    assert more == [0]


async def test_a_pipe_that_fails_tells_both_ends():
    def write(_chunk, _controller):
        raise ValueError("full")

    seen = []
    with pytest.raises(ValueError, match="full"):
        await numbers(2, seen).pipeTo(WritableStream.new(write=write))
    assert seen == ["cancelled: full"]

    def pull(_controller):
        raise ValueError("broken")

    stream, seen = collecting()
    with pytest.raises(ValueError, match="broken"):
        await ReadableStream.new(pull=pull).pipeTo(stream)
    assert seen == ["aborted: broken"]


async def test_a_pipe_ends_with_its_signal():
    controller, seen = AbortController.new(), []
    controller.abort(ValueError("enough"))
    stream, written = collecting()
    with pytest.raises(ValueError, match="enough"):
        await numbers(2, seen).pipeTo(stream, to_js({"signal": controller.signal}))
    assert (seen, written) == (["cancelled: enough"], ["aborted: enough"])


# --- TransformStream -----------------------------------------------------------------------------------------


@pytest.mark.members(
    "js.TransformStream",
    "js.TransformStream.new",
    "js.TransformStream.readable",
    "js.TransformStream.writable",
)
async def test_what_is_written_comes_out_changed():
    def transform(chunk, controller):
        controller.enqueue(chunk * 10)

    async def flush(controller):
        controller.enqueue("end")

    stream = TransformStream.new(
        {"transform": transform, "flush": flush, "start": lambda c: c.enqueue("start")}
    )
    assert await all_of(numbers(2).pipeThrough(stream)) == ["start", 10, 0, "end"]


@pytest.mark.parametrize("kind", [TransformStream, IdentityTransformStream])
async def test_a_response_is_written_while_it_is_read(kind):
    """The way of nearly all streamed responses: a task writes, the readable end is the body."""
    stream = kind.new()
    writer = stream.writable.getWriter()
    written = []

    async def write():
        for number in range(5):
            await writer.write(TextEncoder.new().encode(f"{number};"))
            written.append(number)
        await writer.close()

    task = asyncio.ensure_future(write())
    body = response_to_native(Response(stream.readable)).body
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(written) < 5, "a writer waits for its reader"
    assert await body.read() == b"0;1;2;3;4;"
    await task


async def test_a_writer_hears_that_its_reader_has_gone():
    stream = TransformStream.new()
    writer = stream.writable.getWriter()
    await writer.write("a")
    await response_to_native(Response(stream.readable)).body.aclose()
    with pytest.raises(TypeError, match="cancelled by its reader"):
        await writer.write("b")


async def test_a_writer_that_gives_up_fails_the_reader():
    stream = TransformStream.new()
    stream.writable.getWriter().abort(ValueError("gone"))
    with pytest.raises(ValueError, match="gone"):
        await all_of(stream.readable)


async def test_a_transformer_that_fails_fails_both_ends():
    def transform(_chunk, _controller):
        raise ValueError("broken")

    stream = TransformStream.new(transform=transform)
    writing = stream.writable.getWriter().write("a")
    with pytest.raises(ValueError, match="broken"):
        await all_of(stream.readable)
    with pytest.raises(ValueError, match="broken"):
        await writing


async def test_a_transformer_may_end_the_stream():
    def transform(chunk, controller):
        controller.enqueue(chunk)
        controller.terminate()

    stream = TransformStream.new(transform=transform)
    writer = stream.writable.getWriter()
    await writer.write("a")
    assert await all_of(stream.readable) == ["a"]


@pytest.mark.members("js.FixedLengthStream")
@pytest.mark.parametrize(
    ("announced", "text"), [(2, "too many bytes"), (4, "did not see all expected bytes"), (3, None)]
)
async def test_a_stream_of_known_length_keeps_to_it(announced, text):
    piped = ReadableStream.from_([b"ab", "c"]).pipeThrough(FixedLengthStream.new(announced))
    if text is None:
        assert await all_of(piped) == [b"ab", "c"]
    else:
        with pytest.raises(JsException, match=text):
            await all_of(piped)


# --- text and compression ------------------------------------------------------------------------------------


@pytest.mark.members("js.TextEncoder", "js.TextEncoder.encode", "js.TextEncoder.encodeInto")
def test_text_becomes_utf8():
    encoder = TextEncoder.new()
    assert (encoder.encoding, encoder.encode("ä€").to_bytes(), encoder.encode().to_bytes()) == (
        "utf-8",
        "ä€".encode(),
        b"",
    )
    target = Uint8Array(4)
    done = encoder.encodeInto("aä€", target)
    assert (done.read, done.written, target.to_bytes()) == (2, 3, b"a\xc3\xa4\0")


@pytest.mark.members("js.TextDecoder", "js.TextDecoder.decode")
@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("utf-8", "\ufeffä€".encode(), "ä€"),
        ("UTF8", b"\xff", "�"),
        ("utf-16le", "ä".encode("utf-16-le"), "ä"),
        ("latin1", b"\x80", "€"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
    ],
)
def test_bytes_become_text(label, data, text):
    assert TextDecoder.new(label).decode(data) == text
    assert TextDecoder.new(label).decode(Uint8Array(data)) == text


def test_a_decoder_has_options():
    assert TextDecoder.new("utf-8", ignoreBOM=True).decode("\ufeffa".encode()) == "\ufeffa"
    decoder = TextDecoder.new("utf-8", to_js({"fatal": True}))
    with pytest.raises(JsException, match="Failed to decode"):
        decoder.decode(b"\xff")
    assert decoder.decode(b"ok") == "ok"
    euro = "€".encode()
    assert [decoder.decode(euro[:1], {"stream": True}), decoder.decode(euro[1:])] == ["", "€"]
    with pytest.raises(JsException, match='"nonsense" is not a valid encoding'):
        TextDecoder.new("nonsense")
    with pytest.raises(JsException, match="takes bytes; got str"):
        decoder.decode("text")


@pytest.mark.members("js.TextEncoderStream", "js.TextDecoderStream")
async def test_text_streams():
    euro = "€".encode()
    assert (
        "".join(
            await all_of(
                ReadableStream.from_([euro[:1], euro[1:], b"\xe2"]).pipeThrough(TextDecoderStream.new())
            )
        )
        == "€�"
    )
    assert [
        bytes(chunk)
        for chunk in await all_of(ReadableStream.from_(["ä"]).pipeThrough(TextEncoderStream.new()))
    ] == ["ä".encode()]


@pytest.mark.members("js.CompressionStream", "js.DecompressionStream")
@pytest.mark.parametrize(("format", "bits"), [("gzip", 31), ("deflate", 15), ("deflate-raw", -15)])
async def test_compressed_streams(format, bits):
    compressed = b"".join(
        await all_of(JsResponse.new("text" * 100).body.pipeThrough(CompressionStream.new(format)))
    )
    assert zlib.decompress(compressed, bits) == b"text" * 100
    plain = JsResponse.new(compressed).body.pipeThrough(DecompressionStream.new(format))
    assert await JsResponse.new(plain).text() == "text" * 100
    with pytest.raises(JsException, match="Decompression failed"):
        await all_of(JsResponse.new("nonsense").body.pipeThrough(DecompressionStream.new(format)))
    with pytest.raises(JsException, match="gzip, deflate, deflate-raw; got 'br'"):
        CompressionStream.new("br")


async def test_a_body_is_changed_on_its_way_through():
    async def chunks():
        yield b"a"
        yield b"b"

    fetched = response_from_native(perdure.Response(chunks()))
    upper = TransformStream.new({"transform": lambda chunk, c: c.enqueue(chunk.to_bytes().upper())})
    assert await response_to_native(Response(fetched.body.pipeThrough(upper))).text() == "AB"
