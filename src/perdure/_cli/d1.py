"""`perdure d1`: SQL on the D1 databases of a project, and their migrations. (edge)"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from perdure._admin.operations import Script
from perdure._cli import exits, prepare, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text
from perdure._cli.sql import print_table
from perdure._cli.table import as_objects
from perdure._config.load import shown
from perdure._config.problem import did_you_mean, listed, refused
from perdure._config.project import D1Resource, Project
from perdure.resources import D1

USAGE: Final = {
    "execute": "execute DATABASE --command SQL | --file FILE",
    "migrations create": "migrations create DATABASE NAME",
    "migrations list": "migrations list DATABASE",
    "migrations apply": "migrations apply DATABASE",
}


def run_d1(
    options: RunOptions, words: Sequence[str], *, command: str | None, file: str | None, as_json: bool
) -> int:
    """Do what *words* say; return the exit code."""
    from perdure._cli import d1_migrations as migrations

    match words:
        case ("execute", database):
            text = _given(command, file)
            return _execute(options, _database(prepare.read(options), database), text, as_json=as_json)
        case ("migrations", "create", database, name):
            project = prepare.read(options)
            return migrations.create(project, _database(project, database), name)
        case ("migrations", "list", database):
            project = prepare.read(options)
            return migrations.show(options, project, _database(project, database), as_json=as_json)
        case ("migrations", "apply", database):
            project = prepare.read(options)
            return migrations.apply(options, project, _database(project, database), as_json=as_json)
    asked = " ".join(words)
    is_known = any(f"{asked} ".startswith(f"{use} ") or use.startswith(f"{asked} ") for use in USAGE)
    raise refused(
        "usage/argument",
        f"`d1 {asked}` has not the arguments that it takes" if is_known else f"there is no `d1 {asked}`",
        hint=None if is_known else did_you_mean(" ".join(words[:2]), USAGE),
        help="\n".join(f"perdure d1 {use}" for use in USAGE.values()),
    )


def run_script(
    options: RunOptions, database: D1Resource, *texts: str, may_make: bool = True
) -> list[dict[str, Any]]:
    """Run the statements of *texts* as one transaction; return what each gave."""
    operation = Script(class_name=D1.key, name=database.id, texts=texts)
    results: list[dict[str, Any]] = reach.run(options, operation, may_make=may_make)["results"]
    return results


def _database(project: Project, name: str) -> D1Resource:
    """Return the database that *name* means: that of a binding, its own name, or its id."""
    databases = [one for one in project.resources if isinstance(one, D1Resource)]
    asked: tuple[Callable[[D1Resource], str], ...] = (
        lambda one: one.name,
        lambda one: one.database_name,
        lambda one: one.id,
    )
    for of in asked:
        for one in databases:
            if of(one) == name:
                return one
    known = list(dict.fromkeys([of(one) for of in asked[:2] for one in databases]))
    raise refused(
        "d1/unknown-database",
        f'the project has no D1 database "{name}"',
        hint=did_you_mean(name, known),
        help=f"there is {listed(known)}"
        if known
        else 'a list "d1_databases" in the configuration binds them',
    )


def _given(command: str | None, file: str | None) -> str:
    if (command is None) == (file is None):
        raise refused(
            "usage/argument",
            "what is to be run? Give --command SQL or --file FILE",
            help="--file - is standard input",
        )
    if command is not None:
        return command
    assert file is not None, "one of the two was given"
    return sys.stdin.read() if file == "-" else read_text(pathlib.Path(file))


def read_text(path: pathlib.Path) -> str:
    """Return the text of a file of SQL."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise refused("cli/unreadable", f"{shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise refused("cli/unreadable", f"{shown(path)} is no text in UTF-8: {error}") from None


def _execute(options: RunOptions, database: D1Resource, text: str, *, as_json: bool) -> int:
    results = run_script(options, database, text)
    if as_json:
        print(
            json_text(
                [
                    {"results": as_objects(one["columns"], one["rows"]), "success": True, "meta": one["meta"]}
                    for one in results
                ]
            )
        )
        return exits.OK
    for one in results:
        if one["columns"]:
            print_table(one["columns"], one["rows"])
    changes = sum(one["meta"]["changes"] for one in results)
    if changes or not any(one["columns"] for one in results):
        print(f"{counted(len(results), 'statement')} run, {counted(changes, 'row')} changed")
    return exits.OK
