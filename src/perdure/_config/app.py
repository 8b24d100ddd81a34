"""Imports the user's application and finds the classes in it. (edge)

What goes wrong in the user's module is told with the user's own frames; ours, and those of the import
machinery, are nothing to the reader.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import linecache
import pathlib
import pkgutil
import sys
import traceback
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from perdure._config.load import shown
from perdure._config.names import WORKER_NAME, binding_name
from perdure._config.problem import Problem, ProblemsFound, did_you_mean, errors
from perdure._config.project import Binding, Project, Service
from perdure._config.requirements import import_help, missing_packages

_OURS = str(pathlib.Path(__file__).resolve().parents[1])
_CLOUDFLARES = frozenset({"js", "pyodide", "workers", "asgi"})
"""Modules of Cloudflare's Python Workers."""


@dataclass(frozen=True, slots=True)
class LoadedApp:
    """An imported application."""

    module: types.ModuleType
    classes: Mapping[str, type]
    """Every object class of the main module by its name there, bound or not."""
    bindings: Mapping[str, type]
    """`env.<name>` to class."""
    bound: tuple[Binding, ...]
    """The same with names and places in the configuration, for the plan of migrations."""
    worker: type | None
    """The class `Default`, which answers requests."""
    entrypoints: Mapping[str, type]
    """Every worker class of the main module by its name there, `Default` too."""
    modules: tuple[str, ...]
    """Modules of the application that are imported by now."""
    problems: tuple[Problem, ...] = ()
    """Warnings, none of which stops a start."""


def load_app(
    project: Project,
    *,
    object_base: type,
    worker_base: type,
    imported: Callable[[types.ModuleType], None] = lambda module: None,
) -> LoadedApp:
    """
    Import the main module, with its folder as import root, and find what the configuration names.

    Args:
        project: what to import.
        object_base: `perdure.DurableObject`; given, because this layer does not know it.
        worker_base: `perdure.WorkerEntrypoint`.
        imported: is given the module before its classes are looked for.

    Raises:
        ProblemsFound: the import failed, or a class is missing or of the wrong kind.
    """
    module = _import(project)
    imported(module)
    file = shown(project.main)
    members = {name: value for name, value in vars(module).items() if inspect.isclass(value)}
    classes = {
        name: value
        for name, value in members.items()
        if issubclass(value, object_base) and value is not object_base
    }
    problems = missing_packages(project.root)
    if project.bindings is None:
        bound = _automatic(project, module, classes)
    else:
        bound = tuple(
            binding
            for binding in project.bindings
            if _check_class(project, binding, file, members, classes, problems)
        )
    # A class under a second name (`Hall = Room`, MIG-15) is a class of its own, with objects of its own.
    for name in {binding.class_name for binding in bound}:
        if classes[name].__name__ != name:
            classes[name] = type(name, (classes[name],), {"__module__": module.__name__})
    classes = {name: value for name, value in classes.items() if name == value.__name__}
    entrypoints = {
        name: value
        for name, value in members.items()
        if issubclass(value, worker_base) and value is not worker_base and value.__name__ == name
    }
    for service in project.services:
        if service.class_name not in entrypoints:
            problems.append(_no_entrypoint(project, service, file, members, entrypoints, object_base))
    worker = members.get(WORKER_NAME)
    if worker is None:
        if project.assets is None:
            message = f"{file} has no class {WORKER_NAME}: HTTP requests have nobody to answer them"
            problems.append(
                Problem(
                    "app/no-worker",
                    message,
                    "warning",
                    file,
                    hint=_worker_hint(members, worker_base),
                    help=f"add `class {WORKER_NAME}(WorkerEntrypoint)` with `async def fetch(self, request)`",
                )
            )
    elif not issubclass(worker, worker_base):
        problems.append(
            _at_class(
                worker, file, "app/not-a-worker", f'class "{WORKER_NAME}" does not extend WorkerEntrypoint'
            )
        )
    elif project.crons and not callable(getattr(worker, "scheduled", None)):
        problems.append(
            project.problem(
                "app/no-scheduled",
                f"{WORKER_NAME} in {file} has no scheduled(): the cron triggers have nothing to run",
                "triggers",
                key=True,
                severity="warning",
                help="add `async def scheduled(self, controller)` to it",
            )
        )
    if errors(problems):
        raise ProblemsFound(problems)
    return LoadedApp(
        module,
        classes,
        {binding.name: classes[binding.class_name] for binding in bound},
        bound,
        worker,
        entrypoints,
        _modules_below(project.main.parent),
        tuple(problems),
    )


