"""Values as V8 serialises them, which is how workerd stores them, to Python's own. (pure)

Only reading: what is read here is written again in Perdure's own form. Objects and Maps become dicts, Sets sets, whole
numbers ints, dates aware datetimes in UTC, all kinds of binary data bytes, null and undefined None, a regular expression
its text. Cycles and shared references stay what they are. Source: KVA-12; V8's wire format, versions 13 to 15.
"""

from __future__ import annotations

import datetime
import math
import struct
from collections.abc import Callable
from typing import Any, Final

from perdure._base import limits
from perdure._base.bigint import BigInt

VERSIONS: Final = range(13, 16)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_WHOLE_MAX: Final = 2**53
_ERRORS: Final[dict[int, type[Exception]]] = {
    ord("T"): TypeError,
    ord("R"): ValueError,
    ord("F"): NameError,
    ord("S"): SyntaxError,
    ord("E"): Exception,  # EvalError and URIError, which Python has not
    ord("U"): Exception,
}
_FLAG_BITS: Final = {"g": 0, "i": 1, "m": 2, "y": 3, "u": 4, "s": 5, "d": 7, "v": 8}
"""The bit of each flag of a regular expression."""
_HOLE: Final = object()


def loads(data: bytes) -> Any:
    """
    Return the value that *data* holds.

    Raises:
        ValueError: it is of another version, cut off, or holds what has no equal in Python; the text says what and where.
    """
    return _Reader(data).root()


