"""The table `exports`: classes as they should be, reconciled with those that are (MIG-11…14). (pure)

The codes of the problems are Cloudflare's own tags (MIG-17), with dashes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from perdure._config.problem import did_you_mean
from perdure._config.project import Binding, Export
from perdure._config.state import ClassStates


def reconcile(
    states: ClassStates, exports: Sequence[Export], defined: Collection[str], bindings: Sequence[Binding]
) -> None:
    """Put into *states* what makes the recorded classes those of the table; all mistakes are told at once."""
    recorded = dict(states.now)
    live = [export for export in exports if export.state == "created"]
    names = {export.class_name for export in exports}
    bound = {binding.class_name: binding for binding in bindings}
    # Renames first: the target of a rename is a live entry, which would else be created empty.
    for export in exports:
        if export.state == "renamed":
            _rename(states, export, defined)
    for export in exports:
        if export.state == "deleted":
            _delete(states, export, defined, bound)
    for export in live:
        _create(states, export, defined)
    may_be_meant = [export.class_name for export in live if export.class_name not in recorded]
    for name in recorded:
        if name not in names:
            states.reported.add(name)
            states.refuse(
                "config/provisioned-class-missing-from-config",
                f'the data folder has objects of class "{name}", which "exports" does not mention',
                ("exports",),
                key=True,
                hint=did_you_mean(name, may_be_meant),
                help=f'add "{name}": {{"type": "durable-object", "storage": "sqlite"}},\n'
                'or with "state": "renamed" or "deleted" what became of it',
            )
    live_names = {export.class_name for export in live}
    for name, binding in bound.items():
        if name not in live_names and name not in states.reported:
            states.reported.add(name)
            states.refuse(
                "config/config-references-nonexistent-class",
                f'"{binding.name}" is bound to class "{name}", which is no live entry of "exports"',
                (*binding.at, "class_name") if binding.at else ("exports",),
                hint=did_you_mean(name, live_names),
                help=f'add "{name}": {{"type": "durable-object", "storage": "sqlite"}} to exports',
            )


def _rename(states: ClassStates, export: Export, defined: Collection[str]) -> None:
    name, new = export.class_name, export.renamed_to
    assert new is not None, "the schema requires it for this state"
    if name in defined:
        states.tell(
            "config/tombstone-class-still-in-code",
            f'class "{name}" was renamed to "{new}" and is still in the code',
            export.at,
            key=True,
        )
    if name not in states.now:
        states.tell("config/stale-tombstone", f'the entry "{name}" has done its work', export.at, key=True)
    elif new in states.now:
        states.reported.add(name)
        states.refuse(
            "config/tombstone-renamed-to-occupied",
            f'"{name}" cannot be renamed to "{new}": class "{new}" exists already, with objects of its own',
            (*export.at, "renamed_to"),
            help="choose a name that no class had in this data folder",
        )
    else:
        states.rename(name, new)


def _delete(states: ClassStates, export: Export, defined: Collection[str], bound: dict[str, Binding]) -> None:
    name = export.class_name
    if name in bound:
        states.reported.add(name)
        binding = bound[name]
        states.refuse(
            "config/deleted-class-is-bound",
            f"Cannot apply --delete-class migration to class {name} without also removing the binding "
            "that references it",
            (*binding.at, "class_name") if binding.at else export.at,
            help=f"remove the binding {binding.name}",
        )
    if name in defined and name not in bound:
        states.reported.add(name)
        states.refuse(
            "config/tombstone-delete-class-still-in-code",
            f'class "{name}" is to be deleted, but {states.file} still defines it',
            export.at,
            key=True,
            help="remove the class from the code, or make its entry live again",
        )
    if name in states.now:
        states.delete(name)
    else:
        states.tell("config/stale-tombstone", f'the entry "{name}" has done its work', export.at, key=True)


def _create(states: ClassStates, export: Export, defined: Collection[str]) -> None:
    name = export.class_name
    exists = states.now.get(name)
    if name not in defined:
        states.reported.add(name)
        states.refuse(
            "config/config-export-not-in-code",
            f'"exports" has class "{name}", which {states.file} does not define',
            export.at,
            key=True,
            hint=did_you_mean(name, defined),
            help='define it there, or give the entry "state": "deleted"',
        )
    if exists is not None and exists.storage != export.storage:
        states.refuse(
            "config/storage-type-mismatch",
            f'class "{name}" exists with storage "{exists.storage}", which cannot be changed',
            (*export.at, "storage"),
            help=f'write "{exists.storage}"',
        )
    elif exists is None and export.storage == "legacy-kv":
        states.refuse(
            "config/storage-type-mismatch",
            f'class "{name}" is new; "legacy-kv" is for classes that exist already',
            (*export.at, "storage"),
            help='write "sqlite"',
        )
    elif exists is None:
        states.create(name, export.storage)
