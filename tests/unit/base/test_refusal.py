"""Where a refused value is, and how that is written."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import msgspec
import pytest

from perdure import errors
from perdure._base.refusal import Refused, as_error, find_path


@dataclasses.dataclass
class Seat:
    notes: Any


class Struct(msgspec.Struct):
    a: Any


class Pair(typing.NamedTuple):
    left: Any
    right: Any


BAD = object()


def error_with(**attributes: Any) -> ValueError:
    error = ValueError(*attributes.pop("args", ()))
    error.__cause__ = attributes.pop("cause", None)
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("root", "path"),
    [
        (BAD, ""),
        ([0, BAD], "[1]"),
        ((0, (BAD,)), "[1][0]"),
        ({"list": [1, 2, Seat(BAD)]}, '["list"][2].notes'),
        ({1: {b"k": {None: BAD}}}, "[1][b'k'][None]"),
        ({'quote"': BAD}, '["quote\\""]'),
        ({"é\ud800": BAD}, '["é\\ud800"]'),
        ({"k" * 100: BAD}, '["' + "k" * 59 + "…]"),
        ({10**5000: BAD}, "[<int>]"),
        ({BAD: 1}, ".key(<object>)"),
        ({(1, BAD): 1}, ".key(<tuple>)[1]"),
        ({(1, 2): BAD}, "[<tuple>]"),
        ({BAD}, ".element(<object>)"),
        (frozenset({(BAD,)}), ".element(<tuple>)[0]"),
        (Struct([BAD]), ".a[0]"),
        (Pair(1, BAD), ".right"),
        (error_with(args=(1, BAD)), ".args[1]"),
        (error_with(cause=error_with(more=BAD)), ".__cause__.more"),
        (ExceptionGroup("g", [error_with(more=BAD)]), ".exceptions[0].more"),
    ],
    ids=lambda item: item[:20] if isinstance(item, str) else type(item).__name__,
)
def test_the_path_leads_to_the_culprit(root, path):
    """Keys, indexes, attributes and elements are written as one would reach them."""
    assert find_path(root, BAD) == path


def test_the_path_is_the_shortest():
    """Of several ways to the same thing the shortest is told; cycles do not matter."""
    root: dict[str, Any] = {"far": {"away": BAD}, "near": BAD}
    root["far"]["root"] = root
    assert find_path(root, BAD) == '["near"]'


def test_a_long_path_is_cut_in_the_middle():
    """A culprit ten thousand levels down gives a readable text."""
    root: Any = BAD
    for _ in range(10_000):
        root = [root]
    assert find_path(root, BAD) == "[0]" * 8 + " … 9984 more … " + "[0]" * 8


def test_the_error_tells_what_where_and_what_to_do():
    """The public error has the problem, the place and the hint, in this order."""
    error = as_error(Refused(BAD, "X could not be cloned.", "Send Y."), {"k": BAD}, "arguments")
    assert type(error) is errors.DataCloneError
    assert str(error) == 'X could not be cloned. (at arguments["k"]) Send Y.'
