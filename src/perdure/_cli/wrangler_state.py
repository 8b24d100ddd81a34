"""What `wrangler dev`, Miniflare and workerd leave in a folder: which files are whose. (edge)

    v3/do/<unique key>/<id>.sqlite                       an object; `metadata.sqlite` beside them is workerd's own
    v3/d1/miniflare-D1DatabaseObject/<id>.sqlite         a D1 database: the object called by the database's id
    v3/kv/miniflare-KVNamespaceObject/<id>.sqlite        keys of a KV namespace: the object called by its id
    v3/kv/<namespace>/blobs/<blob>                       values of that namespace

workerd alone (`localDisk`) has the folders of unique keys at the top. Newer files than the databases stand in their `-wal`.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from perdure._base import ids
from perdure._config.load import shown
from perdure._config.problem import refused
from perdure._resources.kv_file import KvEntry
from perdure._storage.database import PlainFile

D1: Final = "miniflare-D1DatabaseObject"
KV: Final = "miniflare-KVNamespaceObject"
_VERSION: Final = "v3"
_ENTRIES: Final = "SELECT key, blob_id, expiration, metadata FROM _mf_entries"
_OBJECT: Final = re.compile(r"[0-9a-f]{64}\.sqlite")


@dataclass(frozen=True, slots=True)
class WranglerState:
    """The files of one state folder."""

    objects: dict[str, list[pathlib.Path]]
    """Unique key → files of objects, each called by the object's id."""
    databases: dict[str, pathlib.Path]
    """Id of the object → file, of D1."""
    namespaces: dict[str, pathlib.Path]
    """Id of the object → file with the keys, of KV."""
    values: dict[str, pathlib.Path]
    """Id of a KV namespace → folder of its values."""

    def __bool__(self) -> bool:
        return bool(self.objects or self.databases or self.namespaces)


def find(folder: pathlib.Path) -> WranglerState:
    """
    Return what is in *folder*: `.wrangler`, `.wrangler/state`, `.wrangler/state/v3`, or workerd's own.

    Raises:
        ProblemsFound: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise refused(
            "state/missing",
            f"there is no folder {shown(folder)}",
            help="`wrangler dev` keeps its state in .wrangler/state, beside the configuration; --persist-to may say another",
        )
    top = next(
        (found for found in (folder / "state" / _VERSION, folder / _VERSION) if found.is_dir()), folder
    )
    # Given v3/do itself, or the folder that a configuration of workerd's names.
    objects = top / "do" if (top / "do").is_dir() else top
    found = WranglerState(
        {
            child.name: files
            for child in _folders(objects)
            if (files := _files(child)) and child.name not in (D1, KV)
        },
        {file.stem: file for file in _files(top / "d1" / D1)},
        {file.stem: file for file in _files(top / "kv" / KV)},
        {child.name: child / "blobs" for child in _folders(top / "kv") if (child / "blobs").is_dir()},
    )
    if not found:
        raise refused(
            "state/empty",
            f"{shown(folder)} holds no state of wrangler's or workerd's",
            help="the files are at v3/do/NAME-CLASS/ID.sqlite in it, or at NAME-CLASS/ID.sqlite",
        )
    return found


def called(
    kept: str, names: Iterable[str], files: dict[str, pathlib.Path]
) -> tuple[str, pathlib.Path | None]:
    """Return the first of *names* that calls an object of *kept*, D1 or KV, and its file; None if none does."""
    key = ids.namespace_key(kept)
    for name in names:
        file = files.get(ids.id_from_name(key, name).hex())
        if file is not None:
            return name, file
    return "", None


def entries(file: pathlib.Path, values: pathlib.Path | None) -> Iterator[KvEntry]:
    """
    Yield what a KV namespace holds.

    Raises:
        ProblemsFound: a value is missing.
    """
    with PlainFile(str(file)) as database:
        for key, blob, expires_ms, metadata in database.rows(_ENTRIES):
            try:
                if values is None:
                    raise FileNotFoundError
                value = (values / blob).read_bytes()
            except OSError as error:
                raise refused(
                    "state/unreadable",
                    f"the value of the key {key!r} of {shown(file)} cannot be read: {error.strerror or 'it is missing'}",
                ) from None
            yield KvEntry(key, value, metadata, None if expires_ms is None else expires_ms // 1000)


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(file for file in folder.glob("*.sqlite") if _OBJECT.fullmatch(file.name))
