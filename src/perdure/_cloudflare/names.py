"""The one rule between Cloudflare's names and Perdure's: `getByName` is `get_by_name`. (pure)"""

from __future__ import annotations

import functools
import re
from typing import Final

WORDS: Final = {"WebSocket": "Websocket", "webSocket": "websocket"}
"""What counts as one word, whatever its capitals."""
EXCEPTIONS: Final = {"toArray": "to_list", "toString": "__str__"}
"""Names that are not made by the rule, with what is said here."""

_START_OF_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@functools.cache
def snake_case(name: str) -> str:
    """Return Perdure's name for *name* of Cloudflare's, of a member or an option."""
    if name in EXCEPTIONS:
        return EXCEPTIONS[name]
    for word, plain in WORDS.items():
        name = name.replace(word, plain)
    return _START_OF_WORD.sub("_", name).lower()


_SPOKEN: Final = {
    snake_case(name): name
    for name in """
    acceptWebSocket blockConcurrencyWhile deleteAlarm deleteAll deserializeAttachment getAlarm getByName
    getHibernatableWebSocketEventTimeout getTags getWebSocketAutoResponse getWebSocketAutoResponseTimestamp
    getWebSockets idFromName idFromString newUniqueId routingMode serializeAttachment setAlarm
    setHibernatableWebSocketEventTimeout setWebSocketAutoResponse startAfter toArray transactionSync waitUntil
    """.split()
}
_SPOKEN_NAME: Final = re.compile(rf"\b({'|'.join(_SPOKEN)})\b")


def spoken(text: str) -> str:
    """Return *text*, of an error of Perdure's, with Cloudflare's names for the members it speaks of."""
    return _SPOKEN_NAME.sub(lambda found: _SPOKEN[found[1]], text)
