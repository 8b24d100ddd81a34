"""`perdure.client`: call a Cap'n Web server from Python. (edge)

```python
async with connect("wss://example.com/api") as api:
    room = api.room("lobby")            # not awaited: goes along with the next call
    await room.subscribe(print)         # the server calls it back
    print(await room.messages())

with connect_sync("https://example.com/api") as api:
    print(api.add(1, 2))
```

A `ws:` URL is one session until the block ends. With an `http:` URL each `await` sends what was called up to then as
one request; stubs and promises of one request are of no use in the next. Works without a runtime, and inside of one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from perdure._base import limits
from perdure._base.awaitables import finish
from perdure._base.registry import Registry
from perdure._base.values import copy
from perdure._rpc.capability import Capability, OnBroken, Path
from perdure._rpc.pipes import ReadableStream
from perdure._rpc.promise import RpcPromise
from perdure._rpc.session import SendError, Session
from perdure._rpc.stub import RpcProperty, RpcStub, stub_of
from perdure._web.headers import Headers, HeadersInit
from perdure.errors import Disconnected, PerdureError, TimedOut
from perdure.outgoing import close as close_connections
from perdure.outgoing import fetch
from perdure.outgoing_websockets import NOT_101, open_websocket
from perdure.rpc_server import BATCH_ENDED, capability_of
from perdure.rpc_sockets import SocketSession
from perdure.websockets import take_end

__all__ = ["SyncRpcStub", "connect", "connect_sync"]

T = TypeVar("T")

BAD_URL: Final = "connect() takes an absolute ws:, wss:, http: or https: URL; got {url!r}"
NO_BATCH_MAIN: Final = "The server cannot call back over HTTP: main= needs a ws: or wss: URL."
SERVER: Final = "the server"
REFUSED: Final = "RPC request failed: {status} {text}"
_TEXT_SHOWN: Final = 500


class connect:  # noqa: N801 - it is called as a function, and is one for whoever uses it
    """
    Connect to a Cap'n Web server; `async with connect(url) as api:` gives the stub of its main object.

    Args:
        url: `ws:` or `wss:` for a session that lasts, `http:` or `https:` for one request at a time.
        main: what the server may call; it needs a session that lasts.
        headers: further headers of the handshake, or of each request.
        on_send_error: called with each error before the server is told; what it returns is sent in its place.
        strict_undefined: JavaScript's undefined arrives as `UNDEFINED`, not as None.

    Raises:
        Disconnected: no connection (`retryable`).
        PerdureError: the server refused; the text tells the status.
    """

    def __init__(
        self,
        url: str,
        *,
        main: Any = None,
        headers: HeadersInit = None,
        on_send_error: SendError | None = None,
        strict_undefined: bool = False,
    ) -> None:
        scheme = url.partition(":")[0] if isinstance(url, str) else ""
        if scheme not in ("ws", "wss", "http", "https"):
            raise ValueError(BAD_URL.format(url=url))
        self._lasts = scheme[0] == "w"
        if main is not None and not self._lasts:
            raise ValueError(NO_BATCH_MAIN)
        self._url = url
        self._main = main
        self._headers = Headers(headers)
        self._options: dict[str, Any] = {
            "on_send_error": on_send_error,
            "strict_undefined": strict_undefined,
            "peer": SERVER,
            "registry": Registry(),
        }
        self._close: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Any:
        if self._close is not None:
            raise RuntimeError("This connection is open already; connect() again for another one.")
        if not self._lasts:
            batches = _Batches(self._url, self._headers, self._options)
            self._close = batches.close
            return stub_of(batches)
        response = await open_websocket(self._url, [], self._headers)
        end = take_end(response)
        if end is None:
            raise PerdureError(NOT_101.format(status=response.status))
        over = asyncio.Event()
        main = None if self._main is None else capability_of(self._main)

        def make(**given: Any) -> Session:
            return Session(main=main, **given, **self._options)

        session = SocketSession(end, make, over.set).session

        async def close() -> None:
            session.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(limits.WEBSOCKET_CLOSE_TIMEOUT_S):
                    await over.wait()

        self._close = close
        return session.main

    async def __aexit__(self, *exception: object) -> None:
        close, self._close = self._close, None
        if close is not None:
            await close()


class _Batches(Capability):
    """The main object of a server over HTTP: what is asked of it until somebody waits is one request."""

    __slots__ = ("_headers", "_open", "_options", "_running", "_url")

    def __init__(self, url: str, headers: Headers, options: dict[str, Any]) -> None:
        self._url = url
        self._headers = headers
        self._options = options
        self._open: _Batch | None = None
        self._running: set[asyncio.Task[None]] = set()

    def call(self, path: Path, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RpcPromise:
        return self._current().call(path, args, kwargs)

    def get(self, path: Path) -> RpcPromise:
        return self._current().get(path)

    def _current(self) -> Capability:
        if self._open is None:
            self._open = _Batch(self._options, self._begin)
        return self._open.main

    def _begin(self) -> None:
        batch, self._open = self._open, None
        if batch is not None:
            task = batch.session.loop.create_task(batch.run(self._url, self._headers))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def dup(self) -> Capability:
        return self

    def dispose(self) -> None:
        """Nothing is held between two requests."""

    def on_broken(self, callback: OnBroken) -> None:
        """The next request may succeed, whatever became of this one."""

    def describe(self) -> str:
        return f"what {SERVER} has"

    async def close(self) -> None:
        """Send what was called and not awaited, and wait for what is under way."""
        self._begin()
        while self._running:
            await asyncio.wait(self._running)


class _Batch:
    """One request: a session whose messages are collected first."""

    def __init__(self, options: dict[str, Any], begin: Callable[[], None]) -> None:
        self._lines: list[str] = []
        self._begin: Callable[[], None] | None = begin
        self.session = Session(self._say, **options)
        self.main = self.session.main._capability

    def _say(self, line: str) -> None:
        self._lines.append(line)
        if self._begin is not None and line.startswith('["pull"'):
            # What is asked for in the same step, as by gather(), goes along.
            begin, self._begin = self._begin, None
            self.session.loop.call_soon(begin)

    async def run(self, url: str, headers: Headers) -> None:
        lines, self._lines = self._lines, []
        self._begin = None
        session = self.session
        try:
            response = await fetch(url, method="POST", headers=headers, body="\n".join(lines))
            text = await response.text()
            if not response.ok:
                raise PerdureError(REFUSED.format(status=response.status, text=text.strip()[:_TEXT_SHOWN]))
            for line in text.split("\n"):
                if line:
                    session.receive(line)
        except Exception as error:
            session.lose(error)
        else:
            session.input_ended(PerdureError(BATCH_ENDED))
            session.lose(PerdureError(BATCH_ENDED))


# --- for programs without an event loop -------------------------------------------------------------------

ON_THE_LOOP: Final = (
    "A call that waits was made on the connection's own thread, as by a callback, and would wait for itself for "
    "ever. Use the awaitable form there: stub.awaitable."
)
GIVEN_UP: Final = "{what} waited {timeout_s:g} seconds and gave up; what the server has begun of it goes on."
ENDED: Final = "This connection was closed."


class connect_sync:  # noqa: N801 - as connect
    """
    Connect from code without an event loop: `with connect_sync(url) as api: api.add(1, 2)`.

    The connection lives in a thread of its own, where functions that were passed to the server are called, too.

    Args:
        url: as for `connect`.
        timeout_s: how long each call may take; `TimedOut` is raised then. None waits for ever.
        options: those of `connect`.
    """

    def __init__(self, url: str, *, timeout_s: float | None = None, **options: Any) -> None:
        self._connect = connect(url, **options)
        self._timeout_s = timeout_s
        self._thread: threading.Thread | None = None
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> SyncRpcStub:
        if self._thread is not None:
            raise RuntimeError("This connection is open already; connect_sync() again for another one.")
        ready: Future[Any] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(ready)), name="perdure-client", daemon=True
        )
        self._thread.start()
        try:
            stub = ready.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        assert self._loop is not None
        return SyncRpcStub(stub, self._loop, self._timeout_s)

    async def _live(self, ready: Future[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        try:
            async with self._connect as stub:
                ready.set_result(stub)
                del stub
                await self._over.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)
        await close_connections()

    def __exit__(self, *exception: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            assert self._loop is not None
            assert self._over is not None
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join()


class SyncRpcStub:
    """
    A stub for code that waits: `stub.method(...)` returns what `await` would.

    Several calls in one round trip, or a property, are asked for with `run`: it gives a function the awaitable stub,
    and waits for what that returns. A name that this class has itself is reached as an item, `stub["run"]`, which is then called.

    Attributes:
        awaitable: the same stub for the connection's event loop.
    """

    def __init__(
        self, awaitable: RpcStub | RpcProperty, loop: asyncio.AbstractEventLoop, timeout_s: float | None
    ) -> None:
        self.awaitable = awaitable
        self._loop = loop
        self._timeout_s = timeout_s

    def run(self, function: Callable[[Any], Any]) -> Any:
        """Return the outcome of *function*, called with the awaitable stub: `api.run(lambda api: api.room(1).name)`."""

        async def work() -> Any:
            return self._wrapped(await finish(function(self.awaitable)))

        return self._wait(work())

    def dispose(self) -> None:
        """Give the stub up."""
        self.run(lambda stub: stub.dispose())

    def __getattr__(self, name: str) -> SyncRpcStub:
        if name[:2] == "__":
            raise AttributeError(name)  # copy, pickle, inspect and their like ask for these
        return self[name]

    def __getitem__(self, name: str | int) -> SyncRpcStub:
        return SyncRpcStub(self.awaitable[name], self._loop, self._timeout_s)

    __iter__ = None  # else `for` would go through items by index, and those have no end

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(lambda stub: stub(*args, **kwargs))

    def __enter__(self) -> SyncRpcStub:
        return self

    def __exit__(self, *exception: object) -> None:
        self.dispose()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if asyncio._get_running_loop() is self._loop:
            work.close()
            raise RuntimeError(ON_THE_LOOP)
        try:
            outcome = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise Disconnected(ENDED) from None
        try:
            return outcome.result(self._timeout_s)
        except TimeoutError:
            if outcome.done() and not outcome.cancelled():
                raise
            raise TimedOut(GIVEN_UP.format(what=repr(self), timeout_s=self._timeout_s or 0.0)) from None
        finally:
            outcome.cancel()

    def _wrapped(self, value: Any) -> Any:
        """Return *value* with everything in it that has to be awaited made to wait."""

        def wrap(found: Any) -> Any:
            if isinstance(found, RpcStub):
                return SyncRpcStub(found, self._loop, self._timeout_s)
            if isinstance(found, ReadableStream):
                return self._items(found)
            return found

        return copy(value, cross=wrap)

    def _items(self, stream: ReadableStream) -> Iterator[Any]:
        async def following() -> tuple[Any, bool]:
            try:
                return self._wrapped(await stream.__anext__()), True
            except StopAsyncIteration:
                return None, False

        try:
            while True:
                item, is_there = self._wait(following())
                if not is_there:
                    return
                yield item
        finally:
            with suppress(Disconnected):
                self._wait(stream.aclose())

    def __perdure_cross__(self, crossing: Any) -> Any:
        return crossing.pass_on(self.awaitable)

    def __repr__(self) -> str:
        return f"<sync {self.awaitable!r}>"
