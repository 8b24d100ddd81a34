"""`workers.gateway`: what the options of `asgi` and `wsgi` have in common. (pure)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["BaseOptions", "EncodeBody"]

EncodeBody = Literal["automatic", "manual"]


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    """
    Options of a gateway.

    Attributes:
        encode_body: who compresses a body that `Content-Encoding` announces. Here it is always the application
            (`manual`): what it sends is sent.
    """

    encode_body: EncodeBody = "automatic"

    def __post_init__(self) -> None:
        if self.encode_body not in get_args(EncodeBody):
            raise ValueError(f"encode_body is 'automatic' or 'manual'; got {self.encode_body!r}")

    def response_init(self) -> dict[str, Any]:
        """Return further arguments for `Response.new`."""
        return {} if self.encode_body == "automatic" else {"encodeBody": self.encode_body}
