"""What `wrangler dev`, Miniflare and workerd leave in a folder: which files are whose. (edge)

    v3/do/<unique key>/<id>.sqlite                       an object; `metadata.sqlite` beside them is workerd's own
    v3/d1/miniflare-D1DatabaseObject/<id>.sqlite         a D1 database: the object called by the database's id
    v3/kv/miniflare-KVNamespaceObject/<id>.sqlite        keys of a KV namespace: the object called by its id
    v3/kv/<namespace>/blobs/<blob>                       values of that namespace

workerd alone (`localDisk`) has the folders of unique keys at the top. Newer files than the databases stand in their `-wal`.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from perdure._base import ids, limits
from perdure._config.load import shown
from perdure._config.problem import refused
from perdure._resources.kv_file import KvEntry
from perdure._storage.database import PlainFile
from perdure.errors import SqlError

D1: Final = "miniflare-D1DatabaseObject"
KV: Final = "miniflare-KVNamespaceObject"
_VERSION: Final = "v3"
_ENTRIES: Final = "SELECT key, blob_id, expiration, metadata FROM _mf_entries"
_BLOB: Final = re.compile(r"[\w-]+")
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
        ProblemsFound: the file is damaged, or a value is missing.
    """
    key: Any = None
    try:
        with PlainFile(str(file)) as database:
            for key, *rest in database.rows(_ENTRIES):
                yield _entry(values, key, *rest)
    except SqlError as error:
        raise refused("state/unreadable", f"{shown(file)} holds no keys that can be read: {error}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise refused(
            "state/unreadable", f"what belongs to the key {key!r} of {shown(file)} cannot be read: {why}"
        ) from None


def _entry(values: pathlib.Path | None, key: Any, blob: Any, expires_ms: Any, metadata: Any) -> KvEntry:
    """Return an entry of any row: a file of others may hold anything."""
    if not isinstance(key, str):
        raise ValueError("it is no text")
    # No path, that leads out of the folder.
    if values is None or not isinstance(blob, str) or not _BLOB.fullmatch(blob):
        raise ValueError("its value is missing")
    value = (values / blob).read_bytes()
    if len(value) > limits.KV_VALUE_BYTES_MAX:
        raise ValueError(f"its value has {len(value)} bytes, and may have {limits.KV_VALUE_BYTES_MAX}")
    if not isinstance(expires_ms, int | None):
        raise ValueError(f"its expiration is {expires_ms!r:.60}")
    if metadata is not None:
        try:
            json.loads(metadata)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("its metadata is no JSON") from None
    expires_s = None if expires_ms is None else min(expires_ms // 1000, limits.KV_EXPIRES_S_MAX)
    return KvEntry(key, value, metadata, expires_s)


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(file for file in folder.glob("*.sqlite") if _OBJECT.fullmatch(file.name))
