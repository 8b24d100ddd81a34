"""What every class of the web answers in JavaScript's shape, and how options reach one. (pure)"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from perdure._cloudflare.values import JsClass, JsValue, jsnull

_PROXY: Final = frozenset(dir(JsValue))


class WebObject(JsValue, metaclass=JsClass):
    """An instance of a class of the web: made by `Blob.new(...)`; what it does not have is told with what it has."""

    def toString(self) -> str:
        return f"[object {type(self).name}]"

    def to_py(self, **_options: Any) -> Any:
        """Return this object: it has no Python form of its own."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked for by copiers and inspectors, and by us before it is set
            raise AttributeError(name)
        raise AttributeError(f"{type(self).name} has no member {name!r} here; it has {_members(type(self))}")


@functools.cache  # code asks objects for members that they may not have
def _members(cls: type) -> str:
    return ", ".join(each for each in dir(cls) if not each.startswith("_") and each not in _PROXY)


def is_absent(value: Any) -> bool:
    """Whether JavaScript would see undefined or null."""
    return value is None or value is jsnull


def read_options(given: Any, named: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """
    Return what an options argument says about *names*; what is undefined is left out.

    Args:
        given: None, a mapping (a dict or a Map), or any object that has such attributes.
        named: options that were given as keyword arguments, which come first.
        names: those that the callee knows. It ignores the others, as JavaScript does.
    """
    found: dict[str, Any] = {}
    if given is None:
        given = {}
    is_mapping = isinstance(given, Mapping)
    for name in names:
        if name in named:
            value = named[name]
        elif is_mapping:
            value = given.get(name)
        else:
            value = getattr(given, name, None)
        if value is not None:
            found[name] = value
    return found
