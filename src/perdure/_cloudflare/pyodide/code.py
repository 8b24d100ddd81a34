"""`pyodide.code`: calls that leave out surplus arguments. (pure)"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from perdure._cloudflare.javascript.globals import eval as run_js
from perdure._cloudflare.values import relaxed_call

__all__ = ["relaxed_call", "relaxed_wrap", "run_js"]


def relaxed_wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* so that it can be called with more arguments than it takes."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return relaxed_call(function, *args, **kwargs)

    return call
