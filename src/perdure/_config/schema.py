"""The keys of `wrangler.jsonc`, `wrangler.toml` and `[tool.perdure]`: a mapping in, a `Project` out. (pure)

The three kinds of file have the same keys (MIG-01…14). Where Cloudflare's own tool would use a key and
Perdure does not, the file stays usable for both: it is a warning.
"""

from __future__ import annotations

import datetime
import keyword
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from perdure._base.cron import Cron, CronError
from perdure._base.cron import parse as parse_cron
from perdure._config.assets import read_assets
from perdure._config.env_names import HOSTED, EnvNames, d1_databases, hosted, kv_namespaces
from perdure._config.names import WORKER_NAME, project_name
from perdure._config.problem import Problem, did_you_mean, errors, listed
from perdure._config.project import (
    Binding,
    Declared,
    Export,
    Hosted,
    Migration,
    Project,
    Rename,
    Service,
    State,
    Storage,
)
from perdure._config.reader import Reader
from perdure._config.source import Source, Span, Where

KEYS: dict[str, str] = {
    "name": "Name of the project. It begins the unique keys from which ids are made.",
    "main": "The Python file of the application, relative to this file.",
    "compatibility_date": "Date (`YYYY-MM-DD`) whose behaviour the application was written for.",
    "compatibility_flags": "List of single behaviours switched on or off.",
    "vars": "Table of values that the application finds in `env`.",
    "durable_objects": "`bindings`: list of `{name, class_name}`; `env.<name>` is the class's namespace.",
    "services": "List of `{binding, service, entrypoint, props}`; `env.<binding>` calls a worker class of this project.",
    "kv_namespaces": "List of `{binding, id}`; `env.<binding>` is a KV namespace, which Perdure keeps.",
    "d1_databases": "List of `{binding, database_name, database_id, migrations_dir, migrations_table}`; `env.<binding>` is a "
    "database, which Perdure keeps.",
    "secrets": "`required`: list of variables that have to come from the environment or a file of variables.",
    "migrations": "Ordered list of `{tag, …}`: how classes came, were renamed and went.",
    "exports": "Table class name → `{type, state, storage, renamed_to}`: the classes as they should be, "
    "instead of `migrations`.",
    "triggers": "`crons`: list of cron expressions, in UTC, at whose times the application's `scheduled` runs.",
    "assets": "`directory` and more: a folder of files that are served as they are, before the application is asked.",
    "unique_keys": "Table class name → unique key, for objects whose ids were made elsewhere.",
    "env": "Table of named environments; each may have all keys above.",
}
"""Every key of the top level that means something here; the reference page is checked against it."""

ENVIRONMENT_KEYS: tuple[str, ...] = tuple(key for key in KEYS if key != "env")
NOT_INHERITED: tuple[str, ...] = (
    "durable_objects",
    "services",
    "vars",
    "kv_namespaces",
    "d1_databases",
    "secrets",
    *HOSTED,
)
BINDING_KEYS: tuple[str, ...] = ("name", "class_name", "script_name", "environment")
SERVICE_KEYS: tuple[str, ...] = ("binding", "service", "entrypoint", "props", "environment")
MIGRATION_KEYS: tuple[str, ...] = (
    "tag",
    "new_sqlite_classes",
    "new_classes",
    "renamed_classes",
    "deleted_classes",
    "transferred_classes",
)
EXPORT_KEYS: tuple[str, ...] = ("type", "state", "storage", "renamed_to", "transferred_to", "transfer_from")

# Keys of Cloudflare's tool with no meaning on one's own machine, or not yet.
UNUSED_KEYS: tuple[str, ...] = tuple(
    """
    account_id alias base_dir build cache cloudchamber
    compliance_region containers data_blobs define dev
    find_additional_modules first_party_worker jsx_factory jsx_fragment
    keep_names keep_vars legacy_env limits logpush minify
    no_bundle node_compat observability pages_build_output_dir placement preserve_file_names
    preview_urls previews python_modules route routes rules
    send_metrics site streaming_tail_consumers tail_consumers
    text_blobs tsconfig unsafe_hello_world upload_source_maps
    wasm_modules workers_dev
    """.split()
)
UNUSED_DURABLE_OBJECTS_KEYS: tuple[str, ...] = ("code_update_strategy",)

