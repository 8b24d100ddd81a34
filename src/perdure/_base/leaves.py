"""Leaves that MessagePack has no type of its own for, as extensions, and back. (pure)

Invariant: what is read gives the very type and value that was written, whatever the decimal context or the
limit on the digits of an int.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from perdure import errors
from perdure._base.bigint import BigInt
from perdure._base.refusal import refuse

# Numbers in stored data: never reuse one.
_INT: Final = 1
_TEXT: Final = 2
_DATE: Final = 3
_TIME: Final = 4
_DATETIME: Final = 5
_TIMEDELTA: Final = 6
_DECIMAL: Final = 7
_UUID: Final = 8
_BIGINT: Final = 9
REFERENCE: Final = 16  # belongs to codec.py

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.decode


def to_extension(value: Any, kind: type) -> Any:
    """
    Return what stands for the leaf *value* of class *kind* in MessagePack: itself, or an extension.

    Raises:
        Refused: a date and time without time zone, or a time whose zone cannot be told without a date.
    """
    if kind is int:
        if _INT_MIN <= value <= _INT_MAX:
            return value
        return Ext(_INT, _int_bytes(value))
    if kind is str:
        # MessagePack text is UTF-8, which has no lone surrogates.
        return (
            value
            if value.isascii() or _is_utf8(value)
            else Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
        )
    write = _WRITERS.get(kind)
    return value if write is None else write(value)


def from_extension(code: int, data: memoryview) -> Any:
    """
    Return the leaf an extension stands for.

    Raises:
        ValueError: the data is no such leaf.
        DataCloneError: it names a time zone that this machine does not have.
    """
    return _READERS[code](bytes(data))


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write_date(value: datetime.date) -> Ext:
    return Ext(_DATE, value.isoformat().encode())


def _write_time(value: datetime.time) -> Ext:
    zone = None if value.tzinfo is None else _zone_of(value)
    return Ext(_TIME, _pack((value.replace(tzinfo=None).isoformat(), value.fold, zone)))


def _write_datetime(value: datetime.datetime) -> Any:
    if value.tzinfo is datetime.UTC and not value.fold:
        return value  # MessagePack's own timestamp
    if value.utcoffset() is None:
        raise refuse(value)
    return Ext(_DATETIME, _pack((value.replace(tzinfo=None).isoformat(), value.fold, _zone_of(value))))


def _write_timedelta(value: datetime.timedelta) -> Ext:
    return Ext(_TIMEDELTA, _pack((value.days, value.seconds, value.microseconds)))


def _zone_of(value: datetime.datetime | datetime.time) -> Any:
    """Return the key of the time zone of *value*; if none, (seconds, microseconds, name) of its offset."""
    zone = value.tzinfo
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key is not None:
        return zone.key
    offset = value.utcoffset()
    if offset is None:
        raise refuse(value)
    name = None
    if type(zone) is datetime.timezone and repr(zone) != repr(datetime.timezone(offset)):
        name = zone.tzname(None)
    return offset.days * 86_400 + offset.seconds, offset.microseconds, name


def _zone_from(written: Any) -> datetime.tzinfo | None:
    if written is None:
        return None
    if isinstance(written, str):
        try:
            return zoneinfo.ZoneInfo(written)
        except (zoneinfo.ZoneInfoNotFoundError, OSError):
            raise errors.DataCloneError(
                f'The value is in the time zone "{written[:60]}", which this machine does not know. '
                "Install its time zone data: Debian's package tzdata, or `pip install tzdata`."
            ) from None
    seconds, microseconds, name = written
    offset = datetime.timedelta(seconds=seconds, microseconds=microseconds)
    if name is not None:
        return datetime.timezone(offset, name)
    return datetime.timezone(offset) if offset else datetime.UTC


def _read_time(data: bytes) -> datetime.time:
    text, fold, zone = _unpack(data)
    return datetime.time.fromisoformat(text).replace(fold=fold, tzinfo=_zone_from(zone))


def _read_datetime(data: bytes) -> datetime.datetime:
    text, fold, zone = _unpack(data)
    if zone is None:
        raise ValueError("a stored datetime has a time zone")
    return datetime.datetime.fromisoformat(text).replace(fold=fold, tzinfo=_zone_from(zone))


def _read_timedelta(data: bytes) -> datetime.timedelta:
    days, seconds, microseconds = _unpack(data)
    return datetime.timedelta(days, seconds, microseconds)


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    datetime.date: _write_date,
    datetime.time: _write_time,
    datetime.datetime: _write_datetime,
    datetime.timedelta: _write_timedelta,
    decimal.Decimal: lambda value: Ext(_DECIMAL, str(value).encode()),
    uuid.UUID: lambda value: Ext(_UUID, value.bytes),
    BigInt: lambda value: Ext(_BIGINT, _int_bytes(value)),
}

_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    _INT: lambda data: int.from_bytes(data, "big", signed=True),
    _TEXT: lambda data: data.decode("utf-8", "surrogatepass"),
    _DATE: lambda data: datetime.date.fromisoformat(data.decode()),
    _TIME: _read_time,
    _DATETIME: _read_datetime,
    _TIMEDELTA: _read_timedelta,
    _DECIMAL: lambda data: decimal.Decimal(data.decode()),
    _UUID: lambda data: uuid.UUID(bytes=data),
    _BIGINT: lambda data: BigInt.from_bytes(data, "big", signed=True),
}