def _automatic(
    project: Project, module: types.ModuleType, classes: Mapping[str, type]
) -> tuple[Binding, ...]:
    """Bind each class that the application itself defines; a library's base classes are not its objects."""
    exports = project.declared.exports
    live = None if exports is None else {export.class_name for export in exports if export.state == "created"}
    folder = project.main.parent.resolve()
    found: dict[str, Binding] = {}
    for name, value in classes.items():
        if name.startswith("_") or name != value.__name__ or (live is not None and name not in live):
            continue
        if value.__module__ == module.__name__ or _is_below(sys.modules.get(value.__module__), folder):
            bound_as = binding_name(name)
            if bound_as in project.vars or bound_as in project.names_in_env:
                message = f'class "{name}" is bound as {bound_as}, but env has something else of that name'
                help = "rename one of them, or name the bindings in a configuration"
                raise ProblemsFound(
                    [_at_class(value, shown(project.main), "app/duplicate-binding", message, help)]
                )
            other = found.setdefault(bound_as, Binding(bound_as, name))
            if other.class_name != name:
                raise ProblemsFound(
                    [
                        _at_class(
                            value,
                            shown(project.main),
                            "app/duplicate-binding",
                            f'classes "{other.class_name}" and "{name}" would both be bound as {bound_as}',
                            help="rename one of them, or name the bindings in a configuration",
                        )
                    ]
                )
    return tuple(found.values())


def _check_class(
    project: Project,
    binding: Binding,
    file: str,
    members: Mapping[str, type],
    classes: dict[str, type],
    problems: list[Problem],
) -> bool:
    name = binding.class_name
    if name in classes:
        return True
    if callable(getattr(members.get(name), "fetch", None)) and name != WORKER_NAME:
        classes[name] = members[name]  # a class without the base serves `fetch`, and nothing else (RPC-01)
        return True
    assert project.source is not None, "bindings come from a file"
    at = (*binding.at, "class_name")
    if name in members:
        problems.append(
            project.source.problem(
                "config/not-a-durable-object",
                f'class "{name}" is bound, but does not extend DurableObject',
                at,
                help=f"write `class {name}(DurableObject)` in {file}",
            )
        )
    else:
        problems.append(
            project.source.problem(
                "config/missing-class",
                f'class "{name}" is bound but not defined in {file}',
                at,
                hint=did_you_mean(name, classes),
                help=f"define or import it in {file}, or correct class_name",
            )
        )
    return False


def _no_entrypoint(
    project: Project,
    service: Service,
    file: str,
    members: Mapping[str, type],
    entrypoints: Mapping[str, type],
    object_base: type,
) -> Problem:
    assert project.source is not None, "services come from a file"
    name, at = service.class_name, (*service.at, "entrypoint")
    if name not in members:
        return project.source.problem(
            "config/missing-class",
            f'worker class "{name}" is bound but not defined in {file}',
            at,
            hint=did_you_mean(name, entrypoints),
            help=f"write `class {name}(WorkerEntrypoint)` there, or correct entrypoint",
        )
    if issubclass(members[name], object_base):
        return project.source.problem(
            "config/not-a-worker",
            f"The entrypoint name {name} refers to a Durable Object class, and a service is a stateless worker",
            at,
            help='bind it under "durable_objects"',
        )
    return project.source.problem(
        "config/not-a-worker",
        f'class "{name}" is bound, but does not extend WorkerEntrypoint',
        at,
        help=f"write `class {name}(WorkerEntrypoint)` in {file}",
    )


def _worker_hint(members: Mapping[str, type], worker_base: type) -> str | None:
    others = [
        name for name, value in members.items() if issubclass(value, worker_base) and value is not worker_base
    ]
    return (
        f'is "{others[0]}" meant to be it? The class that answers is named {WORKER_NAME}' if others else None
    )


def _at_class(cls: type, file: str, code: str, message: str, help: str | None = None) -> Problem:
    try:
        lines, number = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return Problem(code, message, file=file, help=help)
    head = f"class {cls.__name__}"
    # Decorators stand before it.
    offset = next((index for index, line in enumerate(lines) if head in line), 0)
    line = lines[offset].rstrip("\n")
    column = line.find(head) + 1 + len("class ")
    return Problem(code, message, "error", file, number + offset, column, len(cls.__name__), line, help=help)


# --- importing ------------------------------------------------------------------------------------------


