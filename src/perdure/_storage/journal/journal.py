"""The journal as the storage engine sees it. (cooperative)

Invariants: nothing is reported durable before a sync that covers it; a segment goes only when every store
that has a record in it is durably past that record; after a sync failed nothing is durable any more, for
good.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from perdure import errors
from perdure._base import limits
from perdure._base.disk import Buffer, Disk
from perdure._storage.journal.commit import Commit, Listener, Source
from perdure._storage.journal.committer import Committer
from perdure._storage.journal.reclaim import Ledger
from perdure._storage.journal.record import ALIGN_BYTES, NAME_CHARS_MAX, UNCHANGED, AlarmChange, Fields
from perdure._storage.journal.segment import Segments, is_full
from perdure._storage.journal.writer import Outcome, Writer
from perdure._storage.layout import Layout, segment_number

__all__ = ["UNCHANGED", "AlarmChange", "Fields", "Journal", "Listener", "Source"]

_SEGMENT_BYTES_MIN: Final = 32 * limits.KIB


class Journal:
    """
    One append-only log for all stores of a process.

    All methods are called on the event loop's thread. Numbers of commits grow, for each store, as long as the
    journal lives; only the numbers of commits that failed may come again. The last `Source` that appended for
    a key is the one that is told about it.

    Attributes:
        on_pressure: called with the stores to checkpoint, the most urgent first, a few at a time, when more
            than half of the budget is used; again after each `checkpointed`, and every 50 ms, as long as that
            lasts, so the same store comes again while it is at it. A store that cannot be checkpointed
            appends its pages as a `whole` record.
        on_failed: called once when `failed` is set.
        listener: hears the fields of commits, before the stores hear that these are durable.
        told: counts the batches in which there was something to hear.
        failed: the `StorageFailed` after which nothing works any more.

    Args:
        epoch: a random 64-bit number, new for each start (`DataFolder.epoch`).
    """

    def __init__(
        self,
        disk: Disk,
        layout: Layout,
        *,
        epoch: int,
        budget_bytes: int = limits.JOURNAL_BUDGET_BYTES,
    ) -> None:
        segment_bytes = min(limits.JOURNAL_SEGMENT_BYTES, budget_bytes // limits.JOURNAL_SEGMENTS_MIN)
        segment_bytes -= segment_bytes % ALIGN_BYTES
        if segment_bytes < _SEGMENT_BYTES_MIN:
            least = _SEGMENT_BYTES_MIN * limits.JOURNAL_SEGMENTS_MIN
            raise ValueError(
                f"a journal budget of {budget_bytes:,} bytes is too small: at least {least:,} are needed"
            )
        first_bytes = min(limits.JOURNAL_SEGMENT_FIRST_BYTES, segment_bytes)
        self._disk = disk
        self._layout = layout
        self._budget_bytes = budget_bytes
        self._committing = disk.worker("perdure-journal")
        self._chores = disk.worker("perdure-journal-chores")
        self._segments = Segments(
            disk, layout, self._chores, first_bytes=first_bytes, segment_bytes=segment_bytes
        )
        self._writer = Writer(disk, self._segments, epoch=epoch, first_bytes=first_bytes)
        self._committer: Committer[Commit, Outcome]
        self._loop: asyncio.AbstractEventLoop
        self._ledger = Ledger()
        self._sources: dict[bytes, Source] = {}
        """Those that need a segment: the others are known by their commits that are on the way, or forgotten."""
        self._pending_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._asking: asyncio.TimerHandle | None = None
        self._started = False
        self._closed = False
        self.on_pressure: Callable[[list[Source]], None] | None = None
        self.on_failed: Callable[[errors.StorageFailed], None] | None = None
        self.failed: errors.StorageFailed | None = None
        self.listener: Listener | None = None
        self.told = 0

    async def start(self) -> None:
        """Begin a log. The folder has none: `recover` came first."""
        self._started = True
        self._loop = asyncio.get_running_loop()
        self._committer = Committer(self._committing, self._writer.write, self._settle)
        self._disk.make_folder(self._layout.journal)
        found = [name for name in self._disk.list(self._layout.journal) if segment_number(name) is not None]
        assert not found, f"{self._layout.journal} still holds {found[0]}: recover() must come first"
        self._segments.ahead()

    async def close(self) -> None:
        """
        Make durable what was appended, stop the threads; a log that nobody needs is removed. Calling it again
        does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if not self._started:
            return
        if self._asking is not None:
            self._asking.cancel()
        try:
            await self._committer.flush()
        finally:
            await asyncio.wrap_future(self._committing.submit(self._writer.close))
            if self.failed is None and not self._ledger.stores():
                await asyncio.wrap_future(self._segments.clear(self._ledger.take_all()))
            await asyncio.wrap_future(self._chores.submit(self._segments.close))
            self._committing.stop()
            self._chores.stop()
            self._let_in()

    def append(
        self,
        source: Source,
        number: int,
        frames: Iterable[Buffer],
        *,
        frames_bytes: int | None = None,
        fields: Fields | None = None,
        whole: bool = False,
    ) -> None:
        """
        Append a commit; `source.durable(number)` follows when it is durable.

        Nothing is copied: the buffers must not change any more. Each holds one or more raw WAL frames; the
        last frame of a commit carries the database's size. A commit may have no frames (an alarm alone).

        Args:
            frames: gone through once, in the committer's thread, while the commit is written: those of a large
                one need not be in memory.
            frames_bytes: the size of all of them; needed if going through them costs something.
            fields: what it tells of its object; the listener hears of it when it is durable.
            whole: these frames hold all pages changed since the last checkpoint, in their newest form.
        """
        if self.failed is not None:
            raise errors.StorageFailed(*self.failed.args) from self.failed
        if self._closed:
            raise errors.StorageError("the journal is closed: nothing can be stored any more")
        if fields is not None and fields.name is not None and len(fields.name) > NAME_CHARS_MAX:
            fields = fields._replace(name=None)  # a name this long is never shown (NS-16)
        if frames_bytes is None:
            frames_bytes = sum(map(len, frames))
        self._pending_bytes += frames_bytes
        self._committer.add(Commit(source, source.key, number, frames, frames_bytes, fields, whole))

    def checkpointed(self, source: Source, number: int) -> None:
        """
        Hear that commits up to *number* are in the store's own file, which was synced after its WAL was
        carried over.
        """
        if not self._ledger.checkpointed(source.key, number):
            self._sources.pop(source.key, None)
        self._reclaim()
        self._ease()
        if self._is_pressed():
            self._ask()  # the next store takes this one's place

    def fail(self, error: BaseException) -> None:
        """Give up for good: a store's own file could not be synced, and its records here may be gone."""
        self._break(error)

    async def flush(self) -> None:
        """Wait until everything appended so far is durable; raises when a part of it never will be."""
        if self.failed is not None:
            raise errors.StorageFailed(*self.failed.args) from self.failed
        await self._committer.flush()

    def room(self) -> asyncio.Future[None] | None:
        """
        Ask whether a new writer may begin: None, or a future to wait for and then ask again.

        Writers wait while the log is at its budget, or while more than 64 MiB wait for the disk.
        """
        if not self.is_full:
            return None
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(waiter)
        return waiter

    @property
    def is_full(self) -> bool:
        """Whether new writers must wait, as `room` would make them."""
        # What was appended and is not written yet will take its part of the budget too.
        pending_bytes = self._pending_bytes
        return (
            (
                pending_bytes >= limits.JOURNAL_PENDING_BYTES_MAX
                or self._ledger.used_bytes + pending_bytes >= self._budget_bytes
            )
            and self.failed is None
            and not self._closed
        )

    @property
    def budget_bytes(self) -> int:
        """How large the log may grow."""
        return self._budget_bytes

    @property
    def used_bytes(self) -> int:
        """What the log takes of its budget."""
        return self._ledger.used_bytes

    # --- what came back from the disk -------------------------------------------------------------------

    def _settle(
        self, commits: list[Commit], outcome: Outcome | None, error: BaseException | None
    ) -> Exception | None:
        if outcome is None:
            assert error is not None
            return self._break(error, commits)
        for segment, size_bytes in outcome.opened:
            self._ledger.open(segment, size_bytes)
        self._ledger.fill(outcome.position)
        self._pending_bytes -= sum(commit.frames_bytes for commit in commits)
        for source, number in self._place(commits, outcome).values():
            self._tell(source.durable, number)
        failure = None if outcome.error is None else self._drop(commits[outcome.done :], outcome.error)
        self._reclaim()
        self._ease()
        return failure

    def _place(self, commits: list[Commit], outcome: Outcome) -> dict[bytes, tuple[Source, int]]:
        """Note which segments are needed now; gives the last durable commit of each store."""
        durable: dict[bytes, tuple[Source, int]] = {}
        place = self._ledger.place
        for segment, first, last in outcome.spans:
            for index in range(first, min(last + 1, outcome.done)):
                commit = commits[index]
                place(segment, commit.key, commit.number)
                if commit.whole:
                    self._ledger.begin_whole(segment, commit.key)
        telling: list[Commit] = []
        for commit in commits[: outcome.done]:
            self._sources[commit.key] = commit.source
            if commit.fields is not None:
                telling.append(commit)
            durable[commit.key] = (commit.source, commit.number)
            if commit.whole:
                self._ledger.finish_whole(commit.key)
        if telling and self.listener is not None:
            self._let_hear(self.listener, telling, outcome)
        return durable

    def _let_hear(self, listener: Listener, commits: list[Commit], outcome: Outcome) -> None:
        self.told += 1
        self._sources[listener.key] = listener
        for segment, _, _ in outcome.spans:
            self._ledger.place(segment, listener.key, self.told)
        for commit in commits:
            assert commit.fields is not None
            listener.hear(commit.key, commit.fields)

    def _drop(self, commits: list[Commit], error: OSError) -> Exception:
        """The disk is full: these commits, and what their stores built on them meanwhile, are gone."""
        keys = {commit.key: commit.source for commit in commits}
        kept = []
        for commit in self._committer.gathered:
            if commit.key in keys:
                keys[commit.key] = commit.source  # the one that is there now
                self._pending_bytes -= commit.frames_bytes
            else:
                kept.append(commit)
        self._committer.gathered[:] = kept
        failure = errors.StorageReset(
            f"{self._layout.journal}: {len(commits):,} commits of {len(keys):,} objects could not be written "
            f"({error.strerror}); they are undone. When there is space again, these objects work again."
        )
        failure.is_outage = True
        failure.__cause__ = error
        for key, source in keys.items():
            self._ledger.drop_whole(key)
            self._tell(source.failed, failure)
        return failure

    def _break(self, error: BaseException, commits: Sequence[Commit] = ()) -> errors.StorageFailed:
        """
        The disk failed, or we did: whatever is not yet reported durable is lost, and nothing will be durable
        any more.
        """
        if self.failed is not None:
            return self.failed
        if isinstance(error, errors.StorageFailed):
            failed = error
        else:
            why = (error.strerror if isinstance(error, OSError) else None) or repr(error)
            failed = errors.StorageFailed(
                f"{self._layout.journal}: the disk did not confirm a write ({why}). What was written "
                "since is not safe, and nothing can be made durable now. Check the disk, then start again: "
                "every confirmed write is recovered from the journal."
            )
            # What the system said needs no traceback, and that would keep the commits, and the WALs that they are read
            # from, with whoever keeps the error. Any other error is a mistake of ours: then it tells where.
            failed.__cause__ = error.with_traceback(None) if isinstance(error, OSError) else error
        self.failed = failed
        lost = [*commits, *self._committer.gathered]
        self._committer.gathered.clear()
        for source in {**self._sources, **{commit.key: commit.source for commit in lost}}.values():
            self._tell(source.failed, failed)
        self._let_in()
        if self.on_failed is not None:
            self._tell(self.on_failed, failed)
        return failed

    def _tell(self, hear: Callable[..., None], what: object) -> None:
        """One store's mistake must not keep the others from hearing."""
        try:
            hear(what)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"{hear!r} failed", "exception": error})

    # --- room -------------------------------------------------------------------------------------------

    def _reclaim(self) -> None:
        free = self._ledger.take_free()
        if free:
            self._segments.release(free).add_done_callback(self._released)

    def _released(self, future: Future[None]) -> None:
        # In the chores' thread. A full disk is no harm here: the removal is tried again with the next one.
        error = future.exception()
        if error is None or is_full(error):
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._break, error)

    def _let_in(self) -> None:
        """Wake writers, no more at once than the room is for; the others follow when these have written."""
        if self.is_full:
            return
        free_bytes = self._budget_bytes - self._ledger.used_bytes - self._pending_bytes
        count = len(self._waiting)
        if self.failed is None and not self._closed:
            count = min(count, max(1, free_bytes // limits.JOURNAL_BYTES_PER_WRITER))
        for _ in range(count):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            self._loop.call_soon(self._let_in)

    def _ease(self) -> None:
        """Wake writers when there is room again; ask for checkpoints when half of the budget is gone."""
        if self._waiting:
            self._let_in()
        if self._asking is None and self._is_pressed():
            self._ask()

    def _is_pressed(self) -> bool:
        return self._ledger.used_bytes * 2 > self._budget_bytes and not self._closed and self.failed is None

    def _ask(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self.on_pressure is None or not self._is_pressed():
            return
        keys = self._ledger.oldest(limits.JOURNAL_PRESSURE_SOURCES_MAX)
        self._asking = self._loop.call_later(limits.JOURNAL_PRESSURE_INTERVAL_S, self._ask)
        if keys:
            self._tell(self.on_pressure, [self._sources[key] for key in keys])