_TRANSFER = "classes cannot be transferred between projects: each project has its own data folder"
_TRANSFER_HELP = "move the class into this project, and remove the transfer"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_project(
    table: Mapping[str, Any],
    source: Source,
    root: pathlib.Path,
    *,
    at: Where = (),
    environment: str | None = None,
    default_name: str | None = None,
) -> tuple[Project, tuple[Problem, ...]]:
    """
    Return the project that a configuration describes, and every problem in it, warnings included.

    Args:
        table: the parsed file, or the part of it that is ours.
        source: its text and positions.
        root: the folder which paths in it are relative to.
        at: where *table* stands in the file, `("tool", "perdure")` for `pyproject.toml`.
        environment: which of `env` counts.
        default_name: for a file without `name`.
    """
    problems: list[Problem] = []
    top = Reader(table, at, source, problems)
    unused = top.refuse_unknown((*KEYS, "$schema", *HOSTED), UNUSED_KEYS)
    chosen = _environment(top, environment)
    if chosen is not top:
        known = (*ENVIRONMENT_KEYS, *HOSTED)
        unused += [f"env.{environment}.{name}" for name in chosen.refuse_unknown(known, UNUSED_KEYS)]

    def owner(name: str) -> Reader:
        """Return the table that decides a key: the environment's own, or the inherited one (MIG-09)."""
        return chosen if name in chosen or name in NOT_INHERITED else top

    name = top.text("name") or default_name or project_name(root.name)
    if environment is not None and chosen is not top:
        name = chosen.text("name") or f"{name}-{environment}"
    names, elsewhere = EnvNames(), list[Hosted]()
    bindings = _bindings(chosen, name, unused, names, elsewhere)
    if bindings is None and chosen is not top and "durable_objects" in top:
        bindings = ()
    for key in NOT_INHERITED:
        if chosen is not top and key in top and key not in chosen:
            chosen.add(
                "config/not-inherited",
                f'"{key}" of the top level does not reach the environment "{environment}"',
                severity="warning",
                help=f'repeat what it needs under "env.{environment}.{key}"',
            )
    services = _services(chosen, name, names, elsewhere)
    resources = (*kv_namespaces(chosen, names), *d1_databases(chosen, names))
    elsewhere += hosted(chosen, names, unused)
    variables = chosen.mapping("vars")
    date = _date(owner("compatibility_date"))
    flags = owner("compatibility_flags").texts("compatibility_flags")
    assets = read_assets(owner("assets"), root, names, date, flags)
    names.check_variables(chosen, variables)
    main = owner("main").text(
        "main", required=True, help='add the application\'s file, for instance "app.py"'
    )
    if main is not None and not main.endswith(".py"):
        owner("main").add(
            "config/not-python", f"{main} is not a Python file", "main", help="Perdure runs Python"
        )
    declared = Declared(
        _migrations(owner("migrations")),
        _exports(owner("exports")),
        _unique_keys(owner("unique_keys")),
        source,
    )
    if declared.migrations and declared.exports:
        owner("exports").add(
            "config/migrations-and-exports",
            '"exports" and "migrations" exclude each other',
            "exports",
            key=True,
            help='keep "exports" and remove "migrations"; what the data folder has applied is not forgotten',
        )
    if unused:
        problems.append(
            source.problem(
                "config/not-used",
                f"{listed(unused)} {'is' if len(unused) == 1 else 'are'} not used by Perdure",
                (*at, *unused[0].split(".")),
                key=True,
                severity="warning",
            )
        )
    project = Project(
        name=name,
        root=root,
        main=root / (main or ""),
        bindings=bindings,
        services=services,
        resources=resources,
        hosted=tuple(elsewhere),
        declared=declared,
        vars=variables,
        secrets=_secrets(chosen),
        compatibility_date=date,
        compatibility_flags=flags,
        crons=_crons(owner("triggers")),
        assets=assets,
        environment=environment,
        source=source,
        at=at,
        warnings=tuple(problem for problem in problems if problem.severity != "error"),
    )
    return project, (*errors(problems), *project.warnings)


def _environment(top: Reader, environment: str | None) -> Reader:
    if environment is None:
        return top
    named = top.mapping("env")
    if isinstance(named.get(environment), dict):
        return top.below("env").below(environment)
    if environment in named:
        top.below("env").wrong(environment, "a table", named[environment])
    else:
        top.add(
            "config/unknown-environment",
            f'there is no environment "{environment}" in {top.source.file}',
            *(("env",) if named else ()),
            key=True,
            hint=did_you_mean(environment, named),
            help=f"it has {listed(list(named))}" if named else f'add "env.{environment}", or leave out --env',
        )
    return top


