"""One object's database: its turn, its commits and when they are durable. (cooperative)

The store outlives instances: after an abort or an eviction the next instance gets the same one, so that
outputs of the next wait for commits of the one before.

Invariants:
- `number` counts commits; commit n is durable before n + 1 is.
- A confirmed write closes `gate` for the number its turn will get, before anything else can leave.
- `journaled` frames of the WAL have been handed to the journal; `durable_frames` of them are durable.
- What the journal holds and what the WAL holds never part. A turn that cannot be committed is lost alone
  (`lose_turn`): the WAL is cut back to `journaled`, since the journal is making the commits before it durable
  and whatever comes next must build on them. Only when the journal itself gives commits up (`failed`) is the
  WAL cut back to `durable_frames`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet, ref

from perdure._base import limits
from perdure._storage import metadata
from perdure._storage.database import Database, Error, is_critical, own, translate
from perdure._storage.journal.record import Fields
from perdure._storage.layout import CATALOG_KEY
from perdure._storage.output_gate import OutputGate
from perdure._storage.wal_frames import FRAME_BYTES
from perdure.errors import PerdureError, StorageError, StorageReset

if TYPE_CHECKING:
    from perdure._storage.engine import StorageEngine

VIOLATION: Final = (
    "Durable Object was reset and rolled back to its last known good state because the application left the "
    "database in a state where constraints were violated: "
)
CANCELED: Final = "SQLite query was canceled because the database was deleted."
KEPT_TOO_LONG: Final = (
    "This cursor was kept open while so much was written to the object that its write-ahead log had to be emptied. "
    "Read a cursor to its end, for instance with to_list(), before writing much."
)
EARLIER_CRITICAL: Final = "Cannot commit transaction due to an earlier SQL critical error"
SUSPENDED: Final = (
    "transaction_sync() was still open when its code was suspended by an `await`, which ends the turn: what it had "
    "written until then was undone. Use `async with ctx.storage.transaction():` around code that waits."
)
RESERVED: Final = "The object's data is being replaced by an import: try again when that is done."
_UNDO_SAVEPOINTS: Final = own("ROLLBACK TO _cf_level_1")
_END_SAVEPOINTS: Final = own("RELEASE _cf_level_1")


class Owner(Protocol):
    """The live object that uses a store."""

    open_turn: bool

    def turn_opened(self) -> None:
        """Hear that a write opened a turn; somebody must call `Store.end_turn`."""

    def storage_broke(self, error: BaseException) -> None:
        """Hear that writes were lost: the object must be reset with *error* (GATE-09)."""


class Stepping(Protocol):
    """A statement that has not come to its end."""

    def finalise(self, error: str = "") -> None:
        """Release the statement; *error* is what its next step raises."""


NO_CURSORS: Final[WeakSet[Stepping]] = WeakSet()
"""Of every store that has none: a set of its own for each would take a kilobyte."""
_NO_NUMBERS: Final[frozenset[int]] = frozenset()


class Store:
    """See the module; made by `StorageEngine`, one for each object, opened on first use."""

    __slots__ = (
        "_announced",
        "_empty",
        "_pending",
        "_prepared",
        "_salts",
        "_sync_fd",
        "_syncing",
        "_whole",
        "confirmed_inside",
        "critical",
        "cursors",
        "database",
        "depth",
        "durable_frames",
        "engine",
        "gate",
        "in_turn",
        "is_blank",
        "is_reserved",
        "iterator",
        "journaled",
        "key",
        "kv_exists",
        "loss",
        "losses",
        "name",
        "number",
        "owner",
        "path",
        "pins",
        "plans",
        "provisional",
        "tells_alarm",
        "used",
        "wants_checkpoint",
    )

    def __init__(self, engine: StorageEngine, key: bytes, path: str, number: int = 0) -> None:
        self.engine = engine
        self.key = key
        self.path = path
        self.name: str | None = None
        self.database: Database | None = None
        self.owner: Owner | None = None
        self.gate = OutputGate(number)
        self.number = number
        self.in_turn = False
        self.depth = 0  # explicit transactions and savepoints that are open
        self.losses = 0  # how often levels that were open have been undone under their code
        self.loss = ""  # and why, the last time
        self.confirmed_inside = False  # the explicit transaction holds a confirmed write
        self.critical: BaseException | None = None
        self.cursors = NO_CURSORS  # still stepping: they block checkpoints and closing
        self.iterator: ref[Stepping] | None = None  # the one live kv.list() iterator (KVS-06)
        self.kv_exists: bool | None = None  # whether the hidden table is there; None: not known
        self.plans: dict[str, Any] = {}
        self.journaled = 0
        self.durable_frames = 0
        self.provisional = True  # the file was never synced
        self._prepared = False  # and this process has looked at it
        self.wants_checkpoint = False
        self.used = 0  # when it was used last, by the engine's count
        self._pending: list[tuple[int, int]] = []  # (commit, frames in the WAL after it)
        self._empty = _NO_NUMBERS  # commits that wrote nothing, durable with the one before
        self._salts: bytes | None = None
        self._announced = False  # the catalog will hear that this object is there
        self.tells_alarm = False  # the commit under way may change the alarm: it tells what the alarm is
        self.is_blank = False  # nothing is in it, so it need not be there
        self.is_reserved = False  # its file is being replaced: no instance may use it
        self.pins = 0  # snapshots that are read: the file and the durable part of the WAL stay as they are
        self._sync_fd: int | None = None
        self._syncing = False
        self._whole = 0  # the last commit that was all pages written again

    # --- opening and closing --------------------------------------------------------------------------

    def open(self) -> Database:
        """Return the open database, opening it on first use."""
        database = self.database
        if database is None:
            self.touch()
            self.engine.make_room()
            if not self._prepared:
                self.provisional = self.is_blank = self.engine.prepare_file(self)
                self._prepared = True
            database = self.database = Database(self.path, self.journaled)
            self.kv_exists = None
            self._salts = None
            self.engine.opened(self)
        return database

    def touch(self) -> None:
        """Note that it is in use, so that others are closed before it."""
        engine = self.engine
        self.used = engine.uses = engine.uses + 1

    @property
    def is_durable(self) -> bool:
        """Whether every commit is durable."""
        return self.gate.released >= self.number

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing of it is open, on its way or still to be done: all there is to know is in its file."""
        return (
            self.owner is None
            and self.database is None
            and self.is_durable
            and not self.journaled
            and not self.pins
            and not self.wants_checkpoint
            and not self._syncing
        )

    @property
    def is_crowded(self) -> bool:
        """Whether its object should pause, so that a checkpoint finds a moment with every commit durable."""
        return self.wants_checkpoint and not self.is_durable and not self.depth and not self.has_cursors

    @property
    def can_close(self) -> bool:
        """Whether closing the connection would take nothing from anybody."""
        return not (self.in_turn or self.depth or self._syncing or self.has_cursors)

    @property
    def has_cursors(self) -> bool:
        """Whether a statement is still stepping; a cursor that nobody holds any more has ended with its last holder."""
        return bool(self.cursors)

    def close(self) -> None:
        """Close the connection; the WAL stays as it is, and `open` goes on from there."""
        self.finalise_cursors()
        if self.database is not None:
            self.database.close()
            self.database = None
            self.cursors = NO_CURSORS
            self.plans.clear()
        self._close_sync_fd()
        self.engine.closed(self)

    def _close_sync_fd(self) -> None:
        # Not while the database is open: closing any descriptor of it drops this process's locks on it.
        if self._sync_fd is not None and self.database is None and not self._syncing and not self.pins:
            self.engine.close_fd(self._sync_fd)
            self._sync_fd = None

    def step_begins(self, cursor: Stepping) -> None:
        """Note that *cursor* has not come to its end; it takes itself out of `cursors`."""
        if self.cursors is NO_CURSORS:
            self.cursors = WeakSet()
        self.cursors.add(cursor)

    def finalise_cursors(self, error: str = "") -> None:
        """End every cursor that still steps; the next use of one raises *error*, or finds it at its end."""
        for cursor in list(self.cursors):
            cursor.finalise(error)
        self.iterator = None

    # --- the turn -------------------------------------------------------------------------------------

    def begin_write(self, confirmed: bool = True) -> Database:
        """Return the open database inside a transaction: the explicit one, or the turn's own (GATE-18)."""
        database = self.database or self.open()
        if self.critical is not None:
            raise self.critical
        if not self.depth and not self.in_turn:
            database.begin()
            self.in_turn = True
            assert self.owner is not None, "a write has an object"
            self.owner.turn_opened()
        if confirmed:
            if self.in_turn:
                self.gate.issue(self.number + 1)
            else:
                self.confirmed_inside = True  # an explicit transaction closes the gate at its commit (TXN-09)
        return database

    def end_turn(self) -> None:
        """Commit the turn's writes at once; a failure resets the object instead of raising."""
        if not self.in_turn:
            return
        if self.depth:
            self.lose_levels(SUSPENDED)  # what other events write must not become part of them
        self.in_turn = False
        if self.owner is not None:
            self.owner.open_turn = False
        self.commit()

    def lose_levels(self, reason: str) -> None:
        """Undo every open transaction and savepoint under its code, which hears *reason* at its end."""
        self.losses += 1
        self.loss = reason
        if not self.in_turn:
            self.rollback()
            return
        assert self.database is not None, "a turn is open"
        self.depth = 0
        self.kv_exists = None
        with suppress(Error):  # then SQLite has undone the whole turn, and the commit tells
            self.database.run(_UNDO_SAVEPOINTS)
            self.database.run(_END_SAVEPOINTS)

    def commit(self) -> None:
        """COMMIT and hand the new frames to the journal; a failure resets the object instead of raising."""
        database = self.database
        assert database is not None, "a transaction is open"
        try:
            if self.critical is not None:
                raise self.critical
            database.commit()
            self._committed(database)
        except StorageError as error:
            self.lose_turn(error)
        except Exception as error:
            self.lose_turn(_reset_by(error))

    def _committed(self, database: Database, fields: Fields | None = None) -> None:
        """Hand the frames of the commit that has just happened to the journal."""
        number = self.number + 1
        frames = database.frames
        if frames == self.journaled:
            self.number = number
            self._commit_nothing(number)
            return
        size_bytes = (frames - self.journaled) * FRAME_BYTES
        pieces: Iterable[bytes]
        if size_bytes <= limits.WAL_READ_BYTES:
            piece = database.read_frames(self.journaled, frames)
            self._check(piece, frames)
            pieces = (piece,)
        else:
            self._check(database.read_frames(frames - 1, frames), frames)
            pieces = self.engine.wal_frames(self, self.journaled, frames)
        if fields is None and not self._announced:
            fields = self._announce()
        if self.tells_alarm:
            self.tells_alarm = False
            fields = (fields or Fields(name=self.name))._replace(alarm_ms=metadata.read_alarm(database))
        self.engine.journal.append(self, number, pieces, frames_bytes=size_bytes, fields=fields)
        self.number = number
        self.journaled = frames
        self._pending.append((number, frames))
        if frames >= self.engine.checkpoint_frames:
            self.wants_checkpoint = True

    def announce_again(self) -> None:
        """Let the next commit tell again that this object is there."""
        self._announced = False

    def _announce(self) -> Fields | None:
        """Return what the catalog is to hear of this object."""
        self._announced = True
        self.is_blank = False
        if self.key == CATALOG_KEY:
            return None
        return Fields(name=self.name, used_s=self.engine.now_s())

    def _commit_nothing(self, number: int) -> None:
        if self.gate.released >= number - 1:
            self.gate.release(number)
        else:
            self._empty |= {number}

    def _check(self, piece: bytes, frames: int) -> None:
        # A frame of an earlier life of the WAL here would mean that our count of frames is wrong.
        assert self.database is not None
        at = len(piece) - FRAME_BYTES
        if self._salts is None:
            self._salts = self.database.read_wal_salts()
        assert piece[at + 8 : at + 16] == self._salts, f"frame {frames} of {self.path}-wal is of another WAL"
        assert piece[at + 4 : at + 8] != b"\0\0\0\0", f"frame {frames} of {self.path}-wal ends no commit"

    def rollback(self, error: BaseException | None = None) -> None:
        """
        Throw away what the open turn or transaction has written.

        What was to leave after it never does: what waits for it hears *error*.
        """
        self._undo()
        self.gate.take_back(self.number, error or StorageReset("The writes before this were rolled back."))

    def _undo(self) -> None:
        self.in_turn = False
        self.depth = 0
        self.kv_exists = None
        if self.owner is not None:
            self.owner.open_turn = False
        if self.database is not None:
            try:
                self.database.rollback()
            except Error as error:
                self.lose_turn(_reset_by(error))

    def erase(self) -> None:
        """Empty the database, as a commit of its own; what the open turn had written is gone (KVA-16)."""
        database = self.database or self.open()
        if self.critical is not None:
            raise self.critical
        self.finalise_cursors(CANCELED)
        # The open turn's number becomes this commit's: what was sent after its writes waits for this one.
        self._undo()
        self.gate.issue(self.number + 1)
        try:
            database.erase()
            self._committed(database, Fields(erased=True))
        except Exception as error:
            self.lose_turn(error if isinstance(error, StorageError) else _reset_by(error))
            assert self.critical is not None
            raise self.critical from None
        self.kv_exists = False
        self._announced = False  # what is written from now on is a new life
        self.is_blank = True

    def failed_statement(self, error: BaseException) -> None:
        """Look whether a failed statement took the whole transaction with it (SQL-29), and reset if so."""
        if (
            self.database is not None
            and (self.in_turn or self.depth)
            and not self.database.in_transaction
            and self.critical is None
        ):
            self.lose_turn(StorageReset(str(translate(error))))

    # --- durability: called by the journal ------------------------------------------------------------

    def when_durable(self, callback: Callable[[BaseException | None], None]) -> None:
        """Run *callback* when every write issued so far, confirmed or not, is durable (KVA-19)."""
        self.gate.when(self.number + (1 if self.in_turn else 0), callback)

    def durable(self, number: int) -> None:
        """Hear from the journal that commits up to *number* are durable."""
        pending = self._pending
        while pending and pending[0][0] <= number:
            self.durable_frames = pending.pop(0)[1]
        if self._empty:
            while number + 1 in self._empty:
                number += 1
            self._empty = frozenset(later for later in self._empty if later > number)
        self.gate.release(number)
        if self.wants_checkpoint and self.is_durable:
            self.try_checkpoint()

    def failed(self, error: BaseException) -> None:
        """Hear from the journal that commits after the last durable one never will be."""
        gate, self.gate = self.gate, OutputGate(self.number)
        self._pending.clear()
        self._empty = _NO_NUMBERS
        self._go_back(self.durable_frames)
        self._lost(gate, error if isinstance(error, StorageError) else StorageReset(str(error)))

    def lose_turn(self, error: BaseException) -> None:
        """Lose what the open turn or transaction wrote, since it cannot be committed, and reset the object."""
        if self.critical is None:
            self._go_back(self.journaled)
            self._lost(None, error)

    def _go_back(self, frames: int) -> None:
        """Close, and cut the WAL to its first *frames* frames; the next use opens it anew."""
        if self.database is not None:
            self.finalise_cursors()
            with suppress(Error):  # the connection goes, and its transaction with it
                self.database.rollback()
        self.close()
        self.engine.cut_wal(self, frames)
        self.journaled = frames
        self.in_turn = False
        self.depth = 0
        self.kv_exists = None
        self._announced = False
        self.is_blank = False

    def _lost(self, gate: OutputGate | None, error: BaseException) -> None:
        """Tell everybody who waits for what was lost, the object itself last."""
        self.critical = error
        if gate is not None:
            gate.break_(error)
        else:
            self.gate.take_back(self.number, error)
        if self.owner is not None:
            self.owner.storage_broke(error)

    def attach(self, owner: Owner) -> None:
        """Give the store to a new instance; a StorageError while its file is being replaced."""
        if self.is_reserved:
            raise StorageError(RESERVED)
        self.owner = owner
        self.critical = None
        if self.database is not None:
            self.database.restore_settings()

    def vanish(self) -> bool:
        """
        Let the file go, with nothing in it and nobody who uses it; tells whether it went.

        What emptied it must be in the file before: a file that comes back after a power loss is an empty one.
        """
        if self.owner is not None or not self.is_blank or not self.can_close or self.pins:
            return False
        if self.journaled:
            self.wants_checkpoint = True
            self.try_checkpoint()
            return False
        self.close()
        self.engine.remove_file(self)
        self._prepared = self.is_blank = False
        self.provisional = True
        self.wants_checkpoint = False
        return True

    # --- checkpoints ----------------------------------------------------------------------------------

    def make_way(self) -> None:
        """Let the journal's oldest segments go: by a checkpoint, or by writing the pages to the newest one."""
        if self._syncing:
            return  # it is at it; wanting one more, it would never be at rest
        self.wants_checkpoint = True
        if not self.try_checkpoint() and (self.cursors or self.depth or self.pins):
            self._journal_again()

    def try_checkpoint(self) -> bool:
        """
        Move the WAL into the database file now, if nothing stands in the way; the sync runs in a thread.

        Tells whether one is under way.
        """
        if self._syncing:
            return True
        if self.engine.is_closed:
            return False
        if self.journaled > self.engine.wal_frames_max and self.has_cursors:
            self.finalise_cursors(KEPT_TOO_LONG)
        if not (self.can_close and self.is_durable) or self.pins or self.is_reserved:
            return False
        try:
            database = self.database or self.open()
            self._open_sync_fd()
            if not database.checkpoint():
                return False
        except (Error, OSError, PerdureError) as error:
            # The disk is full, or worse: the WAL and the journal still have everything.
            self.engine.checkpoint_failed(self, error)
            return False
        self.engine.checkpoint_worked(self)
        self.wants_checkpoint = False
        self._salts = None
        self.journaled = self.durable_frames = 0
        number = self.number
        self._syncing = True

        def synced(error: BaseException | None) -> None:
            self._syncing = False
            if error is None:
                self.provisional = False
                self.engine.checkpointed(self, number)
            self._close_sync_fd()
            self.engine.settled(self)

        assert self._sync_fd is not None
        self.engine.sync_store(self, self._sync_fd, synced)
        return True

    @property
    def can_be_replaced(self) -> bool:
        """Whether nobody uses it, and nothing of it is on its way."""
        return self.owner is None and self.is_durable and self.can_close and not self.pins

    def append_replacement(self, token: str, name: str | None, alarm_ms: int | None) -> None:
        """
        Commit that the file `Layout.replacement` of *token*, with this alarm, is the object's; `replace_file` when that is
        durable.
        """
        self.close()
        number = self.number + 1
        fields = Fields(name=name, used_s=self.engine.now_s(), replaced=token, alarm_ms=alarm_ms)
        self.gate.issue(number)
        self.engine.journal.append(self, number, [], fields=fields)
        self.number = number
        self._pending.append((number, self.journaled))

    def replace_file(self, new: str) -> None:
        """Let the file *new* be the store's."""
        assert self.database is None, "nobody opens a store that is reserved"
        self.engine.replace_file(self, new)
        self.journaled = self.durable_frames = 0
        self.provisional = self.is_blank = self.wants_checkpoint = False
        self._prepared = True
        self.kv_exists = None

    def pin(self) -> int:
        """
        Keep the last durable commit as it is on the disk until `unpin`: no checkpoint, no new life of the WAL.

        Returns a descriptor of the file. It must not be closed by who gets it: that would drop this process's locks.
        """
        self.pins += 1
        try:
            return self._open_sync_fd()
        except BaseException:
            self.unpin()
            raise

    def unpin(self) -> None:
        """Let the store go on."""
        self.pins -= 1
        if not self.pins:
            if self.wants_checkpoint or self.is_blank:
                self.try_checkpoint()
            self._close_sync_fd()
            self.engine.settled(self)

    def _open_sync_fd(self) -> int:
        if self._sync_fd is None:
            self._sync_fd = self.engine.open_fd(self.path)
        return self._sync_fd

    def _journal_again(self) -> None:
        """Write every page changed since the last checkpoint once more."""
        if self.database is None or not self.journaled or self.in_turn or self.gate.released < self._whole:
            return
        number = self.number + 1
        frames = self.engine.wal_frames(self, 0, self.journaled)
        size_bytes = self.journaled * FRAME_BYTES
        self.engine.journal.append(self, number, frames, frames_bytes=size_bytes, whole=True)
        self.number = self._whole = number
        self._pending.append((number, self.journaled))


def _reset_by(error: Exception) -> StorageReset:
    """Return what callers hear when *error* kept a turn from being committed (SQL-26, SQL-29)."""
    if not isinstance(error, Error):
        reset = StorageReset(f"Writes could not be committed: {type(error).__name__}: {error}.")
        reset.__cause__ = error
        return reset
    detail = str(translate(error))
    reset = StorageReset(detail if is_critical(error) else VIOLATION + detail)
    reset.is_outage = is_critical(error)
    return reset
