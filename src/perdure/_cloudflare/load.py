"""Loads a project that is written for Cloudflare's Python Workers. (edge)"""

from __future__ import annotations

import dataclasses

from perdure._cloudflare import hooks
from perdure._cloudflare.adapter import ObjectAdapter, WorkerAdapter, adapt
from perdure._config.app import LoadedApp, load_app
from perdure._config.project import Project


def load(project: Project) -> LoadedApp:
    """Import the project's main module, and put an adapter in the place of each of its classes."""
    hooks.install(project.root, project.main.parent)
    from perdure._cloudflare.workers import DurableObject, WorkerEntrypoint

    app = load_app(project, object_base=DurableObject, worker_base=WorkerEntrypoint)
    objects = {name: adapt(cls, ObjectAdapter) for name, cls in app.classes.items()}
    workers = {name: adapt(cls, WorkerAdapter) for name, cls in app.entrypoints.items()}
    return dataclasses.replace(
        app,
        classes=objects,
        bindings={name: objects[cls.__name__] for name, cls in app.bindings.items()},
        worker=None if app.worker is None else workers[app.worker.__name__],
        entrypoints=workers,
    )
