"""What the listeners of a WebSocket are given. (pure)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message: `data` is a str, or bytes."""

    data: str | bytes
    type: Literal["message"] = "message"


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """
    The end of a connection.

    Attributes:
        code: the close code; 1005 if the Close had none, 1006 if there was no Close.
        reason: the text that came with it.
        was_clean: whether there was a Close.
    """

    code: int
    reason: str
    was_clean: bool
    type: Literal["close"] = "close"


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The other side broke the protocol; no close event follows."""

    error: Exception
    type: Literal["error"] = "error"


Event = MessageEvent | CloseEvent | ErrorEvent
