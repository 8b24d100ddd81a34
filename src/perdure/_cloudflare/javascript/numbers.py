"""`Number`, `BigInt`, `Math`, `String`, `Boolean` and the functions beside them. (pure)"""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from perdure._base.bigint import BigInt as BigInteger
from perdure._cloudflare.exceptions import js_error
from perdure._cloudflare.values import JsClass, as_number, js_number, js_text
from perdure._cloudflare.values.text import SAFE_INTEGER_MAX

NaN: Final = math.nan
Infinity: Final = math.inf

_INT: Final = re.compile(r"\s*([+-]?)(0[xX])?([0-9a-zA-Z]*)")
_FLOAT: Final = re.compile(r"\s*([+-]?(?:Infinity|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))")
_URI_MARKS: Final = "-_.!~*'()"
_URI_RESERVED: Final = ";/?:@&=+$,#"


def parseInt(text: Any, base: int | None = None) -> int | float:
    """Return the whole number at the beginning of *text*, NaN if there is none."""
    found = _INT.match(js_text(text))
    assert found is not None, "the pattern matches every text"
    sign, hexadecimal, digits = found.groups()
    base = base or (16 if hexadecimal else 10)
    if hexadecimal and base != 16:
        digits = "0"
    taken = 0
    while taken < len(digits) and int(digits[taken], 36) < base:
        taken += 1
    return int(sign + digits[:taken], base) if taken else math.nan


def parseFloat(text: Any) -> int | float:
    """Return the number at the beginning of *text*, NaN if there is none."""
    found = _FLOAT.match(js_text(text))
    return math.nan if found is None else js_number(found[1])


def isNaN(value: Any) -> bool:
    return math.isnan(js_number(value))


def isFinite(value: Any) -> bool:
    return math.isfinite(js_number(value))


