"""Expressions to Python values. (pure)

The JSON that was read is changed in place. What stands for something elsewhere (a stub, a promise, a stream) is made
by the `Importer`. A promise has to be replaced by its value before the application sees it: each is listed with its
place.
"""

from __future__ import annotations

import binascii
import datetime
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from perdure._base import limits
from perdure._base.bigint import from_decimal
from perdure._base.registry import Registry
from perdure._rpc.capnweb import failures
from perdure._rpc.capnweb.arguments import split_arguments
from perdure._rpc.capnweb.encode import SAFE
from perdure._rpc.capnweb.text import TOO_DEEP, ProtocolError, shown
from perdure._rpc.capnweb.values import SIZES, UNDEFINED, TypedArray
from perdure._web.headers import Headers
from perdure._web.request import Request
from perdure._web.response import Response

_T = TypeVar("_T")

UNKNOWN: Final = "unknown special value: {shown}"
TOO_MANY_DIGITS: Final = (
    f"Deserialized bigint exceeds maximum length of {limits.CAPNWEB_BIGINT_DIGITS_MAX} digits."
)
BAD_DATE: Final = "A date is within the years 1 to 9999 here; got {ms!r} milliseconds from 1970 on."
BAD_BODY: Final = "{what} body must be null, text, bytes or a stream."
BAD_SIZE: Final = "Invalid byte length {size} for {kind}; expected a multiple of {element}."
BAD_BLOB: Final = "Blob content must be serialized as a stream."

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})
_DEPTH_MAX: Final = limits.CAPNWEB_DEPTH_MAX


class Importer(Protocol):
    """Makes what an expression refers to."""

    def reach(self, id: int, path: tuple[str | int, ...] | None, args: Decoded | None, waits: bool) -> Any:
        """
        Return a stub of our export *id*, or what is at *path* from it, or comes of a call there.

        It is a promise if *waits*, to be replaced by its value.
        """

    def map(self, id: int, path: tuple[str | int, ...], captures: list[list[Any]], steps: list[Any]) -> Any:
        """Return a promise of what a map of our export *id* brings."""

    def stub(self, id: int) -> Any:
        """Return a stub of the peer's export *id*."""

    def promise(self, id: int) -> Any:
        """Return a promise that the peer will settle, its export *id*."""

    def writable(self, id: int) -> Any:
        """Return a stream that writes to the peer's export *id*."""

    def readable(self, id: int) -> Any:
        """Return the stream that reads from the pipe *id*."""

    def blob(self, type: str, content: Any) -> Any:
        """Return a promise of the blob that the stream *content* holds."""


class Slot(NamedTuple):
    """Where a promise stands: `holder[key]` is to become its value."""

    holder: Any
    key: Any
    promise: Any


