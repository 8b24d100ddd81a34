"""Admin: the operations on a running runtime, wherever they were asked for. (cooperative)

What touches an object's data is an event of that object, with its gates: it waits for a critical section, what it
writes is one turn, and it answers when that is durable. It makes no instance and runs no code of the
application, so it also works on an object whose `__init__` fails. Only `Call` does what any caller does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final, TypeVar

from perdure._admin import protocol
from perdure._admin.operations import (
    Abort,
    Answer,
    AnyOperation,
    Backup,
    Call,
    Delete,
    Evict,
    Export,
    Import,
    KvDelete,
    KvGet,
    KvList,
    KvPut,
    Objects,
    OfObject,
    OfObjects,
    Script,
    Sql,
    Verify,
)
from perdure._base import codec, ids, limits
from perdure._base.portrait import leaf, portrait, value_of
from perdure._config.problem import ProblemsFound, did_you_mean, listed, refused
from perdure._engine import lifecycle
from perdure._engine.events import DataEvent
from perdure._engine.host import Host, Space
from perdure._engine.live import Live
from perdure._storage import inspection, kv
from perdure._storage.backup import backup
from perdure._storage.catalog import CatalogRow
from perdure._storage.cursor import NO_TRANSACTION_SQL
from perdure._storage.delete import delete_store
from perdure._storage.export import export_aside, export_store
from perdure._storage.import_store import import_store
from perdure._storage.keyrange import key_range
from perdure._storage.store import Store
from perdure._storage.verify import verify
from perdure.errors import DataCloneError, ObjectReset, PerdureError, SqlError, StorageError
from perdure.namespace import Namespace
from perdure.object_stub import visible
from perdure.transactions import SyncTransactionBlock

T = TypeVar("T")

EXISTS: Final = "object/exists"
ABORTED: Final = "The object was aborted by an operator."
_LOOK_S: Final = 0.02
_GIVEN_BACK_S: Final = 0.5  # a stub that is held for longer is not just on its way back
_NAMES_LOOKED_AT: Final = 200  # comparing takes some tens of microseconds each
_STATEMENT_CHARS_SHOWN: Final = 80
_ONE_TRANSACTION: Final = "all of it is one transaction already: leave SAVEPOINT, RELEASE and ROLLBACK out"
_BEHIND_ALL: Final = b"i" + b"\xff" * (ids.HALF * 2 + 1)
_PAIRS_BYTES_MAX: Final = 32 * limits.MIB

Tell = Callable[[int, int | None, str], None]
"""Is told how far a long operation is: done, of how many, what."""


class Admin:
    """The operations of one runtime, between its start and its stop."""

    def __init__(self, host: Host, namespaces: Mapping[str, Namespace[Any]]) -> None:
        self._host = host
        self._namespaces = namespaces
        self._verifying = asyncio.Lock()

    async def run(self, operation: AnyOperation, tell: Tell = lambda done, total, text: None) -> Answer:
        """
        Do what *operation* says; return its answer as JSON data (bytes and floats as they are).

        Raises:
            ProblemsFound: it cannot be done, in the one form of errors.
        """
        if self._host.stopped:
            raise refused(protocol.STOPPING, "the server stops, and did nothing of it")
        try:
            match operation:
                case Objects():
                    return await self._objects(operation)
                case Sql():
                    return await self._sql(operation)
                case Script():
                    return await self._script(operation)
                case KvGet() | KvPut() | KvDelete() | KvList():
                    return await self._kv(operation)
                case Call():
                    return await self._call(operation)
                case Export():
                    return await self._export(operation)
                case Import():
                    return await self._import(operation)
                case Delete():
                    return await self._delete(operation)
                case Verify():
                    return await self._verify(tell)
                case Backup():
                    return await self._backup(operation, tell)
                case Evict():
                    return await self._evict(operation)
                case Abort():
                    return self._abort(operation)
        except ProblemsFound:
            raise
        except PerdureError as error:
            raise refused("object/failed", f"{type(error).__name__}: {error}") from error

    # --- which object ---------------------------------------------------------------------------------

    def _space(self, class_name: str) -> Space:
        space = self._host.spaces.get(class_name)
        if space is None:
            known = sorted(self._host.spaces)
            raise refused(
                "object/unknown-class",
                f'there is no class "{class_name}" here',
                hint=did_you_mean(class_name, known),
                help=f"there is {listed(known)}"
                if known
                else "no class has been run with this data folder yet",
            )
        return space

    def _named(self, operation: OfObject | OfObjects, space: Space) -> tuple[bytes, str | None]:
        """Return id and name of the object that is meant."""
        if operation.id is None:
            assert operation.name is not None, "an object has a name or an id"
            return ids.id_from_name(space.key, operation.name), operation.name
        try:
            return ids.id_from_hex(space.key, operation.id), None
        except TypeError as error:
            raise refused(
                "object/wrong-id",
                f"{operation.id!r} is not the id of an object of {space.class_name}: {error}",
                help="an id has 64 hex digits and belongs to one class; without --id, NAME is a name",
            ) from None

    def _stored(self, operation: OfObject) -> Live:
        """Return the entry of an object that has stored something; it is not made otherwise."""
        space = self._space(operation.class_name)
        row = self._row(operation, space)
        return space.live(row.id, row.name if operation.name is None else operation.name)

    def _row(self, operation: OfObject, space: Space) -> CatalogRow:
        """Return what the catalog has of an object; it is a problem if that is nothing."""
        object_id, name = self._named(operation, space)
        row = self._host.storage.catalog.get(space.store_key(object_id))
        if row is None:
            raise refused(
                "object/not-found",
                f"{space.class_name} has no stored object {operation.id if name is None else name!r}",
                hint=None if name is None else did_you_mean(name, _names_near(space, name)),
                help="names are exact; an object that never stored anything has nothing to show",
            )
        return row

    async def _objects(self, operation: Objects) -> Answer:
        chosen = (
            [self._space(operation.class_name)]
            if operation.class_name is not None
            else [self._host.spaces[name] for name in sorted(self._host.spaces)]
        )
        first, after = operation.cursor or ("", None)
        limit = max(1, min(operation.limit, limits.ADMIN_LIST_MAX))
        found: list[dict[str, Any]] = []
        for space in chosen:
            if space.class_name < first:
                continue
            while True:
                count = min(limits.OBJECTS_LISTED_MAX, limit - len(found))
                rows, place = space.list(operation.prefix or None, after, count)
                found += [self._described(space, row) for row in rows]
                if len(found) == limit and (place is not None or space is not chosen[-1]):
                    return {"objects": found, "cursor": (space.class_name, place or _BEHIND_ALL)}
                after = place
                if place is None:
                    break
                await asyncio.sleep(0)  # others run between two pages
        return {"objects": found, "cursor": None}

    def _described(self, space: Space, row: CatalogRow) -> dict[str, Any]:
        engine = self._host.storage
        path = engine.layout.store(space.store_key(row.id))
        live = space.lives.get(row.id)
        return {
            "class": space.class_name,
            "name": leaf(row.name),
            "id": row.id.hex(),
            "size_bytes": (engine.disk.size(path) or 0) + (engine.disk.size(f"{path}-wal") or 0),
            "first_used_s": row.first_used_s,
            "last_used_s": row.last_used_s,
            "live": live is not None and live.instance is not None,
        }

    # --- data -----------------------------------------------------------------------------------------

    async def _inside(self, live: Live, what: str, work: Callable[[Store], T]) -> T:
        """Do *work* as an event of the object; return its result when it is durable."""
        results: list[T] = []
        errors: list[PerdureError] = []

        def run(instance: Any) -> None:
            try:
                results.append(work(live.store()))
            except PerdureError as error:  # the operator's mistake, not one for the object's log
                errors.append(error)

        try:
            await live.call(DataEvent, what, run, lambda nothing: nothing)
        finally:
            if live.state is lifecycle.STARTING and live.is_idle:
                live.evict()  # nobody else uses it
        if errors:
            raise errors[0]
        return results[0]

    async def _sql(self, operation: Sql) -> Answer:
        live = self._stored(operation)

        def work(store: Store) -> inspection.Result:
            if not operation.write:
                return inspection.read(store, operation.query, time_s=operation.time_s)
            with SyncTransactionBlock(live):
                return inspection.write(store, operation.query)

        try:
            result = await self._inside(live, "sql", work)
        except SqlError as error:
            if error.code == inspection.READ_ONLY:
                raise refused(
                    "sql/read-only", "the statement would change the data", help="add --write, if it shall"
                ) from None
            raise refused("sql/failed", str(error)) from None
        rows = [[leaf(value) for value in row] for row in result.rows]
        return {"columns": result.columns, "rows": rows, "changes": result.changes}

    async def _script(self, operation: Script) -> Answer:
        self._space(operation.class_name)
        keeper: Any = self._namespaces[operation.class_name].get_by_name(operation.name or "")
        answers, failed = await keeper.script(*operation.texts)
        if failed is not None:
            statement, error = failed
            text = str(error)
            raise refused(
                "d1/failed",
                _ONE_TRANSACTION if text == NO_TRANSACTION_SQL else text,
                help=f"nothing of it has happened; it failed in: {_start(statement)}" if statement else None,
            )
        return {
            "results": [
                {
                    "columns": one.columns,
                    "rows": [[leaf(value) for value in row] for row in one.rows],
                    "meta": asdict(one.meta),
                }
                for one in answers
            ]
        }

    async def _kv(self, operation: KvGet | KvPut | KvDelete | KvList) -> Answer:
        live = self._stored(operation)
        match operation:
            case KvGet():
                data = await self._inside(live, "kv", lambda store: kv.get(store, operation.key))
                return {"found": data is not None, "value": None if data is None else portrait(data)}
            case KvPut():
                try:
                    data = codec.dumps(value_of(operation.value), self._host.registry)
                except (ValueError, DataCloneError) as error:
                    raise refused("kv/value", str(error)) from None
                await self._inside(live, "kv", lambda store: kv.put(store, operation.key, data))
                return {}
            case KvDelete():
                deleted = await self._inside(live, "kv", lambda store: kv.delete(store, operation.keys))
                return {"deleted": deleted}
            case KvList():
                return await self._inside(live, "kv", lambda store: _pairs(store, operation))

    # --- whole stores ---------------------------------------------------------------------------------

    def _store_key(self, operation: OfObject) -> bytes:
        """Return the key of the store of an object that has stored something."""
        space = self._space(operation.class_name)
        return space.store_key(self._row(operation, space).id)

    async def _export(self, operation: Export) -> Answer:
        engine, key = self._host.storage, self._store_key(operation)
        path = operation.path
        try:
            if path is None:
                path = await export_aside(engine, key)
            else:
                await export_store(engine, key, path)
        except OSError as error:
            raise refused(
                "cli/unwritable",
                f"{path or 'the data folder'} cannot be written: {error.strerror or error}",
                help="where a server runs, it writes the file: it must be allowed to, and see the same folders",
            ) from None
        return {"path": path}

    async def _import(self, operation: Import) -> Answer:
        space = self._space(operation.class_name)
        object_id, name = self._named(operation, space)
        key = space.store_key(object_id)
        row = self._host.storage.catalog.get(key)
        if name is None and row is not None:
            name = row.name  # its alarm shall wake it under that
        try:
            imported = await import_store(
                self._host.storage,
                key,
                operation.path,
                name=visible(name),
                replace=operation.replace,
                leave_out=operation.leave_out,
                is_in_place=operation.is_in_place,
            )
            return imported._asdict()
        except FileExistsError:
            raise refused(
                EXISTS,
                f"{space.class_name} has an object {operation.id or operation.name!r} already",
                help="--yes replaces all that it stores",
            ) from None
        except StorageError as error:
            raise refused("object/not-importable", str(error)) from None
        except OSError as error:
            raise refused(
                "cli/unreadable",
                f"{operation.path} cannot be imported: {error.strerror or error}",
                help="where a server runs, it reads the file: it must be allowed to, and see the same folders",
            ) from None

    async def _delete(self, operation: Delete) -> Answer:
        await delete_store(self._host.storage, self._store_key(operation))
        return {}

    async def _verify(self, tell: Tell) -> Answer:
        checked = 0

        def looked(done: int, total: int) -> None:
            nonlocal checked
            checked = done
            tell(done, total, "databases")

        async with self._verifying:  # its copies have one place
            findings = await verify(self._host.storage, looked)
        return {"checked": checked, "findings": [finding._asdict() for finding in findings]}

    async def _backup(self, operation: Backup, tell: Tell) -> Answer:
        try:
            result = await backup(
                self._host.storage,
                operation.path,
                incremental=not operation.full,
                on_progress=lambda done, total: tell(done, total, "objects"),
            )
        except PerdureError as error:
            raise refused("data/no-backup", str(error)) from None
        return asdict(result)

    # --- instances ------------------------------------------------------------------------------------

    async def _call(self, operation: Call) -> Answer:
        space = self._space(operation.class_name)
        object_id, _ = self._named(operation, space)
        namespace = self._namespaces[operation.class_name]
        stub = (
            namespace.get(namespace.id_from_string(object_id.hex()))
            if operation.name is None
            else namespace.get_by_name(operation.name)
        )
        try:
            args = [value_of(value) for value in operation.args]
            kwargs = {key: value_of(value) for key, value in operation.kwargs.items()}
            value = await stub[operation.method](*args, **kwargs)
        except Exception as error:
            notes = [line for note in getattr(error, "__notes__", ()) for line in str(note).splitlines()]
            raise refused("call/failed", f"{type(error).__name__}: {error}", trace=tuple(notes)) from None
        return {"value": self._shown(value)}

    def _shown(self, value: Any) -> Any:
        try:
            return portrait(codec.dumps(value, self._host.registry))
        except DataCloneError:  # of a class that can be sent and not stored
            return {"$repr": repr(value)}

    async def _evict(self, operation: Evict) -> Answer:
        waiting = self._live(operation)
        evicted: list[str] = []
        held: dict[str, str] = {}
        began_s = self._host.loop.time()
        while waiting:
            waited_s = self._host.loop.time() - began_s
            for live in waiting:
                if live.state not in lifecycle.ALIVE:
                    continue
                if live.is_idle:
                    live.evict()
                    evicted.append(leaf(live.label))
                elif live.is_quiet and waited_s > _GIVEN_BACK_S:
                    held[leaf(live.label)] = _holders(live)
            waiting = [
                live for live in waiting if live.state in lifecycle.ALIVE and leaf(live.label) not in held
            ]
            if waited_s > limits.EVICTION_WAIT_S:
                break
            if waiting:
                await asyncio.sleep(_LOOK_S)
        return {"objects": evicted, "busy": [leaf(live.label) for live in waiting], "held": held}

    def _abort(self, operation: Abort) -> Answer:
        aborted = self._live(operation)
        for live in aborted:
            live.abort(ObjectReset(ABORTED))
        return {"objects": [leaf(live.label) for live in aborted]}

    def _live(self, operation: OfObjects) -> list[Live]:
        """Return the live objects that are meant."""
        if operation.class_name is None:
            return [live for space in self._host.spaces.values() for live in space.lives.values()]
        space = self._space(operation.class_name)
        if operation.name is None and operation.id is None:
            return list(space.lives.values())
        live = space.lives.get(self._named(operation, space)[0])
        return [] if live is None else [live]


def _start(statement: str) -> str:
    """Return so much of *statement*, on one line, that one finds it again."""
    text = " ".join(statement.split())
    return text if len(text) <= _STATEMENT_CHARS_SHOWN else text[:_STATEMENT_CHARS_SHOWN] + "…"


def _holders(live: Live) -> str:
    """Tell what keeps *live* in memory while nothing is in progress."""
    found = (live.connections, "WebSocket"), (live.handles, "stub")
    return " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for count, what in found if count)


def _names_near(space: Space, name: str) -> list[str]:
    """Return some names of objects, among them those that begin as *name* does."""
    rows = [row for prefix in ("", name[:2]) for row in space.list(prefix, None, _NAMES_LOOKED_AT)[0]]
    return [row.name for row in rows if row.name is not None]


def _pairs(store: Store, operation: KvList) -> Answer:
    span = key_range(prefix=operation.prefix)
    limit = max(1, min(operation.limit, limits.ADMIN_LIST_MAX))
    pairs: list[tuple[str, Any]] = []
    size = 0
    if span is None:
        return {"pairs": pairs, "more": False}
    with closing(kv.peek(store, span, reverse=operation.reverse, limit=limit + 1)) as found:
        for key, data in found:
            if len(pairs) >= limit or size > _PAIRS_BYTES_MAX:
                return {"pairs": pairs, "more": True}
            size += len(key) + len(data)
            try:
                value = portrait(data)
            except DataCloneError as error:
                value = {"$damaged": str(error)}
            pairs.append((key, value))
    return {"pairs": pairs, "more": False}
