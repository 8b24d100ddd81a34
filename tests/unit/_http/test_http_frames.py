"""Frames of WebSocket clients, byte by byte: what is read, and which rule is broken."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frames import close, frame
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from perdure._http.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    VIOLATION,
    Closing,
    Reader,
    Violation,
    close_frame,
    control,
    head,
)
from perdure._http.handshake import negotiate, refusal
from perdure._web.headers import Headers

MIB = 1 << 20


def read(*pieces, size_max=MIB, inflate=None):
    """Everything that a reader finds in these pieces."""
    reader = Reader(size_max, inflate)
    return [found for piece in pieces for found in whole(reader, piece)]


def whole(reader, piece):
    """Everything that the reader finds with this piece, batch after batch."""
    found = reader.feed(piece)
    while reader.has_more:
        found += reader.feed(b"")
    return found


def violation(*pieces, **options):
    """The rule that is broken last, and nothing is read after it."""
    *_, (opcode, broken) = read(*pieces, frame(TEXT, b"more"), **options)
    assert opcode == VIOLATION
    return broken


# --- what is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_a_message_of_any_length_is_read(size):
    """The length has one of three forms (5.2)."""
    assert read(frame(TEXT, b"x" * size)) == [(TEXT, "x" * size)]
    assert read(frame(BINARY, b"\xff" * size)) == [(BINARY, b"\xff" * size)]


def test_frames_come_in_pieces_of_any_size():
    """Each byte alone, or several frames at once."""
    data = frame(TEXT, "☃ 😀".encode()) + frame(BINARY, b"b" * 300) + frame(PING, b"p") + close(1000)
    whole = [(TEXT, "☃ 😀"), (BINARY, b"b" * 300), (PING, b"p"), (CLOSE, Closing(1000, ""))]
    assert read(data) == whole
    assert read(*(bytes([byte]) for byte in data)) == whole


def test_fragments_are_one_message_with_control_frames_between():
    assert read(
        frame(TEXT, b"one ", fin=False),
        frame(PING, b"?"),
        frame(CONTINUATION, b"", fin=False),
        frame(PONG),
        frame(CONTINUATION, b"two"),
        frame(BINARY, b"next"),
    ) == [(PING, b"?"), (PONG, b""), (TEXT, "one two"), (BINARY, b"next")]


def test_a_character_may_be_cut_by_a_fragment():
    snow = "☃".encode()
    assert read(frame(TEXT, snow[:1], fin=False), frame(CONTINUATION, snow[1:])) == [(TEXT, "☃")]


@pytest.mark.parametrize("fragments", [1, 100_000])
def test_a_flood_of_tiny_fragments_takes_no_more_than_its_bytes(fragments):
    reader = Reader(MIB)
    reader.feed(frame(BINARY, b"x", fin=False))
    for _ in range(fragments):
        assert reader.feed(frame(CONTINUATION, b"", fin=False)) == []
    assert len(reader._message) == 1
    assert reader.feed(frame(CONTINUATION, b"y")) == [(BINARY, b"xy")]


def test_nothing_is_kept_of_what_has_been_read():
    reader = Reader(MIB)
    reader.feed(frame(TEXT, b"x") + frame(TEXT, b"y")[:-1])
    reader.feed(frame(TEXT, b"y")[-1:])
    assert (reader._rest, reader._message) == (b"", None)


def test_many_messages_are_read_a_batch_at_a_time():
    """So that whoever hears them can ask for a pause; order is kept, whatever comes meanwhile."""
    reader = Reader(MIB)
    data = b"".join(frame(TEXT, b"%d" % n) for n in range(1000))
    first = reader.feed(data[:-3])
    assert 0 < len(first) < 500
    assert reader.has_more
    reader.keep(data[-3:])
    assert first + whole(reader, b"") == [(TEXT, str(n)) for n in range(1000)]
    assert reader.feed(b"") == []


# --- rules ------------------------------------------------------------------------------------------------


def test_a_client_masks_its_frames():
    assert violation(frame(TEXT, b"x", masked=False)) == Violation(1002, "Frames of a client must be masked.")


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_are_not_set(rsv):
    assert violation(frame(TEXT, b"x", rsv=rsv)).code == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_an_unknown_opcode_is_refused(opcode):
    assert violation(frame(opcode)) == Violation(1002, f"A frame has the unknown opcode {opcode}.")


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_is_whole_and_short(opcode):
    assert violation(frame(opcode, fin=False)).code == 1002
    assert violation(frame(opcode, b"x" * 126)).code == 1002


def test_fragments_belong_to_a_message():
    assert violation(frame(CONTINUATION, b"x")).code == 1002
    assert violation(frame(TEXT, b"x", fin=False), frame(TEXT, b"y")).code == 1002
    assert violation(frame(TEXT, b"x", fin=False), frame(BINARY, b"y", fin=False)).code == 1002


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x98"])
def test_text_that_is_not_utf_8_is_refused(text):
    """In one frame or in several."""
    assert violation(frame(TEXT, b"ok " + text)) == Violation(1007, "A text message is not UTF-8 at byte 3.")
    assert violation(frame(TEXT, text[:1], fin=False), frame(CONTINUATION, text[1:])).code == 1007


def test_a_message_beyond_the_limit_is_refused_before_it_arrives():
    """Its head is enough."""
    text = "Message is too large: {} > 10"
    assert read(frame(TEXT, b"x" * 10), size_max=10) == [(TEXT, "x" * 10)]
    assert violation(frame(TEXT, size=11), size_max=10) == Violation(1009, text.format(11))
    assert violation(frame(BINARY, size=1 << 62), size_max=10).code == 1009
    fragments = frame(TEXT, b"x" * 6, fin=False), frame(CONTINUATION, size=5)
    assert violation(*fragments, size_max=10) == Violation(1009, text.format(11))


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_has_a_code_that_may_be_sent(code):
    assert violation(close(code)) == Violation(1002, f"A Close frame cannot have the code {code}.")


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_a_close_tells_code_and_reason(code):
    assert read(close(code, "tschüß".encode())) == [(CLOSE, Closing(code, "tschüß"))]


def test_a_close_is_empty_or_has_a_whole_code_and_utf_8():
    assert read(frame(CLOSE)) == [(CLOSE, Closing(None, ""))]
    assert violation(frame(CLOSE, b"\x03")).code == 1002
    assert violation(close(1000, b"\xff")).code == 1007


def test_nothing_is_read_after_a_close():
    assert read(close(1000) + frame(TEXT, b"x"), frame(PING)) == [(CLOSE, Closing(1000, ""))]


def test_what_came_before_a_broken_rule_is_told():
    assert read(frame(TEXT, b"x") + frame(PING, b"y") + frame(3)) == [
        (TEXT, "x"),
        (PING, b"y"),
        (VIOLATION, Violation(1002, "A frame has the unknown opcode 3.")),
    ]


# --- compression ------------------------------------------------------------------------------------------


def deflate():
    extension, answered = negotiate("permessage-deflate; client_max_window_bits")
    assert answered == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    return extension


def squeezed(data):
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compressed_messages_are_inflated_beside_plain_ones():
    text = b"again and again " * 1000
    packed = squeezed(text)
    assert read(
        frame(TEXT, packed, rsv=4),
        frame(TEXT, b"plain"),
        frame(BINARY, packed[:5], rsv=4, fin=False),
        frame(PING, b"p"),
        frame(CONTINUATION, packed[5:]),
        inflate=deflate(),
    ) == [(TEXT, text.decode()), (TEXT, "plain"), (PING, b"p"), (BINARY, text)]


def test_a_message_that_inflates_beyond_the_limit_is_refused():
    """However well it is packed, in one frame or when the limit is just reached."""
    bomb = squeezed(b"\0" * 10_000_000)
    assert violation(frame(BINARY, bomb, rsv=4), size_max=MIB, inflate=deflate()).code == 1009
    full = squeezed(b"x" * 100)
    assert read(frame(BINARY, full, rsv=4), size_max=100, inflate=deflate()) == [(BINARY, b"x" * 100)]
    half = len(bomb) // 2
    pieces = frame(BINARY, bomb[:half], rsv=4, fin=False), frame(CONTINUATION, bomb[half:])
    assert violation(*pieces, size_max=MIB, inflate=deflate()).code == 1009


def test_messages_that_inflate_to_much_are_read_one_by_one():
    """A few kilobytes hold many megabytes."""
    reader = Reader(MIB, deflate())
    first = reader.feed(frame(BINARY, squeezed(b"x" * MIB), rsv=4) * 50)
    assert [len(message) for _, message in first] == [MIB]
    assert len(whole(reader, b"")) == 49


def test_damaged_compression_is_a_broken_rule():
    assert violation(frame(TEXT, b"\xff\xff\xff", rsv=4), inflate=deflate()).code == 1002
    compressed_fragment = frame(TEXT, b"", rsv=4, fin=False), frame(CONTINUATION, b"x", rsv=4)
    assert violation(*compressed_fragment, inflate=deflate()).code == 1002
    assert violation(frame(PING, b"x", rsv=4), inflate=deflate()).code == 1002


# --- whatever the bytes -----------------------------------------------------------------------------------


@pytest.mark.fuzz
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_are_read_to_the_same_end_in_whatever_pieces(data, cuts):
    """Nothing raises, and where the pieces end makes no difference."""
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert read(data) == read(*pieces)


FRAMES = st.tuples(
    st.sampled_from([0, 1, 2, 8, 9, 10, 3]),
    st.binary(max_size=200),
    st.booleans(),
    st.sampled_from([0, 0, 0, 4, 1]),
    st.sampled_from([True, True, True, False]),
)


@pytest.mark.fuzz
@given(st.lists(FRAMES, max_size=8), st.booleans())
def test_frames_in_any_order_are_read_or_refused(frames, compresses):
    """A violation or a Close is the last that is told, and the codes are those of the standard."""
    data = b"".join(frame(o, p, fin=f, rsv=r, masked=m) for o, p, f, r, m in frames)
    found = read(data, size_max=500, inflate=deflate() if compresses else None)
    for opcode, said in found:
        assert opcode in (TEXT, BINARY, PING, PONG, CLOSE, VIOLATION)
        if opcode == VIOLATION:
            assert said.code in (1002, 1007, 1009)
    assert all(opcode not in (CLOSE, VIOLATION) for opcode, _ in found[:-1])


@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300)), max_size=5))
def test_the_reader_agrees_with_the_library_on_whole_frames(messages):
    """Which has parsed frames for many years."""
    data = b"".join(frame(opcode, payload) for opcode, payload in messages)
    stream = StreamReader()
    stream.feed_data(data)
    theirs = []
    for _ in messages:
        parsing = Frame.parse(stream.read_exact, mask=True)
        with pytest.raises(StopIteration) as stop:
            next(parsing)
        theirs.append((int(stop.value.value.opcode), bytes(stop.value.value.data)))
    ours = read(data)
    for (opcode, payload), mine in zip(theirs, ours, strict=False):
        if mine[0] == VIOLATION:
            assert opcode == TEXT
            with pytest.raises(UnicodeDecodeError):
                payload.decode()
            return
        assert mine == (opcode, payload.decode() if opcode == TEXT else payload)
    assert len(ours) == len(theirs)


OFFERS = st.lists(
    st.sampled_from(
        [
            "permessage-deflate",
            "x-other",
            ";",
            ",",
            "=",
            " ",
            '"',
            "client_max_window_bits",
            "server_max_window_bits",
        ]
        + ["8", "15", "99", "server_no_context_takeover", "é", "\\", "0" * 5000]
    ),
    max_size=10,
).map("".join)


@pytest.mark.fuzz
@given(st.text() | OFFERS)
def test_any_offer_of_extensions_is_taken_or_declined(offer):
    """Nothing raises: what is not understood is declined."""
    extension, answered = negotiate(offer)
    assert (extension is None) == (answered == "")


@pytest.mark.fuzz
@given(
    st.sampled_from(["GET", "POST"]),
    st.dictionaries(
        st.sampled_from(["connection", "upgrade", "sec-websocket-version", "sec-websocket-key"]),
        st.sampled_from(["Upgrade", "keep-alive, upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "=", ""])
        | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    ),
)
def test_any_request_to_upgrade_is_granted_or_refused(method, fields):
    """Nothing raises, and the refusal is one of the two statuses."""
    refused = refusal(method, Headers(fields), is_http_1_1=True)
    assert refused is None or refused[0] in (400, 426)


# --- what is written --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_heads_are_those_that_the_library_writes(size):
    payload = b"x" * size
    assert head(BINARY, size) + payload == Frame(Opcode.BINARY, payload).serialize(mask=False)


def test_a_close_frame_has_room_for_a_short_reason_only():
    """A longer one is cut between characters."""
    assert close_frame(None) == control(CLOSE)
    assert close_frame(1000, "bye") == b"\x88\x05\x03\xe8bye"
    assert close_frame(1000, "é" * 100) == b"\x88" + bytes([124]) + b"\x03\xe8" + ("é" * 61).encode()