def _import(project: Project) -> types.ModuleType:
    main = project.main.resolve()
    folder = str(main.parent)
    name = main.stem
    known = sys.modules.get(name)
    if known is not None and _is_file(known, main):
        return known  # a test has imported it: there must not be two of each class
    if known is not None or name in sys.stdlib_module_names:
        raise ProblemsFound(
            [
                Problem(
                    "app/module-name-taken",
                    f'{shown(project.main)} cannot be imported as "{name}": another module has that name',
                    file=shown(project.main),
                    help='give the file another name, for instance "app.py"',
                )
            ]
        )
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location(name, main)
    assert spec is not None, "the configuration names a .py file"
    assert spec.loader is not None, "and such a file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a module that exits does not take us along
        sys.modules.pop(name, None)
        raise ProblemsFound([import_problem(error, main, project.root)]) from None
    return module


def _is_file(module: types.ModuleType, path: pathlib.Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and pathlib.Path(file).resolve() == path


def import_problem(error: BaseException, main: pathlib.Path, root: pathlib.Path) -> Problem:
    """Return the problem that tells of an exception raised while the application was imported."""
    kind = type(error).__name__
    message = f"{kind}: {error}" if str(error) else kind
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _syntax_problem(error)
    frames = _own_frames(error, main.parent)
    if not frames:
        return Problem("app/import-failed", message, file=shown(main), help=_import_help(error, main, root))
    last = frames[-1]
    number = last.lineno or 1
    line = linecache.getline(last.filename, number).rstrip("\n")
    column = _characters(line, last.colno) if last.colno is not None else len(line) - len(line.lstrip())
    end = _characters(line, last.end_colno) if last.end_colno and last.end_lineno == number else len(line)
    trace = []
    if len(frames) > 1:
        trace.append("called from, outermost first:")
        trace += [
            f"  {shown(pathlib.Path(frame.filename))}:{frame.lineno}  {frame.line or frame.name}"
            for frame in frames[:-1]
        ]
    return Problem(
        "app/import-failed",
        message,
        "error",
        shown(pathlib.Path(last.filename)),
        number,
        column + 1,
        max(1, end - column),
        line,
        hint=_import_hint(error, main),
        help=_import_help(error, main, root),
        trace=tuple(trace),
    )


def _syntax_problem(error: SyntaxError) -> Problem:
    assert error.filename is not None, "checked by the caller"
    line = (error.text or linecache.getline(error.filename, error.lineno or 1)).rstrip("\n").split("\n")[0]
    column = max(1, error.offset or 1)
    same_line = error.end_lineno in {None, error.lineno}
    length = (error.end_offset or 0) - column if same_line else len(line) - column + 1
    return Problem(
        "app/syntax-error",
        f"{type(error).__name__}: {error.msg}",
        "error",
        shown(pathlib.Path(error.filename)),
        error.lineno,
        column,
        max(1, length),
        line,
    )


def _own_frames(error: BaseException, folder: pathlib.Path) -> list[traceback.FrameSummary]:
    """Return the frames of the user's own files; of libraries too when there are no others."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not frame.filename.startswith(_OURS)
    ]
    own = [frame for frame in frames if _is_own_file(frame.filename, folder)]
    return own or frames


@functools.cache  # it asks the file system, for each imported module, and in a session of tests once a test
def _is_own_file(file: str, folder: pathlib.Path) -> bool:
    try:
        relative = pathlib.Path(file).resolve().relative_to(folder)
    except ValueError:
        return False
    return not {"site-packages", "dist-packages"} & set(relative.parts)


def _is_below(module: types.ModuleType | None, folder: pathlib.Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and _is_own_file(file, folder)


def _modules_below(folder: pathlib.Path) -> tuple[str, ...]:
    folder = folder.resolve()
    return tuple(name for name, module in list(sys.modules.items()) if _is_below(module, folder))


def _characters(line: str, offset_bytes: int) -> int:
    """A traceback counts columns in UTF-8 bytes."""
    return len(line.encode()[:offset_bytes].decode(errors="ignore"))


def _import_hint(error: BaseException, main: pathlib.Path) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] not in _CLOUDFLARES:
        return did_you_mean(error.name.split(".")[0], [path.stem for path in main.parent.glob("*.py")])
    return None


def _import_help(error: BaseException, main: pathlib.Path, root: pathlib.Path) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top, _, rest = error.name.partition(".")
        if top in _CLOUDFLARES:
            if rest and (here := getattr(sys.modules.get(top), "__path__", None)) is not None:
                names = ", ".join(sorted(found.name for found in pkgutil.iter_modules(here)))
                return f'"{top}" is supplied here with the modules {names}'
            return (
                f'"{top}" is a module of Cloudflare\'s Python Workers: a project that is written for them has '
                '"compatibility_flags": ["python_workers"] in its configuration'
            )
    if isinstance(error, SystemExit):
        return 'the module ends the program when it is imported; put that under `if __name__ == "__main__":`'
    return import_help(error, main, root)
