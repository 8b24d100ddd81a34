"""Where everything in a data folder stands; nobody else joins its paths. (pure)

    FORMAT                                      version of all that follows, as text
    BACKUP                                      this is a backup, and which one; nobody has opened it
    LOCK                                        held by the runtime that uses the folder; its process id, its role
    control.sock                                where operators' commands reach that runtime, if it listens
    classes.json                                unique key of each class, applied migrations
    catalog.sqlite                              which objects there are; a store as theirs are
    catalog.notes                               what a log that is gone told of objects, for the catalog
    exported-<token>.sqlite                     what `perdure export` makes a text of
    journal/<number>.seg                        the shared journal, oldest number first
    objects/<namespace>/<2 hex>/<64 hex>.sqlite one object's database (with `-wal` beside it while in use)

A store file is made with mode `PROVISIONAL_MODE`. The owner's execute bit, which no database needs, means
*never synced*: after a power loss such a file may be absent, short or full of zeros, and if the journal has
no record of it then nothing in it was ever confirmed. The mode is set to `SYNCED_MODE` just before the file's
first sync; from then on damage is an error. A bit can be set by others too (`chmod -R 755`, file systems
without modes), so it counts only while the file is at most one page long: nothing is written behind page 1
before the first checkpoint, and what a checkpoint that never ended has written is in the journal
(`is_provisional`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from perdure._base.limits import PAGE_BYTES

PROVISIONAL_MODE: Final = 0o700
_PROVISIONAL_BIT: Final = 0o100
SYNCED_MODE: Final = 0o600

_PREFIX_CHARS_MAX: Final = 40
_SEGMENT: Final = re.compile(r"(\d{8,})\.seg")
CATALOG_KEY: Final = b"catalog"
"""Names the catalog's store in the journal's records."""

_KEY: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]*)/([0-9a-f]{64})")


def namespace_folder(unique_key: str) -> str:
    """
    Name the folder of a namespace: what can be read of its unique key, then a hash of all of it.

    Any text is safe, and two keys never meet, also where file names ignore case.
    """
    digest = hashlib.sha256(unique_key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", unique_key).strip("-")[:_PREFIX_CHARS_MAX].rstrip("-")
    return f"{readable}-{digest}" if readable else digest


def namespace_key(unique_key: str) -> bytes:
    """Name all stores of a namespace in a note for the catalog: `<namespace folder>/`."""
    return f"{namespace_folder(unique_key)}/".encode()


def store_key(unique_key: str, id_hex: str) -> bytes:
    """Name a store in the journal's records: `<namespace folder>/<64 hex>`."""
    return f"{namespace_folder(unique_key)}/{id_hex}".encode()


def split_key(key: bytes) -> tuple[str, str]:
    """Take an object's store key apart: namespace folder, 64 hex digits; ValueError for any other text."""
    match = _KEY.fullmatch(key.decode("utf-8", "replace"))
    if match is None:
        raise ValueError(f"{key!r} is not the key of a store: expected <namespace folder>/<64 hex digits>")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one data folder."""

    root: str

    @property
    def format(self) -> str:
        return f"{self.root}/FORMAT"

    @property
    def lock(self) -> str:
        return f"{self.root}/LOCK"

    @property
    def classes(self) -> str:
        return f"{self.root}/classes.json"

    @property
    def catalog(self) -> str:
        return f"{self.root}/catalog.sqlite"

    @property
    def notes(self) -> str:
        return f"{self.root}/catalog.notes"

    @property
    def backup(self) -> str:
        return f"{self.root}/BACKUP"

    @property
    def scratch(self) -> str:
        """A copy that is looked at."""
        return f"{self.root}/scratch.sqlite"

    def exported(self, token: str) -> str:
        """A copy of an object that somebody is to make something of, and to remove."""
        return f"{self.root}/exported-{token}.sqlite"

    @property
    def journal(self) -> str:
        return f"{self.root}/journal"

    @property
    def objects(self) -> str:
        return f"{self.root}/objects"

    def segment(self, number: int) -> str:
        """Path of a journal segment."""
        return f"{self.root}/journal/{number:08d}.seg"

    def namespace(self, unique_key: str) -> str:
        """Folder with all objects of a namespace."""
        return f"{self.root}/objects/{namespace_folder(unique_key)}"

    def store(self, key: bytes) -> str:
        """Path of a store's database; a key that `store_key` could not have made is a ValueError."""
        if key == CATALOG_KEY:
            return self.catalog
        namespace, id_hex = split_key(key)
        return f"{self.root}/objects/{namespace}/{id_hex[:2]}/{id_hex}.sqlite"

    def replacement(self, key: bytes, token: str) -> str:
        """Path of the file that is to take the place of a store's."""
        return f"{self.store(key)}-{token}"

    def store_folders(self, key: bytes) -> list[str]:
        """Folders to sync so that a new store's name is durable, innermost first."""
        if key == CATALOG_KEY:
            return [self.root]
        folder = self.store(key).rpartition("/")[0]
        return [folder, folder.rpartition("/")[0], self.objects]


def segment_number(name: str) -> int | None:
    """Number of the segment that a file name in the journal's folder stands for; None for other files."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None


def is_provisional(mode: int | None, size_bytes: int | None) -> bool:
    """
    Tell whether a store file with this mode and size, of which the journal has no record, never confirmed
    anything.
    """
    return mode is None or bool(mode & _PROVISIONAL_BIT and (size_bytes or 0) <= PAGE_BYTES)


def scratch_of(store: str) -> list[str]:
    """Files that SQLite keeps beside a database: meaningless to a process that did not write them."""
    return [f"{store}-wal", f"{store}-journal", f"{store}-shm"]
