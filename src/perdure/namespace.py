"""Namespaces and ids: how one names an object. (cooperative)

Source: NS-01…19. The stub that a namespace gives is in `object_stub`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from perdure._base import ids, limits
from perdure._base.current import OTHER_THREAD
from perdure._base.refusal import stays
from perdure.errors import PerdureError
from perdure.object_stub import DurableObjectStub

if TYPE_CHECKING:
    from perdure._engine.host import Space

T = TypeVar("T")

NO_JURISDICTION: Final = "Jurisdiction restrictions are not implemented in Perdure."


class DurableObjectId:
    """
    The id of an object: 32 bytes, shown as 64 hex digits.

    Two ids are equal if their bytes are, whatever they were made from (NS-15).

    Attributes:
        name: the name it was made from, if it was (NS-16).
        jurisdiction: always None here (NS-17).
    """

    __slots__ = ("_bytes", "_space", "name")
    jurisdiction: None = None

    def __init__(self, object_id: bytes, name: str | None, space: Space) -> None:
        self._bytes = object_id
        self.name = name
        self._space = space

    def equals(self, other: DurableObjectId) -> bool:
        """Whether *other* is the id of the same object; the same as `==`."""
        if not isinstance(other, DurableObjectId):
            raise TypeError(
                "Failed to execute 'equals' on 'DurableObjectId': parameter 1 is not of type 'DurableObjectId'."
            )
        return self._bytes == other._bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DurableObjectId) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __str__(self) -> str:
        return self._bytes.hex()

    def __repr__(self) -> str:
        named = "" if self.name is None else f" name={self.name!r}"
        return f"<DurableObjectId {self._bytes.hex()}{named}>"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """
    An object that stores something, as `Namespace.list` tells of it.

    Attributes:
        id: its id, with the name it was made from; `namespace.get(info.id)` gives a stub.
        name: its name; None if it was never reached by one.
        first_used: when it began to store something.
        last_used: when it was used last, to within ten minutes; now, if it is in memory.
    """

    id: DurableObjectId
    first_used: datetime
    last_used: datetime

    @property
    def name(self) -> str | None:
        return self.id.name


@dataclass(frozen=True, slots=True)
class ObjectList:
    """
    A part of a namespace's objects; iterate over it, or over `objects`.

    Attributes:
        objects: those with a name in the order of the names' UTF-8 bytes, then those without, by id.
        cursor: for the next call of `list`; None: there are no more.
    """

    objects: list[ObjectInfo]
    cursor: str | None

    def __iter__(self) -> Iterator[ObjectInfo]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)


class Namespace(Generic[T]):
    """
    All objects of one class; reached as `env.BINDING`, or `Runtime.namespace(Class)`.

    The type parameter is the class, so that a type checker knows what `stub.method(...)` returns. Making an
    id or a stub creates nothing and sends nothing (NS-02).
    """

    __slots__ = ("_names", "_space")
    __perdure_cross__ = stays

    def __init__(self, space: Space) -> None:
        self._space = space
        self._names: dict[str, bytes] = {}

    def id_from_name(self, name: str) -> DurableObjectId:
        """Return the id of *name*: always the same one for the same name (NS-04)."""
        return DurableObjectId(self._id_of(name, "id_from_name"), name, self._space)

    def id_from_string(self, hex: str) -> DurableObjectId:
        """
        Return the id that *hex*, 64 hex digits, stands for; it has no name (NS-05).

        Raises:
            TypeError: it is no such text, or the id of another namespace.
        """
        if not isinstance(hex, str):
            raise TypeError(
                "Failed to execute 'id_from_string' on 'DurableObjectNamespace': parameter 1 is not of type 'string'."
            )
        return DurableObjectId(ids.id_from_hex(self._space.key, hex), None, self._space)

    def new_unique_id(self, *, jurisdiction: str | None = None) -> DurableObjectId:
        """Return a fresh id without a name (NS-03); it is only good if somebody writes it down."""
        if jurisdiction is not None:
            raise PerdureError(NO_JURISDICTION)
        return DurableObjectId(ids.with_check(self._space.key, os.urandom(ids.HALF)), None, self._space)

    def get(
        self,
        id: DurableObjectId,
        *,
        location_hint: str | None = None,
        routing_mode: str | None = None,
        **options: Any,
    ) -> T:
        """
        Return a stub of the object with this *id* (NS-06).

        `location_hint` and unknown options are accepted and have no effect on one machine (NS-08).
        """
        if not isinstance(id, DurableObjectId):
            raise TypeError(
                "Failed to execute 'get' on 'DurableObjectNamespace': parameter 1 is not of type 'DurableObjectId'."
            )
        if routing_mode is not None:
            _check_routing(routing_mode)
        if (
            id._space is not self._space
        ):  # of another class, or of an earlier run of the runtime: its bytes count
            id = DurableObjectId(id._bytes, id.name, self._space)
        return cast(T, DurableObjectStub(id))

    def get_by_name(
        self,
        name: str,
        *,
        location_hint: str | None = None,
        routing_mode: str | None = None,
        **options: Any,
    ) -> T:
        """Return a stub of the object called *name*: `get(id_from_name(name))` (NS-07)."""
        if routing_mode is not None:
            _check_routing(routing_mode)
        return cast(
            T, DurableObjectStub(DurableObjectId(self._id_of(name, "get_by_name"), name, self._space))
        )

    def jurisdiction(self, jurisdiction: str | None = None) -> Namespace[T]:
        """Return the namespace itself for None; anything else is not implemented (NS-12)."""
        if jurisdiction is not None:
            raise PerdureError(NO_JURISDICTION)
        return Namespace(self._space)

    def list(
        self,
        *,
        prefix: str | None = None,
        limit: int = 1000,
        cursor: str | None = None,
    ) -> ObjectList:
        """
        List the objects that store something, in the order of their names, then those without a name.

        An object is in it from its first confirmed write until `delete_all()`. Perdure's own: Cloudflare's
        namespaces cannot be listed from code. `async for info in namespace` goes through all objects.

        Args:
            prefix: only objects whose names begin so.
            limit: at most so many, up to 1,000.
            cursor: the one of the list before, to go on behind it; with the same prefix.
        """
        if prefix is not None and not isinstance(prefix, str):
            raise TypeError(f"list(): prefix must be a str, not {type(prefix).__name__}.")
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise TypeError(f"list(): limit must be an int, not {type(limit).__name__}.")
        if not 1 <= limit <= limits.OBJECTS_LISTED_MAX:
            raise ValueError(
                f"list(): limit is {limit:,}; it must be between 1 and {limits.OBJECTS_LISTED_MAX:,}. "
                "For more, call again with the cursor of the list before."
            )
        space = self._space
        if not space.host.on_loop_thread():
            raise RuntimeError(OTHER_THREAD.format(what=f"list() of {self!r}"))
        rows, next_place = space.list(prefix, None if cursor is None else _place(cursor), limit)
        objects = [
            ObjectInfo(
                DurableObjectId(row.id, row.name, space),
                datetime.fromtimestamp(row.first_used_s, UTC),
                datetime.fromtimestamp(row.last_used_s, UTC),
            )
            for row in rows
        ]
        return ObjectList(
            objects, None if next_place is None else base64.urlsafe_b64encode(next_place).decode()
        )

    async def __aiter__(self) -> AsyncIterator[ObjectInfo]:
        """Go through all objects as `list` orders them; other code runs between every thousand."""
        cursor: str | None = None
        while True:
            page = self.list(cursor=cursor)
            for info in page:
                yield info
            cursor = page.cursor
            if cursor is None:
                return
            await asyncio.sleep(0)

    def _id_of(self, name: str, method: str) -> bytes:
        known = self._names.get(name) if name.__class__ is str else None
        if known is not None:
            return known
        if not isinstance(name, str):
            raise TypeError(
                f"Failed to execute '{method}' on 'DurableObjectNamespace': parameter 1 is not of type 'string'."
            )
        if len(self._names) >= limits.NAMES_CACHED_MAX:
            self._names.clear()
        self._names[name] = found = ids.id_from_name(self._space.key, name)
        return found

    def __repr__(self) -> str:
        return f"<Namespace of {self._space.class_name}>"


def _place(cursor: str) -> bytes:
    if not isinstance(cursor, str):
        raise TypeError(f"list(): cursor must be a str, not {type(cursor).__name__}.")
    try:
        place = base64.b64decode(cursor, b"-_", validate=True)
    except (binascii.Error, ValueError):
        place = b""
    if place[:1] not in (b"n", b"i"):  # `catalog.place_of`
        raise ValueError(f"list(): {cursor!r} is not a cursor that list() returned.")
    return place


def _check_routing(mode: str) -> None:
    if mode != "primary-only":
        raise ValueError(f"unknown routing_mode: {mode}")
