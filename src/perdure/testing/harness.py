"""
Perdure: a runtime for one test, with its own storage and no port, and what a test does to it from outside. (edge)

```python
async with testing.runtime(Counter) as app:
    assert await app.env.COUNTER.get_by_name("a").hit() == 1
```
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast, overload
from urllib.parse import urljoin

from perdure._base.current import current, current_env, current_invocation
from perdure._base.observer import Observer
from perdure._sockets.rules import DISCONNECTED
from perdure._telemetry.log import LogObserver
from perdure._web.headers import HeadersInit
from perdure._web.response import make_response
from perdure.context import Exports
from perdure.durable_object import DurableObject, WorkerEntrypoint
from perdure.entrypoint import ScheduledController, pack_response
from perdure.environment import Env
from perdure.errors import ConfigError, Disconnected, PerdureError
from perdure.namespace import Namespace
from perdure.runtime import Runtime
from perdure.testing import helpers
from perdure.testing.leftovers import leftovers
from perdure.testing.news import LogEntry, News
from perdure.testing.outbound import Outbound
from perdure.testing.unsynced import UnsyncedDisk
from perdure.testing.websocket import RECEIVE_S, WebSocketPeer, WebSocketRefused
from perdure.web import Headers, Request, Response
from perdure.websockets import take_end

T = TypeVar("T")

BASE_URL: Final = "http://localhost/"
NOT_STARTED: Final = (
    "The test runtime is not running. An `async def` test that has the fixture starts it; elsewhere use `async with`, or "
    "`await …start()` in an async fixture of your own."
)
KILLED: Final = "Network connection lost: the process was killed."
DRAIN_S: Final = 0.5
"""At the end of a test, events in progress may take so long; nobody waits for them any more."""


class Perdure:
    """
    A runtime for one test; `testing.runtime()` and the fixture `perdure` give it.

    Its storage is new, and goes with it. Nothing of it needs a port, or the network. `async with` starts and stops it;
    it may be entered again meanwhile, and stops when the last one leaves.

    Attributes:
        outbound: what the test answers to requests that the application sends.
        logs: what the runtime told of itself so far.
        folder: where it keeps its data.
    """

    _receive_s: float | None = RECEIVE_S
    """How long a test waits for what the application says to it over a WebSocket."""

    def __init__(
        self,
        make: Callable[..., Runtime],
        *,
        data: str | os.PathLike[str] | None = None,
        strict: bool = False,
        keep_in: str | os.PathLike[str] | None = None,
    ) -> None:
        self.outbound = Outbound(receive_s=self._receive_s)
        self.folder: Path | None = None
        self._make = make
        self._data = data
        self._strict = strict
        self._keep_in = keep_in
        self._news = News(LogObserver())
        self._disk: Any = UnsyncedDisk()
        self._root = ""
        self._lives = 0  # so many times it was started on its folder, or a copy
        self._runtime: Runtime | None = None
        self._entered = 0
        self._requests: dict[asyncio.Task[Response], asyncio.Future[Response]] = {}
        self._peers: list[WebSocketPeer] = []

    # --- start and stop -------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Start it, unless it runs: for async fixtures of your own that come before the test."""
        if self._runtime is not None:
            return self
        self._root = tempfile.mkdtemp(prefix="perdure-test-", dir=self._keep_in or memory_folder())
        self.folder = self._next_folder()
        if self._data is not None:
            shutil.copytree(self._data, self.folder)
        try:
            await self._start()
        except BaseException:
            self._leave_folder()
            raise
        return self

    async def _start(self) -> None:
        runtime = self._make(
            data=self.folder, disk=self._disk, observer=cast(Observer, self._news), outside=self.outbound
        )
        await runtime.start()
        self._runtime = runtime
        helpers.running.append(self)

    async def stop(self) -> None:
        """Stop it and remove its data; stopping twice is harmless."""
        if self._runtime is None:
            return
        try:
            await self._stop(DRAIN_S)
        finally:
            self._leave_folder()

    async def _stop(self, drain_s: float) -> None:
        runtime, self._runtime = self.runtime, None
        helpers.running.remove(self)
        requests = list(self._requests)
        for task in requests:
            task.cancel()
        if requests:
            await asyncio.wait(requests)
        await runtime.stop(drain_s=drain_s)
        for peer in self._peers:
            peer.drop()
        self._peers.clear()

    def _next_folder(self) -> Path:
        self._lives += 1
        return Path(self._root, f"data-{self._lives}")

    def _leave_folder(self) -> None:
        if self._keep_in is None:
            shutil.rmtree(self._root, ignore_errors=True)

    async def __aenter__(self) -> Self:
        await self.start()
        self._entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if self._entered:
            return
        left = (
            [] if error is not None or not self._strict or self._runtime is None else await self.leftovers()
        )
        await self.stop()
        if left:
            raise AssertionError("\n".join(["the test has left something behind (strict):", *left]))

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._runtime is not None

    def forget(self) -> None:
        """Give up a runtime whose loop has ended; its data goes."""
        self._runtime = None
        helpers.running.remove(self)
        self._leave_folder()

    # --- the application ------------------------------------------------------------------------------

    @property
    def runtime(self) -> Runtime:
        """The runtime itself."""
        if self._runtime is None:
            raise PerdureError(NOT_STARTED)
        return self._runtime

    @property
    def env(self) -> Env:
        """Bindings and variables, as the application's own code sees them."""
        return self.runtime.env

    @property
    def exports(self) -> Exports:
        """The application's own classes: `app.exports.Default.fetch(...)`, `app.exports.Counter.get_by_name("a")` (TEST-04)."""
        self.runtime._running()
        return self.runtime._exports

    @overload
    def namespace(self, which: type[T]) -> Namespace[T]: ...
    @overload
    def namespace(self, which: str) -> Namespace[Any]: ...
    def namespace(self, which: Any) -> Namespace[Any]:
        """Return the namespace of a class, by the class or its name."""
        return self.runtime.namespace(which)

    async def fetch(
        self,
        input: str | Request,
        *,
        method: str | None = None,
        json: Any = ...,
        body: Any = None,
        headers: HeadersInit = None,
    ) -> Response:
        """
        Send a request to the worker, and return its response; what the worker raises is raised here.

        Redirects are not followed, as a test wants to see them.

        Args:
            input: a path, or a whole URL, or a request.
            method: GET if it is not given, or POST with a body.
            json: a value to send as JSON.
            body: a str, bytes, or an (async) iterable of them.
            headers: further headers.
        """
        request = input if isinstance(input, Request) else _request(input, method, json, body, headers)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        context = contextvars.copy_context()
        for variable in (current, current_invocation, current_env):  # it comes from outside of all that
            context.run(variable.set, None)
        task = loop.create_task(_serve(self.runtime, request), context=context)
        self._requests[task] = answer
        task.add_done_callback(self._answered)
        try:
            return await answer
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _answered(self, task: asyncio.Task[Response]) -> None:
        answer = self._requests.pop(task)
        error = Disconnected(KILLED) if task.cancelled() else task.exception()
        if answer.done():
            return  # nobody waits any more
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())

    def websocket(
        self,
        url: str,
        *,
        protocols: Iterable[str] = (),
        headers: HeadersInit = None,
        answers_close: bool = True,
    ) -> Connecting:
        """
        Connect a WebSocket: `async with app.websocket("/room/1") as ws`, or `ws = await app.websocket("/room/1")`.

        Args:
            url: a path, or a whole URL.
            protocols: subprotocols to offer; `ws.protocol` has the one that was chosen.
            headers: further headers of the handshake.
            answers_close: answer the server's Close with one, as browsers do.

        Raises:
            WebSocketRefused: the worker answered with something else; `response` is its answer.
        """
        return Connecting(lambda: self._connect(url, list(protocols), headers, answers_close))

    async def _connect(
        self, url: str, protocols: list[str], headers: HeadersInit, answers_close: bool
    ) -> WebSocketPeer:
        sent = Headers(headers)
        sent.set("upgrade", "websocket")
        if protocols:
            sent.set("sec-websocket-protocol", ", ".join(protocols))
        where = urljoin(BASE_URL, url)
        if where.startswith(("ws:", "wss:")):
            where = "http" + where[2:]
        response = await self.fetch(where, headers=sent)
        end = take_end(response)
        if end is None:
            raise WebSocketRefused(where, response)
        protocol = response.headers.get("sec-websocket-protocol") or ""
        peer = WebSocketPeer(protocol=protocol, receive_s=self._receive_s, answers_close=answers_close)
        peer.take_place_of(end)
        self._peers.append(peer)
        return peer

    async def scheduled(self, cron: str = "", scheduled_time: datetime | None = None) -> ScheduledController:
        """Run the worker's `scheduled` to its end, as the trigger *cron* would for that time; now if it is None."""
        return await self.runtime.scheduled(cron, scheduled_time)

    # --- what happens to it ---------------------------------------------------------------------------

    async def crash(self) -> None:
        """
        Kill it in the middle of whatever it does, as `kill -9` does, and start it again on what is left.

        Requests and calls in progress fail with `Disconnected`, WebSockets break off. Take stubs from `env` again.
        """
        folder = self._next_folder()
        disk = self._disk.after_kill(str(self.folder), str(folder))
        self._kill()
        await self._stop(0)
        self._begin_again(folder)
        self._disk = disk
        await self._start()

    def _kill(self) -> None:
        """Let no code of the application run any more, and let everybody outside see the connection lost."""
        host = self.runtime._running()
        error = Disconnected(KILLED)
        for answer in self._requests.values():
            if not answer.done():
                answer.set_exception(error)
        for space in host.spaces.values():
            for live in list(space.lives.values()):
                live.abort(error)
            for roster in list(space.rosters.values()):
                roster.cut(DISCONNECTED)
        for store in host.storage._stores.values():
            store.gate.break_(error)  # else calls to outside that wait there would still leave
        for peer in self._peers:
            peer.take_loss()

    def _begin_again(self, folder: Path) -> None:
        assert self.folder is not None
        if self._keep_in is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = folder

    async def restart(self) -> None:
        """Stop it in an orderly way, as a deployment does, and start it again on its data. Take stubs from `env` again."""
        await self._stop(DRAIN_S)
        await self._start()

    async def reset(self) -> None:
        """Go back to the start: no objects, no alarms, no connections, empty logs, no mocks."""
        for peer in self._peers:
            peer.drop()
        self._peers.clear()
        await helpers.delete_all_durable_objects(self)
        self.outbound.clear()
        self.logs.clear()

    @property
    def logs(self) -> list[LogEntry]:
        """What the runtime told of itself so far, in order; also of lives before a crash."""
        return self._news.entries

    async def leftovers(self) -> list[str]:
        """
        Tell what the test has left: alarms that have not run, work in progress, failures that nobody awaited.

        With `strict` it must be nothing at the end of a test that has passed.
        """
        return await leftovers(self.runtime._running(), self._news, self.outbound, len(self._requests))

    def __repr__(self) -> str:
        return f"<test runtime, {'running' if self._runtime is not None else 'not running'}>"


