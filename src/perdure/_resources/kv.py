"""KvKeeper: the durable object that keeps one KV namespace. (cooperative)

    entries         a row for each key; `value` is the value, or its first piece
    further_pieces  what does not fit into one value of SQLite, by number from 1

An entry whose time is over is not there any more for whoever reads; each write removes some of them for good, so
nothing has to wake up for that. The front, `perdure.KvNamespace`, checks what it is given; nothing is checked again here.
"""

from __future__ import annotations

from typing import Any, Final

from perdure._base import limits
from perdure._storage.keyrange import key_range
from perdure.context import DurableObjectState
from perdure.durable_object import DurableObject

PIECE_BYTES: Final = limits.MIB
_SWEPT_AT_ONCE: Final = 100
SCHEMA: Final = """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value BLOB NOT NULL,
        size_bytes INTEGER NOT NULL,
        metadata TEXT,
        expires_s INTEGER
    );
    CREATE INDEX expiring ON entries (expires_s) WHERE expires_s IS NOT NULL;
    CREATE TABLE further_pieces (
        entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (entry, number)
    );
"""


class KvKeeper(DurableObject[Any]):
    """Keys with their values, metadata and times of expiration."""

    def __init__(self, ctx: DurableObjectState, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx.storage
        self._sql = ctx.storage.sql
        found = self._sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'entries'")
        self._is_made = bool(found.to_list())  # a namespace that is only read stores nothing

    def read(self, keys: list[str], size_bytes_max: int) -> list[Any]:
        """
        Return for each key None, or [value, metadata as JSON or None].

        Returns an empty list if all values together are larger than *size_bytes_max*.
        """
        found: list[Any] = []
        left = size_bytes_max
        for key in keys:
            entry = self._entry(key)
            found.append(None)
            if entry is None:
                continue
            id, value, size_bytes, metadata = entry
            left -= size_bytes
            if left < 0:
                return []
            data = value if isinstance(value, bytes) else value.encode()
            if size_bytes > len(data):
                pieces = self._sql.exec("SELECT data FROM further_pieces WHERE entry = ? ORDER BY number", id)
                data = b"".join((data, *(piece for (piece,) in pieces.raw())))
            found[-1] = [data, metadata]
        return found

    def _entry(self, key: str) -> Any:
        if not self._is_made:
            return None
        found = self._sql.exec(
            "SELECT id, value, size_bytes, metadata FROM entries "
            "WHERE key = ? AND (expires_s IS NULL OR expires_s > ?)",
            key,
            self._now_s(),
        )
        return next(iter(found.raw()), None)

    def write(
        self, key: str, data: bytes, is_text: bool, metadata: str | None, expires_s: int | None
    ) -> None:
        """Let *data* be the value of *key*, with this metadata as JSON and this time of expiration."""
        with self._storage.transaction_sync():  # without space for the new value, the old one stays
            if not self._is_made:
                self._sql.exec(SCHEMA)
            self._sweep()
            self._replace(key, data, is_text, metadata, expires_s)
        self._is_made = True

    def _replace(
        self, key: str, data: bytes, is_text: bool, metadata: str | None, expires_s: int | None
    ) -> None:
        self._sql.exec("DELETE FROM entries WHERE key = ?", key)
        first: bytes | str = data[:PIECE_BYTES]
        if is_text and len(data) <= PIECE_BYTES:
            first = data.decode()  # for whoever looks at the table
        inserted = self._sql.exec(
            "INSERT INTO entries (key, value, size_bytes, metadata, expires_s) VALUES (?, ?, ?, ?, ?) RETURNING id",
            key,
            first,
            len(data),
            metadata,
            expires_s,
        )
        id = inserted.one()["id"]
        for number, start in enumerate(range(PIECE_BYTES, len(data), PIECE_BYTES), 1):
            piece = data[start : start + PIECE_BYTES]
            self._sql.exec("INSERT INTO further_pieces VALUES (?, ?, ?)", id, number, piece)

    def remove(self, key: str) -> None:
        """Remove *key*, if it is there."""
        if self._is_made:
            self._sql.exec("DELETE FROM entries WHERE key = ?", key)

    def page(self, prefix: str, after: str | None, limit: int) -> list[Any]:
        """Return [key, time of expiration, metadata as JSON] of the keys behind *after*, in UTF-8 byte order."""
        keys = key_range(prefix=prefix, start_after=after)
        if not self._is_made or keys is None:
            return []
        found = self._sql.exec(
            "SELECT key, expires_s, metadata FROM entries "
            "WHERE key >= ? AND key < ? AND (expires_s IS NULL OR expires_s > ?) ORDER BY key LIMIT ?",
            keys.start + "\0" * keys.after,  # the next text there is
            b"" if keys.end is None else keys.end,  # SQLite orders bytes behind all texts
            self._now_s(),
            limit,
        )
        return [list(row) for row in found.raw()]

    def _sweep(self) -> None:
        self._sql.exec(
            "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires_s <= ? LIMIT ?)",
            self._now_s(),
            _SWEPT_AT_ONCE,
        )

    def _now_s(self) -> float:
        return self.ctx._live.host.clock.time_s()
