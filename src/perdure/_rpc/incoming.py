"""Incoming: what a peer's expressions refer to: our exports, what is at a path of them, things of its own. (cooperative)"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from perdure._base.current import current
from perdure._rpc import pipes
from perdure._rpc.capability import Capability, Path
from perdure._rpc.capnweb.decode import Decoded
from perdure._rpc.capnweb.text import ProtocolError
from perdure._rpc.exports import Export
from perdure._rpc.imports import ImportCapability, RemotePromise
from perdure._rpc.promise import PromiseCapability, RpcPromise, failed
from perdure._rpc.remap import read_recipe
from perdure._rpc.settling import fill, follow, settle
from perdure._rpc.stub import RpcStub, stub_of

if TYPE_CHECKING:
    from perdure._rpc.session import Session

REUSED: Final = "The peer sent a promise under an id that is in use: {id}"


class Incoming:
    """Makes what the messages of one session bring (`Importer`)."""

    __slots__ = ("_is_calling", "_session", "_unbegun")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_calling = False  # a call is being run within this step
        self._unbegun = 0  # calls and reads that have still to begin

    # --- of ours --------------------------------------------------------------------------------------

    def reach(self, id: int, path: Path | None, args: Decoded | None, waits: bool) -> Any:
        export = self._session.exports[id]
        if path is not None or args is not None:
            promise = self.call(export, path or (), args)
            return promise if waits else stub_of(PromiseCapability(promise))
        if not waits:
            return stub_of(export.target().dup())
        return export.promise or self.kept(stub_of(export.target().dup()))

    def kept(self, value: Any) -> RpcPromise:
        """Return a promise that has *value* already."""
        promise = RpcPromise(loop=self._session.loop)
        promise.set_result(value)
        return promise

    def call(self, export: Export, path: Path, args: Decoded | None) -> RpcPromise:
        """Call what is at *path* of *export*, or read it if there are no arguments."""
        if args is None:
            return self._in_turn(export, export.target().get(path))
        target = export.callee()
        if not args.slots:
            return self._in_turn(export, self._call(target, path, args))
        promise = RpcPromise(loop=self._session.loop)
        export.hold()

        def go_on(error: BaseException | None) -> None:
            if error is not None:
                args.let_go()
                settle(promise, None, error)
            else:
                called = self._in_turn(export, self._call(target, path, args))
                called.add_done_callback(partial(follow, promise))
            export.unhold()

        fill(args.slots, go_on)
        return promise

    def _call(self, target: Capability, path: Path, args: Decoded) -> RpcPromise:
        """Call *target*: within this step, if no call before it has still to begin and no other code runs."""
        loop = self._session.loop
        is_at_once = not self._unbegun and not self._is_calling and nobody_runs(loop)
        try:
            positional, kwargs = args.arguments()
            if is_at_once:
                self._is_calling = True
                promise = target.call_now(path, tuple(positional), kwargs)
            else:
                promise = target.call(path, tuple(positional), kwargs)
        except Exception as error:
            promise = failed(error)
        finally:
            if is_at_once:
                self._is_calling = False
            if args.stubs:
                args.let_go()  # the callee has handles of its own, for as long as the call is under way
        return promise

    def _in_turn(self, export: Export, promise: RpcPromise) -> RpcPromise:
        """Return the outcome of what *export* was asked for; unless it is there, later calls wait until that has begun."""
        if not promise.done():
            self._wait()
            asked = export.promise
            if asked is not None and asked._pipeline is None and not asked.done():
                asked.add_done_callback(self._wait)  # it begins then
        return promise

    def _wait(self, _: object = None) -> None:
        """Let later calls wait for the first step of the task that was just made."""
        self._unbegun += 1
        if self._unbegun == 1:
            self._session.loop.call_soon(self._begun, 1)

    def _begun(self, count: int) -> None:
        """Count out so many calls: this step of the loop comes after the first one of their tasks."""
        self._unbegun -= count
        if self._unbegun:
            self._session.loop.call_soon(self._begun, self._unbegun)

    def value(self, decoded: Decoded) -> RpcPromise:
        """Return a promise of a value whose parts may not be there yet."""
        promise = RpcPromise(loop=self._session.loop)
        self.bring(promise, decoded)
        return promise

    def bring(self, promise: RpcPromise, decoded: Decoded) -> None:
        """Settle *promise* with a value, as soon as its parts are there."""

        def arrived(error: BaseException | None) -> None:
            value = None
            if error is None:
                try:
                    value = decoded.value
                except Exception as unreadable:
                    decoded.let_go()
                    error = unreadable
            settle(promise, value, error)

        if decoded.slots:
            fill(decoded.slots, arrived)
        else:
            arrived(None)

    def map(self, id: int, path: Path, captures: list[list[Any]], steps: list[Any]) -> RpcPromise:
        session = self._session
        export = session.exports[id]
        held = [
            stub_of(session.exports[captured].target().dup()) if kind == "import" else self.stub(captured)
            for kind, captured in captures
        ]
        try:
            return self._in_turn(export, export.target().map(path, read_recipe(held, steps, session.form)))
        except ProtocolError:
            raise
        except Exception as error:
            return failed(error)

    def readable(self, id: int) -> pipes.ReadableStream:
        return self._session.exports.take_pipe(id)

    # --- of the peer's --------------------------------------------------------------------------------

    def stub(self, id: int) -> RpcStub:
        return stub_of(ImportCapability(self._session.imports.bring(id)))

    def promise(self, id: int) -> RpcPromise:
        imports = self._session.imports
        if id in imports:
            raise ProtocolError(REUSED.format(id=id))
        entry = imports.bring(id)
        promise = entry.promise = RemotePromise(loop=self._session.loop)
        promise._pipeline = ImportCapability(entry)
        return promise

    def writable(self, id: int) -> pipes.WritableStream:
        return pipes.writable(ImportCapability(self._session.imports.bring(id)))

    def blob(self, type: str, content: pipes.ReadableStream) -> RpcPromise:
        promise = RpcPromise(loop=self._session.loop)
        pipes.collect(content, type, promise)
        return promise


def nobody_runs(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this step of *loop* is no code of anybody's: it is for something that came from outside."""
    return current.get() is None and asyncio.current_task(loop) is None
