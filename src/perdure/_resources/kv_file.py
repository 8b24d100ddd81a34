"""A KV namespace as the database file of the object that keeps it, from entries that another program has. (edge)"""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from perdure._resources.kv import PIECE_BYTES, SCHEMA


@dataclass(frozen=True, slots=True)
class KvEntry:
    """One key with all that belongs to it."""

    key: str
    value: bytes
    metadata: str | None
    """JSON."""
    expires_s: int | None


def write_kv_file(path: pathlib.Path, entries: Iterable[KvEntry]) -> int:
    """Write the new file *path*; return how many entries are in it."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA)
        number = 0
        for number, entry in enumerate(entries, 1):
            first: bytes | str = entry.value[:PIECE_BYTES]
            if len(entry.value) <= PIECE_BYTES:
                first = _as_text(entry.value)
            database.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                (number, entry.key, first, len(entry.value), entry.metadata, entry.expires_s),
            )
            database.executemany(
                "INSERT INTO further_pieces VALUES (?, ?, ?)",
                [
                    (number, at, entry.value[start : start + PIECE_BYTES])
                    for at, start in enumerate(range(PIECE_BYTES, len(entry.value), PIECE_BYTES), 1)
                ],
            )
        database.commit()
        return number


def _as_text(value: bytes) -> bytes | str:
    """Return the text that *value* is in UTF-8, for whoever looks at the table, else itself."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    return value if "\0" in text else text
