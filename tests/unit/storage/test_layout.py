"""Where things stand in a data folder."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._storage.layout import (
    PROVISIONAL_MODE,
    SYNCED_MODE,
    Layout,
    is_provisional,
    namespace_folder,
    scratch_of,
    segment_number,
    store_key,
)

ID = "ab" * 32


@given(st.text())
def test_any_unique_key_makes_a_safe_folder_name(unique_key):
    """Whatever a namespace is called, its folder stays where it belongs."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,60}", namespace_folder(unique_key))


@given(st.text(), st.text())
def test_two_namespaces_never_share_a_folder(one, other):
    """Not even on a file system that ignores case."""
    assert (one == other) == (namespace_folder(one).lower() == namespace_folder(other).lower())


def test_a_folder_name_can_be_read():
    assert namespace_folder("shop-Cart").startswith("shop-Cart-")


@given(st.text())
def test_a_store_is_found_by_its_key(unique_key):
    """The journal's records name a store, and recovery finds the same file as the store itself."""
    layout = Layout("/data")
    path = layout.store(store_key(unique_key, ID))
    assert path == f"{layout.namespace(unique_key)}/ab/{ID}.sqlite"


@pytest.mark.parametrize(
    "key", [b"", b"x", b"../" + ID.encode(), b"a/b/" + ID.encode(), b"a/" + b"Z" * 64, b"\xff/" + ID.encode()]
)
def test_a_key_that_is_none_is_refused(key):
    """A record of a tampered journal cannot reach outside the data folder."""
    with pytest.raises(ValueError, match="not the key of a store"):
        Layout("/data").store(key)


def test_folders_of_a_store_are_named_from_the_inside_out():
    layout = Layout("/data")
    key = store_key("app-Thing", ID)
    namespace = layout.namespace("app-Thing")
    assert layout.store_folders(key) == [f"{namespace}/ab", namespace, "/data/objects"]


def test_segments_are_numbered_files():
    layout = Layout("/data")
    assert layout.segment(12) == "/data/journal/00000012.seg"
    assert segment_number("00000012.seg") == 12
    assert segment_number(layout.segment(10**9).rpartition("/")[2]) == 10**9


@pytest.mark.parametrize("name", ["12.seg", "00000012.seg.new", "x0000012.seg", "README"])
def test_other_files_in_the_journal_are_none_of_it(name):
    assert segment_number(name) is None


def test_scratch_of_a_store_is_what_sqlite_keeps_beside_it():
    assert scratch_of("x.sqlite") == ["x.sqlite-wal", "x.sqlite-journal", "x.sqlite-shm"]


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        (None, None, True),
        (PROVISIONAL_MODE, 0, True),
        (PROVISIONAL_MODE, 4096, True),
        (SYNCED_MODE, 0, False),
        (SYNCED_MODE, 8192, False),
        (0o755, 8192, False),
    ],
)
def test_a_store_file_is_provisional_until_its_first_sync(mode, size, expected):
    """One that is longer than a page was synced, whoever set its mode since."""
    assert is_provisional(mode, size) is expected