def _bindings(
    table: Reader, project: str, unused: list[str], names: EnvNames, elsewhere: list[Hosted]
) -> tuple[Binding, ...] | None:
    if "durable_objects" not in table:
        return None
    objects = table.below("durable_objects")
    unused += [
        f"durable_objects.{key}" for key in objects.refuse_unknown(("bindings",), UNUSED_DURABLE_OBJECTS_KEYS)
    ]
    result: list[Binding] = []
    for entry in objects.tables("bindings"):
        entry.refuse_unknown(BINDING_KEYS)
        name = entry.text("name", required=True, help="it is the attribute of env")
        class_name = entry.text(
            "class_name", required=True, help="it is the name of the class in the main file"
        )
        script = entry.text("script_name")
        if not names.take(entry, name, "name") or name is None or class_name is None:
            continue
        if script is None or script == project:
            result.append(Binding(name, class_name, entry.at))
            continue
        elsewhere.append(Hosted(name, f'objects of another project, "{script}"', entry.at))
        entry.add(
            "config/script-name",
            f'"{name}" is a class of another project, "{script}"; a process runs one project',
            "script_name",
            severity="warning",
            help="using it raises an error: define or import the class in this project's main file and remove\n"
            "script_name, or reach the other project over HTTP",
        )
    return tuple(result)


def _services(table: Reader, project: str, names: EnvNames, elsewhere: list[Hosted]) -> tuple[Service, ...]:
    result: list[Service] = []
    for entry in table.tables("services"):
        entry.refuse_unknown(SERVICE_KEYS)
        name = entry.text("binding", required=True, help="it is the attribute of env")
        service = entry.text("service", required=True, help=f'write the name of this project, "{project}"')
        class_name = entry.text("entrypoint") or WORKER_NAME
        if not names.take(entry, name) or name is None:
            continue
        if service is None or service == project:
            result.append(Service(name, class_name, entry.mapping("props"), entry.at))
            continue
        elsewhere.append(Hosted(name, f'a worker of another project, "{service}"', entry.at))
        entry.add(
            "config/other-service",
            f'"{name}" is a worker of another project, "{service}"; a process runs one project',
            "service",
            severity="warning",
            hint=f'this project is called "{project}"',
            help="using it raises an error: define or import the class in this project's main file and name it as\n"
            "entrypoint, or reach the other project over HTTP",
        )
    return tuple(result)


def _secrets(table: Reader) -> tuple[str, ...] | None:
    if "secrets" not in table:
        return None
    secrets = table.below("secrets")
    secrets.refuse_unknown(("required",))
    return secrets.texts("required")


def _crons(table: Reader) -> tuple[Cron, ...]:
    if "triggers" not in table:
        return ()
    triggers = table.below("triggers")
    triggers.refuse_unknown(("crons",))
    found: dict[str, Cron] = {}
    for index, text in enumerate(triggers.texts("crons")):
        at = (*triggers.at, "crons", index)
        if text in found:
            triggers.add(
                "config/duplicate-cron",
                f'"{text}" is there twice; it runs once',
                *at[-2:],
                severity="warning",
            )
        try:
            found[text] = parse_cron(text)
        except CronError as error:
            triggers.problems.append(
                table.source.at_span(_part(table.source, at, text, error), "config/invalid-cron", str(error))
            )
    return tuple(found.values())


def _part(source: Source, at: Where, text: str, error: CronError) -> Span | None:
    """Return the place of the wrong part of an expression; of all of it where the file spells it differently."""
    whole = source.span(at)
    if whole is None:
        return None
    offset = source.text.find(text, whole.start, whole.start + whole.length)
    return whole if offset < 0 or not error.length else Span(offset + error.start, error.length)


def _migrations(table: Reader) -> tuple[Migration, ...] | None:
    if "migrations" not in table:
        return None
    result = []
    for entry in table.tables("migrations"):
        entry.refuse_unknown(MIGRATION_KEYS)
        tag = entry.text("tag", required=True, help='each migration has a tag of its own, for instance "v1"')
        if entry.list_of("transferred_classes"):
            entry.add(
                "config/transfer",
                _TRANSFER,
                "transferred_classes",
                help=_TRANSFER_HELP,
            )
        renamed = tuple(_renames(entry))
        if tag is not None:
            result.append(
                Migration(
                    tag,
                    entry.texts("new_sqlite_classes"),
                    entry.texts("new_classes"),
                    renamed,
                    entry.texts("deleted_classes"),
                    entry.at,
                )
            )
    return tuple(result)


