"""Functions that are called with more than they take. (pure)"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def relaxed_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call *function* without the arguments that it has no parameters for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions tell nothing
        return function(*args, **kwargs)
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        taken = sum(
            kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for kind in kinds
        )
        args = args[:taken]
    if kwargs and inspect.Parameter.VAR_KEYWORD not in kinds:
        names = {
            parameter.name
            for parameter in parameters
            if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        }
        kwargs = {name: value for name, value in kwargs.items() if name in names}
    return function(*args, **kwargs)
