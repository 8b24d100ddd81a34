"""Python values to expressions. (pure)

What JSON has stands for itself; a list is wrapped, since an array begins with a tag otherwise. Dataclasses and their
like become objects, as `Response.json` makes them. What has no value form (stubs, targets, functions, streams) is
left to whoever sends: it answers with an expression of its own.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from perdure._base import limits
from perdure._base.bigint import BigInt, to_decimal
from perdure._base.exceptions import ExceptionShape
from perdure._base.refusal import Refused, as_error, refuse
from perdure._base.shapes import NamedTupleShape, StructShape, shape_of
from perdure._rpc.capnweb import failures
from perdure._rpc.capnweb.values import TypedArray, Undefined
from perdure._web.form_data import Blob
from perdure._web.headers import Headers
from perdure._web.request import Request
from perdure._web.response import Response

Refer: TypeAlias = Callable[[Any], Any]
"""Returns the expression of what passes by reference; raises `Refused` for what does not pass at all."""

SAFE: Final = 2**53 - 1
"""The largest int that a double tells from its neighbours."""
TOO_DEEP: Final = f"Serialization exceeded the maximum depth of {limits.CAPNWEB_DEPTH_MAX} levels. (Does it contain itself?)"
BAD_KEY: Final = "The keys of an object are text in JavaScript; this one is {shown}."
TOO_MANY_DIGITS: Final = (
    f"An int of more than {limits.CAPNWEB_BIGINT_DIGITS_MAX:,} digits could not be cloned."
)
NO_WEBSOCKET: Final = "Can't serialize a Response containing a webSocket."
HALF_BODY: Final = "Its body has been read or passed on already. Use clone() before, if it is needed twice."

_MS: Final = datetime.timedelta(milliseconds=1)
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DIGITS_BOUND: Final = 10**limits.CAPNWEB_BIGINT_DIGITS_MAX
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})
_DEEPEST: Final = limits.CAPNWEB_DEPTH_MAX - 1


def no_references(value: Any) -> NoReturn:
    """Refuse what passes by reference, where nothing may."""
    raise refuse(value)


def encode(value: Any, refer: Refer = no_references, label: str = "value") -> Any:
    """
    Return the expression of *value*.

    Args:
        value: what to send; it is not changed.
        refer: asked for what has no value form.
        label: what error texts call the value.

    Raises:
        DataCloneError: something inside can neither be copied nor passed by reference.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE or (kind is int and -SAFE <= value <= SAFE):
        return value
    try:
        return Encoder(refer).of(value, 0)
    except Refused as refused:
        raise as_error(refused, value, label) from None


def encode_error(error: BaseException) -> list[Any]:
    """Return the expression of *error*; it never holds a reference, and never fails."""
    return Encoder(no_references).error(error, 0)


