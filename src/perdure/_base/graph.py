"""What a node of the graph form can be. (pure)

The form itself is told in codec.py; graph_writer.py and graph_reader.py are the two directions.
"""

from __future__ import annotations

from typing import Final

# Bytes in stored data: never reuse one. Beside each what the payload holds, where it is not the items.
LIST: Final = ord("l")
DICT: Final = ord("d")  # keys are leaves that MessagePack knows
ITEMS: Final = ord("i")  # a dict with other keys: key, value, key, value …
SET: Final = ord("s")
BYTEARRAY: Final = ord("b")
TUPLE: Final = ord("t")
FROZENSET: Final = ord("f")
MEMBER: Final = ord("m")  # of an Enum: class, name or value
NAMED_TUPLE: Final = ord("n")  # class, items
INSTANCE: Final = ord("o")  # class, values of the attributes
EXCEPTION: Final = ord("e")  # class, text, values of the attributes
GROUP: Final = ord("g")  # class, text, message, number of members, members, values of the attributes
ELSEWHERE: Final = ord(
    "x"
)  # number, in a list beside the value, of what has no value form; nowhere in stored data

NATIVE: Final = frozenset({type(None), bool, float, bytes})
NATIVE_MOSTLY: Final = NATIVE | {int, str}  # but for 65 bits and lone surrogates
"""Leaves that MessagePack has types for."""
