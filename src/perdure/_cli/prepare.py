"""What every start does before it touches the data: read, import, plan. (edge)"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

from perdure import application
from perdure._cli.options import RunOptions
from perdure._config.app import LoadedApp
from perdure._config.load import load_project, read_record, shown
from perdure._config.plan import Plan, plan
from perdure._config.problem import Problem, ProblemsFound, refused
from perdure._config.project import Project
from perdure._storage.files import RealDisk
from perdure._storage.folder import is_unused
from perdure._storage.layout import Layout
from perdure.errors import ConfigError, DataFolderError, DataFolderInUse, PerdureError, StorageFailed


@dataclass(frozen=True, slots=True)
class Prepared:
    """An application that is imported and fits its data folder."""

    project: Project
    app: LoadedApp
    data: pathlib.Path
    plan: Plan

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return (*self.project.warnings, *self.app.problems, *self.plan.problems)


def read(options: RunOptions) -> Project:
    """Return the project of a run, from its files alone."""
    return load_project(options.path, config=options.config, environment=options.env, variables=options.var)


def data_folder(options: RunOptions, project: Project) -> pathlib.Path:
    return pathlib.Path(options.data).absolute() if options.data is not None else project.default_data


def existing_folder(options: RunOptions) -> pathlib.Path:
    """
    Return the data folder that a command is to work on.

    Raises:
        ProblemsFound: there is none, or it may not be looked at.
    """
    data = wanted_folder(options)
    try:
        if not data.is_dir():
            raise refused(
                "data/missing",
                f"there is no data folder {shown(data)}",
                help="it is made when the application first runs; --path or --data names another",
            )
        if not pathlib.Path(Layout(str(data)).format).exists():
            raise refused("data/missing", f"{shown(data)} is not a data folder", help="--data names another")
    except OSError as error:
        raise ProblemsFound([data_problem(error, data)]) from None
    return data


def wanted_folder(options: RunOptions) -> pathlib.Path:
    """Return where the data folder is or would be; without an application in the current folder: `.perdure` there."""
    if options.data is not None:
        return pathlib.Path(options.data).absolute()
    try:
        return read(options).default_data
    except ProblemsFound:
        if options.path != "." or options.config is not None or options.env is not None:
            raise
        return pathlib.Path(".perdure").absolute()


def planned(project: Project, app: LoadedApp, data: pathlib.Path) -> Plan:
    """Return what a start would do to the data folder, which is only looked at."""
    try:
        record = read_record(pathlib.Path(Layout(str(data)).classes))
    except (DataFolderError, OSError) as error:
        raise ProblemsFound([data_problem(error, data)]) from None
    disk, layout = RealDisk(), Layout(str(data))
    return plan(
        project.declared,
        record,
        empty={name for name, kept in record.classes.items() if is_unused(disk, layout, kept.unique_key)},
        name=project.name,
        defined=tuple(app.classes),
        bindings=app.bound,
        file=shown(project.main),
    )


def prepare(options: RunOptions) -> Prepared:
    """
    Return the application ready to be started.

    Raises:
        ProblemsFound: all that stands in its way; the data folder was not touched.
    """
    project = read(options)
    app = application.load(project)
    data = data_folder(options, project)
    steps = planned(project, app, data)
    if steps.errors:
        raise ProblemsFound(steps.errors)
    return Prepared(project, app, data, steps)


def data_problem(error: BaseException, data: pathlib.Path) -> Problem:
    """Return how an error of a start is told."""
    if isinstance(error, DataFolderInUse):
        return Problem(
            "data/in-use", str(error), help="stop the other one, or choose another folder with --data"
        )
    if isinstance(error, StorageFailed):
        return Problem("storage/failed", str(error), help="look at the disk; what was confirmed is safe")
    if isinstance(error, ConfigError):
        return Problem("config/refused", str(error))
    if isinstance(error, PerdureError):
        return Problem("data/unusable", str(error))
    if isinstance(error, OSError):
        return Problem(
            "data/unusable",
            f"the data folder {shown(data)} cannot be used: {error.strerror or error}",
            help="choose another with --data",
        )
    raise error
