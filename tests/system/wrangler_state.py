"""A state folder as `wrangler dev` leaves it, made by hand: names, tables and bytes are those of workerd and Miniflare. (edge)"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from perdure._base import ids

KV_TABLE = "CREATE TABLE _cf_KV (\n        key TEXT PRIMARY KEY,\n        value BLOB\n      ) WITHOUT ROWID"
METADATA = "CREATE TABLE _cf_METADATA (\n        key INTEGER PRIMARY KEY,\n        value BLOB\n      )"
ENTRIES = "CREATE TABLE _mf_entries (key TEXT PRIMARY KEY, blob_id TEXT NOT NULL, expiration INTEGER, metadata TEXT)"
LATER_MS = 4_000_000_000_000


def object_id(unique_key: str, name: str) -> str:
    return ids.id_from_name(ids.namespace_key(unique_key), name).hex()


def database(path: Path, *statements: str) -> Path:
    """Make a database in WAL mode, as workerd's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for statement in statements:
            connection.execute(statement)
    return path


def add_object(state: Path, unique_key: str, name: str, *statements: str) -> Path:
    return database(state / "v3/do" / unique_key / f"{object_id(unique_key, name)}.sqlite", *statements)


def add_room(state: Path, unique_key: str = "chat-Room", name: str = "lobby") -> Path:
    """An object with a table, two values and an alarm."""
    return add_object(
        state,
        unique_key,
        name,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, text)",
        "INSERT INTO t (text) VALUES ('hello')",
        KV_TABLE,
        "INSERT INTO _cf_KV VALUES ('n', x'ff0f4954'), ('user', x'ff0f6f22046e616d652203616e6e7b01')",
        METADATA,
        f"INSERT INTO _cf_METADATA VALUES (1, {LATER_MS * 1_000_000})",
    )


def add_namespace(state: Path, id: str, entries: dict[str, tuple[bytes, dict | None, int | None]]) -> Path:
    """A KV namespace: key → value, metadata, time of expiration in milliseconds."""
    file = object_id("miniflare-KVNamespaceObject", id)
    path = database(state / f"v3/kv/miniflare-KVNamespaceObject/{file}.sqlite", ENTRIES)
    blobs = state / f"v3/kv/{id}/blobs"
    blobs.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        for number, (key, (value, metadata, expires_ms)) in enumerate(entries.items()):
            (blobs / f"blob{number}").write_bytes(value)
            shown = None if metadata is None else json.dumps(metadata)
            connection.execute(
                "INSERT INTO _mf_entries VALUES (?, ?, ?, ?)", (key, f"blob{number}", expires_ms, shown)
            )
        connection.commit()
    return path


def add_database(state: Path, id: str, *statements: str) -> Path:
    """A D1 database."""
    file = object_id("miniflare-D1DatabaseObject", id)
    return database(
        state / f"v3/d1/miniflare-D1DatabaseObject/{file}.sqlite",
        METADATA,
        "INSERT INTO _cf_METADATA VALUES (2, 1)",
        *statements,
    )
