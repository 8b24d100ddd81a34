"""Imports: what a session's peer holds for us, and our handles to it. (cooperative)

An entry is in the session's table as long as the peer has to keep it. When the last handle is gone, the peer is told
to let go; when the outcome of a call has arrived, at once, since we have it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base import limits
from perdure._rpc.capability import DISPOSED, BrokenCapability, Capability, OnBroken, Path
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.owner import run_on, run_soon
from perdure._rpc.promise import DISPOSED_PROMISE, RpcPromise, failed
from perdure._rpc.settling import settle
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure._rpc.recipe import Recipe
    from perdure._rpc.session import Session

MAIN: Final = 0
"""The id of the main object of each side."""
TOO_MANY: Final = "More than {max:,} {what} are open in this session."
BAD_ID: Final = "What the peer sends by reference has a negative id; got {id}."


class Import:
    """
    One entry.

    Attributes:
        session: whose table it is in.
        id: its number there.
        handles: how many there are here.
        told: how often the peer has said it, and will have to be told that we let go.
        promise: of a call's outcome, once somebody waits for it.
        outcome: what stands for it when that has arrived, or the session has ended.
    """

    __slots__ = ("handles", "id", "outcome", "promise", "session", "told")

    def __init__(self, session: Session, id: int) -> None:
        self.session = session
        self.id = id
        self.handles = 0
        self.told = 1
        self.promise: RpcPromise | None = None
        self.outcome: Capability | None = None

    def let_go(self, watches: Iterable[int] = ()) -> None:
        """Count out one handle, and forget what it wanted to hear of."""
        for watch in watches:
            self.session.forget(watch)
        self.handles -= 1
        if not self.handles and self.outcome is None and self.id != MAIN:
            self.session.release(self)

    def give_up(self, watches: Iterable[int]) -> None:
        """Count out one handle that is disposed; that of the main object ends the session."""
        self.let_go(watches)
        if self.id == MAIN:
            self.session.close()


class ImportCapability(Capability):
    """One handle to something of the peer's."""

    __slots__ = ("_watches", "entry")

    def __init__(self, entry: Import) -> None:
        self.entry: Import | None = entry
        self._watches: tuple[int, ...] = ()
        entry.handles += 1

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        entry = self.entry
        if entry is None:
            return failed(PerdureError(DISPOSED))
        if entry.outcome is not None:
            return entry.outcome.call(path, args, kwargs)
        return entry.session.call(entry, path, args, kwargs)

    def get(self, path: Path) -> RpcPromise:
        entry = self.entry
        if entry is None:
            return failed(PerdureError(DISPOSED))
        if entry.outcome is not None:
            return entry.outcome.get(path)
        return entry.session.get(entry, path)

    def map(self, path: Path, recipe: Recipe) -> RpcPromise:
        entry = self.entry
        if entry is None:
            return failed(PerdureError(DISPOSED))
        if entry.outcome is not None:
            return entry.outcome.map(path, recipe)
        return entry.session.remap(entry, path, recipe)

    def dup(self) -> Capability:
        return self if self.entry is None else ImportCapability(self.entry)

    def dispose(self) -> None:
        entry, self.entry = self.entry, None
        if entry is not None:
            run_on(entry.session.loop, partial(entry.give_up, self._watches))

    def on_broken(self, callback: OnBroken) -> None:
        entry = self.entry
        if entry is None:
            return
        if entry.outcome is not None:
            entry.outcome.on_broken(callback)
        else:
            self._watches = (*self._watches, entry.session.when_broken(callback))

    def describe(self) -> str:
        return "what was disposed" if self.entry is None else f"what {self.entry.session.peer} has"

    def __del__(self) -> None:
        entry = self.entry
        if entry is not None and entry.outcome is None and entry.id != MAIN:
            run_soon(entry.session.loop, partial(entry.let_go, self._watches))


class RemotePromise(RpcPromise):
    """The outcome of a call to a peer; it is asked for when somebody first waits for it, and not before."""

    _entry: Import | None = None
    """None once it was asked for, given up or is there."""

    def add_done_callback(self, fn: Callable[..., object], *, context: Any = None) -> None:
        self._ask()
        super().add_done_callback(fn, context=context)

    def _ask(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None and not self.done():
            session = entry.session
            if session.ended is not None:
                settle(self, None, session.ended)
            else:
                entry.promise = self
                session.pull(entry)

    def is_answered_unasked(self) -> None:
        """Take it that the peer answers, and lets go, by itself."""
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.promise, entry.told = self, 0

    def cancel(self, msg: Any = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled:
            self._give_up()
        return cancelled

    def dispose(self) -> None:
        if self.done():
            super().dispose()
        elif not self._is_disposed:
            self._is_disposed = True
            self.set_exception(PerdureError(DISPOSED_PROMISE))
            self._log_traceback = False  # whoever uses it next is told; nobody else has to be
            self._give_up()

    def _give_up(self) -> None:
        """Let the peer forget it."""
        self._entry = None
        if self._pipeline is not None:
            self._pipeline.dispose()


class Imports:
    """The table. Ids count up for what we asked, and down for what the peer sent."""

    __slots__ = ("_asked", "_entries", "_session", "_stubs")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries: dict[int, Import] = {MAIN: Import(session, MAIN)}
        self._asked = 0  # messages of ours that made an entry
        self._stubs = 0  # entries that the peer made

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, id: int) -> bool:
        return id in self._entries

    def __getitem__(self, id: int) -> Import:
        return self._entries[id]

    def get(self, id: int) -> Import | None:
        return self._entries.get(id)

    def add(self) -> Import:
        """Add the entry of what we are about to ask; both sides count alike."""
        self._asked += 1
        entry = self._entries[self._asked] = Import(self._session, self._asked)
        return entry

    def bring(self, id: int) -> Import:
        """Return the entry of what the peer sent, once more if it did so before."""
        entry = self._entries.get(id)
        if entry is not None:
            entry.told += 1
            return entry
        if id >= 0:
            raise ProtocolError(BAD_ID.format(id=id))
        self._stubs += 1
        if self._stubs > limits.CAPNWEB_STUBS_MAX:
            raise ProtocolError(TOO_MANY.format(max=limits.CAPNWEB_STUBS_MAX, what="stubs of the peer's"))
        entry = self._entries[id] = Import(self._session, id)
        return entry

    def remove(self, entry: Import) -> bool:
        """Forget an entry; False if it was forgotten before."""
        if self._entries.pop(entry.id, None) is None:
            return False
        if entry.id < 0:
            self._stubs -= 1
        return True

    def clear(self, error: BaseException) -> None:
        """Fail everything: the session is over."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            promise, entry.promise = entry.promise, None
            entry.outcome = BrokenCapability(error)
            if promise is not None:
                settle(promise, None, error)
