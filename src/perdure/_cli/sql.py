"""`perdure sql`: one query, or a prompt. (edge)"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any, Final

from perdure._admin.operations import Answer, Sql
from perdure._cli import exits, reach
from perdure._cli.console import has_colour
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text, paint, problems_text
from perdure._cli.table import aligned, as_csv, as_objects, label
from perdure._config.problem import ProblemsFound, refused

TABLES: Final = (
    "SELECT name, type FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^' AND name NOT LIKE '^_cf^_%' ESCAPE '^' "
    "ORDER BY name"
)
SCHEMA: Final = (
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '^_cf^_%' ESCAPE '^' ORDER BY name"
)
HELP: Final = "End a statement with ; to run it. .tables  .schema  .exit"


def run_sql(options: RunOptions, given: dict[str, Any], query: str | None, *, form: str) -> int:
    """Run *query*, or what standard input has; return the exit code."""
    if query is None and sys.stdin.isatty():
        return _prompt(options, given, form)
    if query is None:
        query = sys.stdin.read()
    if not query.strip():
        raise refused("usage/argument", "there is no SQL: neither QUERY nor standard input has any")
    _show(reach.run(options, Sql(query=query, **given)), form)
    return exits.OK


def _show(answer: Answer, form: str) -> None:
    columns, rows = answer["columns"], answer["rows"]
    if form == "json":
        print(json_text(as_objects(columns, rows)))
    elif form == "csv":
        sys.stdout.write(as_csv(columns, rows) if columns else "")
    elif columns:
        print_table(columns, rows)
    else:
        print(f"{counted(answer['changes'], 'row')} changed")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows for people; on a terminal not wider than need be, and counted."""
    is_terminal = sys.stdout.isatty()
    head, *lines = aligned(columns, rows, **({} if is_terminal else {"width_max": None}))
    print(paint(head, "bold", colour=has_colour(sys.stdout)))
    for line in lines:
        print(line)
    if is_terminal:
        print(paint(counted(len(rows), "row"), "dim", colour=has_colour(sys.stdout)))


def _prompt(options: RunOptions, given: dict[str, Any], form: str) -> int:
    """Ask for statements until the end; a mistake is told and costs nothing."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (`input` has history and editing with it)
    named = label(given)
    print(f"{named}: {'reading and writing' if given['write'] else 'reading only'}. {HELP}")
    text = ""
    while True:
        try:
            line = input(f"{named}> " if not text else "   ...> ")
        except EOFError:
            print()
            return exits.OK
        word = line.strip()
        if not text and word in (".exit", ".quit"):
            return exits.OK
        if not text and word == ".help":
            print(HELP)
            continue
        text = (
            {".tables": TABLES, ".schema": SCHEMA}.get(word, "")
            if not text and word[:1] == "."
            else text + line + "\n"
        )
        if not text:
            print(f"there is no {word}. {HELP}")
        if not text.strip() or not (word.endswith(";") or word[:1] == "."):
            continue
        query, text = text, ""
        try:
            _show(reach.run(options, Sql(query=query, **given)), form)
        except ProblemsFound as error:
            print(problems_text(error.problems, colour=has_colour(sys.stdout)))
