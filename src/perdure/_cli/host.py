"""Runs a prepared application in this process until it is told to stop. (edge)"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from perdure import application
from perdure._base import limits
from perdure._cli import exits
from perdure._cli.console import has_colour, now
from perdure._cli.failures import failure_text
from perdure._cli.guard import Guard
from perdure._cli.options import RunOptions
from perdure._cli.output import json_line, request_line
from perdure._cli.prepare import Prepared, data_problem
from perdure._cli.systemd import Notifier
from perdure._config.problem import ProblemsFound
from perdure._http.limits import HttpLimits, WebSocketLimits, connections_that_fit
from perdure._http.responder import Handle, RequestLine, Responder
from perdure.errors import DataFolderInUse

if TYPE_CHECKING:
    from perdure.runtime import Runtime

EXIT_GRACE_S = 5.0
"""After everything is stopped, threads of the application may hold the process this long."""
DESCRIPTORS_WANTED = 1 << 20
YOUNG_OBJECTS = 10_000
"""So many more objects than went since the last time make the garbage collector look at the young ones."""
_COLLECTOR_AT_START = gc.get_threshold()
_LOOK_S = 0.05


async def host(
    prepared: Prepared,
    options: RunOptions,
    sockets: Sequence[socket.socket],
    *,
    on_ready: Callable[[], None],
    on_server: Callable[[Callable[[], None]], None] = lambda stop: None,
    signals: bool = True,
) -> int:
    """
    Start the runtime, serve until stopped, stop the runtime; return the exit code.

    Args:
        prepared: the imported application.
        options: of the run.
        sockets: what to accept connections on.
        on_ready: called when requests are answered.
        on_server: is given the function that asks the server to stop.
        signals: stop on SIGINT and SIGTERM.

    Raises:
        ProblemsFound: the data folder cannot be used; nothing was touched.
    """
    from perdure._http.forwarded import Proxies
    from perdure._http.server import Server

    project = prepared.project
    failed: list[BaseException] = []
    stops: list[Callable[[], None]] = []

    def on_failure(error: BaseException) -> None:
        failed.append(error)
        for stop in stops:
            stop()

    runtime = runtime_of(prepared, options, control=True, on_failure=on_failure)
    handle: Handle = runtime.handle
    if options.debug:
        from perdure._cli.scheduled import ScheduledByHand

        default_cron = project.crons[0].text if project.crons else ""
        handle = ScheduledByHand(runtime.scheduled, default_cron, handle).handle
    drain_s = limits.RELOAD_DRAIN_S if options.debug else options.drain
    server = Server(
        Responder(handle, debug=options.debug, on_request=request_printer(options)),
        sockets=sockets,
        drain_s=drain_s,
        limits=http_limits(options),
        health_path=options.health_path,
        proxies=Proxies(options.forwarded_allow_ips) if options.proxy_headers else None,
        signals=signals,
    )
    stops.append(server.stop)
    with told_as_problems(prepared):
        await _start_when_free(runtime)
    ease_collector()
    on_server(server.stop)
    notifier = Notifier.take(os.environ)

    def ready() -> None:
        on_ready()
        notifier.ready()

    with Guard(drain_s) if signals else contextlib.nullcontext():
        alive = asyncio.create_task(notifier.keep_alive())
        try:
            await server.run(ready=ready, draining=notifier.stopping)
        finally:
            # One allowance for all: what the server's drain took is not given again.
            await runtime.stop(drain_s=max(0.0, server.deadline_s - time.monotonic()))
            alive.cancel()
    if failed:
        raise ProblemsFound([data_problem(failed[0], prepared.data)])
    return exits.OK


def http_limits(options: RunOptions) -> HttpLimits:
    """Return what clients may ask for; how many may be connected depends on this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    fitting = connections_that_fit(DESCRIPTORS_WANTED if soft == resource.RLIM_INFINITY else soft)
    return HttpLimits(
        connections=options.max_connections or fitting,
        requests=options.max_requests,
        body_bytes=options.max_body,
        websocket=WebSocketLimits(
            message_bytes=options.max_message,
            buffer_bytes=options.websocket_buffer,
            ping_s=options.websocket_ping,
            deflate=options.websocket_compression,
        ),
    )


