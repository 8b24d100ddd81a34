"""`perdure dev`: owns the listening sockets, watches the files, and replaces the server process. (edge)

The new version imports the application while the old one serves. Only when that went well the old one stops
and releases the data folder, and the new one takes it; connections made meanwhile wait in the sockets'
backlog, because the sockets are never closed. A version that cannot be imported changes nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import signal
import socket
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from perdure._base import limits
from perdure._cli import exits
from perdure._cli.announce import Announcer
from perdure._cli.child_process import Child
from perdure._cli.listen import close, listen
from perdure._cli.options import RunOptions
from perdure._cli.prepare import data_folder, read
from perdure._cli.watch import changed_text, is_watched
from perdure._config.load import shown
from perdure._config.problem import Problem, from_json

T = TypeVar("T")

STOP_S = limits.RELOAD_DRAIN_S + 5.0
"""For running requests, and beyond that for commits to be confirmed. Then the process is killed."""


def supervise(options: RunOptions) -> int:
    """
    Run until Ctrl-C; return the exit code.

    Raises:
        ProblemsFound: the configuration or the address is wrong, so there is nothing to watch or to serve.
    """
    project = read(options)
    sockets = listen(options)
    try:
        # A reload must come back to the same port, also when the system chose it.
        if options.uds is None:
            options = dataclasses.replace(options, port=sockets[0].getsockname()[1])
        folders = [project.root, project.main.parent]
        data = data_folder(options, project)
        return asyncio.run(Supervisor(options, sockets, folders, project.watched, data).run())
    finally:
        close(sockets)


class Supervisor:
    """Keeps one version serving, and replaces it when files change."""

    def __init__(
        self,
        options: RunOptions,
        sockets: Sequence[socket.socket],
        folders: Iterable[pathlib.Path],
        files: Iterable[pathlib.Path],
        data: pathlib.Path,
    ) -> None:
        self._options = options
        self._sockets = sockets
        self._folders = frozenset(folder.resolve() for folder in folders)
        self._files = frozenset(file.resolve() for file in files)
        self._data = data.resolve()
        self._say = Announcer(options)
        self._serving: Child | None = None
        self._candidate: Child | None = None
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._interrupts = 0
        self._stopping = False
        self._announced = False
        self._shown: set[Problem] = set()
        """Warnings that were told before; a reload does not repeat them."""
        self._code = exits.OK

    async def run(self) -> int:
        """Serve until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        self._watch()
        try:
            await self._replace()
            while not self._stopping:
                await self._wake.wait()
                self._wake.clear()
                if self._changed and not self._stopping:
                    await self._replace()
        finally:
            for child in (self._candidate, self._serving):
                if child is not None:
                    await self._end(child)
            for task in (*self._tasks, *([self._watching] if self._watching else [])):
                task.cancel()
        return self._code

    def _on_signal(self, number: int) -> None:
        self._stopping = True
        self._wake.set()
        if number == signal.SIGINT:
            self._interrupts += 1
        if self._interrupts > 1:
            self._code = exits.INTERRUPTED
            for child in (self._candidate, self._serving):
                if child is not None:
                    child.kill()
        elif self._interrupts == 1:
            self._say.note("Stopping; Ctrl-C again ends at once.")

    # --- one version after the other --------------------------------------------------------------------

    async def _replace(self) -> None:
        """Start a new version, and let it take over if it can be imported."""
        changed, self._changed = self._changed, set()
        began_s = time.monotonic()
        child = self._candidate = await Child.start(self._options, self._sockets)
        interrupted, report = await self._unless_woken(child.report())
        if interrupted:
            # Something changed again while it was imported, or the end is near: this one is outdated.
            self._changed |= changed
            await self._drop(child, at_once=True)
            return
        if report is None or report["event"] != "imported":
            await self._refused(child, report, "imported the application")
            return
        self._note_imported(report)
        if self._serving is not None:
            old, self._serving = self._serving, None
            await self._stop(old)
        child.tell("go")
        report = await child.report()
        while report is not None and report["event"] == "stopped":  # the reason comes after it
            report = await child.report()
        if report is None or report["event"] != "ready":
            await self._refused(child, report, "started")
            return
        self._candidate, self._serving = None, child
        self._spawn(self._attend(child))
        if self._announced:
            took_ms = (time.monotonic() - began_s) * 1000
            self._say.note(f"Reloaded in {took_ms:.0f} ms: {changed_text(changed)} changed; state is kept.")
        else:
            self._announced = True
            self._say.ready(self._sockets)

    def _note_imported(self, report: dict[str, Any]) -> None:
        warnings = [from_json(problem) for problem in report["warnings"]]
        new = [problem for problem in warnings if problem not in self._shown]
        self._shown.update(new)
        if self._announced:
            self._say.problems(new)
        else:
            self._say.start(report["facts"], new)
        self._files = frozenset(pathlib.Path(file).resolve() for file in report["files"])
        self._data = pathlib.Path(report["data"]).resolve()
        folders = frozenset(pathlib.Path(folder).resolve() for folder in report["folders"])
        if folders != self._folders:
            self._folders = folders
            self._watch()

    async def _refused(self, child: Child, report: dict[str, Any] | None, doing: str) -> None:
        """Tell why a version does not run; the one before goes on, if it still does."""
        await self._drop(child, at_once=report is not None)
        if self._stopping:
            return
        if report is not None:
            problems = [from_json(problem) for problem in report["problems"]]
        else:
            problems = [Problem("dev/crashed", f"the process {child.ending} while it {doing}")]
        self._say.problems(problems)
        if exits.exit_code(problems) == exits.STORAGE:
            self._give_up(exits.STORAGE)
        elif self._serving is not None:
            self._say.note("The version from before goes on serving.")
        else:
            self._say.note("Waiting for a change of the files.")

    async def _attend(self, child: Child) -> None:
        """Follow a serving version to its end; one that ends by itself is told of."""
        async for report in child.reports():
            if report["event"] == "stopped":
                child.stopped.set()
            elif report["event"] == "problems":
                self._say.problems(from_json(problem) for problem in report["problems"])
        await child.process.wait()
        child.stopped.set()
        child.forget()
        if child is not self._serving or self._stopping:
            return
        self._serving = None
        if child.process.returncode == exits.STORAGE:
            self._give_up(exits.STORAGE)
            return
        self._say.problems(
            [
                Problem(
                    "dev/crashed",
                    f"the server process {child.ending}; what was confirmed is safe",
                    help="it starts again at the next change of a file",
                )
            ]
        )

    async def _stop(self, old: Child) -> None:
        """Let the old version finish what runs; return when the data folder is free."""
        old.tell("stop")
        try:
            await asyncio.wait_for(old.stopped.wait(), STOP_S)
        except TimeoutError:
            self._say.note("The old version did not stop in time and was killed; what was confirmed is safe.")
            old.kill()
            await old.process.wait()
            return
        # Threads of the application may keep the process a little longer; the folder is free already.
        self._spawn(self._reap(old))

    async def _reap(self, old: Child) -> None:
        try:
            await asyncio.wait_for(old.process.wait(), STOP_S)
        except TimeoutError:
            old.kill()

    async def _end(self, child: Child) -> None:
        """Stop a version for good."""
        child.tell("stop")
        try:
            await asyncio.wait_for(child.process.wait(), STOP_S)
        except TimeoutError:
            child.kill()
            await child.process.wait()
        child.forget()

    async def _drop(self, child: Child, *, at_once: bool) -> None:
        """End a version that never served."""
        if at_once:
            child.kill()
        await self._end(child)
        self._candidate = None

    def _give_up(self, code: int) -> None:
        self._code = code
        self._stopping = True
        self._wake.set()

    # --- helpers ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._watching = asyncio.create_task(self._watch_folders(self._folders))

    async def _watch_folders(self, folders: Iterable[pathlib.Path]) -> None:
        from watchfiles import awatch  # imported while the first version is

        def matters(change: object, path: str) -> bool:
            return is_watched(pathlib.Path(path), self._folders, self._data, self._files)

        try:
            async for changes in awatch(
                *folders, watch_filter=matters, debounce=400, step=30, ignore_permission_denied=True
            ):
                self._changed |= {shown(pathlib.Path(path)) for _, path in changes}
                self._wake.set()
        except (OSError, RuntimeError) as error:  # RuntimeError: what the watcher cannot name
            self._say.problems(
                [
                    Problem(
                        "dev/cannot-watch",
                        f"files cannot be watched: {error}",
                        "warning",
                        help="restart by hand",
                    )
                ]
            )

    async def _unless_woken(self, waiting: Coroutine[Any, Any, T]) -> tuple[bool, T | None]:
        """Return (False, result), or (True, None) when something happens first."""
        task = asyncio.create_task(waiting)
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({task, woken}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return False, task.result()
            return True, None
        finally:
            woken.cancel()
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
