"""What can be asked for, as values that travel: one struct for each operation. (pure)"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from perdure._base import limits


class Operation(msgspec.Struct, tag_field="op", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all operations; the tag is what the command is called."""

    may_be_broken_off: ClassVar[bool] = True
    """It ends when whoever asked for it goes away, or the server stops; nothing is left half done."""


class OfObject(Operation, frozen=True, kw_only=True):
    """An operation on one object: by its name, or by its id of 64 hex digits."""

    class_name: str
    name: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.id is None):
            raise ValueError("an object is named by its name or by its id")


class Objects(Operation, tag="objects", frozen=True, kw_only=True):
    """
    List the objects that store something, by class, then as `Namespace.list` orders them.

    Answers `objects`, each with `class`, `name`, `id`, `size_bytes`, `first_used_s`, `last_used_s` and `live`, and a
    `cursor` to go on with, or None.
    """

    class_name: str | None = None
    prefix: str = ""
    limit: int = limits.ADMIN_LIST_DEFAULT
    cursor: tuple[str, bytes] | None = None
    """Class and place of the last object of the answer before."""


class Sql(OfObject, tag="sql", frozen=True, kw_only=True):
    """Run SQL as an event of the object; answers `columns`, `rows` and `changes`."""

    query: str
    write: bool = False
    time_s: float = limits.ADMIN_QUERY_S


class Script(OfObject, tag="script", frozen=True, kw_only=True):
    """
    Run all statements of *texts* on a database of Perdure's own as one transaction; the object is made if need be.

    Answers `results`, each with `columns`, `rows`, and the fields of `D1Meta` as `meta`.
    """

    texts: tuple[str, ...]


class KvGet(OfObject, tag="kv get", frozen=True, kw_only=True):
    """Answers `found` and `value`, as `_base.portrait` shows it."""

    key: str


class KvPut(OfObject, tag="kv put", frozen=True, kw_only=True):
    """Write one pair; answers nothing."""

    key: str
    value: Any


class KvDelete(OfObject, tag="kv delete", frozen=True, kw_only=True):
    """Answers `deleted`: how many of the keys were there."""

    keys: tuple[str, ...]


class KvList(OfObject, tag="kv list", frozen=True, kw_only=True):
    """Answers `pairs` in the order of keys, and whether there are `more`."""

    prefix: str = ""
    limit: int = limits.ADMIN_LIST_DEFAULT
    reverse: bool = False


class Call(OfObject, tag="call", frozen=True, kw_only=True):
    """Call a method, as a worker does; answers `value`."""

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}


class Export(OfObject, tag="export", frozen=True, kw_only=True):
    """
    Write the database to a file, which the server's process makes; answers its `path`.

    Without a path that is a file in the data folder, for whoever asked to read and to remove.
    """

    path: str | None = None


class Import(OfObject, tag="import", frozen=True, kw_only=True):
    """
    Let the database in a file be what the object stores; answers `size_bytes` and `left_out`. A live object is reset.

    Without `replace` it is refused (`object/exists`) when the object stores something already. With `leave_out` values
    of workerd's that have no equal in Python are left out, and told as pairs of key and reason, instead of refused.
    With `is_in_place` the file stands where its program has left it: a -wal that is not beside it is not missing.
    """

    may_be_broken_off = False

    path: str
    replace: bool = False
    leave_out: bool = False
    is_in_place: bool = False


class Delete(OfObject, tag="delete", frozen=True, kw_only=True):
    """Delete the object and all it stored; answers nothing. A live one is reset."""

    may_be_broken_off = False


class Verify(Operation, tag="verify", frozen=True):
    """Look at every database and the journal; answers `checked` and `findings`, each `path` and `problem`."""


class Backup(Operation, tag="backup", frozen=True, kw_only=True):
    """Bring the folder *path* to what is stored now; answers the fields of `_storage.backup.BackupResult`."""

    path: str
    full: bool = False


class OfObjects(Operation, frozen=True, kw_only=True):
    """An operation on the live objects of all classes, of one class, or on one object."""

    class_name: str | None = None
    name: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if self.class_name is None and not (self.name is None and self.id is None):
            raise ValueError("an object belongs to a class")


class Evict(OfObjects, tag="evict", frozen=True, kw_only=True):
    """
    Let objects leave memory when what they are doing is done.

    Answers `objects` and `busy`, as labels, and `held`: who keeps objects in memory that do nothing, by label.
    """


class Abort(OfObjects, tag="abort", frozen=True, kw_only=True):
    """Drop objects from memory at once; answers `objects`, as labels."""


AnyOperation = (
    Objects
    | Sql
    | Script
    | KvGet
    | KvPut
    | KvDelete
    | KvList
    | Call
    | Export
    | Import
    | Delete
    | Verify
    | Backup
    | Evict
    | Abort
)
Answer = dict[str, Any]
