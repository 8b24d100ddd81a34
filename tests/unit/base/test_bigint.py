"""BigInt: an int that stays what it is on its way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure._base import codec
from perdure._base.bigint import BigInt, from_decimal, to_decimal
from perdure._base.values import copy


@given(st.integers())
def test_decimal_text_is_pythons(value):
    assert to_decimal(value) == str(value)
    assert from_decimal(str(value)) == value


def test_it_is_copied_and_stored_as_itself():
    """So that an echo of an object is a bigint, too."""
    for value in (BigInt(5), BigInt(-(2**80))):
        assert type(copy([value])[0]) is BigInt
        assert codec.loads(codec.dumps({"a": value})) == {"a": value}
        assert type(codec.loads(codec.dumps(value))) is BigInt


def test_it_is_an_int_in_every_way():
    assert BigInt(5) + 1 == 6
    assert repr(BigInt(5)) == "BigInt(5)"
    assert str(BigInt(5)) == f"{BigInt(5)}" == "5"
