"""`perdure types`: what type checkers and TypeScript clients should know, written from the application. (edge)"""

from __future__ import annotations

import os
import pathlib
import sys

from perdure import application
from perdure._cli import exits, prepare
from perdure._cli.console import has_colour
from perdure._cli.env_types import env_types
from perdure._cli.options import RunOptions
from perdure._cli.output import problems_text
from perdure._cli.typescript import typescript
from perdure._config.app import LoadedApp
from perdure._config.load import shown
from perdure._config.problem import Problem, ProblemsFound, refused
from perdure._config.project import Project
from perdure._rpc.reach import BASE_MARK, is_declared, kind_of
from perdure.resources import KIND_OF_OPTION

PYTHON_NAME = "env.pyi"
TYPESCRIPT_NAME = "api.d.ts"


def write_types(options: RunOptions, *, ts: bool, output: str | None, check: bool) -> int:
    """Write the file, print it, or compare it; return the exit code."""
    project = prepare.read(options)
    app = application.load(project)
    problems = [*project.warnings, *app.problems]
    if problems:
        print(problems_text(problems, colour=has_colour(sys.stderr)), file=sys.stderr)
    text = _typescript(project, app) if ts else _python(project, app)
    if output == "-" and not check:
        print(text, end="")
        return exits.OK
    file = _file(project, ts, output)
    if check:
        return _compare(file, text, ts)
    _write(file, text)
    print(f"wrote {shown(file)}")
    return exits.OK


def _file(project: Project, ts: bool, output: str | None) -> pathlib.Path:
    if output is None:
        return project.main.resolve().parent / (TYPESCRIPT_NAME if ts else PYTHON_NAME)
    return pathlib.Path(output)


def _compare(file: pathlib.Path, text: str, ts: bool) -> int:
    command = f"perdure types{' --ts' if ts else ''}"
    try:
        found = file.read_text("utf-8")
    except FileNotFoundError:
        raise refused("types/missing", f"there is no {shown(file)}", help=f"`{command}` writes it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise refused("types/unreadable", f"cannot read {shown(file)}: {error}") from None
    if found == text:
        print(f"{shown(file)} is as the application says")
        return exits.OK
    old, new = found.splitlines(), text.splitlines()
    number = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    line = old[number] if number < len(old) else ""
    expected = new[number].strip() if number < len(new) else ""
    raise ProblemsFound(
        [
            Problem(
                "types/stale",
                f"{shown(file)} is not what the application says any more",
                file=shown(file),
                line=number + 1,
                column=len(line) - len(line.lstrip()) + 1,
                length=max(1, len(line.strip())),
                source=line,
                hint=f"now: {expected}" if expected else "now nothing stands here",
                help=f"`{command}` writes it anew",
            )
        ]
    )


def _write(file: pathlib.Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise refused("cli/cannot-write", f"cannot write {shown(file)}: {error.strerror}") from None


def _origin(project: Project) -> str:
    """The file's own name: the text must not depend on where the command was called."""
    return project.main.name if project.source is None else pathlib.Path(project.source.file).name


def _python(project: Project, app: LoadedApp) -> str:
    return env_types(
        _origin(project),
        project.main.stem,
        objects=[(binding.name, binding.class_name) for binding in app.bound],
        services=[(service.name, service.class_name) for service in project.services],
        own=[
            *[(one.name, KIND_OF_OPTION[one.option].front.__name__) for one in project.resources],
            *(
                [(project.assets.binding, "AssetsBinding")]
                if project.assets and project.assets.binding
                else []
            ),
        ],
        absent=[one.name for one in project.hosted],
        variables=project.vars,
    )


def _typescript(project: Project, app: LoadedApp) -> str:
    targets = [
        cls
        for cls in vars(app.module).values()
        if isinstance(cls, type) and cls.__module__ in app.modules and _is_target(cls)
    ]
    found = dict.fromkeys([*app.classes.values(), *app.entrypoints.values(), *targets])
    return typescript(
        project.main.name,
        [cls for cls in found if any(_reach(cls, name) for name in dir(cls))],
        reach=_reach,
        is_target=_is_target,
    )


def _is_target(cls: type) -> bool:
    return is_declared(cls) and BASE_MARK not in vars(cls)


def _reach(cls: type, name: str) -> str | None:
    kind = kind_of(cls, name)
    return kind if kind in ("method", "property") else None