class Decoded:
    """
    A value, and the promises in it.

    Attributes:
        root: a list that holds the value, or for a call the list of its arguments.
        slots: places in it that wait for a promise.
        stubs: those that it brought.
    """

    __slots__ = ("root", "slots", "stubs")

    def __init__(self, root: list[Any]) -> None:
        self.root = root
        self.slots: list[Slot] = []
        self.stubs: list[Any] = []

    @property
    def value(self) -> Any:
        return self.root[0]

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of a call, and those by name."""
        return split_arguments(self.root)

    def let_go(self) -> None:
        """Dispose the stubs that it brought."""
        for stub in self.stubs:
            stub.dispose()


class NoImporter:
    """Refuses whatever is no plain value."""

    def _refuse(self, *_: Any) -> Any:
        raise ProtocolError("A reference was found where only a plain value may be.")

    reach = map = stub = promise = writable = readable = blob = _refuse


NO_IMPORTER: Final = NoImporter()
_NO_CLASSES: Final = Registry()


class Decoder:
    """
    Decodes the messages of one session.

    Args:
        importer: makes what is elsewhere.
        registry: names the exception classes that arrive as themselves.
        strict_undefined: undefined is `UNDEFINED`, not None.
    """

    __slots__ = ("_importer", "_nothing", "_registry")

    def __init__(
        self,
        importer: Importer = NO_IMPORTER,
        *,
        registry: Registry | None = None,
        strict_undefined: bool = False,
    ) -> None:
        self._importer = importer
        self._registry = registry or _NO_CLASSES
        self._nothing = UNDEFINED if strict_undefined else None

    def decode(self, expression: Any) -> Decoded:
        """
        Return the value of *expression*.

        Raises:
            ProtocolError: it is no expression, or breaks a limit.
        """
        return self._list([expression], 0)

    def arguments(self, expressions: Any, depth: int = 0) -> Decoded:
        """Return the values of the arguments of a call, which are not wrapped as a list is."""
        if type(expressions) is not list:
            raise _unknown(expressions)
        return self._list(expressions, depth)

    def _list(self, root: list[Any], depth: int, into: Decoded | None = None) -> Decoded:
        if into is None:
            into = Decoded(root)
        for index, item in enumerate(root):
            kind = type(item)
            if kind not in _AS_THEY_ARE and (kind is not int or not -SAFE <= item <= SAFE):
                root[index] = self._of(item, depth, into, root, index)
        return into

    def _of(self, given: Any, depth: int, into: Decoded, holder: Any, key: Any) -> Any:
        """Return the value of *given*, which is to stand at *key* of *holder*, so deep inside of the message."""
        kind = type(given)
        if kind is int:
            return given if -SAFE <= given <= SAFE else _double(given)
        if kind is float:
            return given
        if depth >= _DEPTH_MAX:
            raise ProtocolError(TOO_DEEP.format(max=_DEPTH_MAX))
        if kind is dict:
            for name, item in given.items():
                if type(item) not in _AS_THEY_ARE:
                    given[name] = self._of(item, depth + 1, into, given, name)
            return given
        if kind is list and given:
            tag = given[0]
            if type(tag) is list and len(given) == 1:
                for index, item in enumerate(tag):
                    if type(item) not in _AS_THEY_ARE:
                        tag[index] = self._of(item, depth + 1, into, tag, index)
                return tag
            read = _READERS.get(tag) if type(tag) is str else None
            if read is not None:
                return read(self, given, depth, into, holder, key)
        if kind in _AS_THEY_ARE:
            return given
        raise _unknown(given)

    # --- plain values ---------------------------------------------------------------------------------

    def _undefined(self, given: list[Any], *_: Any) -> Any:
        if len(given) != 1:
            raise _unknown(given)
        return self._nothing

    def _bigint(self, given: list[Any], *_: Any) -> Any:
        if len(given) < 2 or type(given[1]) is not str:
            raise _unknown(given)
        if len(given[1]) > limits.CAPNWEB_BIGINT_DIGITS_MAX + (given[1][:1] == "-"):
            raise ProtocolError(TOO_MANY_DIGITS)
        try:
            return from_decimal(given[1])
        except ValueError as error:
            raise ProtocolError(str(error)) from None

    def _date(self, given: list[Any], *_: Any) -> Any:
        if len(given) < 2 or (type(given[1]) not in (int, float) and given[1] is not None):
            raise _unknown(given)
        if given[1] is None:
            return None  # an invalid date
        try:
            return _EPOCH + datetime.timedelta(milliseconds=int(given[1]))
        except (OverflowError, ValueError):
            raise ProtocolError(BAD_DATE.format(ms=given[1])) from None

    def _bytes(self, given: list[Any], *_: Any) -> Any:
        if len(given) not in (2, 3) or type(given[1]) is not str:
            raise _unknown(given)
        text = given[1]
        try:
            data = b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProtocolError(f"Invalid base64: {error}") from None
        if len(given) == 2:
            return data
        kind = given[2]
        size = SIZES.get(kind) if type(kind) is str else None
        if size is None:
            raise ProtocolError(f"Unknown bytes type marker: {shown(kind)}")
        if len(data) % size:
            raise ProtocolError(BAD_SIZE.format(size=len(data), kind=kind, element=size))
        return data if kind == "Uint8Array" else TypedArray(kind, data)

    def _url(self, given: list[Any], *_: Any) -> str:
        if len(given) != 2 or type(given[1]) is not str:
            raise _unknown(given)
        return given[1]

    def _error(self, given: list[Any], depth: int, *_: Any) -> Exception:
        if len(given) < 3 or type(given[1]) is not str or type(given[2]) is not str:
            raise _unknown(given)
        props = given[4] if len(given) > 4 else {}
        if type(props) is not dict:
            raise _unknown(given)
        # What is elsewhere does not travel with errors here: it would live as long as the error does.
        plain = Decoder(registry=self._registry)
        return failures.restore(
            given[1], given[2], props, lambda item: plain._list([item], depth + 1).value, self._registry
        )

    # --- messages of HTTP -----------------------------------------------------------------------------

    def _headers(self, given: list[Any], *_: Any) -> Headers:
        if len(given) != 2:
            raise _unknown(given)
        return _checked(Headers, _pairs(given[1]))

    def _request(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Request:
        if len(given) != 3 or type(given[1]) is not str or type(given[2]) is not dict:
            raise _unknown(given)
        init = given[2]
        return _checked(
            Request,
            given[1],
            method=init.get("method", "GET"),
            headers=_pairs(init.get("headers", [])),
            body=self._body(init.get("body"), depth, "Request"),
            redirect="manual" if init.get("redirect") in ("manual", "error") else "follow",
        )

    def _response(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Response:
        if len(given) != 3 or type(given[2]) is not dict:
            raise _unknown(given)
        init = given[2]
        if init.get("webSocket") is not None:
            raise ProtocolError("Can't deserialize a Response containing a webSocket.")
        status = init.get("status", 200)
        body = self._body(given[1], depth, "Response")
        return _checked(
            Response,
            body or None if type(status) is int and status in (204, 205, 304) else body,
            status=status,
            status_text=init.get("statusText", ""),
            headers=_pairs(init.get("headers", [])),
        )

    def _body(self, given: Any, depth: int, what: str) -> Any:
        into = Decoded([])
        body = None if given is None else self._of(given, depth + 1, into, None, None)
        is_stream = type(given) is list and given[:1] == ["readable"]
        if into.slots or not (body is None or isinstance(body, (str, bytes)) or is_stream):
            raise ProtocolError(BAD_BODY.format(what=what))
        return body

    # --- what is elsewhere ----------------------------------------------------------------------------

    def _reach(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Any:
        id, path, args = self.call(given, depth)
        waits = given[0] == "pipeline"
        found = self._importer.reach(id, path, args, waits)
        if waits:
            into.slots.append(Slot(holder, key, found))
        else:
            into.stubs.append(found)
        return found

    def call(
        self, given: list[Any], depth: int = 0
    ) -> tuple[int, tuple[str | int, ...] | None, Decoded | None]:
        """Return target, path and arguments of an `import` or `pipeline` expression."""
        size = len(given)
        if not 2 <= size <= 4 or type(given[1]) is not int:
            raise _unknown(given)
        path = None if size == 2 else _path(given[2])
        return given[1], path, None if size < 4 else self.arguments(given[3], depth + 1)

    def _remap(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Any:
        if len(given) != 5 or type(given[3]) is not list or type(given[4]) is not list:
            raise _unknown(given)
        for capture in given[3]:
            if type(capture) is not list or len(capture) != 2 or capture[0] not in ("import", "export"):
                raise ProtocolError(f"unknown map capture: {shown(capture)}")
            _id(capture)
        promise = self._importer.map(_id(given), _path(given[2]), given[3], given[4])
        into.slots.append(Slot(holder, key, promise))
        return promise

    def _stub(self, given: list[Any], depth: int, into: Decoded, *_: Any) -> Any:
        stub = self._importer.stub(_id(given))
        into.stubs.append(stub)
        return stub

    def _promise(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Any:
        promise = self._importer.promise(_id(given))
        into.slots.append(Slot(holder, key, promise))
        return promise

    def _writable(self, given: list[Any], *_: Any) -> Any:
        return self._importer.writable(_id(given))

    def _readable(self, given: list[Any], *_: Any) -> Any:
        return self._importer.readable(_id(given))

    def _blob(self, given: list[Any], depth: int, into: Decoded, holder: Any, key: Any) -> Any:
        if len(given) != 3 or type(given[1]) is not str:
            raise _unknown(given)
        if type(given[2]) is not list or given[2][:1] != ["readable"]:
            raise ProtocolError(BAD_BLOB)
        promise = self._importer.blob(given[1], self._importer.readable(_id(given[2])))
        into.slots.append(Slot(holder, key, promise))
        return promise


_READERS: Final[dict[str, Callable[..., Any]]] = {
    "undefined": Decoder._undefined,
    "inf": lambda *_: float("inf"),
    "-inf": lambda *_: float("-inf"),
    "nan": lambda *_: float("nan"),
    "bigint": Decoder._bigint,
    "date": Decoder._date,
    "bytes": Decoder._bytes,
    "url": Decoder._url,
    "error": Decoder._error,
    "headers": Decoder._headers,
    "request": Decoder._request,
    "response": Decoder._response,
    "import": Decoder._reach,
    "pipeline": Decoder._reach,
    "remap": Decoder._remap,
    "export": Decoder._stub,
    "promise": Decoder._promise,
    "writable": Decoder._writable,
    "readable": Decoder._readable,
    "blob": Decoder._blob,
}


def _id(given: list[Any]) -> int:
    if len(given) < 2 or type(given[1]) is not int:
        raise _unknown(given)
    id: int = given[1]
    return id


def _path(given: Any) -> tuple[str | int, ...]:
    if type(given) is not list:
        raise _unknown(given)
    for part in given:
        if type(part) is not str and type(part) is not int:
            raise _unknown(given)
    return tuple(given)


def _pairs(given: Any) -> list[Any]:
    if type(given) is not list or not all(type(pair) is list for pair in given):
        raise ProtocolError("Headers must be serialized as an array of pairs.")
    return given


def _checked(cls: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Make a value whose class checks what it is given; the peer gave it."""
    try:
        return cls(*args, **kwargs)
    except (TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(str(error)) from None


def _double(value: int) -> float:
    """Return a number as JavaScript has it, which knows doubles only."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _unknown(given: Any) -> ProtocolError:
    return ProtocolError(UNKNOWN.format(shown=shown(given)))
