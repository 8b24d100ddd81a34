"""Values that JavaScript has and Python has not: typed arrays, undefined. (pure)"""

from __future__ import annotations

import enum
import struct
import sys
from array import array
from dataclasses import dataclass
from typing import Final, Literal

from perdure._base.registry import value

FORMATS: Final[dict[str, str]] = {
    "ArrayBuffer": "B",
    "DataView": "B",
    "Int8Array": "b",
    "Uint8Array": "B",
    "Uint8ClampedArray": "B",
    "Int16Array": "h",
    "Uint16Array": "H",
    "Int32Array": "i",
    "Uint32Array": "I",
    "BigInt64Array": "q",
    "BigUint64Array": "Q",
    "Float32Array": "f",
    "Float64Array": "d",
}
"""Kinds of binary data in JavaScript, and the `struct` format of one element."""

SIZES: Final = {kind: struct.calcsize(f"<{format}") for kind, format in FORMATS.items()}
"""Bytes of one element."""


@value(name="perdure:TypedArray")
@dataclass(frozen=True, slots=True)
class TypedArray:
    """
    Binary data of one of JavaScript's kinds; a plain `Uint8Array` is `bytes`.

    `TypedArray("Float64Array", array("d", [0.5, 1.5]).tobytes())` sends numbers.

    Attributes:
        kind: the name of the class: "Float64Array", "Int16Array", "ArrayBuffer" …
        data: the bytes of its elements, little-endian.
    """

    kind: str
    data: bytes

    def __post_init__(self) -> None:
        size = SIZES.get(self.kind)
        if size is None:
            raise ValueError(f"A TypedArray is one of {', '.join(FORMATS)}; got {self.kind!r}.")
        if not isinstance(self.data, bytes):
            raise TypeError(f"The data of a TypedArray is bytes; got {type(self.data).__name__}.")
        if len(self.data) % size:
            raise ValueError(
                f"The data of a {self.kind} is a multiple of {size} bytes long; got {len(self.data)} bytes."
            )

    def elements(self) -> memoryview:
        """Return the elements as numbers: `list(array.elements())`; no byte is copied where numbers are little-endian."""
        format = FORMATS[self.kind]
        if sys.byteorder == "big":
            numbers = array(format, self.data)
            numbers.byteswap()
            return memoryview(numbers)
        return memoryview(self.data).cast(format)  # type: ignore[call-overload, no-any-return]

    def __len__(self) -> int:
        return len(self.data) // SIZES[self.kind]


@value(name="perdure:Undefined")
class Undefined(enum.Enum):
    """The class of `UNDEFINED`."""

    UNDEFINED = "undefined"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED
"""JavaScript's `undefined`: send it where null would not do. It arrives as None unless a session is strict."""
