"""Loads a project that is written for Cloudflare's Python Workers. (edge)"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from typing import Any, Final

from perdure._cloudflare import bridge, compat_flags, env_view, hooks
from perdure._cloudflare.adapter import ObjectAdapter, WorkerAdapter, adapt
from perdure._cloudflare.mentions import mentions
from perdure._cloudflare.workers.entrypoints import HANDLER_MARK, DurableObject, WorkerEntrypoint
from perdure._config.app import LoadedApp, load_app
from perdure._config.load import shown
from perdure._config.names import WORKER_NAME
from perdure._config.problem import Problem
from perdure._config.project import Project
from perdure._engine.methods import call_with

GLOBAL_HANDLERS: Final = {"on_fetch": "fetch", "on_scheduled": "scheduled"}
"""Functions of the main module that were a worker once, and the methods that they are now."""
NO_GLOBAL_HANDLERS_FROM: Final = "2025-08-14"
GLOBAL_HANDLERS_FLAG: Final = "disable_python_no_global_handlers"


class _GlobalHandlers(WorkerEntrypoint):
    """A worker made of functions."""


def prepare(project: Project) -> None:
    """Let this process import modules of *project*: with Cloudflare's names, and with what its configuration says."""
    hooks.install(project.root, project.main.parent)
    compat_flags.know(project.compatibility_flags)
    if mentions(project.main.parent, "run_sync"):
        bridge.turn_on()  # a handler that begins before cannot wait
    env_view.know(project.vars, project.names_in_env)


def load(project: Project) -> LoadedApp:
    """Import the project's main module, and put an adapter in the place of each of its classes."""
    prepare(project)
    problems: list[Problem] = []

    def imported(module: types.ModuleType) -> None:
        _name_classes(module)
        problems.extend(_take_global_handlers(project, module))

    app = load_app(project, object_base=DurableObject, worker_base=WorkerEntrypoint, imported=imported)
    adapter = functools.cache(adapt)  # of a class with two names there is one
    return dataclasses.replace(
        app,
        classes={name: adapter(cls, ObjectAdapter) for name, cls in app.classes.items()},
        bindings={name: adapter(cls, ObjectAdapter) for name, cls in app.bindings.items()},
        worker=None if app.worker is None else adapter(app.worker, WorkerAdapter),
        entrypoints={name: adapter(cls, WorkerAdapter) for name, cls in app.entrypoints.items()},
        problems=(*problems, *app.problems),
    )


def _name_classes(module: types.ModuleType) -> None:
    """Let each class that *module* exports be there under its own name, by which Cloudflare asks for it."""
    exported = getattr(module, "__all__", None) or [name for name in vars(module) if name[:1] != "_"]
    bases = (DurableObject, WorkerEntrypoint)
    for value in [getattr(module, name, None) for name in exported]:
        if inspect.isclass(value) and issubclass(value, bases) and value not in bases:
            vars(module).setdefault(value.__name__, value)


def _take_global_handlers(project: Project, module: types.ModuleType) -> list[Problem]:
    """Make the worker of a module that has `on_fetch` and its like, and no class `Default`."""
    found = {name: getattr(module, name, None) for name in GLOBAL_HANDLERS}
    handlers = {GLOBAL_HANDLERS[name]: value for name, value in found.items() if callable(value)}
    default = getattr(module, WORKER_NAME, None)
    if not handlers or not (
        default is None or (inspect.isclass(default) and issubclass(default, _GlobalHandlers))
    ):
        return []
    methods = {name: _method(function) for name, function in handlers.items()}
    made = type(WORKER_NAME, (_GlobalHandlers,), {"__module__": module.__name__, **methods})
    setattr(module, WORKER_NAME, made)
    date = project.compatibility_date
    if date is None or date < NO_GLOBAL_HANDLERS_FROM or GLOBAL_HANDLERS_FLAG in project.compatibility_flags:
        return []
    name = next(name for name, value in found.items() if callable(value))
    return [
        project.problem(
            "app/global-handlers",
            f"{shown(project.main)} answers with {name}(), which Cloudflare calls no more with this date",
            "compatibility_date",
            severity="warning",
            help=f"write `class Default(WorkerEntrypoint)` with `async def {GLOBAL_HANDLERS[name]}(self, …)`, or add the "
            f'compatibility flag "{GLOBAL_HANDLERS_FLAG}"',
        )
    ]


def _method(function: Any) -> Any:
    is_marked = HANDLER_MARK in getattr(function, "__dict__", {})

    def method(self: Any, event: Any) -> Any:
        shown = event if is_marked else getattr(event, "js_object", event)
        return call_with(function, shown, self.env, self.ctx)

    return method
