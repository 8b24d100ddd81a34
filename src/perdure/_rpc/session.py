"""Session: messages of a peer in, messages to it out, and the two tables that say what they are about. (cooperative)

It does no I/O. Who carries the messages gives each to `receive`, is given ours by `send`, and says when the connection
has ended; `ended` tells it that the session wants no more.

Invariants: both sides count the same messages, so an id means the same to both, and none is used twice. Calls of a
peer start in the order in which it made them. When the session is over, both tables are empty and nobody waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from perdure._base import limits
from perdure._base.registry import Registry
from perdure._rpc import pipes
from perdure._rpc.capability import BrokenCapability, Capability, OnBroken, Path
from perdure._rpc.capnweb import text
from perdure._rpc.capnweb.decode import Decoded
from perdure._rpc.capnweb.failures import as_failure
from perdure._rpc.capnweb.form import TextForm
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.exports import Export, Exports
from perdure._rpc.form import Form, Line
from perdure._rpc.imports import MAIN, Import, ImportCapability, Imports, RemotePromise
from perdure._rpc.incoming import Incoming
from perdure._rpc.outgoing import Outbox, Outgoing, to_line
from perdure._rpc.promise import PromiseCapability, RpcPromise, failed
from perdure._rpc.recipe import Recipe
from perdure._rpc.remap import write_recipe
from perdure._rpc.settling import CANCELLED, settle
from perdure._rpc.stub import RpcStub, stub_of
from perdure.errors import Disconnected, PerdureError

CLOSED: Final = "RPC session was shut down by disposing the main stub."
NO_MAIN: Final = "This connection has no main object."
BAD_MESSAGE: Final = "bad RPC message: {shown}"
TOO_MUCH: Final = "More than {max:,} bytes of calls are under way in this session."
INTERNAL: Final = "internal error"
ONE_WAY: Final = "This session is a single HTTP request: its client cannot be called back. Use a WebSocket."

log = logging.getLogger("perdure")

SendError = Callable[[BaseException], BaseException | None]


class Closed(PerdureError):
    """Nobody broke anything: the session was closed."""


class Session:
    """
    One conversation with a peer.

    Args:
        send: takes a message for the peer; called from steps of the loop.
        main: what the peer may call; None if nothing.
        form: how messages are written.
        registry: names the classes that arrive as themselves.
        peer: what the peer is called in errors.
        on_end: called once when the session has ended, with the reason and whether the peer does not know it yet.
        on_send_error: may replace an error before it is sent.
        strict_undefined: undefined arrives as `UNDEFINED`, not as None.
        one_way: the peer answers nothing: calls to it fail, and streams to it are not acknowledged.

    Attributes:
        ended: why it is over; None while it goes on.
        on_idle: called when all that the peer asked for has been answered.
    """

    def __init__(
        self,
        send: Callable[[Any], None],
        main: Capability | None = None,
        *,
        form: type[Form] = TextForm,
        registry: Registry | None = None,
        peer: str = "the peer",
        on_end: Callable[[BaseException, bool], None] | None = None,
        on_send_error: SendError | None = None,
        strict_undefined: bool = False,
        one_way: bool = False,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.peer = peer
        self.registry = registry
        self.form = form(registry)
        self.one_way = one_way
        self.ended: BaseException | None = None
        self.on_idle: Callable[[], None] | None = None
        self.exports = Exports(main or BrokenCapability(PerdureError(NO_MAIN)))
        self.imports = Imports(self)
        self._on_end = on_end
        self._on_send_error = on_send_error
        self._incoming = Incoming(self)
        self._decoder = self.form.decoder(self._incoming, strict_undefined=strict_undefined)
        self._outgoing = Outgoing(self)
        self._outbox = Outbox(send, form.nothing)
        self._size = 0  # of the peer's calls that are under way
        self._work = 0  # answers that the peer waits for, and streams that flow
        self._watchers: dict[int, OnBroken] = {}
        self._watches = 0
        self._main = ImportCapability(self.imports[MAIN])

    # --- what its owner does --------------------------------------------------------------------------

    @property
    def main(self) -> RpcStub:
        """A stub of the peer's main object; disposing it ends the session."""
        return stub_of(self._main)

    @property
    def counts(self) -> tuple[int, int]:
        """How many imports and exports there are: one each when nothing but the main objects is known."""
        return len(self.imports), len(self.exports)

    @property
    def is_idle(self) -> bool:
        """Whether all that the peer asked for has been answered."""
        return not self._work

    def receive(self, line: Line) -> None:
        """Take a message; a wrong one ends the session, and the peer is told why."""
        if self.ended is not None:
            return
        try:
            message = self.form.read(line)
            try:
                act = _ACTS[message[0], len(message)]
            except (LookupError, TypeError):
                raise _bad(message) from None
            act(self, message, len(line))
        except ProtocolError as error:
            self.abort(PerdureError(str(error)))
        except RecursionError:
            self.abort(PerdureError(text.TOO_DEEP.format(max=limits.CAPNWEB_DEPTH_MAX)))
        except Exception:  # a mistake of ours, which must not reach whoever carries the messages
            log.exception("a message of %s could not be handled", self.peer)
            self.abort(PerdureError(INTERNAL))

    def input_ended(self, error: BaseException) -> None:
        """Take it that the peer says nothing more: what it has not closed ends with *error*."""
        self.exports.cut_pipes(error)

    def abort(self, error: BaseException) -> None:
        """End the session because of *error*, which the peer is told."""
        if self.ended is None:
            self._outbox.close(self.form.write(["abort", self._error(error)]))
            self._end(error, True)

    def close(self) -> None:
        """End the session as it should: nothing more is needed of the peer."""
        self._end(Closed(CLOSED), True)

    def lose(self, error: BaseException) -> None:
        """Take it that the connection has ended."""
        self._end(error, False)

    def _end(self, error: BaseException, is_ours: bool) -> None:
        if self.ended is not None:
            return
        self.ended = error
        self._outbox.close()
        self.imports.clear(error)
        watchers, self._watchers = self._watchers, {}
        for callback in watchers.values():
            # In a step of its own: what it raises is its own affair, and it may use what is ending here.
            self.loop.call_soon(callback, error)
        self.exports.clear(error)
        if self._on_end is not None:
            self._on_end(error, is_ours)

    def when_broken(self, callback: OnBroken) -> int:
        """Call *callback* with the reason when the session ends; return what `forget` takes."""
        self._watches += 1
        self._watchers[self._watches] = callback
        return self._watches

    def forget(self, watch: int) -> None:
        """Call no more what `when_broken` was given."""
        self._watchers.pop(watch, None)

    # --- messages of the peer -------------------------------------------------------------------------

    def _push(self, message: list[Any], size: int) -> None:
        self._start(message[1], size)

    def _stream(self, message: list[Any], size: int) -> None:
        id, export = self._start(message[1], size)
        export.is_stream = True
        self._want(id, export)

    def _start(self, expression: Any, size: int) -> tuple[int, Export]:
        """Make the export of what a peer wants to be done."""
        id = self.exports.take_id()
        if type(expression) is list and expression and expression[0] == "pipeline":
            target, path, args = self._decoder.call(expression)
            promise = self._incoming.call(self.exports[target], path or (), args)
        else:
            promise = self._incoming.value(self._decoder.decode(expression))
        export = Export(None, promise)
        if self.ended is not None:  # by the code that was called
            export.dispose()
            return id, export
        self.exports.add(id, export)
        # A promise of another session is asked when we are.
        if not promise.done() and not isinstance(promise, RemotePromise):
            self._size += size
            export.size = size
            promise.add_done_callback(partial(self._done, id, export))
            if self._size > limits.CAPNWEB_CALLS_BYTES_MAX:
                raise ProtocolError(TOO_MUCH.format(max=limits.CAPNWEB_CALLS_BYTES_MAX))
        return id, export

    def _pipe(self, message: list[Any], size: int) -> None:
        pipe = pipes.Pipe(self.loop)
        self.exports.add(self.exports.take_id(), Export(pipe.writable)).pipe = pipe

    def _pull(self, message: list[Any], size: int) -> None:
        _, id = message
        if type(id) is not int:
            raise _bad(message)
        self._want(id, self.exports[id])

    def _want(self, id: int, export: Export) -> None:
        """Answer when the outcome of an export is there; once, however often the peer asks."""
        if export.is_pulled or self.ended is not None:
            return
        export.is_pulled = True
        promise = export.promise
        if promise is None:  # a stub is its own outcome
            promise = export.promise = self._incoming.kept(stub_of(export.target().dup()))
        if promise.done():
            self._answer(id, export)
            return
        self.begin_work()
        if isinstance(promise, RemotePromise):
            promise.add_done_callback(partial(self._done, id, export))

    def _done(self, id: int, export: Export, promise: Any) -> None:
        self._size -= export.size
        if not promise.cancelled():
            promise.exception()  # it is told to who asks; nobody has to
        if export.is_pulled and not export.is_answered and self.ended is None:
            self._answer(id, export)
            self.finish_work()

    def _answer(self, id: int, export: Export) -> None:
        promise = export.promise
        assert promise is not None, "what was asked for has an outcome"
        export.is_answered = True
        line: Line = ""
        if promise.cancelled():
            error: BaseException | None = Disconnected(CANCELLED)
        elif (error := promise.exception()) is None:
            try:
                line = to_line(["resolve", id, self._outgoing.write_result(promise.result())], self.form)
            except Exception as refused:
                self._outgoing.take_back()
                error = refused
        self._outbox.add(line or self.form.write(["reject", id, self._error(error)]), is_gated=False)
        if export.is_stream:
            self.exports.release(id, 1)

    def _release(self, message: list[Any], size: int) -> None:
        _, id, count = message
        if type(id) is not int or type(count) is not int:
            raise _bad(message)
        export = self.exports.release(id, count)
        if export is not None and export.is_pulled and not export.is_answered:
            export.is_answered = True
            self.finish_work()

    def _settle(self, message: list[Any], size: int) -> None:
        kind, id, expression = message
        if type(id) is not int:
            raise _bad(message)
        decoded = self._decoder.decode(expression)
        entry = self.imports.get(id)
        if entry is None or id == MAIN:  # it was given up meanwhile
            decoded.let_go()
            return
        promise, entry.promise = entry.promise, None
        if promise is None:
            promise = RpcPromise(loop=self.loop)
        entry.outcome = PromiseCapability(promise)
        self.release(entry)
        if kind == "reject":
            settle(promise, None, _failure(decoded))
        elif promise.done():
            decoded.let_go()
        else:
            self._incoming.bring(promise, decoded)

    def _abort(self, message: list[Any], size: int) -> None:
        self._end(_failure(self._decoder.decode(message[1])), False)

    # --- what we ask of the peer ----------------------------------------------------------------------

    def call(self, entry: Import, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        """Call what is at *path* of an import."""
        if self.ended is not None or self.one_way:
            return failed(self._why_not())
        given = self._outgoing.arguments(list(args), kwargs, "arguments")
        return self._ask(["push", ["pipeline", entry.id, list(path), given]])[0]

    def get(self, entry: Import, path: Path) -> RpcPromise:
        """Read what is at *path* of an import."""
        if self.ended is not None or self.one_way:
            return failed(self._why_not())
        return self._ask(["push", ["pipeline", entry.id, list(path)]])[0]

    def remap(self, entry: Import, path: Path, recipe: Recipe) -> RpcPromise:
        """Let the peer carry out *recipe* on what is at *path* of an import."""
        if self.ended is not None or self.one_way:
            return failed(self._why_not())
        steps = write_recipe(recipe, self.form)
        captures = [self._outgoing.stub(stub._capability) for stub in recipe.captures]
        return self._ask(["push", ["remap", entry.id, list(path), captures, steps]])[0]

    def write(self, entry: Import, method: str, args: list[Any]) -> tuple[RpcPromise, int]:
        """Call a method of a stream's; return the outcome, and how much it was."""
        if self.ended is not None:
            return failed(self.ended), 0
        given = self._outgoing.arguments(args, {}, "chunk")
        promise, size = self._ask(["stream", ["pipeline", entry.id, [method], given]])
        promise.is_answered_unasked()
        return promise, size

    def _ask(self, message: list[Any]) -> tuple[RemotePromise, int]:
        try:
            line = to_line(message, self.form)
        except PerdureError:
            self._outgoing.take_back()
            raise
        promise = RemotePromise(loop=self.loop)
        entry = promise._entry = self.imports.add()
        promise._pipeline = ImportCapability(entry)
        self._outbox.add(line, is_gated=True)
        return promise, len(line)

    def _why_not(self) -> BaseException:
        return self.ended or Disconnected(ONE_WAY)

    def pull(self, entry: Import) -> None:
        """Ask for the outcome of a call."""
        self._outbox.add(self.form.write(["pull", entry.id]), is_gated=False)

    def release(self, entry: Import) -> None:
        """Tell the peer that an import is not needed any more."""
        if self.imports.remove(entry) and entry.told:
            self._outbox.add(self.form.write(["release", entry.id, entry.told]), is_gated=False)

    def pump(self, source: Any) -> int:
        """Return the id of a new pipe, into which *source* flows from the next step of the loop on."""
        self._outbox.add(self.form.write(["pipe"]), is_gated=False)
        entry = self.imports.add()
        pipes.pump(self, entry, source)
        return entry.id

    # --- helpers --------------------------------------------------------------------------------------

    def begin_work(self) -> None:
        """Count something that has to be done before the session is idle."""
        self._work += 1

    def finish_work(self) -> None:
        """Count it out."""
        self._work -= 1
        if not self._work and self.on_idle is not None:
            self.on_idle()

    def _error(self, error: BaseException | None) -> Any:
        assert error is not None, "an outcome is a value or an error"
        if self._on_send_error is not None:
            try:
                error = self._on_send_error(error) or error
            except Exception:
                log.exception("on_send_error() failed")
                error = PerdureError(INTERNAL)  # it may have been there to hide this one
        return self.form.error(error)


_ACTS: Final[dict[tuple[str, int], Callable[[Session, list[Any], int], None]]] = {
    ("push", 2): Session._push,
    ("pull", 2): Session._pull,
    ("release", 3): Session._release,
    ("resolve", 3): Session._settle,
    ("reject", 3): Session._settle,
    ("stream", 2): Session._stream,
    ("pipe", 1): Session._pipe,
    ("abort", 2): Session._abort,
}
"""What is done with a message, by its kind and length; called with the message and its size."""


def _failure(decoded: Decoded) -> BaseException:
    """Return the error that a peer gave as a reason, or why it cannot be made here."""
    try:
        return as_failure(decoded.value)
    except Exception as unreadable:
        return unreadable


def _bad(message: list[Any]) -> ProtocolError:
    return ProtocolError(BAD_MESSAGE.format(shown=text.shown(message)))
