"""The process of one version of the application under `perdure dev`. (edge)

It imports the application without touching the data, reports over a pipe, and waits. Told to go, it takes
the data folder and accepts connections on the sockets it was given; told to stop, it finishes and releases
the folder. The end of the control pipe is the end of the supervisor, and so of this process, whatever the
application is doing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from perdure._base import limits
from perdure._cli import exits
from perdure._cli.announce import facts
from perdure._cli.console import marked_output, prepare_streams
from perdure._cli.host import run_here, tune
from perdure._cli.options import RunOptions
from perdure._cli.prepare import prepare
from perdure._config.problem import ProblemsFound, as_json
from perdure._http.server import sockets_from_fds

ORPHAN_S = limits.RELOAD_DRAIN_S + 1.0
"""How long an orphan may take to stop in order."""


class Control:
    """What the supervisor wants, read in a thread: user code may keep the main thread busy for ever."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._go = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self.stopping = False

    def listen(self) -> None:
        threading.Thread(target=self._read, name="perdure-control", daemon=True).start()

    def wait_for_go(self) -> bool:
        """Return True when this version is to run, False when it is to end."""
        self._go.wait()
        return not self.stopping

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Name what stops the server; called at once if that was asked for already."""
        with self._lock:
            self._stop = stop
            stopping = self.stopping
        if stopping:
            stop()

    def _read(self) -> None:
        with open(self._pipe, encoding="utf-8") as commands:
            for command in commands:
                if command.strip() == "go":
                    self._go.set()
                else:
                    self._end()
        self._end()
        timer = threading.Timer(ORPHAN_S, os._exit, [exits.PROBLEMS])
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        with self._lock:
            self.stopping = True
            stop = self._stop
        self._go.set()
        if stop is not None:
            stop()


class Report:
    """Tells the supervisor what happens, one JSON object a line."""

    def __init__(self, pipe: int) -> None:
        self._file = open(pipe, "w", encoding="utf-8")  # noqa: SIM115  (open as long as the process)

    def send(self, event: str, **more: Any) -> None:
        try:
            self._file.write(json.dumps({"event": event, **more}) + "\n")
            self._file.flush()
        except OSError:
            pass  # the supervisor has gone; the control pipe ends this process

    def problems(self, error: ProblemsFound) -> None:
        self.send("problems", problems=[as_json(problem) for problem in error.problems])


def main(arguments: list[str]) -> int:
    """Run one version; `arguments` are the options as JSON and the numbers of pipes and sockets."""
    prepare_streams()
    options = RunOptions.from_json(arguments[0])
    control, report = Control(int(arguments[1])), Report(int(arguments[2]))
    # Ctrl-C reaches every process of the terminal; the supervisor decides what it means. A handler, not
    # SIG_IGN, which programs that the application starts would inherit.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    control.listen()
    # Python takes bytecode for current while size and second of a file are the same: a version saved in the second of the
    # one before would not be seen.
    sys.dont_write_bytecode = True
    with marked_output(log_level=options.log_level, log_format=options.log_format):
        tune()
        try:
            prepared = prepare(options)
        except ProblemsFound as error:
            report.problems(error)
            return exits.PROBLEMS

        report.send(
            "imported",
            facts=facts(prepared),
            warnings=[as_json(problem) for problem in prepared.warnings],
            folders=[str(prepared.project.root), str(prepared.project.main.parent)],
            files=[str(path) for path in prepared.project.watched],
            data=str(prepared.data),
        )
        if not control.wait_for_go():
            return exits.OK
        try:
            return run_here(
                prepared,
                options,
                sockets_from_fds(int(number) for number in arguments[3:]),
                on_ready=lambda: report.send("ready"),
                on_server=control.on_stop,
                on_stopped=lambda: report.send("stopped"),
                signals=False,
            )
        except ProblemsFound as error:
            report.problems(error)
            return exits.exit_code(error.problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
