"""WebSocket frames: bytes of a client to messages, and messages to bytes (RFC 6455, section 5). (pure)

The masking, the compression and the meaning of its parameters come from `websockets`; why the frames themselves are
read here is in ADR 0013. Section numbers are those of the standard.

What must stay true: whatever the bytes, `feed` returns; what breaks a rule is the last thing that it tells. Of a
message that is not complete only its bytes are kept, however many fragments they came in. A few bytes can hold a great
many messages, or a large one compressed: they are read a batch at a time, so that who hears them can ask for a pause.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]  # the one in C, if there is

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
VIOLATION: Final = -1
"""In an opcode's place: a rule was broken, and nothing more is read."""

WHOLE_TEXT: Final = 0x81
MASKED: Final = 0x80
"""In the second byte, beside the size of a short frame."""
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

_SHORT_BYTES_MAX: Final = 125
_CONTROL_BYTES_MAX: Final = 125
_BATCH_BYTES: Final = 64 * 1024
_FRAME_BYTES: Final = 256  # counted for each frame, however short
_SENT_CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""What a Close may carry (7.4): what is registered, and what is left to libraries and applications."""

_SHORT = struct.Struct("!H")
_LONG = struct.Struct("!Q")


class Violation(NamedTuple):
    """Which rule a client broke."""

    code: int
    reason: str


class Closing(NamedTuple):
    """What a Close says; a code of None is a Close without one."""

    code: int | None
    reason: str


class Reader:
    """
    Reads the frames of one client.

    Attributes:
        has_more: `feed` stopped at the end of a batch.
    """

    __slots__ = (
        "_inflate",
        "_is_deaf",
        "_message",
        "_opcode",
        "_rest",
        "_short_max",
        "_size_max",
        "has_more",
    )

    def __init__(self, size_max: int, inflate: PerMessageDeflate | None = None) -> None:
        self._size_max = size_max
        self._short_max = MASKED | min(size_max, _SHORT_BYTES_MAX)
        self._inflate = inflate
        self._rest: bytes | bytearray = b""  # of a frame that is not complete
        self._opcode = CONTINUATION  # of the message whose fragments arrive; CONTINUATION: there is none
        self._message: bytearray | None = None
        self._is_deaf = False
        self.has_more = False

    def keep(self, data: bytes) -> None:
        """Take *data* to be read later."""
        if not self._is_deaf:
            self._rest += data

    def feed(self, data: bytes) -> list[tuple[int, Any]]:
        """
        Return what *data* completes, in order, as (opcode, what it holds); `feed(b"")` goes on if it `has_more`.

        TEXT a str, BINARY, PING and PONG bytes, CLOSE a `Closing`, VIOLATION a `Violation`; after one of the last two
        nothing more is read.
        """
        found: list[tuple[int, Any]] = []
        self.has_more = False
        if self._is_deaf:
            return found
        rest: bytes | bytearray = data
        if self._rest:
            if not isinstance(self._rest, bytearray):
                self._rest = bytearray(self._rest)
            self._rest += data
            rest = self._rest
        try:
            at = self._read(rest, found)
        except _Broken as broken:
            self._is_deaf = True
            at = len(rest)
            found.append((VIOLATION, broken.violation))
        if at == len(rest):
            self._rest = b""
        elif rest is data:
            self._rest = data[at:]
        elif at:
            del self._rest[:at]  # type: ignore[union-attr]
        return found

    def _read(self, data: bytes | bytearray, found: list[tuple[int, Any]]) -> int:
        """Add the complete frames of *data* to *found*; return where the first one begins that is not complete."""
        at, end, room = 0, len(data), _BATCH_BYTES
        short_max = self._short_max
        while end - at >= 2:
            if room <= 0:
                self.has_more = True
                break
            first, second = data[at], data[at + 1]
            if first == WHOLE_TEXT and MASKED <= second <= short_max and self._message is None:
                # A short text message in one frame, as most are: nothing else of its head is looked at.
                stop = at + 6 + second - MASKED
                if end < stop:
                    break
                found.append(_message(TEXT, apply_mask(data[at + 6 : stop], data[at + 2 : at + 6])))
                room -= stop - at + _FRAME_BYTES
                at = stop
                continue
            head, size = at + 2, second & 0x7F
            if size == 126:
                if end < head + 2:
                    break
                size = _SHORT.unpack_from(data, head)[0]
                head += 2
            elif size == 127:
                if end < head + 8:
                    break
                size = _LONG.unpack_from(data, head)[0]
                head += 8
            if first & 0x70 or not second & 0x80 or (first & 0x0F) > BINARY or not first & 0x80:
                self._check_head(first, second, size)
            opcode = first & 0x0F
            if opcode < CLOSE and self._kept + size > self._size_max:
                raise _Broken(TOO_BIG, f"Message is too large: {self._kept + size} > {self._size_max}")
            stop = head + 4 + size
            if end < stop:
                break
            payload = apply_mask(data[head + 4 : stop], data[head : head + 4])
            at = stop
            room -= size + _FRAME_BYTES
            if opcode < CLOSE:
                room -= self._take(first, opcode, payload, found) - size
            elif opcode == CLOSE:
                self._is_deaf = True
                found.append((CLOSE, _closing(payload)))
                return end  # 5.5.1: what follows means nothing
            else:
                found.append((opcode, payload))
        return at

    @property
    def _kept(self) -> int:
        return 0 if self._message is None else len(self._message)

    def _check_head(self, first: int, second: int, size: int) -> None:
        """Look closer at the head of a frame that is not the plainest."""
        opcode = first & 0x0F
        if first & 0x30 or (first & 0x40 and (self._inflate is None or opcode not in (TEXT, BINARY))):
            raise _Broken(PROTOCOL_ERROR, "Reserved bits of a frame must be 0.")  # 5.2
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise _Broken(PROTOCOL_ERROR, f"A frame has the unknown opcode {opcode}.")  # 5.2
        if not second & 0x80:
            raise _Broken(PROTOCOL_ERROR, "Frames of a client must be masked.")  # 5.1
        if opcode >= CLOSE:
            if not first & 0x80:
                raise _Broken(PROTOCOL_ERROR, "Control frames cannot be fragmented.")  # 5.5
            if size > _CONTROL_BYTES_MAX:
                raise _Broken(PROTOCOL_ERROR, f"A control frame holds {_CONTROL_BYTES_MAX} bytes at most.")

    def _take(self, first: int, opcode: int, payload: bytes, found: list[tuple[int, Any]]) -> int:
        """Take a frame of a message (5.4); return the size of what it holds."""
        if opcode == CONTINUATION:
            if self._message is None:
                raise _Broken(PROTOCOL_ERROR, "A continuation frame has no message that it continues.")
        elif self._message is not None:
            raise _Broken(PROTOCOL_ERROR, "A new message began before the last fragment of the one before.")
        if self._inflate is not None:
            payload = self._inflated(first, opcode, payload)
        if first & 0x80 and opcode:  # the whole message in one frame
            found.append(_message(opcode, payload))
        elif first & 0x80:
            assert self._message is not None
            whole, self._message = bytes(self._message) + payload, None
            found.append(_message(self._opcode, whole))
        elif self._message is None:
            self._opcode = opcode
            self._message = bytearray(payload)
        else:
            self._message += payload
        return len(payload)

    def _inflated(self, first: int, opcode: int, payload: bytes) -> bytes:
        assert self._inflate is not None
        frame = Frame(Opcode(opcode), payload, bool(first & 0x80), bool(first & 0x40))
        try:
            return bytes(self._inflate.decode(frame, max_size=max(1, self._size_max - self._kept)).data)
        except PayloadTooBig:
            raise _Broken(
                TOO_BIG, f"Message is too large: more than {self._size_max} when inflated"
            ) from None
        except ProtocolError as error:
            raise _Broken(PROTOCOL_ERROR, f"Compressed data is damaged: {error}") from None


def _message(opcode: int, payload: bytes) -> tuple[int, Any]:
    if opcode == BINARY:
        return BINARY, payload
    try:
        return TEXT, payload.decode()
    except UnicodeDecodeError as error:
        raise _Broken(INVALID_DATA, f"A text message is not UTF-8 at byte {error.start}.") from None


def _closing(payload: bytes) -> Closing:
    """Read the body of a Close (5.5.1)."""
    if not payload:
        return Closing(None, "")
    if len(payload) == 1:
        raise _Broken(PROTOCOL_ERROR, "A Close frame has half of a code.")
    code = _SHORT.unpack_from(payload)[0]
    if code not in _SENT_CLOSE_CODES:
        raise _Broken(PROTOCOL_ERROR, f"A Close frame cannot have the code {code}.")
    try:
        return Closing(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise _Broken(INVALID_DATA, "The reason of a Close frame is not UTF-8.") from None


class _Broken(Exception):
    def __init__(self, code: int, reason: str) -> None:
        self.violation = Violation(code, reason)


# --- to the client ---------------------------------------------------------------------------------------


def head(opcode: int, size: int, *, compressed: bool = False) -> bytes:
    """Return the head of a whole frame of a server, which is not masked (5.1)."""
    first = 0x80 | opcode | (0x40 if compressed else 0)
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + _SHORT.pack(size)
    return bytes((first, 127)) + _LONG.pack(size)


def control(opcode: int, payload: bytes = b"") -> bytes:
    """Return a control frame."""
    return head(opcode, len(payload)) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """Return a Close frame; a reason that is too long for one is cut."""
    if code is None:
        return control(CLOSE)
    text = reason.encode()[: _CONTROL_BYTES_MAX - 2].decode(errors="ignore").encode()
    return control(CLOSE, _SHORT.pack(code) + text)
