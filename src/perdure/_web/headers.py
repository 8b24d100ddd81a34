"""Headers: names without case, several values to a name. (pure)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

HeadersInit: TypeAlias = "Headers | Mapping[str, str] | Iterable[tuple[str, str]] | None"
"""What a `headers=` parameter takes: `Headers`, a mapping, or (name, value) pairs."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


class Headers:
    """
    The header fields of a request or response, in order; names compare without case.

    A name may occur several times. `headers[name]` and `headers.get(name)` join its values with a comma;
    `get_all(name)` gives each by itself, which matters for `Set-Cookie`. `headers[name] = value` and
    `set` replace every occurrence, `append` adds one. Nothing that could break out of a header line can
    be stored: such a name or value is a TypeError.
    """

    __slots__ = ("_pairs",)

    def __init__(self, headers: HeadersInit = None) -> None:
        self._pairs: list[tuple[str, str]] = []
        if headers is None:
            return
        if isinstance(headers, Headers):
            self._pairs = headers._pairs.copy()
            return
        given: Any = headers
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise TypeError(f"headers must be a mapping or (name, value) pairs; got {type(given).__name__}")
        for pair in given.items() if isinstance(given, Mapping) else given:
            try:
                name, value = pair
            except ValueError:
                raise TypeError(f"headers must be (name, value) pairs; got {pair!r}") from None
            self.append(name, value)

    def __perdure_cross__(self, crossing: Any) -> Headers:
        return self.copy()

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of *name*, several joined with a comma, or *default*."""
        lowered = name.lower()
        found = [value for key, value in self._pairs if key == lowered]
        if not found:
            return default
        return found[0] if len(found) == 1 else ", ".join(found)

    def get_all(self, name: str) -> list[str]:
        """Return every value of *name*, in order; an empty list when there is none."""
        lowered = name.lower()
        return [value for key, value in self._pairs if key == lowered]

    def set(self, name: str, value: str) -> None:
        """Give *name* this one value, in the place of the first it had."""
        key, text = _checked(name, value)
        for position, (existing, _) in enumerate(self._pairs):
            if existing == key:
                rest = [pair for pair in self._pairs[position + 1 :] if pair[0] != key]
                self._pairs[position:] = [(key, text), *rest]
                return
        self._pairs.append((key, text))

    def append(self, name: str, value: str) -> None:
        """Add a value to *name* and keep those it has."""
        self._pairs.append(_checked(name, value))

    def delete(self, name: str) -> None:
        """Remove every value of *name*; nothing happens when there is none."""
        lowered = name.lower()
        self._pairs = [pair for pair in self._pairs if pair[0] != lowered]

    def items(self) -> Iterator[tuple[str, str]]:
        """Iterate over (lower-case name, value), one pair for each occurrence."""
        return iter(self._pairs.copy())

    def keys(self) -> Iterator[str]:
        """Iterate over the lower-case names, each once."""
        return iter(dict(self._pairs))

    def values(self) -> Iterator[str]:
        """Iterate over the values, one for each occurrence."""
        return iter([value for _, value in self._pairs])

    def copy(self) -> Headers:
        """Return an independent copy."""
        return Headers(self)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        lowered = name.lower()
        return any(key == lowered for key, _ in self._pairs)

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return sorted(self._pairs) == sorted(other._pairs)

    __hash__ = None  # type: ignore[assignment]  # mutable, like dict

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


def from_wire(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an ASGI message; what no header may hold is a TypeError here too."""
    headers = Headers()
    pairs = headers._pairs
    for name, value in raw:
        pairs.append(_checked(name.decode("latin-1"), value.decode("latin-1")))
    return headers


def make_headers(pairs: list[tuple[str, str]]) -> Headers:
    """Return headers from pairs that are known to be right, names in lower case; nothing is checked or copied."""
    headers = Headers.__new__(Headers)
    headers._pairs = pairs
    return headers


def to_wire(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as ASGI wants them."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers._pairs]


def _checked(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not isinstance(value, str):
        wrong = value if isinstance(name, str) else name
        raise TypeError(f"Header names and values are str; got {type(wrong).__name__} for {name!r}")
    if not _NAME.fullmatch(name):
        raise TypeError(f"Invalid header name: {name!r}")
    if _FORBIDDEN_VALUE.search(value):
        raise TypeError(
            f"Invalid value of header {name!r}: {value!r} (control characters and characters outside "
            "Latin-1 cannot be sent; percent-encode them)"
        )
    return name.lower(), value.strip(" \t")