def runtime_of(prepared: Prepared, options: RunOptions, **more: Any) -> Runtime:
    """Return the runtime of an application; what contradicts the data folder is told as problems."""
    with told_as_problems(prepared):
        return application.runtime_of(
            prepared.project,
            prepared.app,
            data=prepared.data,
            debug=options.debug,
            slow_ms=options.slow_ms,
            queue_events=options.queue_events,
            queue_bytes=options.queue_bytes,
            queue_wait_s=options.queue_wait,
            events_per_10_s=options.events_per_10_s,
            event_timeout_s=options.event_timeout,
            **more,
        )


async def _start_when_free(runtime: Runtime) -> None:
    """Start; when a command has the data folder, wait until it is done with it."""
    end_s = time.monotonic() + limits.CONTROL_WAIT_S
    while True:
        try:
            return await runtime.start()
        except DataFolderInUse as error:
            is_passing = error.role == "command" or error.pid is None  # None: it was taken a moment ago
            if not is_passing or time.monotonic() > end_s:
                raise
            await asyncio.sleep(_LOOK_S)


@contextlib.contextmanager
def told_as_problems(prepared: Prepared) -> Iterator[None]:
    """Tell what a start raises in the one form of errors; what is none of ours passes as it is."""
    try:
        yield
    except ProblemsFound:
        raise
    except Exception as error:
        raise ProblemsFound([data_problem(error, prepared.data)]) from error


def run_here(
    prepared: Prepared,
    options: RunOptions,
    sockets: Sequence[socket.socket],
    *,
    on_ready: Callable[[], None],
    on_server: Callable[[Callable[[], None]], None] = lambda stop: None,
    on_stopped: Callable[[], None] = lambda: None,
    signals: bool = True,
) -> int:
    """Run `host` on an event loop of its own, as this whole process's work."""
    from perdure._http.server import run
    from perdure._telemetry.unconfirmed import ConnectionWatch

    async def work() -> int:
        try:
            return await host(
                prepared, options, sockets, on_ready=on_ready, on_server=on_server, signals=signals
            )
        finally:
            on_stopped()
            end_soon()

    raise_descriptor_limit()
    if not options.debug:
        return run(work())
    watch = ConnectionWatch()
    watch.install()
    return run(work(), loop_factory=watch.new_event_loop)


def request_printer(options: RunOptions) -> Callable[[RequestLine], None]:
    """Return what prints one line a request, and below it what failed."""
    colour = has_colour(sys.stdout)
    raw = getattr(sys.stdout, "raw_stream", sys.stdout)

    def text(line: RequestLine) -> None:
        shown = request_line(line.method, line.path, line.status, line.ms, colour=colour)
        if line.error is not None and not line.disconnected:
            shown += "\n" + failure_text(line.error, line.reference, colour=colour)
        write(sys.stdout, shown)  # through the marked stream: it ends an object's unfinished line

    def as_json(line: RequestLine) -> None:
        failed = line.error is not None and not line.disconnected
        write(
            raw,
            json_line(
                {
                    "time": now(),
                    "level": "error" if failed else "info",
                    "event": "request",
                    "method": line.method,
                    "path": line.path,
                    "status": line.status,
                    "ms": round(line.ms, 3),
                    "reference": line.reference,
                    "exception": failure_text(line.error, "", colour=False)
                    if line.error and failed
                    else None,
                }
            ),
        )

    def write(stream: TextIO, shown: str) -> None:
        # Whoever read our output may be gone; that is no reason to fail a request.
        with contextlib.suppress(OSError, ValueError):
            stream.write(shown + "\n")
            stream.flush()

    return as_json if options.log_format == "json" else text


def tune() -> None:
    """Set what belongs to the whole process; before the application, which may use SQLite itself, is imported."""
    from perdure._storage.database import tune_process

    raise_descriptor_limit()
    tune_process()


def ease_collector() -> None:
    """
    Let the garbage collector look less often for young objects, and at what the start has made no more.

    A request leaves hardly a cycle behind, and at Python's own setting 8 % of its time went into looking for them.
    What the application has set itself stays.
    """
    if gc.get_threshold() == _COLLECTOR_AT_START:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *_COLLECTOR_AT_START[1:])


def raise_descriptor_limit() -> None:
    """Let the process open as many files as the system allows: two or three for each open object."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def end_soon() -> None:
    """End the process a little later even if a thread of the application never does: all is safe by now."""

    def end() -> None:
        print("a thread of the application does not end; leaving it", file=sys.stderr, flush=True)
        os._exit(exits.OK)

    timer = threading.Timer(EXIT_GRACE_S, end)
    timer.daemon = True
    timer.start()