def _renames(entry: Reader) -> Iterator[Rename]:
    for rename in entry.tables("renamed_classes"):
        rename.refuse_unknown(("from", "to"))
        old = rename.text("from", required=True)
        new = rename.text("to", required=True)
        if old is not None and new is not None:
            yield Rename(old, new)


def _exports(table: Reader) -> tuple[Export, ...] | None:
    if "exports" not in table:
        return None
    entries = table.below("exports")
    result = []
    for name, value in entries.table.items():
        if not isinstance(value, dict):
            entries.wrong(name, "a table", value)
            continue
        export = _export(name, Reader(value, (*entries.at, name), table.source, table.problems))
        if export is not None:
            result.append(export)
    live = {export.class_name for export in result if export.state == "created"}
    for export in result:
        if export.state != "renamed" or export.renamed_to is None:
            continue
        if export.renamed_to == export.class_name or export.renamed_to not in live:
            entries.add(
                "config/invalid-export",
                f'"{export.class_name}" is renamed to "{export.renamed_to}", no live entry beside it',
                export.class_name,
                "renamed_to",
                hint=did_you_mean(export.renamed_to, live - {export.class_name}),
                help=f'add "{export.renamed_to}": {{"type": "durable-object", "storage": "sqlite"}}',
            )
    return tuple(result)


def _export(name: str, entry: Reader) -> Export | None:
    before = len(errors(entry.problems))
    entry.refuse_unknown(EXPORT_KEYS)
    if not name.isidentifier() or keyword.iskeyword(name):
        entry.add("config/invalid-export", f'"{name}" cannot be the name of a class', key=True)
    if entry.text("type", required=True, help='write "type": "durable-object"') not in {
        None,
        "durable-object",
    }:
        entry.add(
            "config/invalid-export",
            f'"{entry.table["type"]}" is not a type of export',
            "type",
            help='the only type is "durable-object"',
        )
    state = entry.text("state") or "created"
    if state not in get_args(State):
        entry.add(
            "config/invalid-export",
            f'"{state}" is not a state of an export',
            "state",
            hint=did_you_mean(state, get_args(State)),
            help=f"the states are {', '.join(get_args(State))}",
        )
    elif state in {"transferred", "expecting-transfer"}:
        entry.add(
            "config/transfer",
            _TRANSFER,
            "state",
            help=_TRANSFER_HELP,
        )
    else:
        needed = {"created": "storage", "renamed": "renamed_to"}.get(state)
        if needed is not None:
            entry.text(needed, required=True)
        for key in entry.table:
            if key in EXPORT_KEYS and key not in {"type", "state", needed}:
                entry.add(
                    "config/invalid-export",
                    f'"{key}" does not go with the state "{state}"',
                    key,
                    key=True,
                    help="remove it",
                )
    storage = entry.text("storage") or "sqlite"
    if storage not in get_args(Storage):
        entry.add(
            "config/invalid-export",
            f'"{storage}" is not a kind of storage',
            "storage",
            hint=did_you_mean(storage, get_args(Storage)),
            help='new classes have "sqlite"',
        )
    if len(errors(entry.problems)) > before:
        return None
    return Export(
        name,
        _one_of(state),
        "legacy-kv" if storage == "legacy-kv" else "sqlite",
        entry.text("renamed_to") if state == "renamed" else None,
        entry.at,
    )


def _one_of(state: str) -> State:
    return next(known for known in get_args(State) if known == state)


def _unique_keys(table: Reader) -> dict[str, str]:
    keys = table.below("unique_keys")
    result: dict[str, str] = {}
    for name in keys.table:
        key = keys.text(name)
        if key is None:
            continue
        if key in result.values():
            keys.add("config/duplicate-unique-key", f'two classes have the unique key "{key}"', name)
        result[name] = key
    return result


def _date(table: Reader) -> str | None:
    value = table.table.get("compatibility_date")
    if value is None:
        return None
    if isinstance(value, datetime.date):
        value = value.isoformat()[:10]
    try:
        if not (isinstance(value, str) and _DATE.fullmatch(value)):
            raise ValueError
        datetime.date.fromisoformat(value)
    except ValueError:
        table.wrong("compatibility_date", "a date like 2026-11-01", value)
        return None
    return value
