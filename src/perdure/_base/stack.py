"""Room on the call stack, asked for before what must not stop half way. (pure)"""

from __future__ import annotations


def need_frames(count: int = 100) -> None:
    """Raise RecursionError now, rather than later, if fewer than *count* further calls fit on the stack."""
    if count:
        need_frames(count - 1)
