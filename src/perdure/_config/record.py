"""What a data folder remembers of its classes: which exist, under which unique key, and why. (pure)

The runtime keeps it as one JSON file in the data folder. It is the truth about what has been applied; the
configuration is a wish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from perdure._config.project import Storage
from perdure.errors import DataFolderError

RECORD_VERSION = 1
OWN_PREFIX = "perdure:"
"""Begins the unique keys of Perdure's own classes, and no other."""

Mode = Literal["implicit", "migrations", "exports"]


@dataclass(frozen=True, slots=True)
class RecordedClass:
    """A class that exists in the data folder."""

    unique_key: str
    """All ids and files of its objects hang on it; a rename keeps it."""
    storage: Storage = "sqlite"


@dataclass(frozen=True, slots=True)
class Record:
    """The classes of a data folder. A fresh folder has the empty record."""

    mode: Mode = "implicit"
    """What made the last change. From `exports` there is no way back (MIG-11)."""
    tags: tuple[str, ...] = ()
    """Applied migrations, in order (MIG-03)."""
    classes: Mapping[str, RecordedClass] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    """
    Classes of Perdure's own that keep something here, each of which is its own unique key. No configuration can
    rename or delete them: what was bound once stays.
    """


def dumps(record: Record) -> bytes:
    """Return the record as a JSON file that a person can read."""
    data = {
        "version": RECORD_VERSION,
        "mode": record.mode,
        "tags": list(record.tags),
        "classes": {
            name: {"unique_key": kept.unique_key, "storage": kept.storage}
            for name, kept in sorted(record.classes.items())
        },
        **({"own": list(record.own)} if record.own else {}),
    }
    return json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n"


def loads(data: bytes) -> Record:
    """
    Return the record that `dumps` wrote.

    Raises:
        DataFolderError: it is damaged, or a newer Perdure wrote it.
    """
    try:
        value = json.loads(data)
        version = value["version"]
        if version == RECORD_VERSION:
            return Record(
                _mode(value["mode"]),
                tuple(str(tag) for tag in value["tags"]),
                {str(name): _kept(kept) for name, kept in value["classes"].items()},
                tuple(str(key) for key in value.get("own", ())),
            )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataFolderError(
            f"classes.json in the data folder is damaged ({error!r}): restore it from a backup; "
            "it says which classes the stored objects belong to"
        ) from error
    raise DataFolderError(
        f"classes.json in the data folder has version {version}; this Perdure knows {RECORD_VERSION}. "
        "Use the newer Perdure that wrote it."
    )


def _kept(value: dict[str, object]) -> RecordedClass:
    return RecordedClass(str(value["unique_key"]), "sqlite" if value["storage"] == "sqlite" else "legacy-kv")


def _mode(text: object) -> Mode:
    if text == "implicit" or text == "migrations" or text == "exports":
        return text
    raise ValueError(f"unknown mode {text!r}")
