"""`perdure import-state`: what `wrangler dev` or workerd has kept becomes the state of this application. (edge)

The objects keep their ids, and so their names, if their classes have the unique keys that they had there. KV namespaces and
D1 databases are told by the ids that the configuration has. What is read is not changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pathlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from perdure._admin.operations import Import, Objects
from perdure._cli import exits, prepare, reach, wrangler_state
from perdure._cli.host import runtime_of
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text
from perdure._cli.progress import Progress
from perdure._cli.table import size_text
from perdure._cli.wrangler_state import WranglerState
from perdure._config.load import read_record, shown
from perdure._config.problem import Problem, ProblemsFound, listed, refused
from perdure._config.project import Project, Resource
from perdure._config.record import Record
from perdure._resources.kv_file import write_kv_file
from perdure._storage.layout import Layout
from perdure.errors import DataFolderInUse
from perdure.resources import KINDS
from perdure.runtime import Runtime

STATE: Final = ".wrangler/state"
_EXISTS: Final = "object/exists"
_KIND_OF: Final = {kind.option: kind.key for kind in KINDS.values()}


@dataclass(slots=True)
class _Source:
    """One file, and what it is to become."""

    class_name: str
    target: dict[str, str]
    """`name` or `id` of the object."""
    path: pathlib.Path
    make: Callable[[pathlib.Path], object] | None = None
    """Writes the database to be imported, where *path* is none itself."""


def import_state(
    options: RunOptions, folder: str | None, *, yes: bool, leave_out: bool, as_json: bool
) -> int:
    """Import all that the folder has and the application has a class for; tell what became of it."""
    project = prepare.read(options)
    state = wrangler_state.find(project.root / STATE if folder is None else pathlib.Path(folder).resolve())
    record = _record(options, project, state)
    sources = [*_objects(state, record), *_databases(state, project), *_namespaces(state, project)]
    done = _Done()
    with Progress() as progress:
        for number, source in enumerate(sources):
            progress(number, len(sources), "objects")
            _import(options, source, done, replace=yes, leave_out=leave_out)
    done.problems += _strangers(state, record, {source.path for source in sources})
    return _tell(done, as_json=as_json)


class _Done:
    """What has been imported and what not."""

    def __init__(self) -> None:
        self.imported: dict[str, list[int]] = {}
        """Sizes in bytes, by class."""
        self.existing: dict[str, int] = {}
        """How many were there already, by class."""
        self.left_out: list[dict[str, str]] = []
        self.problems: list[Problem] = []


def _record(options: RunOptions, project: Project, state: WranglerState) -> Record:
    """Return what the data folder knows of classes; a start of the application, which nothing else sees, tells it."""
    path = pathlib.Path(Layout(str(prepare.wanted_folder(options))).classes)
    record = read_record(path) if path.exists() else Record()
    if path.exists() and _knows_all(record, project, state):
        return record
    runtime = runtime_of(prepare.prepare(options), options, role="command")
    try:
        asyncio.run(_start_and_stop(runtime))
    except DataFolderInUse:  # a server that answers, also one that is just starting, has told its classes
        reach.run(options, Objects(limit=1), may_make=True)
    return read_record(path)


def _knows_all(record: Record, project: Project, state: WranglerState) -> bool:
    known = {kept.unique_key for kept in record.classes.values()}
    used = {_KIND_OF[resource.option] for resource in project.resources}
    return state.objects.keys() <= known and used <= {*record.own}


async def _start_and_stop(runtime: Runtime) -> None:
    async with runtime:
        pass


def _objects(state: WranglerState, record: Record) -> list[_Source]:
    classes = {kept.unique_key: name for name, kept in record.classes.items()}
    return [
        _Source(classes[unique_key], {"id": file.stem}, file)
        for unique_key, files in state.objects.items()
        if unique_key in classes
        for file in files
    ]


def _databases(state: WranglerState, project: Project) -> Iterator[_Source]:
    for resource, kind in _resources(project, "d1_databases"):
        _, file = wrangler_state.called(wrangler_state.D1, (resource.id, resource.name), state.databases)
        if file is not None:
            yield _Source(kind, {"name": resource.id}, file)


def _namespaces(state: WranglerState, project: Project) -> Iterator[_Source]:
    for resource, kind in _resources(project, "kv_namespaces"):
        name, file = wrangler_state.called(wrangler_state.KV, (resource.id, resource.name), state.namespaces)
        if file is not None:
            make = functools.partial(_make_namespace, file, state.values.get(name))
            yield _Source(kind, {"name": resource.id}, file, make)


def _make_namespace(file: pathlib.Path, values: pathlib.Path | None, path: pathlib.Path) -> None:
    try:
        write_kv_file(path, wrangler_state.entries(file, values))
    except sqlite3.Error as error:
        raise refused(
            "cli/unwritable", f"{shown(path)}, to which {shown(file)} is copied, cannot be written: {error}"
        ) from None


def _resources(project: Project, option: str) -> Iterator[tuple[Resource, str]]:
    """Yield each thing that *option* binds, once, with the class that keeps it."""
    once = {resource.id: resource for resource in project.resources if resource.option == option}
    for resource in once.values():
        yield resource, _KIND_OF[option]


def _import(options: RunOptions, source: _Source, done: _Done, *, replace: bool, leave_out: bool) -> None:
    try:
        with _database_of(options, source) as path:
            operation = Import(
                class_name=source.class_name,
                path=str(path),
                replace=replace,
                leave_out=leave_out,
                is_in_place=True,
                **source.target,
            )
            answer = reach.run(options, operation)
    except ProblemsFound as error:
        if error.problems[0].code == _EXISTS:
            done.existing[source.class_name] = done.existing.get(source.class_name, 0) + 1
        else:
            done.problems += error.problems
        return
    done.imported.setdefault(source.class_name, []).append(answer["size_bytes"])
    done.left_out += [
        {"class": source.class_name, **source.target, "key": key, "reason": why}
        for key, why in answer["left_out"]
    ]


@contextlib.contextmanager
def _database_of(options: RunOptions, source: _Source) -> Iterator[pathlib.Path]:
    """Give the file to import; one that is made for it stands beside the data folder, where a server may read it too."""
    if source.make is None:
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix=".perdure-", dir=prepare.wanted_folder(options).parent) as folder:
        path = pathlib.Path(folder) / "kv.sqlite"
        source.make(path)
        yield path


def _strangers(state: WranglerState, record: Record, known: set[pathlib.Path]) -> Iterator[Problem]:
    """Yield a problem for all that belongs to nothing here."""
    for unique_key, files in state.objects.items():
        if files[0] not in known:
            yield _stranger(unique_key, files, record)
    for noun, option, kept in (
        ("KV namespace", "kv_namespaces", state.namespaces),
        ("D1 database", "d1_databases", state.databases),
    ):
        for file in kept.values():
            if file not in known:
                yield Problem(
                    "state/unknown-resource",
                    f"{shown(file)} is a {noun}, and no binding here has its id",
                    help=f'the id in "{option}" must be the one it had there; without one wrangler takes the name of the binding',
                )


def _stranger(unique_key: str, files: list[pathlib.Path], record: Record) -> Problem:
    classes = sorted(record.classes)
    return Problem(
        "state/unknown-class",
        f'no class here has the unique key "{unique_key}" of {counted(len(files), "object")} in {shown(files[0].parent)}',
        help=f"their ids hang on it: if the class is one of {listed(classes)} (the project's name was another there, or the\n"
        f'class was renamed), say so in the configuration: "unique_keys": {{"CLASS": "{unique_key}"}}',
    )


def _tell(done: _Done, *, as_json: bool) -> int:
    if as_json:
        print(json_text(_as_data(done)))
    else:
        for line in _lines(done):
            print(line)
    if done.problems:
        raise ProblemsFound(done.problems)
    return exits.OK


def _as_data(done: _Done) -> dict[str, Any]:
    return {
        "imported": {name: len(sizes) for name, sizes in done.imported.items()},
        "existing": done.existing,
        "left_out": done.left_out,
    }


def _lines(done: _Done) -> Iterator[str]:
    for class_name, sizes in done.imported.items():
        yield f"{class_name}: {counted(len(sizes), 'object')} imported, {size_text(sum(sizes))}"
    for class_name, number in done.existing.items():
        yield f"{class_name}: {counted(number, 'object')} left alone, as there is one of that id here; --yes replaces"
    for missing in done.left_out:
        who = missing.get("name") or missing["id"]
        yield f"left out: {missing['key']!r} of {missing['class']} {who}: {missing['reason']}"