def memory_folder() -> str | None:
    """Return a folder whose files are in memory, if there is one: a real file system takes most of a short test's time."""
    folder = "/dev/shm"  # noqa: S108 - what is made there has a name of its own, and goes at once
    return folder if os.access(folder, os.W_OK) else None


class Connecting:
    """A WebSocket that is being connected: await it, or use it in `async with`, which closes it."""

    def __init__(self, connect: Callable[[], Awaitable[WebSocketPeer]]) -> None:
        self._connect = connect
        self._peer: WebSocketPeer | None = None

    def __await__(self) -> Generator[Any, Any, WebSocketPeer]:
        return self._connect().__await__()

    async def __aenter__(self) -> WebSocketPeer:
        self._peer = await self
        return self._peer

    async def __aexit__(self, *reason: Any) -> None:
        assert self._peer is not None
        await self._peer.__aexit__(*reason)


def runtime(
    *classes: type,
    config: str | os.PathLike[str] | None = None,
    vars: Mapping[str, Any] | None = None,
    data: str | os.PathLike[str] | None = None,
    strict: bool = False,
    keep_in: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Perdure:
    """
    Return a runtime for a test: `async with testing.runtime(Counter, Default) as app`.

    Args:
        classes: durable objects and workers. `Default`, or the only worker, answers `app.fetch`.
        config: instead of classes, what `perdure dev` is given: an `app.py`, a folder, or a configuration file.
        vars: variables of `env`, in place of those of the configuration.
        data: a data folder to begin with; it is copied, and never changed.
        strict: fail if alarms that have not run, work in progress or unheard failures are left at the end.
        keep_in: a folder in which the data stays after the test.
        options: further arguments of `Runtime`, for instance `crons`, `bindings`, `services`, `idle_s`.

    Raises:
        ProblemsFound: the configuration, or the application, has mistakes.
        ConfigError: the classes cannot be an application's.
    """
    return Perdure(maker(classes, config, vars, options), data=data, strict=strict, keep_in=keep_in)


def maker(
    classes: Iterable[type],
    config: str | os.PathLike[str] | None,
    vars: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Callable[..., Runtime]:
    """Return what makes the runtime of a test."""
    # A step that blocks under a debugger is no news, and errors may show their source.
    given = {"slow_ms": 0, "debug": True, **options}
    if config is None:
        objects, workers = _sorted(classes)
        given = {"objects": objects, "env": dict(vars or {}), **given}
        if workers and "worker" not in given:
            default = next((worker for worker in workers if worker.__name__ == "Default"), None)
            given["worker"] = workers[0] if len(workers) == 1 else default
        given["entrypoints"] = [*workers, *given.get("entrypoints", ())]
        return lambda **more: Runtime(**{**given, **more})
    if tuple(classes):
        raise ConfigError("A test runtime is made from classes or from a configuration, not from both.")
    from perdure import application
    from perdure._config.load import load_project

    project = load_project(os.fspath(config))
    app = application.load(project)
    if vars:
        given["env"] = {**project.vars, **vars}
    return lambda **more: application.runtime_of(project, app, **{**given, **more})


def _sorted(classes: Iterable[type]) -> tuple[list[type], list[type]]:
    """Part the durable objects from the workers."""
    objects: list[type] = []
    workers: list[type] = []
    for cls in classes:
        if not isinstance(cls, type):
            raise TypeError(f"A test runtime is made from classes; got {cls!r}.")
        if issubclass(cls, WorkerEntrypoint):
            workers.append(cls)
        elif issubclass(cls, DurableObject) or callable(getattr(cls, "fetch", None)):
            objects.append(cls)
        else:
            raise TypeError(f"{cls.__name__} is neither a DurableObject nor a WorkerEntrypoint.")
    return objects, workers


def _request(url: str, method: str | None, json: Any, body: Any, headers: HeadersInit) -> Request:
    if json is not ...:
        if body is not None:
            raise TypeError("fetch() takes json or body, not both.")
        sent = Headers(headers)
        body = Response.json(json).body
        if "content-type" not in sent:
            sent.set("content-type", "application/json")
        headers = sent
    return Request(
        urljoin(BASE_URL, url),
        method=method or ("GET" if body is None else "POST"),
        headers=headers,
        body=body,
    )


async def _serve(runtime: Runtime, request: Request) -> Response:
    """Let the worker answer, as a server does in the request's own task; who asks for the head gets no body."""
    response = await runtime.handle(request)
    body = response.body
    if request.method == "HEAD" and body is not None:
        await body.aclose()
        response = make_response(response.status, response.headers, None, response.status_text)
    return pack_response(response)
