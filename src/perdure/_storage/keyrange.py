"""What `list` options select, as a range of keys in UTF-8 byte order. (pure)

Source: KVA-09…11. `prefix` is cut with `start` and `end`; `reverse` flips the order only; a range that is
provably empty is None, so that nothing is read for it.
"""

from __future__ import annotations

from dataclasses import dataclass

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys from *start* (inclusive unless *after*) to *end* (exclusive), None being open."""

    start: str
    after: bool
    end: str | None


def key_range(
    start: str | None = None,
    start_after: str | None = None,
    end: str | None = None,
    prefix: str | None = None,
) -> KeyRange | None:
    """Return the range that the options select, or None when no key can be in it."""
    low, after = ("", False) if start is None else (start, False)
    if start_after is not None:
        low, after = start_after, True
    high = end
    if prefix:
        prefix_end = after_prefix(prefix)
        if low < prefix:  # code point order is UTF-8 byte order
            low, after = prefix, False
        if prefix_end is not None and (high is None or prefix_end < high):
            high = prefix_end
    if high is not None and (low > high or (low == high)):
        return None
    return KeyRange(low, after, high)


def after_prefix(prefix: str) -> str | None:
    """Return the first text that sorts after every text with *prefix*, or None when there is none."""
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:
        following = 0xE000  # surrogates are no characters of UTF-8
    return stem[:-1] + chr(following)
