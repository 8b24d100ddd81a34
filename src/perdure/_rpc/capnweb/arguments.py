"""Arguments by name, which JavaScript has not. (pure)"""

from __future__ import annotations

from typing import Any, Final

KEYWORDS: Final = "**"
"""The only key of an object that is the last argument of a call: its value are the arguments by name."""


def join_arguments(args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments of a call as the protocol has them, which knows no names."""
    if kwargs or (args and type(args[-1]) is dict and args[-1].keys() == {KEYWORDS}):
        return [*args, {KEYWORDS: kwargs}]
    return args


def split_arguments(args: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call, and those by name."""
    if (
        args
        and type(last := args[-1]) is dict
        and len(last) == 1
        and type(named := last.get(KEYWORDS)) is dict
    ):
        return args[:-1], named
    return args, {}
