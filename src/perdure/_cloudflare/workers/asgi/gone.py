"""What an ASGI application hears, and says, of a client that has gone. (pure)"""

from __future__ import annotations

from typing import Final

_NAMES: Final = frozenset({"ClientDisconnect", "WebSocketDisconnect", "ClientDisconnected"})
"""Starlette's exceptions, and those of others that copy it: no failure of the application, though it let them pass."""


class ClientGone(ConnectionResetError):
    """Nobody receives what the application sends (an OSError, as ASGI wants it)."""


def is_about_gone_client(error: BaseException) -> bool:
    """Tell whether *error* says no more than that the client has gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_about_gone_client(each) for each in error.exceptions)
    return isinstance(error, ClientGone) or type(error).__name__ in _NAMES
