"""Dump: a database file as the SQL that makes it anew, in any SQLite program. (edge)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perdure._storage.database import PlainFile, literal

_TABLES = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
_OTHERS = "SELECT sql FROM sqlite_schema WHERE type <> 'table' AND sql NOT NULL ORDER BY rowid"
_COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"


def dump_sql(path: str) -> Iterator[str]:
    """
    Yield the statements, a line each, that make the exported database *path* anew.

    Tables, rows, virtual tables, indexes, triggers and views, `_cf_KV` too, in one transaction. A row is one
    line, as long as it may be; nothing larger is in memory. `sqlite3 new.sqlite < file.sql` reads it.
    """
    with PlainFile(path) as database:
        yield "PRAGMA foreign_keys=OFF;"
        yield "BEGIN;"
        has_virtual = False
        for name, table, sql in database.run(_TABLES):
            if sql is not None and sql[:14].upper() == "CREATE VIRTUAL":
                # Made by its module it would make its own tables too, which are here with their rows.
                if not has_virtual:
                    yield "PRAGMA writable_schema=ON;"
                    has_virtual = True
                values = ", ".join(map(literal, (name, table, sql)))
                yield (
                    "INSERT INTO sqlite_schema (rootpage, type, name, tbl_name, sql) "  # noqa: S608 - literals
                    f"VALUES (0, 'table', {values});"
                )
                continue
            yield from _table(database, name, sql)
        for (sql,) in database.run(_OTHERS):
            yield _ended(sql)
        if has_virtual:
            yield "PRAGMA writable_schema=OFF;"
        yield "COMMIT;"


def _table(database: PlainFile, name: str, sql: str | None) -> Iterator[str]:
    quoted = _quoted(name)
    if name == "sqlite_sequence":
        yield "DELETE FROM sqlite_sequence;"
    elif name == "sqlite_stat1":  # what ANALYZE found; of its tables the one that every SQLite has
        yield "ANALYZE sqlite_schema;"  # makes the table
    elif name.startswith("sqlite_"):
        return
    else:
        assert sql is not None, "only SQLite's own tables have no statement"
        yield _ended(sql)
    columns = [_quoted(column) for (column,) in database.run(_COLUMNS, (name,))]
    # As bytes: a text may be none in UTF-8.
    asked = ", ".join(
        f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in columns
    )
    into = f"INSERT INTO {quoted} ({', '.join(columns)}) VALUES"
    for row in database.rows(f"SELECT {asked} FROM {quoted}"):  # noqa: S608
        yield f"{into} ({', '.join(map(_value, row[::2], row[1::2]))});"


def _value(kind: str, value: Any) -> str:
    if kind != "text":
        return literal(value)
    try:
        return literal(str(value, "utf-8"))
    except UnicodeDecodeError:
        return f"CAST({literal(value)} AS TEXT)"


def _ended(sql: str) -> str:
    # A statement may end in a comment, which would swallow the semicolon.
    return f"{sql}\n;" if "--" in sql.rpartition("\n")[2] else f"{sql};"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
