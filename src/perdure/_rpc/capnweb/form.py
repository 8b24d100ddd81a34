"""The form of Cap'n Web: JSON, as JavaScript reads it. (pure)"""

from __future__ import annotations

from typing import Any

from perdure._rpc.capnweb import text
from perdure._rpc.capnweb.arguments import join_arguments
from perdure._rpc.capnweb.decode import Decoder, Importer
from perdure._rpc.capnweb.encode import encode, encode_error
from perdure._rpc.form import Form, Refer


class TextForm(Form):
    """Classes become plain objects, tuples and sets lists, arguments by name a last object."""

    nothing = '["push",null]'

    read = staticmethod(text.read)
    write = staticmethod(text.write)
    encode = staticmethod(encode)

    def arguments(self, args: list[Any], kwargs: dict[str, Any], refer: Refer, label: str) -> Any:
        (given,) = encode(
            join_arguments(args, kwargs), refer, label=label
        )  # a list is wrapped, arguments are not
        return given

    def error(self, error: BaseException) -> Any:
        return encode_error(error)

    def decoder(self, importer: Importer, *, strict_undefined: bool = False) -> Decoder:
        return Decoder(importer, registry=self.registry, strict_undefined=strict_undefined)
