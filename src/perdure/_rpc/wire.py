"""The binary form of a session's messages, between processes of Perdure. (pure)

    message     MessagePack of [kind, …], with the kinds and ids of Cap'n Web
    value       bytes, as `_base/codec.py` writes them; or [bytes, expression, …], where the value refers to things
                elsewhere, by their number in this list
    arguments   the value of one dict: those by place under 0, 1, …, those by name under their names
    else        expressions of Cap'n Web: ["export", id], ["pipeline", id, path], …

So Python's values arrive as they would within the process, and bytes as bytes. A value is read when all that it
refers to is there; one that cannot be read fails its own call, as one whose class is not known on this side.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from perdure._base import codec, limits
from perdure._base.exceptions import remote_error
from perdure._base.registry import Registry
from perdure._rpc.capnweb.decode import Decoded, Decoder, Importer
from perdure._rpc.capnweb.encode import Encoder
from perdure._rpc.capnweb.failures import is_safe
from perdure._rpc.capnweb.text import TOO_DEEP, ProtocolError
from perdure._rpc.form import Form, Line, Refer
from perdure._web.headers import Headers
from perdure._web.request import Request
from perdure._web.response import Response
from perdure.errors import PerdureError

TEXT: Final = "Received a text message; messages are binary."
NOT_A_MESSAGE: Final = "A message is an array in MessagePack; this one, of {size:,} bytes, is not."
TOO_LONG: Final = "Incoming message exceeds maximum size of {max:,} bytes."
CANNOT_LEAVE: Final = "The message cannot be sent: {error}"
NO_ARGUMENTS: Final = "What the peer sent for the arguments of a call is none."

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_HTTP: Final = frozenset({Headers, Request, Response})


class BinaryForm(Form):
    """Values as they are within the process."""

    nothing = _encode(["push", codec.dumps(None)])

    def read(self, line: Line) -> list[Any]:
        if not isinstance(line, bytes):
            raise ProtocolError(TEXT)
        if len(line) > limits.RPC_MESSAGE_BYTES_MAX:
            raise ProtocolError(TOO_LONG.format(max=limits.RPC_MESSAGE_BYTES_MAX))
        try:
            message = _decode(line)
        except RecursionError:
            raise ProtocolError(TOO_DEEP.format(max=limits.CAPNWEB_DEPTH_MAX)) from None
        except Exception:  # of many kinds; the bytes are damaged
            message = None
        if type(message) is not list:
            raise ProtocolError(NOT_A_MESSAGE.format(size=len(line)))
        return message

    def write(self, message: list[Any]) -> Line:
        try:
            return _encode(message)
        except (UnicodeEncodeError, OverflowError) as error:  # names that no target can have
            raise PerdureError(CANNOT_LEAVE.format(error=error)) from None

    def encode(self, value: Any, refer: Refer, label: str) -> Any:
        references: list[Any] = []
        numbers: dict[int, int] = {}

        def number_of(part: Any) -> int:
            number = numbers.get(id(part))
            if number is None:
                references.append(_Http(refer).of(part, 0) if type(part) in _HTTP else refer(part))
                number = numbers[id(part)] = len(references) - 1
            return number

        data = codec.dumps(value, self.registry, label=label, refer=number_of)
        return [data, *references] if references else data

    def arguments(self, args: list[Any], kwargs: dict[str, Any], refer: Refer, label: str) -> Any:
        # One value, so that what two arguments share stays shared.
        return self.encode({**dict(enumerate(args)), **kwargs}, refer, label)

    def error(self, error: BaseException) -> Any:
        if is_safe(error):
            with suppress(Exception):  # a class that does not let itself be looked at
                return codec.dumps(error, self.registry)
        return codec.dumps(remote_error(error))

    def decoder(self, importer: Importer, *, strict_undefined: bool = False) -> Decoder:
        return _Decoder(importer, registry=self.registry)  # `UNDEFINED` is a value like others here


class _Http(Encoder):
    """Requests and responses as Cap'n Web has them, with bodies of bytes."""

    def _bytes(self, value: Any, depth: int) -> Any:
        return bytes(value)


class _Value(Decoded):
    """
    A value that is read when it is asked for.

    Args:
        root: what it refers to.
        data: its bytes.
    """

    __slots__ = ("_data", "_registry")

    def __init__(self, root: list[Any], data: bytes, registry: Registry) -> None:
        super().__init__(root)
        self._data = data
        self._registry = registry

    @property
    def value(self) -> Any:
        return codec.loads(self._data, self._registry, label="value that the peer sent", elsewhere=self.root)

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        found = self.value
        if type(found) is not dict:
            raise TypeError(NO_ARGUMENTS)
        args: list[Any] = []
        while len(args) in found:
            args.append(found.pop(len(args)))
        if not all(type(name) is str for name in found):
            raise TypeError(NO_ARGUMENTS)
        return args, found


class _Decoder(Decoder):
    """Reads values, and leaves the rest to that of Cap'n Web."""

    def decode(self, expression: Any) -> Decoded:
        if type(expression) is bytes:
            return _Value([], expression, self._registry)
        if type(expression) is list and expression and type(expression[0]) is bytes:
            data, *references = expression
            return self._list(references, 0, _Value(references, data, self._registry))
        return super().decode(expression)

    def arguments(self, expressions: Any, depth: int = 0) -> Decoded:
        return self.decode(expressions)

    def _body(self, given: Any, depth: int, what: str) -> Any:
        return given if type(given) is bytes else super()._body(given, depth, what)