class Encoder:
    """Writes one value."""

    __slots__ = ("_refer",)

    def __init__(self, refer: Refer) -> None:
        self._refer = refer

    def of(self, value: Any, depth: int) -> Any:
        """Return the expression of *value*, which is so deep inside of another."""
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if kind is int:
            return value if -SAFE <= value <= SAFE else self._bigint(value, depth)
        if kind is float:
            return value if math.isfinite(value) else _infinite(value)
        if depth >= _DEEPEST:
            raise Refused(value, TOO_DEEP)
        if kind is dict:
            return self._object(value, depth)
        if kind is list or kind is tuple:
            of, depth = self.of, depth + 1
            return [[of(item, depth) for item in value]]
        write = _WRITERS.get(kind)
        if write is not None:
            return write(self, value, depth)
        return self._instance(value, kind, depth)

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        found = {}
        for key, item in value.items():
            if type(key) is not str:
                if type(key) is not int:
                    raise Refused(key, BAD_KEY.format(shown=f"of type {type(key).__name__}"))
                key = to_decimal(key)
            found[key] = item if type(item) in _AS_THEY_ARE else self.of(item, depth + 1)
        return found

    def _bigint(self, value: int, depth: int) -> list[Any]:
        if not -_DIGITS_BOUND < value < _DIGITS_BOUND:
            raise Refused(value, TOO_MANY_DIGITS)
        return ["bigint", to_decimal(value)]

    def _datetime(self, value: datetime.datetime, depth: int) -> list[Any]:
        if value.utcoffset() is None:
            raise refuse(value)
        return ["date", (value - _EPOCH) // _MS]

    def _bytes(self, value: Any, depth: int) -> list[Any]:
        return ["bytes", _base64(value)]

    def _typed_array(self, value: TypedArray, depth: int) -> list[Any]:
        return ["bytes", _base64(value.data), value.kind]

    def _undefined(self, value: Undefined, depth: int) -> list[Any]:
        return ["undefined"]

    def _text(self, value: Any, depth: int) -> Any:
        return msgspec.to_builtins(value)

    def _set(self, value: Any, depth: int) -> list[Any]:
        return [[self.of(item, depth + 1) for item in value]]

    def _blob(self, value: Blob, depth: int) -> list[Any]:
        return ["blob", value.type, self._refer(_pieces(value.data))]

    def _headers(self, value: Headers, depth: int) -> list[Any]:
        return ["headers", _pairs(value)]

    def _request(self, value: Request, depth: int) -> list[Any]:
        init: dict[str, Any] = {}
        if value.method != "GET":
            init["method"] = value.method
        if len(value.headers):
            init["headers"] = _pairs(value.headers)
        body = self._body(value)
        if body is not None:
            init["body"] = body
            init["duplex"] = "half"
        if value.redirect != "follow":
            init["redirect"] = value.redirect
        return ["request", value.url, init]

    def _response(self, value: Response, depth: int) -> list[Any]:
        if value.websocket is not None:
            raise Refused(value, NO_WEBSOCKET)
        body = self._body(value)
        init: dict[str, Any] = {}
        if value.status != 200:
            init["status"] = value.status
        if value._status_text:
            init["statusText"] = value._status_text
        if len(value.headers):
            init["headers"] = _pairs(value.headers)
        return ["response", body, init]

    def _body(self, message: Request | Response) -> Any:
        """Return the expression of a body, which is taken over from *message*."""
        if message.body is None:
            return None
        if message.body_used:
            raise Refused(message, HALF_BODY)
        body = message.body.take()
        if body.data is not None:
            return self._bytes(body.data, 0) if body.data else ""
        return self._refer(body)

    def error(self, error: BaseException, depth: int) -> list[Any]:
        name, message, props = failures.describe(error)
        plain = Encoder(no_references)
        encoded = {}
        for key, found in props.items():
            with suppress(Exception):  # an error always passes: what cannot pass with it stays behind
                encoded[key] = plain.of(found, depth + 1)
        return ["error", name, message, None, encoded] if encoded else ["error", name, message]

    def _instance(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, enum.Enum):
            return self.of(value.value, depth)
        shape = shape_of(kind)
        if shape is None:
            return self._refer(value)
        if isinstance(shape, ExceptionShape):
            return self.error(value, depth)
        if isinstance(shape, NamedTupleShape):
            return self._set(value, depth)
        if isinstance(value, dict):  # a dict of ours, with conveniences
            return self._object(value, depth)
        found: dict[str, Any] = {}
        struct: Any = kind
        names = {name: name for name in shape.field_names() if not name.startswith("_")}
        if isinstance(shape, StructShape):
            names = dict(zip(shape.field_names(), struct.__struct_encode_fields__, strict=True))
            if struct.__struct_config__.tag is not None:
                found[struct.__struct_config__.tag_field] = struct.__struct_config__.tag
        for name, there in names.items():
            try:
                item = getattr(value, name)
            except AttributeError:  # a field that was never set
                continue
            found[there] = self.of(item, depth + 1)
        return found


_WRITERS: Final[dict[type, Callable[[Encoder, Any, int], Any]]] = {
    BigInt: Encoder._bigint,
    bytes: Encoder._bytes,
    bytearray: Encoder._bytes,
    memoryview: Encoder._bytes,
    datetime.datetime: Encoder._datetime,
    datetime.date: Encoder._text,
    datetime.time: Encoder._text,
    datetime.timedelta: Encoder._text,
    decimal.Decimal: Encoder._text,
    uuid.UUID: Encoder._text,
    set: Encoder._set,
    frozenset: Encoder._set,
    TypedArray: Encoder._typed_array,
    Blob: Encoder._blob,
    Undefined: Encoder._undefined,
    Headers: Encoder._headers,
    Request: Encoder._request,
    Response: Encoder._response,
}


def _infinite(value: float) -> list[Any]:
    return ["nan"] if value != value else ["inf"] if value > 0 else ["-inf"]


def _base64(data: Any) -> str:
    return b64encode(data).decode("ascii").rstrip("=")


def _pairs(headers: Headers) -> list[list[str]]:
    return [list(pair) for pair in headers.items()]


async def _pieces(data: bytes) -> Any:
    """Yield *data* in pieces of a size that flows well."""
    size = limits.CAPNWEB_CHUNK_BYTES
    for at in range(0, len(data), size):
        yield data[at : at + size]
