"""`performance`, `navigator`, `atob`, `btoa`, `eval`. (edge)"""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import Any, Final, NoReturn

from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import js_text

USER_AGENT: Final = "Cloudflare-Workers"
"""What programs ask for to know that they run as a Worker."""


class _Performance:
    """`performance`: milliseconds since the process began."""

    def __init__(self) -> None:
        self.timeOrigin = time.time() * 1000
        self._began_s = time.perf_counter()

    def now(self) -> float:
        return (time.perf_counter() - self._began_s) * 1000

    def toJSON(self) -> dict[str, float]:
        return {"timeOrigin": self.timeOrigin}


class _Navigator:
    """`navigator`."""

    userAgent = USER_AGENT
    language = "en"
    languages = ("en",)
    hardwareConcurrency = 1


performance: Final = _Performance()
navigator: Final = _Navigator()


def btoa(data: Any) -> str:
    """Return the base64 of a text whose characters are bytes."""
    try:
        return base64.b64encode(js_text(data).encode("latin-1")).decode()
    except UnicodeEncodeError:
        raise js_error(
            "InvalidCharacterError",
            "btoa() can only operate on characters in the Latin1 (ISO/IEC 8859-1) range.",
        ) from None


def atob(data: Any) -> str:
    """Return the text whose characters are the bytes of a base64 text."""
    text = re.sub(r"[\t\n\f\r ]", "", js_text(data))
    if len(text) % 4 == 0:
        text = re.sub("={1,2}$", "", text)
    try:
        if len(text) % 4 == 1:
            raise ValueError
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("latin-1")
    except (ValueError, binascii.Error):
        raise js_error(
            "InvalidCharacterError",
            "atob() called with invalid base64-encoded data: it takes A-Z, a-z, 0-9, + and /.",
        ) from None


def eval(code: Any) -> NoReturn:
    """Refuse to run JavaScript, as Workers do."""
    raise js_error(
        "EvalError", "Code generation from strings disallowed for this context: write it in Python."
    )
