"""What a configuration puts into `env` besides objects and workers: resources, and what only Cloudflare has. (pure)

A *resource*, such as a KV namespace, is kept by Perdure itself. A *hosted* binding needs Cloudflare's platform: the
application starts without it, and its use raises an error (`perdure.environment.HostedBinding`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from perdure._config.problem import listed
from perdure._config.project import D1Resource, Hosted, Resource
from perdure._config.reader import Reader

KV_KEYS: Final = ("binding", "id", "preview_id", "remote")
D1_KEYS: Final = (
    "binding",
    "database_name",
    "database_id",
    "preview_database_id",
    "migrations_dir",
    "migrations_table",
    "remote",
)

HOSTED: Final[Mapping[str, str]] = {
    "ai": "Workers AI",
    "ai_search": "AI Search",
    "ai_search_namespaces": "AI Search",
    "analytics_engine_datasets": "Analytics Engine",
    "browser": "Browser Rendering",
    "dispatch_namespaces": "Workers for Platforms",
    "flagship": "Flagship",
    "hyperdrive": "Hyperdrive",
    "images": "Images",
    "logfwdr": "log forwarding",
    "media": "Media Transformations",
    "mtls_certificates": "mTLS certificates",
    "pipelines": "Pipelines",
    "queues": "Queues",
    "r2_buckets": "R2",
    "ratelimits": "rate limits",
    "secrets_store_secrets": "Secrets Store",
    "send_email": "Email Routing",
    "stream": "Stream",
    "unsafe": "unsafe bindings",
    "vectorize": "Vectorize",
    "version_metadata": "version metadata",
    "vpc_networks": "Workers VPC",
    "vpc_services": "Workers VPC",
    "worker_loaders": "Worker Loaders",
    "workflows": "Workflows",
}
"""Key of the configuration → what it binds."""


class EnvNames:
    """The names in `env` that are taken; the second binding of a name is a problem."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, entry: Reader, name: str | None, key: str = "binding") -> bool:
        """Return whether *name* is free, and take it."""
        if name is None:
            return False
        if name in self._taken:
            entry.add("config/duplicate-binding", f'two bindings are named "{name}"', key)
            return False
        self._taken.add(name)
        return True

    def check_variables(self, table: Reader, variables: Mapping[str, Any]) -> None:
        """Refuse variables that are called as a binding is."""
        for name in variables:
            if name in self._taken:
                table.add(
                    "config/duplicate-binding",
                    f'"{name}" is both a binding and a variable; env can hold one of them',
                    "vars",
                    name,
                    key=True,
                )


def kv_namespaces(table: Reader, names: EnvNames) -> Iterator[Resource]:
    """Yield the KV namespaces; one without an id, as Cloudflare makes them, is known by its binding."""
    for entry in table.tables("kv_namespaces"):
        entry.refuse_unknown(KV_KEYS)
        name = entry.text("binding", required=True, help="it is the attribute of env")
        id = entry.text("id")
        if names.take(entry, name) and name is not None:
            yield Resource("kv_namespaces", name, id or name, entry.at)


def d1_databases(table: Reader, names: EnvNames) -> Iterator[D1Resource]:
    """Yield the D1 databases; the id is the one that Cloudflare's tool uses on one's own machine."""
    for entry in table.tables("d1_databases"):
        entry.refuse_unknown(D1_KEYS)
        name = entry.text("binding", required=True, help="it is the attribute of env")
        id, preview_id = entry.text("database_id"), entry.text("preview_database_id")
        database_name = entry.text("database_name")
        folder, migrations_table = entry.text("migrations_dir"), entry.text("migrations_table")
        if names.take(entry, name) and name is not None:
            yield D1Resource(
                "d1_databases",
                name,
                preview_id or id or name,
                entry.at,
                database_name or name,
                folder or D1Resource.migrations_dir,
                migrations_table or D1Resource.migrations_table,
            )


def hosted(table: Reader, names: EnvNames, unused: list[str]) -> tuple[Hosted, ...]:
    """Return what needs Cloudflare's platform, and tell of it once; what binds nothing is not used."""
    found: list[Hosted] = []
    for key, what in HOSTED.items():
        if key not in table:
            continue
        before = len(found)
        for entry, name_key in _entries(table, key):
            name = entry.table[name_key]
            if names.take(entry, name, name_key):
                found.append(Hosted(name, what, entry.at))
        if len(found) == before:
            unused.append(key)
    if found:
        table.problems.append(
            table.source.problem(
                "config/hosted",
                f"{listed([one.name for one in found])} {'needs' if len(found) == 1 else 'need'} Cloudflare's "
                "platform: using one of them raises an error",
                found[0].at,
                severity="warning",
                help=f"{', '.join(dict.fromkeys(one.what for one in found))}: Perdure has nothing in the place of it",
            )
        )
    return tuple(found)


def _entries(table: Reader, key: str) -> Iterator[tuple[Reader, str]]:
    """Yield the readers of whatever has a name below a key, in any of the forms that there are, and where the name is."""
    for at, value in _tables(table.table[key], (key,)):
        name_key = next(
            (one for one in ("binding", "name") if isinstance(value.get(one), str) and value[one]), None
        )
        if name_key is not None:
            yield Reader(value, (*table.at, *at), table.source, table.problems), name_key


def _tables(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*at, index), item
    elif isinstance(value, dict):
        yield at, value
        for below in ("bindings", "producers"):  # of unsafe and logfwdr, and of queues
            if isinstance(value.get(below), list):
                yield from _tables(value[below], (*at, below))
