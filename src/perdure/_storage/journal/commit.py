"""What a store appends, and how it hears what became of it. (pure)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from perdure._base.disk import Buffer
from perdure._storage.journal.record import Fields


class Source(Protocol):
    """One store, as the journal sees it."""

    key: bytes
    """Names the store in records: see `layout.store_key`."""

    def durable(self, number: int) -> None:
        """Hear that every commit up to *number* is durable now."""

    def failed(self, error: Exception) -> None:
        """
        Hear that the commits not yet reported durable never will be.

        After a `StorageFailed` that is final, for every store. After any other error (the disk was full) the
        store goes on from its last durable commit: what it had appended meanwhile is dropped, what it
        appends from now on counts.
        """


class Listener(Source, Protocol):
    """
    Who keeps what commits tell of their objects.

    A segment with such a commit stays until `Journal.checkpointed` says of the listener that it has what it
    was told up to then (`Journal.told`).
    """

    def hear(self, key: bytes, fields: Fields) -> None:
        """Hear what a commit of store *key* told; it is durable now. In the order of the log."""


class Commit(NamedTuple):
    """One commit, as it was appended."""

    source: Source
    key: bytes
    number: int
    frames: Iterable[Buffer]
    frames_bytes: int
    fields: Fields | None
    whole: bool
