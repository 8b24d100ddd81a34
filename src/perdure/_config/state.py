"""The classes of a data folder while a plan is made: who exists, and what was done to whom. (pure)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perdure._config.problem import Problem, Severity
from perdure._config.project import Declared, Storage
from perdure._config.record import Record, RecordedClass
from perdure._config.source import Where


@dataclass(frozen=True, slots=True)
class Create:
    """A class appears. There is nothing to do on disk but to record it."""

    class_name: str
    unique_key: str
    storage: Storage


@dataclass(frozen=True, slots=True)
class Rename:
    """The objects of a class get another class; unique key, ids and files stay."""

    old: str
    new: str
    unique_key: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Every object of a class is deleted, with its data."""

    class_name: str
    unique_key: str


Step = Create | Rename | Delete


class ClassStates:
    """Collects steps and problems; `now` is always the state after the steps so far."""

    def __init__(self, declared: Declared, record: Record, name: str, file: str) -> None:
        self.declared = declared
        self.name = name
        self.file = file
        self.now: dict[str, RecordedClass] = dict(record.classes)
        self.steps: list[Step] = []
        self.problems: list[Problem] = []
        self.reported: set[str] = set()
        """Classes with a problem of their own: one mistake is told once."""

    @property
    def uses_exports(self) -> bool:
        return self.declared.exports is not None

    def create(self, class_name: str, storage: Storage = "sqlite") -> None:
        key = self.declared.unique_keys.get(class_name)
        if key is None:
            key = base = f"{self.name}-{class_name}"
            taken = {kept.unique_key for kept in self.now.values()}
            number = 2
            while key in taken:  # a renamed class went on with the key of this name
                key = f"{base}-{number}"
                number += 1
        self.now[class_name] = RecordedClass(key, storage)
        self.steps.append(Create(class_name, key, storage))

    def rename(self, old: str, new: str) -> None:
        kept = self.now.pop(old)
        self.now[new] = kept
        self.steps.append(Rename(old, new, kept.unique_key))

    def delete(self, class_name: str) -> None:
        kept = self.now.pop(class_name)
        self.steps.append(Delete(class_name, kept.unique_key))

    def refuse(self, code: str, message: str, at: Where | None = None, **more: Any) -> None:
        """Note an error at a place of the configuration, or at none."""
        self._add("error", code, message, at, **more)

    def warn(self, code: str, message: str, at: Where | None = None, **more: Any) -> None:
        self._add("warning", code, message, at, **more)

    def tell(self, code: str, message: str, at: Where | None = None, **more: Any) -> None:
        self._add("info", code, message, at, **more)

    def _add(self, severity: Severity, code: str, message: str, at: Where | None, **more: Any) -> None:
        source = self.declared.source
        if source is None:
            more.pop("key", None)
            self.problems.append(Problem(code, message, severity, **more))
            return
        if at is not None and at[0] in {"unique_keys"} and source.span(at) is None:
            at = None
        self.problems.append(source.problem(code, message, at, severity=severity, **more))
