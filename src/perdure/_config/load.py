"""Finds the files of a project, reads them, and says what they come to. (edge)

The only place where files of settings are read. Order of precedence for what the application finds in
`env`: `--var`, then `.dev.vars`, then `.env`, then `vars` of the configuration.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from perdure._config import dotenv, jsonc, toml
from perdure._config.asset_folder import problems_in_folder
from perdure._config.names import project_name
from perdure._config.problem import Problem, ProblemsFound, did_you_mean, errors, listed
from perdure._config.project import Project
from perdure._config.record import Record, loads
from perdure._config.schema import read_project
from perdure._config.source import Source, Where

CONFIG_NAMES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which Cloudflare's tool looks for them; `pyproject.toml` comes last."""
MAIN_NAMES = ("app.py", "main.py")
"""What a folder without a configuration is started from."""
PYPROJECT_AT: Where = ("tool", "perdure")


def load_project(
    path: str = ".",
    *,
    config: str | None = None,
    environment: str | None = None,
    variables: Sequence[str] = (),
) -> Project:
    """
    Return the project that *path* names: a Python file, a folder, or a configuration file.

    Args:
        path: as given by the user.
        config: a configuration file to read instead of the one found.
        environment: name of an environment of the configuration.
        variables: `K:V` texts that win over every file.

    Raises:
        ProblemsFound: every mistake that was found.
    """
    try:
        return _load(path, config, environment, variables)
    except OSError as error:  # a folder that may not be searched, a loop of links
        message = f"cannot read {error.filename or path}: {error.strerror}"
        raise ProblemsFound([Problem("config/unreadable", message)]) from None


def _load(path: str, config: str | None, environment: str | None, variables: Sequence[str]) -> Project:
    given = _variables(variables)
    where = pathlib.Path(path)
    if config is None and where.suffix in {".json", ".jsonc", ".toml"}:
        config = path
    warnings: list[Problem] = []
    if config is not None:
        project = _configured(pathlib.Path(config), environment, warnings)
        if where.suffix == ".py":
            _must_exist(where)
            project = dataclasses.replace(project, main=where.absolute())
    elif where.is_dir():
        found = _find_config(where, warnings)
        if found is not None:
            project = _configured(found, environment, warnings)
        else:
            project = _bare(_find_main(where), environment)
    else:
        _must_exist(where)
        project = _of_file(where, environment, warnings)
    _check_files(project)
    if project.assets is not None:
        warnings += problems_in_folder(project.assets, project.main, shown)
    values, problems, read = _files_of_variables(project.root, environment)
    if errors(problems):
        raise ProblemsFound(problems)
    if project.secrets is not None:
        # As Cloudflare's tool does: these and no others; where a file lacks one the process's own environment may have it.
        found_in = {**os.environ, **values}
        values = {name: found_in[name] for name in project.secrets if name in found_in}
        missing = [name for name in project.secrets if name not in values and name not in given]
        if missing:
            warnings.append(_missing_secrets(project, missing))
    for name in project.names_in_env:
        if name in {**values, **given}:
            where_from = "--var" if name in given else ".env or .dev.vars"
            raise ProblemsFound(
                [
                    Problem(
                        "config/duplicate-binding",
                        f'"{name}" is a binding and a variable of {where_from}; env can hold one',
                        help="give one of them another name",
                    )
                ]
            )
    return dataclasses.replace(
        project,
        vars={**project.vars, **values, **given},
        warnings=(*warnings, *project.warnings),
        watched=(*project.watched, *read),
    )


def _missing_secrets(project: Project, missing: Sequence[str]) -> Problem:
    return project.problem(
        "config/missing-secret",
        f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} required, and not set",
        "secrets",
        "required",
        severity="warning",
        help="set it in .dev.vars or .env, or in the environment of the process",
    )


def read_record(path: pathlib.Path) -> Record:
    """
    Return what the file at *path* in a data folder remembers of its classes; nothing is locked or changed.

    Raises:
        DataFolderError: the record is damaged or newer.
    """
    try:
        return loads(path.read_bytes())
    except FileNotFoundError:
        return Record()


