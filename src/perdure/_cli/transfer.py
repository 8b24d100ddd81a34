"""`perdure export`, `import` and `delete`: whole objects, out, in and away. (edge)"""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import sys
from collections.abc import Iterator
from typing import Any, Final

from perdure._admin.operations import Delete, Export, Import
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.table import label, size_text
from perdure._config.load import shown
from perdure._config.problem import ProblemsFound, did_you_mean, refused

STDOUT: Final = "-"


def export(options: RunOptions, target: dict[str, Any], output: str | None) -> int:
    """Write one object to a file, as a database or as SQL; return the exit code."""
    if output is None:
        raise refused(
            "usage/argument",
            "where to? Give -o FILE",
            help="f.sqlite is a database, f.sql is text, - prints that",
        )
    if output == STDOUT:
        with _exported(options, target) as database:
            _dump(database, sys.stdout)
        return exits.OK
    path = pathlib.Path(output).absolute()
    if path.suffix == ".sql":
        with (
            _exported(options, target) as database,
            _replacing(path) as new,
            open(new, "x", encoding="utf-8") as file,
        ):
            _dump(database, file)
    else:
        reach.run(options, Export(path=str(path), **target))
        _must_be_here(path)
    print(f"{label(target)} is in {output}, {size_text(path.stat().st_size)}")
    return exits.OK


def _must_be_here(path: pathlib.Path) -> None:
    if not path.exists():
        raise refused(
            "cli/unwritable",
            f"the server has written {path}, but it is not there for this command",
            help="the server sees other folders (PrivateTmp in a systemd unit, a container): choose one both see",
        )


@contextlib.contextmanager
def _exported(options: RunOptions, target: dict[str, Any]) -> Iterator[str]:
    """Give a database with what the object stores, in the data folder, which this and a server both may write."""
    path = pathlib.Path(reach.run(options, Export(**target))["path"])
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a path beside *path* to write; it becomes *path* when all went well."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        yield new
        new.replace(path)
    except OSError as error:
        raise refused("cli/unwritable", f"{shown(path)} cannot be written: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)


def _dump(database: str, file: Any) -> None:
    from perdure._storage.dump import dump_sql

    for line in dump_sql(database):
        file.write(line + "\n")


def import_(options: RunOptions, target: dict[str, Any], file: str, *, yes: bool, leave_out: bool) -> int:
    """Let *file* be what one object stores; return the exit code."""
    path = pathlib.Path(file).absolute()
    if not path.is_file():
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise refused("cli/unreadable", f"there is no file {file}", hint=did_you_mean(path.name, siblings))
    try:
        answer = reach.run(options, Import(path=str(path), replace=yes, leave_out=leave_out, **target))
    except ProblemsFound as error:
        if error.problems[0].code != "object/exists":
            raise
        confirm(f"replace all that {label(target)} stores", yes=False)
        answer = reach.run(options, Import(path=str(path), replace=True, leave_out=leave_out, **target))
    print(f"{label(target)} has what is in {file}, {size_text(answer['size_bytes'])}")
    for key, why in answer["left_out"]:
        print(f"left out: {key!r}: {why}")
    return exits.OK


def delete(options: RunOptions, target: dict[str, Any], *, yes: bool) -> int:
    """Delete one object; return the exit code."""
    confirm(f"delete {label(target)} and everything it stored", yes=yes)
    reach.run(options, Delete(**target))
    print(f"{label(target)} is deleted")
    return exits.OK


def confirm(what: str, *, yes: bool) -> None:
    """Ask before *what* is done, unless --yes was given; a problem if it is not to be."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise refused(
            "usage/confirm", f"this would {what}", help="add --yes, if it shall: nobody can be asked here"
        )
    try:
        answer = input(f"{what[:1].upper()}{what[1:]}? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise refused("cli/not-confirmed", "nothing was done")