class Number(metaclass=JsClass):
    """`Number(value)`, or `Number.new(value)`: the number that a value is."""

    MAX_SAFE_INTEGER = SAFE_INTEGER_MAX
    MIN_SAFE_INTEGER = -SAFE_INTEGER_MAX
    MAX_VALUE = sys.float_info.max
    MIN_VALUE = 5e-324
    EPSILON = sys.float_info.epsilon
    POSITIVE_INFINITY = math.inf
    NEGATIVE_INFINITY = -math.inf
    NaN = math.nan
    parseInt = staticmethod(parseInt)
    parseFloat = staticmethod(parseFloat)

    def __new__(cls, value: Any = 0) -> Any:
        return js_number(value)

    @staticmethod
    def isInteger(value: Any) -> bool:
        return _is_number(value) and math.isfinite(value) and value == int(value)

    @staticmethod
    def isSafeInteger(value: Any) -> bool:
        return Number.isInteger(value) and abs(value) <= SAFE_INTEGER_MAX

    @staticmethod
    def isFinite(value: Any) -> bool:
        return _is_number(value) and math.isfinite(value)

    @staticmethod
    def isNaN(value: Any) -> bool:
        return _is_number(value) and math.isnan(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class BigInt(metaclass=JsClass):
    """`BigInt(value)`: an int that stays a bigint where the other side is JavaScript."""

    def __new__(cls, value: Any) -> Any:
        try:
            return BigInteger(value if isinstance(value, int) else int(js_text(value).strip() or "0", 0))
        except ValueError:
            raise js_error("SyntaxError", f"Cannot convert {js_text(value)} to a BigInt") from None

    @staticmethod
    def asUintN(bits: int, value: int) -> Any:
        return BigInteger(value & ((1 << bits) - 1))

    @staticmethod
    def asIntN(bits: int, value: int) -> Any:
        value &= (1 << bits) - 1
        return BigInteger(value - (1 << bits) if bits and value >> (bits - 1) else value)


class Boolean(metaclass=JsClass):
    """`Boolean(value)`: whether JavaScript takes a value for true; empty objects and arrays are."""

    def __new__(cls, value: Any = None) -> Any:
        return (
            bool(value == value and value)
            if isinstance(value, (str, int, float))
            else value is not None and (isinstance(value, (dict, list, tuple, set)) or bool(value))
        )


class String(metaclass=JsClass):
    """`String(value)`, or `String.new(value)`: the text of a value."""

    def __new__(cls, value: Any = "") -> Any:
        return js_text(value)

    @staticmethod
    def fromCharCode(*codes: int) -> str:
        return b"".join((code & 0xFFFF).to_bytes(2, "little") for code in codes).decode(
            "utf-16-le", "surrogatepass"
        )

    @staticmethod
    def fromCodePoint(*codes: int) -> str:
        return "".join(map(chr, codes))


def _on_numbers(function: Callable[..., float]) -> Callable[..., Any]:
    """Return *function* of numbers; what has no answer is NaN, as it is in JavaScript."""

    def call(*values: Any) -> Any:
        try:
            return as_number(function(*map(js_number, values)))
        except ValueError:
            return math.nan
        except (OverflowError, ZeroDivisionError):
            return math.inf

    return call


def _rounder(function: Callable[[float], float]) -> Callable[..., Any]:
    def call(value: Any) -> Any:
        number = js_number(value)
        return as_number(float(function(number))) if math.isfinite(number) else number

    return call


class _Math:
    """`Math`."""

    E = math.e
    PI = math.pi
    LN2 = math.log(2)
    LN10 = math.log(10)
    LOG2E = math.log2(math.e)
    LOG10E = math.log10(math.e)
    SQRT2 = math.sqrt(2)
    SQRT1_2 = math.sqrt(0.5)

    floor = staticmethod(_rounder(math.floor))
    ceil = staticmethod(_rounder(math.ceil))
    trunc = staticmethod(_rounder(math.trunc))
    round = staticmethod(_rounder(lambda number: math.floor(number + 0.5)))
    abs = staticmethod(_on_numbers(abs))
    sign = staticmethod(_on_numbers(lambda number: number and math.copysign(1, number)))
    pow = staticmethod(_on_numbers(math.pow))
    hypot = staticmethod(_on_numbers(math.hypot))
    log = staticmethod(_on_numbers(lambda number: math.log(number) if number else -math.inf))
    log2 = staticmethod(_on_numbers(lambda number: math.log2(number) if number else -math.inf))
    log10 = staticmethod(_on_numbers(lambda number: math.log10(number) if number else -math.inf))
    sqrt = staticmethod(_on_numbers(math.sqrt))
    cbrt = staticmethod(_on_numbers(lambda number: math.copysign(math.cbrt(math.fabs(number)), number)))
    min = staticmethod(_on_numbers(lambda *numbers: min(numbers, default=math.inf)))
    max = staticmethod(_on_numbers(lambda *numbers: max(numbers, default=-math.inf)))

    @staticmethod
    def random() -> float:
        return random.random()  # noqa: S311  # as in JavaScript: for secrets there is `crypto`

    def __repr__(self) -> str:
        return "Object [Math]"


for _name in "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log1p".split():
    setattr(_Math, _name, staticmethod(_on_numbers(getattr(math, _name))))

Math: Final = _Math()


def encodeURIComponent(value: Any) -> str:
    return quote(js_text(value), safe=_URI_MARKS)


def encodeURI(value: Any) -> str:
    return quote(js_text(value), safe=_URI_MARKS + _URI_RESERVED)


def decodeURIComponent(value: Any) -> str:
    text = js_text(value)
    if re.search("%(?![0-9a-fA-F]{2})", text) is None:
        try:
            return unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            pass
    raise js_error("URIError", "URI malformed")


def decodeURI(value: Any) -> str:
    """Decode all but what has a meaning of its own in a URI."""
    keep = "".join(f"{ord(mark):02X}" for mark in _URI_RESERVED)
    pairs = {keep[at : at + 2] for at in range(0, len(keep), 2)}
    return decodeURIComponent(
        re.sub(
            "%([0-9a-fA-F]{2})",
            lambda pair: "%25" + pair[1] if pair[1].upper() in pairs else pair[0],
            js_text(value),
        )
    )
