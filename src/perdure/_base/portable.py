"""Which part of an exception travels. (pure)

Its class and arguments make an exception what it is: if they cannot travel, a `RemoteError` stands for the
whole. Further attributes are a convenience: one that cannot travel stays behind.
"""

from __future__ import annotations

from typing import Any

from perdure._base.exceptions import CAUSE, ExceptionShape
from perdure._base.refusal import can_travel
from perdure._base.registry import Registry
from perdure._base.shapes import LEAVES


def portable_state(
    error: BaseException, shape: ExceptionShape, registry: Registry | None, *, stored: bool = False
) -> dict[str, Any] | None:
    """
    Return the state of *error* without what cannot travel, or None if it cannot travel as its class.

    Args:
        error: the exception.
        shape: that of its class.
        registry: knows the exception classes that may travel; None allows all of them.
        stored: the classes of all instances inside must have a name too.
    """
    if registry is not None and not registry.knows(shape.cls):
        return None
    allowed = registry.knows if stored and registry is not None else _any_class
    state = shape.take(error)
    for name, found in list(state.items()):
        if type(found) in LEAVES or name == CAUSE or can_travel(found, allowed):
            continue
        if name.startswith(":"):
            return None
        del state[name]
    return state


def _any_class(cls: type) -> bool:
    return True
