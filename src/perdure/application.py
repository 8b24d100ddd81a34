"""An application as its files describe it, and the runtime of it. (edge)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from perdure._config.app import LoadedApp, load_app
from perdure._config.project import Project
from perdure.environment import Absent
from perdure.resources import KIND_OF_OPTION

if TYPE_CHECKING:
    from perdure.runtime import Runtime

CLOUDFLARE: Final = "python_workers"
"""The compatibility flag of projects that are written for Cloudflare's Python Workers."""


def load(project: Project) -> LoadedApp:
    """Import the application; the public base classes are found here, above the configuration."""
    if CLOUDFLARE in project.compatibility_flags:
        from perdure._cloudflare.load import load as load_as_cloudflare

        return load_as_cloudflare(project)
    from perdure.durable_object import DurableObject, WorkerEntrypoint

    return load_app(project, object_base=DurableObject, worker_base=WorkerEntrypoint)


def runtime_of(project: Project, app: LoadedApp, **options: Any) -> Runtime:
    """
    Return the runtime of *app*, as *project* configures it; *options* are further arguments of `Runtime`.

    Raises:
        ConfigError: the classes contradict each other.
    """
    from perdure.runtime import Runtime

    absent = {one.name: Absent(one.name, one.what) for one in project.hosted}
    given: dict[str, Any] = {
        "bindings": app.bindings,
        "worker": app.worker,
        "entrypoints": app.entrypoints.values(),
        "services": {
            service.name: (app.entrypoints[service.class_name], service.props) for service in project.services
        },
        **{
            option: {one.name: one.id for one in project.resources if one.option == option}
            for option in KIND_OF_OPTION
        },
        "assets": project.assets,
        "env": project.vars,
        "name": project.name,
        "crons": project.crons if app.worker is not None else (),
        "modules": app.modules,
        "declared": project.declared,
    }
    given |= options
    given["env"] = {**absent, **given["env"]}
    return Runtime(app.classes.values(), **given)