def shown(path: pathlib.Path) -> str:
    """Return a path as it is shown: relative to the working directory when it is below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _of_file(path: pathlib.Path, environment: str | None, warnings: list[Problem]) -> Project:
    """A file that the configuration beside it names as `main` is run with that configuration."""
    if path.suffix != ".py":
        raise ProblemsFound(
            [
                Problem(
                    "config/not-python",
                    f"{path} is not a Python file",
                    help="name a .py file, a folder, or a configuration file",
                )
            ]
        )
    quiet: list[Problem] = []
    found = _find_config(path.parent, quiet)
    if found is not None:
        try:
            project = _configured(found, environment, quiet)
        except ProblemsFound:
            if environment is not None:
                raise
        else:
            if project.main.resolve() == path.resolve():
                warnings += quiet
                return project
    return _bare(path, environment)


def _bare(main: pathlib.Path, environment: str | None) -> Project:
    if environment is not None:
        raise ProblemsFound(
            [
                Problem(
                    "config/unknown-environment",
                    f'there is no environment "{environment}": {shown(main)} has no configuration file',
                    help='leave out --env, or add a wrangler.jsonc or [tool.perdure] with "env"',
                )
            ]
        )
    main = main.absolute()
    return Project(project_name(main.stem), main.parent, main, watched=(main,))


def _configured(path: pathlib.Path, environment: str | None, warnings: list[Problem]) -> Project:
    _must_exist(path)
    table, source, at, found = _parse(path)
    warnings += found
    root = path.absolute().parent
    default = None
    if at:
        own = table.get("tool", {}).get("perdure", {})
        default = table.get("project", {}).get("name")
        table = own if isinstance(own, dict) else {}
    project, problems = read_project(
        table, source, root, at=at, environment=environment, default_name=default
    )
    if errors(problems):
        raise ProblemsFound((*warnings, *problems))
    return dataclasses.replace(project, watched=(path.absolute(),))


def _parse(path: pathlib.Path) -> tuple[dict[str, Any], Source, Where, tuple[Problem, ...]]:
    file = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProblemsFound(
            [Problem("config/syntax", f"the file is not UTF-8: {error.reason}", file=file)]
        ) from None
    except OSError as error:
        raise ProblemsFound([Problem("config/unreadable", f"cannot read {file}: {error.strerror}")]) from None
    if path.suffix == ".toml":
        table, source = toml.parse(text, file)
        is_pyproject = path.name == "pyproject.toml" or isinstance(table.get("tool", {}).get("perdure"), dict)
        return table, source, PYPROJECT_AT if is_pyproject else (), ()
    value, source, problems = jsonc.parse(text, file)
    if not isinstance(value, dict):
        raise ProblemsFound([source.problem("config/wrong-type", "a configuration must be a table {…}", ())])
    return value, source, (), problems


def _find_config(folder: pathlib.Path, warnings: list[Problem]) -> pathlib.Path | None:
    found = [folder / name for name in CONFIG_NAMES if (folder / name).is_file()]
    pyproject = folder / "pyproject.toml"
    if pyproject.is_file() and "perdure" in pyproject.read_text(encoding="utf-8", errors="replace"):
        table, _, _, _ = _parse(pyproject)
        if isinstance(table.get("tool"), dict) and "perdure" in table["tool"]:
            found.append(pyproject)
    if len(found) > 1:
        warnings.append(
            Problem(
                "config/several-files",
                f"{shown(found[0])} is used; {', '.join(path.name for path in found[1:])} beside it "
                f"{'is' if len(found) == 2 else 'are'} ignored",
                "warning",
                help="keep one configuration, or choose with --config",
            )
        )
    return found[0] if found else None


def nearest_application(folder: pathlib.Path, top: pathlib.Path | None = None) -> pathlib.Path:
    """Return *folder*, or the nearest one above it that has a configuration or a main module; *top*, the last to look in, else."""
    for candidate in (folder, *folder.parents):
        has_main = any((candidate / name).is_file() for name in MAIN_NAMES)
        if has_main or _find_config(candidate, []) is not None:
            return candidate
        if candidate == top:
            break
    return folder if top is None else top


def _find_main(folder: pathlib.Path) -> pathlib.Path:
    for name in MAIN_NAMES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(path.name for path in folder.glob("*.py"))
    raise ProblemsFound(
        [
            Problem(
                "config/nothing-to-run",
                f"{shown(folder)} has no {', '.join(CONFIG_NAMES)}, no [tool.perdure] in a pyproject.toml, "
                f"and no {' or '.join(MAIN_NAMES)}",
                help=f"name the file: {shown(folder / others[0])}"
                if others
                else "`perdure init` writes a first one",
            )
        ]
    )


def _must_exist(path: pathlib.Path) -> None:
    if path.is_file():
        return
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    raise ProblemsFound(
        [
            Problem(
                "config/missing-file",
                f"{path} is a folder, not a file" if path.is_dir() else f"there is no file {path}",
                hint=did_you_mean(path.name, siblings),
            )
        ]
    )


def _check_files(project: Project) -> None:
    """Refuse a main file or a folder of assets that is not there."""
    problems = []
    if not project.main.is_file():
        siblings = [other.name for other in project.main.parent.glob("*.py")]
        hint = did_you_mean(project.main.name, siblings)
        problems.append(
            project.problem(
                "config/missing-file", f"there is no file {shown(project.main)}", "main", hint=hint
            )
        )
    folder = None if project.assets is None else pathlib.Path(project.assets.directory)
    if folder is not None and not folder.is_dir():
        siblings = (
            [other.name for other in folder.parent.iterdir() if other.is_dir()]
            if folder.parent.is_dir()
            else []
        )
        problems.append(
            project.problem(
                "config/missing-file",
                f"there is no folder {shown(folder)}",
                "assets",
                "directory",
                hint=did_you_mean(folder.name, siblings),
                help="make it, or correct assets.directory",
            )
        )
    if problems:
        raise ProblemsFound((*project.warnings, *problems))


def _variables(given: Sequence[str]) -> dict[str, str]:
    values = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not (name and colon):
            raise ProblemsFound(
                [
                    Problem(
                        "usage/var",
                        f'--var "{text}" is not NAME:VALUE',
                        help="for instance --var GREETING:hello",
                    )
                ]
            )
        values[name] = value
    return values


def _files_of_variables(
    root: pathlib.Path, environment: str | None
) -> tuple[dict[str, str], tuple[Problem, ...], tuple[pathlib.Path, ...]]:
    """Read the `.env` family, then `.dev.vars` over it; an environment's own one replaces the common one."""
    names = [".env", ".env.local"]
    if environment is not None:
        names = [".env", f".env.{environment}", ".env.local", f".env.{environment}.local"]
    own = f".dev.vars.{environment}"
    names.append(own if environment is not None and (root / own).is_file() else ".dev.vars")
    values: dict[str, str] = {}
    problems: list[Problem] = []
    read = []
    for name in names:
        path = root / name
        if not path.is_file():
            continue
        found, wrong = dotenv.parse(path.read_text(encoding="utf-8", errors="replace"), shown(path))
        values |= found
        problems += wrong
        read.append(path)
    return values, tuple(problems), tuple(read)
