"""From what is configured, what is recorded and what the code defines: steps to take, or why not. (pure)

Nothing is done here. The runtime carries the steps out under the lock of the data folder, and only when
there is no error; `perdure check` and the reloading `perdure dev` look at the same plan beforehand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from perdure._config import exports, migrations
from perdure._config.problem import Problem, did_you_mean, errors
from perdure._config.project import Binding, Declared
from perdure._config.record import OWN_PREFIX, Record
from perdure._config.state import ClassStates, Step


@dataclass(frozen=True, slots=True)
class Plan:
    """What a start has to do to a data folder before its first event."""

    steps: tuple[Step, ...]
    """In order; empty when there is an error."""
    record: Record
    """What to write when the steps are done; it also holds each class's unique key."""
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return errors(self.problems)


def plan(
    declared: Declared,
    record: Record,
    *,
    name: str,
    defined: Collection[str],
    bindings: Sequence[Binding],
    file: str = "the application",
    empty: Collection[str] = (),
) -> Plan:
    """
    Return what must happen so that the data folder fits the code.

    Args:
        declared: `migrations`, `exports` and `unique_keys` of the configuration.
        record: what the data folder remembers; `Record()` for a fresh one.
        name: the project's; a class that appears gets the unique key `<name>-<class>`.
        defined: names of the object classes that the code has.
        bindings: the classes that `env` names.
        file: where the classes are looked for, for the messages.
        empty: recorded classes that have no object yet; such a class may vanish without a word.
    """
    if declared.as_recorded:
        return Plan((), record, ())
    states = ClassStates(declared, record, name, file)
    mode = record.mode
    tags = record.tags
    if record.mode == "exports" and declared.exports is None:
        states.refuse(
            "config/exports-removed",
            'this data folder was run with "exports"; there is no way back to migrations (MIG-11)',
            help='declare each class in "exports" again',
        )
    elif declared.exports is not None:
        mode = "exports"
        exports.reconcile(states, declared.exports, defined, bindings)
    else:
        mode = "migrations" if declared.migrations or record.tags else mode
        tags = migrations.apply(states, declared.migrations or (), record.tags, defined, bindings)
    if not any(problem.code.startswith("config/migration-") for problem in states.problems):
        _refuse_vanished(states, record, defined, empty)
    _check_unique_keys(states, declared, defined)
    if errors(states.problems):
        return Plan((), record, tuple(states.problems))
    return Plan(
        tuple(states.steps),
        dataclasses.replace(record, mode=mode, tags=tags, classes=states.now),
        tuple(states.problems),
    )


def _refuse_vanished(
    states: ClassStates, record: Record, defined: Collection[str], empty: Collection[str]
) -> None:
    new = [name for name in defined if name not in record.classes]
    for name in list(states.now):
        if name in defined or name in states.reported:
            continue
        if name in empty:
            states.delete(name)
            continue
        meant = did_you_mean(name, new)
        other = meant.split('"')[1] if meant else "NewName"
        table = "exports" if states.uses_exports else "migrations"
        if states.uses_exports:
            how = (
                f'"{name}": {{"type": "durable-object", "state": "renamed", "renamed_to": "{other}"}}',
                f'"{name}": {{"type": "durable-object", "state": "deleted"}}',
            )
        else:
            how = (
                f'{{"tag": "…", "renamed_classes": [{{"from": "{name}", "to": "{other}"}}]}}',
                f'{{"tag": "…", "deleted_classes": ["{name}"]}}',
            )
        states.refuse(
            "config/class-vanished",
            f'the data folder has objects of class "{name}", which {states.file} no longer defines',
            hint=meant,
            help=f"define it again, or say in {table} what became of it:\n"
            f"{how[0]}\n{how[1]}   (its objects' data is lost)",
        )


def _check_unique_keys(states: ClassStates, declared: Declared, defined: Collection[str]) -> None:
    owners: dict[str, str] = {}
    for name, kept in states.now.items():
        wanted = declared.unique_keys.get(name, kept.unique_key)
        if wanted != kept.unique_key:
            states.refuse(
                "config/unique-key-changed",
                f'the objects of "{name}" are stored under the unique key "{kept.unique_key}"; '
                "with another one their ids would change",
                ("unique_keys", name),
                help=f'write "{kept.unique_key}", or leave the entry out',
            )
        elif kept.unique_key in owners:
            states.refuse(
                "config/duplicate-unique-key",
                f'"{name}" and "{owners[kept.unique_key]}" would share the unique key "{kept.unique_key}"',
                ("unique_keys", name),
                help="each class needs a unique key of its own",
            )
        elif kept.unique_key.startswith(OWN_PREFIX):
            states.refuse(
                "config/reserved-unique-key",
                f'"{name}" has the unique key "{kept.unique_key}"; those with "{OWN_PREFIX}" are Perdure\'s own',
                ("unique_keys", name),
                help="choose another",
            )
        owners[kept.unique_key] = name
    for name in declared.unique_keys:
        if name not in states.now and name not in defined:
            states.warn(
                "config/unknown-class",
                f'unique_keys names class "{name}", which does not exist',
                ("unique_keys", name),
                key=True,
                hint=did_you_mean(name, (*states.now, *defined)),
            )
