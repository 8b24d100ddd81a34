"""The ordered list `migrations`, applied to what a data folder remembers (MIG-03…09). (pure)"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from perdure._config.problem import did_you_mean
from perdure._config.project import Binding, Migration, Storage
from perdure._config.source import Where
from perdure._config.state import ClassStates


def apply(
    states: ClassStates,
    configured: Sequence[Migration],
    applied: tuple[str, ...],
    defined: Collection[str],
    bindings: Sequence[Binding],
) -> tuple[str, ...]:
    """Put the migrations after the last applied one into *states*; return the tags that are applied then."""
    if not _tags_fit(states, configured, applied):
        return applied
    history = _History(states)
    for migration in configured[: len(applied)]:
        history.replay(migration)
    for migration in configured[len(applied) :]:
        history.run(migration)
    for name, at in history.created.items():
        if name in states.now and name not in defined and name not in states.reported:
            states.reported.add(name)
            states.refuse(
                "config/missing-class",
                f'a migration creates class "{name}", which {states.file} does not define',
                at,
                hint=did_you_mean(name, defined),
                help="define it there, or correct the migration",
            )
    bound = {binding.class_name: binding for binding in bindings}
    for name, binding in bound.items():
        if name in states.now or name not in defined:
            continue
        if name in history.deleted:
            states.reported.add(name)
            states.refuse(
                "config/deleted-class-is-bound",
                f"Cannot apply --delete-class migration to class {name} without also removing the binding "
                "that references it",
                (*binding.at, "class_name") if binding.at else history.deleted[name],
                help=f"remove the binding {binding.name}, or add a migration that creates the class again",
            )
        elif name in history.renamed:
            states.reported.add(name)
            new = history.renamed[name]
            states.refuse(
                "config/renamed-class-is-bound",
                f'"{binding.name}" is bound to class "{name}", which a migration renames to "{new}"',
                (*binding.at, "class_name") if binding.at else None,
                hint=f'did you mean "{new}"?',
                help="bind the new name, or add a migration that creates a class of the old name again",
            )
        else:
            if configured and binding.at:
                states.warn(
                    "config/class-without-migration",
                    f'class "{name}" is bound, but no migration creates it; it is created now',
                    (*binding.at, "class_name"),
                    help=f'add {{"tag": "…", "new_sqlite_classes": ["{name}"]}} to migrations',
                )
            states.create(name)
    return tuple(migration.tag for migration in configured)


def _tags_fit(states: ClassStates, configured: Sequence[Migration], applied: tuple[str, ...]) -> bool:
    """Return whether the applied tags are the beginning of the list; say what is wrong if not."""
    tags = [migration.tag for migration in configured]
    fit = True
    for index, migration in enumerate(configured):
        if migration.tag in tags[:index]:
            fit = False
            states.refuse(
                "config/migration-duplicate-tag",
                f'two migrations have the tag "{migration.tag}"',
                (*migration.at, "tag"),
                help="each migration has a tag of its own, which never changes once it was applied",
            )
    removed = [tag for tag in applied if tag not in tags]
    for tag in removed:
        fit = False
        states.refuse(
            "config/migration-removed",
            f'migration "{tag}" was applied to this data folder, but is not in the list any more',
            ("migrations",),
            key=True,
            hint=did_you_mean(tag, [other for other in tags if other not in applied]),
            help="put it back as it was: the list is a history, new migrations are added at its end",
        )
    if fit and tuple(tags[: len(applied)]) != applied:
        fit = False
        index = next(index for index, tag in enumerate(applied) if tags[index] != tag)
        states.refuse(
            "config/migration-order",
            f'migration "{tags[index]}" stands where "{applied[index]}" was applied to this data folder',
            (*configured[index].at, "tag"),
            help=f"the applied order is {', '.join(applied)}; new migrations are added after these",
        )
    return fit


class _History:
    """Walks the list; knows which migration last created, renamed away or deleted a class."""

    def __init__(self, states: ClassStates) -> None:
        self.states = states
        self.made: dict[str, str] = {}
        self.created: dict[str, Where] = {}
        self.deleted: dict[str, Where] = {}
        self.renamed: dict[str, str] = {}

    def replay(self, migration: Migration) -> None:
        """Follow a migration that was applied before: nothing is to be done or said."""
        for name in (*migration.new_sqlite_classes, *migration.new_classes):
            self._note_made(name, migration)
        for rename in migration.renamed_classes:
            self._note_renamed(rename.old, rename.new, migration)
        for name in migration.deleted_classes:
            self._note_deleted(name, migration.at)

    def run(self, migration: Migration) -> None:
        """Put a new migration into the states."""
        for index, name in enumerate(migration.new_sqlite_classes):
            self._create(name, "sqlite", migration, (*migration.at, "new_sqlite_classes", index))
        for index, name in enumerate(migration.new_classes):
            self._create(name, "legacy-kv", migration, (*migration.at, "new_classes", index))
        for index, rename in enumerate(migration.renamed_classes):
            self._rename(rename.old, rename.new, migration, (*migration.at, "renamed_classes", index))
        for index, name in enumerate(migration.deleted_classes):
            self._delete(name, (*migration.at, "deleted_classes", index))

    def _create(self, name: str, storage: Storage, migration: Migration, at: Where) -> None:
        exists = self.states.now.get(name)
        if name in self.made:
            self.states.refuse(
                "config/class-exists",
                f'class "{name}" is created again; migration "{self.made[name]}" created it',
                at,
                help="remove it here",
            )
            return
        if exists is None:
            self.states.create(name, storage)
        elif exists.storage != storage:
            # The class came without a migration, with SQL, and may have used it (MIG-04).
            self.states.refuse(
                "config/storage-type-mismatch",
                f'class "{name}" exists in the data folder with storage "{exists.storage}", '
                "which cannot be changed",
                at,
                help=f'write it in "{"new_sqlite_classes" if exists.storage == "sqlite" else "new_classes"}"',
            )
        self.created[name] = at
        self._note_made(name, migration)

    def _rename(self, old: str, new: str, migration: Migration, at: Where) -> None:
        if new in self.states.now:
            self.states.refuse(
                "config/rename-onto-existing",
                f'"{old}" cannot be renamed to "{new}": '
                + (
                    "that is its name"
                    if old == new
                    else f'class "{new}" exists already, with objects of its own'
                ),
                (*at, "to"),
                help="choose a name that no class had in this data folder",
            )
            return
        if old in self.states.now:
            self.states.rename(old, new)
            where = self.created.pop(old, at)
        else:
            where = at
            self._unknown(old, "renames", (*at, "from"))
            self.states.create(new)
        self.created[new] = (*where, "to") if where is at else where
        self._note_renamed(old, new, migration)

    def _delete(self, name: str, at: Where) -> None:
        if name in self.states.now:
            self.states.delete(name)
        else:
            self._unknown(name, "deletes", at)
        self.created.pop(name, None)
        self._note_deleted(name, at)

    def _unknown(self, name: str, does: str, at: Where) -> None:
        self.states.warn(
            "config/unknown-class",
            f'a migration {does} class "{name}", of which this data folder knows nothing',
            at,
            hint=did_you_mean(name, self.states.now),
        )

    def _note_made(self, name: str, migration: Migration) -> None:
        self.made[name] = migration.tag
        self.deleted.pop(name, None)
        self.renamed.pop(name, None)

    def _note_renamed(self, old: str, new: str, migration: Migration) -> None:
        self.made.pop(old, None)
        self._note_made(new, migration)
        self.renamed[old] = new

    def _note_deleted(self, name: str, at: Where) -> None:
        self.made.pop(name, None)
        self.deleted[name] = at
