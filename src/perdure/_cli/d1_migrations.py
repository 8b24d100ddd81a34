"""Migrations of D1 databases: files of SQL, and a table of those that were applied. (edge)

Source: Cloudflare's `wrangler d1 migrations`, whose files, order and table these are, so a database can go either way.
A migration and its row in the table are one transaction: no migration is ever half applied, or applied twice.
"""

from __future__ import annotations

import pathlib
import re
from datetime import UTC, datetime
from typing import Final

from perdure._cli import exits
from perdure._cli.d1 import read_text, run_script
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text
from perdure._config.load import shown
from perdure._config.problem import ProblemsFound, refused
from perdure._config.project import D1Resource, Project

_NUMBER: Final = re.compile(r"\d+")


def create(project: Project, database: D1Resource, name: str) -> int:
    """Write an empty migration, with the next number; return the exit code."""
    words = re.sub(r"[^\w.-]+", "_", name).strip("_")
    if not words:
        raise refused("usage/argument", f"{name!r} has no word to call a file by")
    folder = project.root / database.migrations_dir
    number = max([_number(path.name) or 0 for path in _files(folder)], default=0) + 1
    path = folder / f"{number:04d}_{words}.sql"
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(f"-- Migration number: {number:04d} \t {now}\n")
    except OSError as error:
        raise refused("cli/unwritable", f"{shown(path)} cannot be written: {error.strerror}") from None
    print(
        f"{shown(path)} is made; write SQL into it, then `perdure d1 migrations apply {database.database_name}`"
    )
    return exits.OK


def show(options: RunOptions, project: Project, database: D1Resource, *, as_json: bool) -> int:
    """Print which migrations are not applied yet; return the exit code."""
    applied = _applied(options, database)
    files = _files(project.root / database.migrations_dir)
    waiting = [path.name for path in files if path.name not in applied]
    if as_json:
        print(json_text({"applied": applied, "unapplied": waiting}))
    elif waiting:
        print("\n".join([f"{counted(len(waiting), 'migration')} to be applied:", *waiting]))
    else:
        print("no migration is to be applied")
    return exits.OK


def apply(options: RunOptions, project: Project, database: D1Resource, *, as_json: bool) -> int:
    """Apply in order what is not applied yet; return the exit code."""
    table = _quoted(database.migrations_table)
    run_script(
        options,
        database,
        f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, "
        "applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    before = _applied(options, database)
    done: list[str] = []
    for path in _files(project.root / database.migrations_dir):
        if path.name in before:
            continue
        name = path.name.replace("'", "''")
        noted = f"INSERT INTO {table} (name) VALUES ('{name}')"  # noqa: S608
        try:
            run_script(options, database, read_text(path), noted)
        except ProblemsFound as error:
            _tell(done, as_json=as_json)
            first = error.problems[0]
            raise refused(first.code, f"migration {path.name}: {first.message}", help=first.help) from None
        done.append(path.name)
    _tell(done, as_json=as_json)
    return exits.OK


def _tell(done: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json_text({"applied": done}))
    elif done:
        print("\n".join([f"{counted(len(done), 'migration')} applied:", *done]))
    else:
        print("no migration was to be applied")


def _applied(options: RunOptions, database: D1Resource) -> list[str]:
    """Return the names in the table, in their order; without one there are none."""
    table = database.migrations_table.replace("'", "''")
    is_there = f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'"  # noqa: S608
    try:
        (found,) = run_script(options, database, is_there, may_make=False)
    except ProblemsFound as error:
        if error.problems[0].code != "data/missing":
            raise
        return []
    if not found["rows"]:
        return []
    names = f"SELECT name FROM {_quoted(database.migrations_table)} ORDER BY id"  # noqa: S608
    (result,) = run_script(options, database, names)
    return [name for (name,) in result["rows"]]


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the migrations in the order of their numbers."""
    found = [path for path in folder.glob("*.sql") if path.is_file()]
    return sorted(found, key=lambda path: (_number(path.name) is None, _number(path.name) or 0, path.name))


def _number(name: str) -> int | None:
    match = _NUMBER.match(name)
    return None if match is None else int(match[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