class _Reader:
    """One value in the reading; objects are numbered as they begin, and referred to by number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._objects: list[Any] = []
        self._depth = 0
        self._made = 0

    def root(self) -> Any:
        if self._byte() != 0xFF:
            raise ValueError("it does not begin as V8's values do")
        version = self._varint()
        if version not in VERSIONS:
            raise ValueError(
                f"it is of version {version} of V8's format; {VERSIONS[0]} to {VERSIONS[-1]} can be read"
            )
        value = self._value()
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes are left over at byte {self._at}")
        return value

    # --- bytes ----------------------------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise ValueError(f"it is cut off at byte {len(self._data)}")
        self._at += count
        return taken

    def _byte(self) -> int:
        return self._take(1)[0]

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise ValueError(f"a number at byte {self._at} has no end")

    def _tag(self) -> int:
        while (tag := self._byte()) == 0:  # padding, in front of text of two bytes a character
            pass
        return tag

    # --- values ---------------------------------------------------------------------------------------

    def _value(self) -> Any:
        value = self._element()
        if value is _HOLE:
            raise ValueError(f"a hole outside of an array at byte {self._at}")
        return value

    def _element(self) -> Any:
        """Read a value, or the mark of an array's missing element."""
        start = self._at
        while (tag := self._tag()) == ord("?"):  # how many objects there are: for V8's own check
            self._varint()
        read = _READERS.get(tag)
        if read is None:
            raise ValueError(
                f"at byte {start} is a value of kind {chr(tag)!r}, which has no equal outside of workerd"
            )
        self._depth += 1
        if self._depth > limits.V8_DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {limits.V8_DEPTH_MAX} levels")
        value = read(self)
        self._depth -= 1
        return self._view(value) if tag in b"B~" else value

    def _make(self, size: int) -> None:
        """Count what is larger than the bytes that say it: a few of them could ask for all memory."""
        self._made += size
        if self._made > limits.V8_MADE_MAX:
            raise ValueError(
                f"arrays with few elements, and views of one buffer, are larger than {limits.V8_MADE_MAX}"
            )

    def _number(self, value: Any) -> Any:
        """Give *value* the next number, for references to it."""
        self._objects.append(value)
        return value

    def _int32(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _double(self) -> int | float:
        [number] = struct.unpack("<d", self._take(8))
        is_whole = math.isfinite(number) and number == int(number) and abs(number) <= _WHOLE_MAX
        return int(number) if is_whole and not (number == 0 and math.copysign(1, number) < 0) else number

    def _bigint(self) -> int:
        head = self._varint()
        number = int.from_bytes(self._take(head >> 1), "little")
        return BigInt(-number if head & 1 else number)

    def _latin1(self) -> str:
        return self._take(self._varint()).decode("latin-1")

    def _utf16(self) -> str:
        return self._take(self._varint()).decode("utf-16-le", "surrogatepass")

    def _utf8(self) -> str:
        return self._take(self._varint()).decode("utf-8", "surrogatepass")

    def _text(self) -> str:
        value = self._element()
        if not isinstance(value, str):
            raise ValueError(f"at byte {self._at} a text was to be")
        return value

    def _date(self) -> datetime.datetime | None:
        [ms] = struct.unpack("<d", self._take(8))
        try:
            date = None if math.isnan(ms) else _EPOCH + datetime.timedelta(milliseconds=ms)
        except (OverflowError, ValueError):
            raise ValueError(f"the date {ms:.0f} ms from 1970 is outside of the years 1 to 9999") from None
        self._number(date)
        return date

    def _primitive(self, read: Callable[[], Any]) -> Any:
        """Read `new Number(5)` and the like: the primitive, with a number of its own."""
        place = len(self._objects)
        self._number(None)
        value = self._objects[place] = read()
        return value

    def _regexp(self) -> str:
        place = len(self._objects)
        self._number(None)
        source, bits = self._text(), self._varint()
        flags = "".join(flag for flag in "dgimsuvy" if bits >> _FLAG_BITS[flag] & 1)
        self._objects[place] = text = f"/{source}/{flags}"
        return text

    def _object(self) -> dict[Any, Any]:
        found: dict[Any, Any] = self._number({})
        self._properties(found, ord("{"))
        self._varint()
        return found

    def _properties(self, target: dict[Any, Any], end: int) -> None:
        """Read pairs up to *end* into *target*; names are text, also where V8 has written a number."""
        while True:
            if self._data[self._at : self._at + 1] == bytes([end]):
                self._at += 1
                return
            key = self._value()
            target[key if isinstance(key, str) else str(key)] = self._value()

    def _dense_array(self) -> list[Any]:
        found: list[Any] = self._number([])
        for _ in range(self._varint()):
            element = self._element()
            found.append(None if element is _HOLE else element)
        extra: dict[Any, Any] = {}
        self._properties(extra, ord("$"))
        self._varint()
        self._varint()
        if extra:
            raise _names_on_array(next(iter(extra)))
        return found

    def _sparse_array(self) -> list[Any]:
        length = self._varint()
        self._make(length)
        found: list[Any] = self._number([None] * length)
        elements: dict[Any, Any] = {}
        self._properties(elements, ord("@"))
        self._varint()
        self._varint()
        for key, value in elements.items():
            if not (key.isdecimal() and int(key) < length):
                raise _names_on_array(key)
            found[int(key)] = value
        return found

    def _map(self) -> dict[Any, Any]:
        found: dict[Any, Any] = self._number({})
        while self._data[self._at : self._at + 1] != b":":
            key = self._key("a Map", found)
            found[key] = self._value()
        self._at += 1
        self._varint()
        return found

    def _set(self) -> set[Any]:
        found: set[Any] = self._number(set())
        while self._data[self._at : self._at + 1] != b",":
            found.add(self._key("a Set", found))
        self._at += 1
        self._varint()
        return found

    def _key(self, holder: str, found: dict[Any, Any] | set[Any]) -> Any:
        key = self._value()
        try:
            is_there = key in found
        except TypeError:
            raise ValueError(f"{holder} with an object as a key, which Python has not") from None
        if is_there:
            raise ValueError(
                f"{holder} with two keys that are one in Python, such as 1 and true: {key!r:.60}"
            )
        return key

    def _buffer(self) -> bytes:
        found: bytes = self._number(self._take(self._varint()))
        return found

    def _resizable_buffer(self) -> bytes:
        size = self._varint()
        self._varint()
        found: bytes = self._number(self._take(size))
        return found

    def _view(self, buffer: bytes) -> bytes:
        """Read what follows a buffer if it is a view of it: a typed array or a DataView."""
        if self._data[self._at : self._at + 1] != b"V":
            return buffer
        self._at += 1
        self._varint()  # which kind of numbers
        offset, size = self._varint(), self._varint()
        if self._data[1] >= 14:
            self._varint()
        if offset + size > len(buffer):
            raise ValueError(f"a view at byte {self._at} reaches beyond its buffer")
        self._make(size)
        found: bytes = self._number(buffer[offset : offset + size])
        return found

    def _error(self) -> Exception:
        place = len(self._objects)
        self._number(None)
        kind, message, cause = Exception, "", None
        while (tag := self._tag()) != ord("."):
            if tag == ord("m"):
                message = self._text()
            elif tag == ord("c"):
                cause = self._value()
            elif tag == ord("s"):
                self._text()  # where in JavaScript it was
            elif tag in _ERRORS:
                kind = _ERRORS[tag]
            else:
                raise ValueError(f"an error at byte {self._at} has a part {chr(tag)!r}")
        error = self._objects[place] = kind(message)
        if isinstance(cause, BaseException):
            error.__cause__ = cause
        return error

    def _reference(self) -> Any:
        number = self._varint()
        if number >= len(self._objects):
            raise ValueError(f"at byte {self._at} is a reference to object {number}, which did not begin yet")
        found = self._objects[number]
        # A view begins again with its buffer, which another view may have brought.
        return self._view(found) if isinstance(found, bytes) else found


def _names_on_array(name: str) -> ValueError:
    return ValueError(f"an array has a property {name!r} beside its elements, which a list cannot have")


_READERS: Final[dict[int, Callable[[_Reader], Any]]] = {
    ord("_"): lambda reader: None,
    ord("0"): lambda reader: None,
    ord("T"): lambda reader: True,
    ord("F"): lambda reader: False,
    ord("-"): lambda reader: _HOLE,
    ord("I"): _Reader._int32,
    ord("U"): _Reader._varint,
    ord("N"): _Reader._double,
    ord("Z"): _Reader._bigint,
    ord('"'): _Reader._latin1,
    ord("c"): _Reader._utf16,
    ord("S"): _Reader._utf8,
    ord("D"): _Reader._date,
    ord("y"): lambda reader: reader._number(True),
    ord("x"): lambda reader: reader._number(False),
    ord("n"): lambda reader: reader._primitive(reader._double),
    ord("z"): lambda reader: reader._primitive(reader._bigint),
    ord("s"): lambda reader: reader._primitive(reader._text),
    ord("R"): _Reader._regexp,
    ord("o"): _Reader._object,
    ord("A"): _Reader._dense_array,
    ord("a"): _Reader._sparse_array,
    ord(";"): _Reader._map,
    ord("'"): _Reader._set,
    ord("B"): _Reader._buffer,
    ord("~"): _Reader._resizable_buffer,
    ord("r"): _Reader._error,
    ord("^"): _Reader._reference,
}
