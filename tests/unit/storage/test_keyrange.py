"""keyrange: what `list` options select."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._storage.keyrange import KeyRange, after_prefix, key_range

pytestmark = pytest.mark.rows("KVA-09", "KVA-11")

texts = st.text(st.sampled_from("\0ab\x7f\x80é\ud7ff\ue000\uffff\U00010000\U0010ffff"), max_size=4)
bounds = st.none() | texts


def holds(span: KeyRange | None, key: str) -> bool:
    if span is None:
        return False
    low = key > span.start if span.after else key >= span.start
    return low and (span.end is None or key < span.end)


@given(key=texts, start=bounds, start_after=bounds, end=bounds, prefix=bounds)
def test_a_range_holds_the_keys_that_meet_every_option(
    key: str, start: str | None, start_after: str | None, end: str | None, prefix: str | None
) -> None:
    """A key is in the range exactly if each option lets it."""
    if start_after is not None:
        start = None
    wanted = (
        (start is None or key >= start)
        and (start_after is None or key > start_after)
        and (end is None or key < end)
        and (prefix is None or key.startswith(prefix))
    )
    assert holds(key_range(start, start_after, end, prefix), key) == wanted


@given(one=texts, other=texts)
def test_code_point_order_is_byte_order(one: str, other: str) -> None:
    """Python compares text as SQLite compares its UTF-8 bytes."""
    assert (one < other) == (one.encode() < other.encode())


@given(prefix=texts, key=texts)
def test_the_end_of_a_prefix_is_the_first_text_after_all_that_begin_so(prefix: str, key: str) -> None:
    """Nothing that begins with the prefix sorts at or after its end, nothing else lies between."""
    end = after_prefix(prefix)
    inside = key >= prefix and (end is None or key < end)
    assert inside == key.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("a", "b"),
        ("ab", "ac"),
        ("\ud7ff", "\ue000"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("", None),
    ],
)
def test_the_end_of_a_prefix_in_plain_cases(prefix: str, end: str | None) -> None:
    """The last character is counted up, past the surrogates; the last one of all is left out."""
    assert after_prefix(prefix) == end


@pytest.mark.parametrize(
    "options",
    [
        {"start": "b", "end": "a"},
        {"start": "a", "end": "a"},
        {"start_after": "a", "end": "a"},
        {"end": ""},
        {"prefix": "b", "end": "a"},
        {"prefix": "a", "start": "b"},
    ],
)
def test_a_range_that_is_surely_empty_is_none(options: dict[str, str]) -> None:
    """So nothing is read for it."""
    assert key_range(**options) is None


def test_no_options_are_everything() -> None:
    """Without options the range is open on both sides."""
    assert key_range() == KeyRange("", False, None)
