"""`ctx.storage.kv`: keys and values, synchronously, and as a mapping. (cooperative)

Source: KVS-*.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure._base import codec
from perdure._storage import kv
from perdure._storage.keyrange import KeyRange
from perdure.key_values import checked, checked_range, load, read_one
from perdure.transactions import MISSING

if TYPE_CHECKING:
    from perdure._engine.live import Live

T = TypeVar("T")


class SyncKvStorage:
    """Keys and values, synchronously, and as a mapping: `kv["k"] = v`, `"k" in kv`, `del kv["k"]` (KVS-*)."""

    __slots__ = ("_live",)

    def __init__(self, live: Live) -> None:
        self._live = live

    @overload
    def get(self, key: str, default: Any = None, *, type: None = None) -> Any: ...
    @overload
    def get(self, key: str, default: T, *, type: type[T]) -> T: ...
    @overload
    def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...
    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """Return the value of *key*, or *default* (KVS-02)."""
        return read_one(self._live, checked(key, "get", "SyncKvStorage"), default, type)

    def put(self, key: str, value: Any) -> None:
        """Write one pair (KVS-03)."""
        live = self._live
        kv.put(live.store(), checked(key, "put", "SyncKvStorage"), codec.dumps(value, live.host.registry))

    def delete(self, key: str) -> bool:
        """Remove *key*; return whether it existed (KVS-04)."""
        return bool(kv.delete(self._live.store(), (checked(key, "delete", "SyncKvStorage"),)))

    def list(
        self,
        *,
        start: str | None = None,
        start_after: str | None = None,
        end: str | None = None,
        prefix: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Iterate over the pairs of a range, read one by one; a further call ends the iterator (KVS-05, KVS-06)."""
        span = checked_range(start, start_after, end, prefix, limit)
        if span is None:
            return iter(())
        live = self._live
        return _Decoded(kv.iterate(live.store(), span, reverse=bool(reverse), limit=limit), live)

    def __getitem__(self, key: str) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and kv.get(self._live.store(), key) is not None

    def __iter__(self) -> Iterator[str]:
        return (
            key
            for key, _ in kv.iterate(self._live.store(), KeyRange("", False, None), reverse=False, limit=None)
        )

    def __len__(self) -> int:
        return kv.count(self._live.store())


class _Decoded:
    """Pairs of keys and values from pairs of keys and bytes."""

    __slots__ = ("_live", "_pairs")

    def __init__(self, pairs: Iterator[tuple[str, bytes]], live: Live) -> None:
        self._pairs = pairs
        self._live = live

    def __iter__(self) -> _Decoded:
        return self

    def __next__(self) -> tuple[str, Any]:
        key, data = next(self._pairs)
        return key, load(self._live, key, data)
