"""ArrayBuffer, typed arrays and DataView, which share memory; and bytes that were received. (pure)"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from perdure._cloudflare.values.base import JsBuffer, JsClass
from perdure._cloudflare.values.text import js_number, js_text

BUFFER_TYPES: Final = (bytes, bytearray, memoryview)
BUFFER_BYTES_MAX: Final = 1 << 32
"""A little less than JavaScript's; more is a mistake, which must not take the machine's memory."""


class JsBytes(bytes, JsBuffer):
    """Bytes that were received, as an ArrayBuffer or a Uint8Array that nobody writes to."""

    __slots__ = ()
    _js_name = "ArrayBuffer"

    @property
    def byteLength(self) -> int:
        return len(self)

    length = byteLength

    @property
    def byteOffset(self) -> int:
        return 0

    @property
    def buffer(self) -> JsBytes:
        return self

    def slice(self, start: int | None = None, end: int | None = None) -> JsBytes:
        return JsBytes(self[start:end])

    def subarray(self, start: int | None = None, end: int | None = None) -> JsBytes:
        return self.slice(start, end)

    def to_py(self, **options: Any) -> memoryview:
        return memoryview(bytes(self))

    def to_bytes(self) -> bytes:
        return bytes(self)

    tobytes = to_bytes

    def to_memoryview(self) -> memoryview:
        return memoryview(self)

    def to_string(self, encoding: str | None = None) -> str:
        return self.decode(encoding or "utf-8")

    def to_file(self, file: Any) -> None:
        file.write(bytes(self))


class _Memory(JsBuffer):
    """A part of a buffer that can be written to."""

    __slots__ = ("_memory", "_whole")
    _memory: memoryview
    _whole: bytearray | bytes

    @property
    def byteLength(self) -> int:
        return self._memory.nbytes

    def __bytes__(self) -> bytes:
        return self._memory.tobytes()

    def __len__(self) -> int:
        return len(self._memory)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._memory)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, BUFFER_TYPES) and self._memory == other)

    __hash__ = object.__hash__

    def to_py(self, **options: Any) -> memoryview:
        return memoryview(bytearray(self._memory)).cast("B").cast(self._memory.format)  # type: ignore[call-overload,no-any-return]

    def to_bytes(self) -> bytes:
        return self._memory.tobytes()

    tobytes = to_bytes

    def to_memoryview(self) -> memoryview:
        return self._memory

    def to_string(self, encoding: str | None = None) -> str:
        return self._memory.tobytes().decode(encoding or "utf-8")

    def to_file(self, file: Any) -> None:
        file.write(self._memory)

    def from_file(self, file: Any) -> None:
        file.readinto(self._memory)

    def assign(self, data: Any) -> None:
        """Write *data* over all of it."""
        self._memory.cast("B")[:] = memoryview(bytes_of(data))

    def assign_to(self, target: Any) -> None:
        """Write all of it into *target*, a writable buffer."""
        memoryview(target).cast("B")[:] = self._memory.cast("B")


class ArrayBuffer(_Memory, metaclass=JsClass):
    """`ArrayBuffer.new(size)`."""

    __slots__ = ()

    def __init__(self, size: Any = 0) -> None:
        self._whole = bytearray(size) if isinstance(size, BUFFER_TYPES) else _blank(js_number(size), 1)
        self._memory = memoryview(self._whole)

    @classmethod
    def isView(cls, value: object) -> bool:
        return isinstance(value, (TypedArray, DataView))

    def slice(self, start: int | None = None, end: int | None = None) -> ArrayBuffer:
        return ArrayBuffer(self._memory[start:end])

    def __repr__(self) -> str:
        return f"ArrayBuffer {{ byteLength: {self.byteLength} }}"


class TypedArray(_Memory, metaclass=JsClass):
    """
    Numbers of one kind: made from a size, from numbers, or as a view of a buffer.

    A view of an ArrayBuffer shares its memory; of bytes it is a copy, as those cannot be written to.
    """

    __slots__ = ("byteOffset",)
    BYTES_PER_ELEMENT: ClassVar[int] = 1
    _format: ClassVar[str] = "B"

    byteOffset: int

    def __init__(self, source: Any = 0, offset: int = 0, length: int | None = None) -> None:
        size = self.BYTES_PER_ELEMENT
        self.byteOffset = 0
        if isinstance(source, ArrayBuffer):
            end = len(source) if length is None else offset + length * size
            if offset % size or (end - offset) % size or end > len(source) or offset > end:
                raise _range_error(
                    f"{type(self).name} of {size} bytes an element does not fit into the buffer of {len(source)} "
                    f"bytes at offset {offset}"
                )
            self._whole, self.byteOffset = source._whole, offset
            self._memory = source._memory[offset:end].cast(self._format)  # type: ignore[call-overload]
            return
        if isinstance(source, BUFFER_TYPES):
            data = bytes(source)
            data = data[offset : len(data) if length is None else offset + length * size]
            self._whole = bytearray(data)
        elif hasattr(source, "__iter__") and not isinstance(source, str):
            numbers = list(source)
            self._whole = bytearray(len(numbers) * size)
        else:
            numbers = []
            count = js_number(0 if source is None else source)
            self._whole = _blank(count, size)
        self._memory = memoryview(self._whole).cast(self._format)  # type: ignore[call-overload]
        if not isinstance(source, BUFFER_TYPES):
            for index, number in enumerate(numbers):
                self[index] = number

    @classmethod
    def from_(cls, items: Iterable[Any], function: Any = None) -> Any:
        return cls([function(item) for item in items] if function is not None else list(items))

    @classmethod
    def of(cls, *items: Any) -> Any:
        return cls(items)

    @property
    def length(self) -> int:
        return len(self._memory)

    @property
    def buffer(self) -> ArrayBuffer:
        shared = ArrayBuffer.__new__(ArrayBuffer)
        shared._whole = self._whole
        shared._memory = memoryview(self._whole)
        return shared

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.subarray(*index.indices(len(self))[:2])
        return self._memory[index]

    def __setitem__(self, index: int, number: Any) -> None:
        memory: Any = self._memory
        memory[index] = self._wrapped(js_number(number))

    def _wrapped(self, number: int | float) -> int | float:
        if self._format in "fd":
            return float(number)
        bits = 8 * self.BYTES_PER_ELEMENT
        whole = 0 if number != number or number in (float("inf"), float("-inf")) else int(number)
        whole &= (1 << bits) - 1
        return whole - (1 << bits) if self._format.islower() and whole >> (bits - 1) else whole

    def set(self, source: Any, offset: int = 0) -> None:
        """Write numbers from *offset* on."""
        items = list(source)
        if offset + len(items) > len(self):
            raise _range_error(f"{len(items)} elements at offset {offset} do not fit into {len(self)}")
        for index, number in enumerate(items, offset):
            self[index] = number

    def subarray(self, start: int | None = None, end: int | None = None) -> Any:
        """Return a view of a part, which shares the memory."""
        first, last, _ = slice(start, end).indices(len(self))
        part = type(self).__new__(type(self))
        part._whole = self._whole
        part.byteOffset = self.byteOffset + first * self.BYTES_PER_ELEMENT
        part._memory = self._memory[first : max(first, last)]
        return part

    def slice(self, start: int | None = None, end: int | None = None) -> Any:
        """Return a copy of a part."""
        return type(self)(list(self._memory[start:end]))

    def fill(self, number: Any) -> Any:
        for index in range(len(self)):
            self[index] = number
        return self

    def join(self, separator: str = ",") -> str:
        return separator.join(map(str, self._memory))

    def __repr__(self) -> str:
        return f"{type(self).name}({len(self)}) [ {self.join(', ')} ]"


def _typed(name: str, code: str) -> Any:
    size = struct.calcsize("=" + code)
    return JsClass(name, (TypedArray,), {"__slots__": (), "BYTES_PER_ELEMENT": size, "_format": code})


Uint8Array: Final = _typed("Uint8Array", "B")
Int8Array: Final = _typed("Int8Array", "b")
Uint16Array: Final = _typed("Uint16Array", "H")
Int16Array: Final = _typed("Int16Array", "h")
Uint32Array: Final = _typed("Uint32Array", "I")
Int32Array: Final = _typed("Int32Array", "i")
BigUint64Array: Final = _typed("BigUint64Array", "Q")
BigInt64Array: Final = _typed("BigInt64Array", "q")
Float32Array: Final = _typed("Float32Array", "f")
Float64Array: Final = _typed("Float64Array", "d")


class Uint8ClampedArray(TypedArray):
    """Bytes; what is out of range becomes the nearest that is not."""

    __slots__ = ()

    def _wrapped(self, number: int | float) -> int | float:
        return 0 if number != number else round(min(max(number, 0), 255))


class DataView(_Memory, metaclass=JsClass):
    """`DataView.new(buffer)`: numbers at any place of a buffer; big-endian unless told otherwise."""

    __slots__ = ("byteOffset",)
    byteOffset: int

    def __init__(self, buffer: Any, offset: int = 0, length: int | None = None) -> None:
        if isinstance(buffer, BUFFER_TYPES):
            buffer = ArrayBuffer(buffer)
        if not isinstance(buffer, ArrayBuffer):
            raise TypeError(
                f"First argument to DataView constructor must be an ArrayBuffer; got {type(buffer).__name__}"
            )
        self._whole, self.byteOffset = buffer._whole, offset
        self._memory = buffer._memory[offset : None if length is None else offset + length]

    @property
    def buffer(self) -> ArrayBuffer:
        shared = ArrayBuffer.__new__(ArrayBuffer)
        shared._whole = self._whole
        shared._memory = memoryview(self._whole)
        return shared

    def _get(self, code: str, offset: int, is_little_endian: bool) -> Any:
        self._check(code, offset)
        return struct.unpack_from(("<" if is_little_endian else ">") + code, self._memory, offset)[0]

    def _set(self, code: str, offset: int, number: Any, is_little_endian: bool) -> None:
        self._check(code, offset)
        number = js_number(number)
        if code not in "fd":
            bits = 8 * struct.calcsize("=" + code)
            number = int(number) & ((1 << bits) - 1)
            code = code.upper()
        struct.pack_into(("<" if is_little_endian else ">") + code, self._memory, offset, number)

    def _check(self, code: str, offset: int) -> None:
        if offset < 0 or offset + struct.calcsize("=" + code) > len(self._memory):
            raise _range_error("Offset is outside the bounds of the DataView")


def _accessors(code: str) -> tuple[Any, Any]:
    def get(self: DataView, offset: int, is_little_endian: bool = False) -> Any:
        return self._get(code, offset, is_little_endian)

    def put(self: DataView, offset: int, number: Any, is_little_endian: bool = False) -> None:
        self._set(code, offset, number, is_little_endian)

    return get, put


for _name, _code in {
    "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I",
    "BigInt64": "q", "BigUint64": "Q", "Float32": "f", "Float64": "d",
}.items():  # fmt: skip
    _reader, _writer = _accessors(_code)
    setattr(DataView, "get" + _name, _reader)
    setattr(DataView, "set" + _name, _writer)


def _blank(count: int | float, size: int) -> bytearray:
    """Return memory for *count* elements of *size* bytes."""
    if count != count or not 0 <= count * size <= BUFFER_BYTES_MAX:
        raise _range_error(f"Invalid array buffer length: {js_text(count)} elements of {size} bytes")
    return bytearray(int(count) * size)


def is_buffer(value: object) -> bool:
    """Tell whether *value* is bytes in any of their shapes."""
    return isinstance(value, (*BUFFER_TYPES, _Memory))


def bytes_of(value: Any) -> bytes:
    """Return the bytes of anything that `is_buffer`."""
    return value.to_bytes() if isinstance(value, _Memory) else bytes(value)


def _range_error(text: str) -> Exception:
    from perdure._cloudflare.exceptions import js_error  # it builds on these values

    return js_error("RangeError", text)
