"""What a configuration says, as frozen values. (pure)"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perdure._assets.settings import Assets
from perdure._base.cron import Cron
from perdure._config.problem import Problem
from perdure._config.source import Source, Where

Storage = Literal["sqlite", "legacy-kv"]
"""`legacy-kv`: the class has no `ctx.storage.sql` (MIG-04); on disk both are the same."""
State = Literal["created", "deleted", "renamed", "transferred", "expecting-transfer"]


@dataclass(frozen=True, slots=True)
class Binding:
    """`env.<name>` is the namespace of a class (MIG-01)."""

    name: str
    class_name: str
    at: Where = ()


@dataclass(frozen=True, slots=True)
class Service:
    """`env.<name>` is a stub of a worker class of this project, which finds `props` in its `ctx` (EP-09)."""

    name: str
    class_name: str
    props: Mapping[str, Any] = field(default_factory=dict)
    at: Where = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """`env.<name>` is something that Perdure keeps itself, such as a KV namespace."""

    option: str
    """The key of the configuration, and the argument of `Runtime`: `kv_namespaces`."""
    name: str
    id: str
    """Two names with one id are one thing."""
    at: Where = ()


@dataclass(frozen=True)
class D1Resource(Resource):
    """A D1 database, with what its migrations need."""

    database_name: str = ""
    """What commands may call it, besides the binding and the id."""
    migrations_dir: str = "migrations"
    """Relative to the project's root."""
    migrations_table: str = "d1_migrations"


@dataclass(frozen=True, slots=True)
class Hosted:
    """`env.<name>` would be something that only Cloudflare's platform has."""

    name: str
    what: str
    at: Where = ()


@dataclass(frozen=True, slots=True)
class Rename:
    """The objects of one class become those of another (MIG-05)."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One entry of the ordered list `migrations` (MIG-03)."""

    tag: str
    new_sqlite_classes: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    renamed_classes: tuple[Rename, ...] = ()
    deleted_classes: tuple[str, ...] = ()
    at: Where = ()


@dataclass(frozen=True, slots=True)
class Export:
    """One entry of the declarative table `exports` (MIG-11, MIG-12)."""

    class_name: str
    state: State = "created"
    storage: Storage = "sqlite"
    renamed_to: str | None = None
    at: Where = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """What a configuration says of the life of its classes; neither list means: bound classes exist."""

    migrations: tuple[Migration, ...] | None = None
    exports: tuple[Export, ...] | None = None
    unique_keys: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None
    as_recorded: bool = False
    """Whatever the data folder remembers stays: for tools, which have no application."""


@dataclass(frozen=True, slots=True)
class Project:
    """A checked configuration, ready to be loaded and run."""

    name: str
    """Begins the unique keys of its classes; with an environment `<name>-<environment>` (MIG-09)."""
    root: pathlib.Path
    """The folder of the configuration, or of the one file: data, variables and assets are relative to it."""
    main: pathlib.Path
    bindings: tuple[Binding, ...] | None = None
    """None: each class that the application defines is bound under its name in UPPER_SNAKE_CASE."""
    services: tuple[Service, ...] = ()
    resources: tuple[Resource, ...] = ()
    hosted: tuple[Hosted, ...] = ()
    declared: Declared = field(default_factory=Declared)
    vars: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] | None = None
    """The variables that must not be in the configuration; None: whatever the files of variables have."""
    compatibility_date: str | None = None
    compatibility_flags: tuple[str, ...] = ()
    crons: tuple[Cron, ...] = ()
    """At whose times the worker's `scheduled` runs."""
    assets: Assets | None = None
    environment: str | None = None
    source: Source | None = None
    at: Where = ()
    """Where the project's table stands in its file."""
    warnings: tuple[Problem, ...] = ()
    watched: tuple[pathlib.Path, ...] = ()
    """Files that were read, besides the application's own modules."""

    @property
    def names_in_env(self) -> tuple[str, ...]:
        """What the configuration binds, in order: objects, services, what Perdure keeps, what it has not."""
        return (
            *[binding.name for binding in self.bindings or ()],
            *[service.name for service in self.services],
            *[resource.name for resource in self.resources],
            *[hosted.name for hosted in self.hosted],
            *([self.assets.binding] if self.assets is not None and self.assets.binding is not None else []),
        )

    @property
    def default_data(self) -> pathlib.Path:
        """Where state is kept unless told: beside the application, one folder for each environment."""
        return self.root / (".perdure" if self.environment is None else f".perdure-{self.environment}")

    def problem(self, code: str, message: str, *key: str | int, **more: Any) -> Problem:
        """Return a problem that points at a key of the configuration: the environment's own, if it has it."""
        if self.source is None:
            return Problem(code, message, **more)
        own = (*self.at, "env", self.environment or "", *key)
        inherited = (*self.at, *key)
        return self.source.problem(code, message, own if own in self.source.keys else inherited, **more)
