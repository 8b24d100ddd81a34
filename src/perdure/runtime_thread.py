"""RuntimeThread: a runtime for programs that have no event loop, in a thread with its own. (edge)

Invariants: the thread is a daemon and no signal is touched, so the program ends as it would without it; a
program that ends without `stop` stops the runtime at exit; a forked process does nothing with what is not its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final

from perdure._base import limits
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure.runtime import Runtime

AT_EXIT_DRAIN_S: Final = 2.0  # nobody is left to wait for what is in progress then


class RuntimeThread:
    """
    A runtime on an event loop in a thread of its own; made by `Runtime.in_thread`.

    ```python
    with Runtime(objects=[Counter], data="data").in_thread() as rt:
        rt.sync().namespace(Counter).get_by_name("home").hit("x")
    ```

    Without `with`, `start` and `stop` do the same; a program that ends without `stop` stops it at its exit.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: asyncio.Future[float] | None = None

    def start(self) -> Runtime:
        """
        Start the runtime and return it; whatever `Runtime.start` raises is raised here.

        Starting twice is harmless, so that each request of a web application may do it.
        """
        self._runtime._check_process()
        with self._lock:
            if self._thread is None:
                self._pid = os.getpid()
                ready: Future[None] = Future()
                self._ended = Future()
                thread = threading.Thread(
                    target=self._main, args=(ready, self._ended), name="perdure-loop", daemon=True
                )
                thread.start()
                if ready.exception() is not None:
                    thread.join()  # a start that failed leaves nothing running
                ready.result()
                self._thread = thread
                atexit.register(self._stop_at_exit)
        return self._runtime

    def stop(self, *, drain_s: float = limits.DRAIN_S) -> None:
        """Stop the runtime, as `Runtime.stop`, and end the thread; stopping twice is harmless."""
        self._runtime._check_process()
        with self._lock:
            thread = self._thread
            if thread is None:
                return
            if thread is threading.current_thread():
                raise RuntimeError(
                    "stop() was called on the runtime's own thread, which cannot wait for its end: await rt.stop() there."
                )
            loop, told = self._loop, self._told
            assert loop is not None
            assert told is not None

            with suppress(RuntimeError):  # it ended before, by `await rt.stop()` and its own end
                loop.call_soon_threadsafe(lambda: None if told.done() else told.set_result(drain_s))
            thread.join()
            self._thread = None
            atexit.unregister(self._stop_at_exit)
        self._ended.result()

    def _stop_at_exit(self) -> None:
        if os.getpid() == self._pid:
            with suppress(PerdureError):
                self.stop(drain_s=AT_EXIT_DRAIN_S)

    def _main(self, ready: Future[None], ended: Future[None]) -> None:
        from perdure._http.server import run

        try:
            run(self._live(ready))
        except BaseException as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    async def _live(self, ready: Future[None]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        told = self._told = loop.create_future()
        try:
            await self._runtime.start()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        await self._runtime.stop(drain_s=await told)

    def __enter__(self) -> Runtime:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
