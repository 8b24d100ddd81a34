"""Texts and numbers as JavaScript writes and reads them. (pure)"""

from __future__ import annotations

import math
from typing import Any, Final

from perdure._base.bigint import to_decimal
from perdure._cloudflare.values.base import JsNull, JsProxy, js_name

SAFE_INTEGER_MAX: Final = 2**53 - 1
_DECIMAL_POINT_MAX: Final = 21
"""From 1e21 on JavaScript writes an exponent."""


def js_text(value: Any) -> str:
    """Return `String(value)`."""
    if isinstance(value, str):
        return str.__str__(value)
    if value is None:
        return "undefined"
    if isinstance(value, JsNull):
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return to_decimal(value)  # beyond JavaScript's numbers it is a bigint there
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, (list, tuple)):
        return ",".join("" if item is None or isinstance(item, JsNull) else js_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Map]" if js_name(value) == "Map" else "[object Object]"
    if isinstance(value, JsProxy) and type(value).__str__ is object.__str__:
        return f"[object {js_name(value)}]"
    return str(value)


def number_text(value: float) -> str:
    """Return a number as JavaScript writes it: shortest digits, no `.0`, exponents from 1e21 and below 1e-6."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, point = _digits(value)
    if 0 < point <= _DECIMAL_POINT_MAX:
        if len(digits) <= point:
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    exponent = point - 1
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def _digits(value: float) -> tuple[str, str, int]:
    """Return sign, significant digits, and where the decimal point is in them."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return "-" if value < 0 else "", stripped.rstrip("0"), point


def js_number(value: Any) -> int | float:
    """Return `Number(value)`; NaN where it is none."""
    if value is None:
        return math.nan
    if isinstance(value, (bool, JsNull)):
        return int(bool(value))
    if isinstance(value, (int, float)):
        return as_number(value)
    if isinstance(value, (list, tuple, dict)):
        value = js_text(value)
    if isinstance(value, str):
        return _number_of(value.strip())
    to_number = getattr(value, "valueOf", None)
    return js_number(to_number()) if to_number is not None else math.nan


def _number_of(text: str) -> int | float:
    if not text:
        return 0
    base = {"0x": 16, "0o": 8, "0b": 2}.get(text[:2].lower())
    try:
        if base is not None:
            return as_number(int(text[2:], base)) if text[2:].isalnum() else math.nan
        if text.lstrip("+-") == "Infinity":
            return -math.inf if text[0] == "-" else math.inf
        if "_" in text or text.lower().lstrip("+-")[:3] in ("inf", "nan"):
            return math.nan
        return as_number(float(text))
    except ValueError:
        return math.nan


def as_number(value: int | float) -> int | float:
    """Return a JavaScript number as Python gets it: an int where it is a whole one that JavaScript holds exactly."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE_INTEGER_MAX:
        return int(value)
    return value
