"""BigInt: an int that other languages hold in a type of its own; to and from any number of digits. (pure)"""

from __future__ import annotations

from typing import Final

_DIGITS: Final = (
    4000  # at one go: fewer than Python's own bound, which an application may have set for itself
)


class BigInt(int):
    """
    An int that is, and stays, a `BigInt` where the other side is JavaScript.

    It is an ordinary int in every way. An int of 54 bits or more is sent as one by itself; `BigInt(5)` is for a
    small one whose receiver wants `5n` and not `5`. What arrives as one is one, so that an echo stays what it was.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"BigInt({to_decimal(self)})"

    def __str__(self) -> str:
        return to_decimal(self)


def to_decimal(value: int) -> str:
    """Return *value* as decimal text, whatever Python's limit on the digits of an int."""
    if -(10**_DIGITS) < value < 10**_DIGITS:
        return int.__repr__(value)
    rest, parts = abs(value), []
    while rest:
        rest, part = divmod(rest, 10**_DIGITS)
        parts.append(int.__repr__(part).zfill(_DIGITS))
    parts.append("-" if value < 0 else "")
    return parts.pop() + "".join(reversed(parts)).lstrip("0")


def from_decimal(text: str) -> BigInt:
    """Return what *text*, an optional minus and ASCII digits, stands for; ValueError if it is anything else."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        raise ValueError("a big integer is written in decimal digits")
    value = 0
    for at in range(0, len(digits), _DIGITS):
        part = digits[at : at + _DIGITS]
        value = value * 10 ** len(part) + int(part)
    return BigInt(-value if text[0] == "-" else value)
