"""Text as UTF-8, whatever is in it. (pure)"""

from __future__ import annotations

import re

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def utf8(text: str) -> bytes:
    """Return *text* as UTF-8; a lone surrogate has none: the standard sends U+FFFD for it."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()
