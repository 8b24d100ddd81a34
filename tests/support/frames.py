"""Frames as a WebSocket client sends them, right or wrong."""

from __future__ import annotations

import struct

from perdure._http.frames import CLOSE, apply_mask


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """A frame; *size* is what its head says, by default the truth."""
    count = len(payload) if size is None else size
    data = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if count < 126:
        data += bytes([bit | count])
    elif count < 65536:
        data += bytes([bit | 126]) + struct.pack("!H", count)
    else:
        data += bytes([bit | 127]) + struct.pack("!Q", count)
    if not masked:
        return data + payload
    mask = b"\x12\x34\x56\x78"
    return data + mask + apply_mask(payload, mask)


def close(code: int, reason: bytes = b"") -> bytes:
    """A Close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)
