"""
The opening handshake of a WebSocket (RFC 6455, section 4.2). (pure)

`websockets` is imported by the first one: it takes a tenth of a start.
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import TYPE_CHECKING, Final

from perdure._web.headers import Headers

if TYPE_CHECKING:
    from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

VERSION: Final = "13"
OWN_FIELDS: Final = frozenset(
    {"connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-version"}
)


@functools.cache
def _deflate() -> ServerPerMessageDeflateFactory:
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    # Without context takeover nothing is kept between messages: an idle socket costs no window of 32 KiB.
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        compress_settings={"memLevel": 5},
    )


def refusal(method: str, headers: Headers, *, is_http_1_1: bool) -> tuple[int, str] | None:
    """Return status and text for a request to upgrade that cannot be granted, whatever the application says."""
    if method != "GET" or not is_http_1_1:
        return 400, "A WebSocket begins with a GET request of HTTP/1.1."
    if "upgrade" not in _tokens(headers.get("connection")):
        return 400, "A WebSocket handshake has the header Connection: Upgrade."
    version = headers.get("sec-websocket-version")
    if version is None or version.strip() != VERSION:
        return 426, f"The requested WebSocket version is not supported: it must be {VERSION}."
    try:
        key = base64.b64decode((headers.get("sec-websocket-key") or "").strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return 400, "A WebSocket handshake has a Sec-WebSocket-Key: 16 bytes in base64."
    return None


def upgrade_fields(request_key: str, given: list[tuple[str, str]], extensions: str) -> list[tuple[str, str]]:
    """Return the header fields of a 101 response; *given* are the application's own."""
    from websockets.utils import accept_key

    fields = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", accept_key(request_key)),
    ]
    if extensions:
        fields.append(("sec-websocket-extensions", extensions))
    return fields + [(name, value) for name, value in given if name.lower() not in OWN_FIELDS]


def negotiate(offer: str | None) -> tuple[PerMessageDeflate | None, str]:
    """Return the compression for a client that offers *offer*, and what to answer it; (None, "") is none."""
    from websockets.exceptions import InvalidHeader, NegotiationError
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.headers import build_extension, parse_extension
    from websockets.typing import ExtensionName

    factory = _deflate()
    try:
        offered = parse_extension(offer or "")
    except InvalidHeader:
        return None, ""  # 9.1: what is not understood is declined
    for name, params in offered:
        if name == factory.name:
            try:
                answered, extension = factory.process_request_params(params, [])
            except NegotiationError:
                continue
            assert isinstance(extension, PerMessageDeflate)
            return extension, build_extension([(ExtensionName(name), answered)])
    return None, ""


def _tokens(field: str | None) -> set[str]:
    return {token.strip().lower() for token in (field or "").split(",")}
