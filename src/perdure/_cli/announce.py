"""What `dev` and `serve` say about themselves: banner, warnings, `Ready on …`, reloads. (edge)"""

from __future__ import annotations

import os
import pathlib
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import perdure
from perdure._cli.console import has_colour, now
from perdure._cli.options import RunOptions
from perdure._cli.output import address, banner, is_address, json_line, paint, problems_text
from perdure._cli.prepare import Prepared
from perdure._config.load import shown
from perdure._config.problem import Problem, as_json
from perdure._config.settings import unknown_variables
from perdure.resources import KIND_OF_OPTION

LOOPBACK = ("127.", "::1", "localhost")


def facts(prepared: Prepared) -> dict[str, Any]:
    """Return what a banner shows of an application, as JSON data: it may come from another process."""
    project, app = prepared.project, prepared.app
    return {
        "name": project.name,
        "main": shown(project.main),
        "bindings": [
            *[[binding.name, "objects of", binding.class_name] for binding in app.bound],
            *[[one.name, KIND_OF_OPTION[one.option].noun, one.id] for one in project.resources],
        ],
        "worker": app.worker is not None,
        "variables": list(project.vars),
        "data": shown(prepared.data),
        "assets": None if project.assets is None else shown(pathlib.Path(project.assets.directory)),
        "environment": project.environment,
    }


class Announcer:
    """Writes to the terminal, or as JSON records."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._json = options.log_format == "json"
        self._colour = has_colour(sys.stdout)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Show problems on standard error."""
        problems = list(problems)
        if not problems:
            return
        if self._json:
            for problem in problems:
                record = as_json(problem)
                level = record.pop("severity")
                self._write({"time": now(), "level": level, "event": "problem", **record}, sys.stderr)
            return
        print(problems_text(problems, colour=has_colour(sys.stderr)) + "\n", file=sys.stderr, flush=True)

    def start(self, found: dict[str, Any], warnings: Iterable[Problem]) -> None:
        """Show what is about to run."""
        self.problems([*unknown_variables(os.environ), *warnings])
        if self._json:
            return
        print(
            banner(
                perdure.__version__,
                found["name"],
                found["main"],
                found["bindings"],
                worker=found["worker"],
                variables=found["variables"],
                data=found["data"],
                assets=found["assets"],
                environment=found["environment"],
                colour=self._colour,
            ),
            flush=True,
        )
        if self._options.debug and not self._options.uds and not self._options.host.startswith(LOOPBACK):
            self.note(
                f"everyone who reaches {self._options.host} sees the error pages of dev; use serve for others"
            )

    def ready(self, sockets: Sequence[socket.socket]) -> None:
        """Say where requests are answered: the line that tools wait for."""
        if sockets[0].family == socket.AF_UNIX:
            url = f"unix:{sockets[0].getsockname()}"
        else:
            host, port = sockets[0].getsockname()[:2]
            url = address(host if is_address(self._options.host) else self._options.host, port)
        if self._json:
            self._write({"time": now(), "level": "info", "event": "ready", "url": url}, sys.stdout)
        else:
            shown = paint(url, "bold", colour=self._colour)
            print(f"{self._options.ready_prefix}Ready on {shown}", flush=True)

    def note(self, text: str) -> None:
        """Say one line about what happens."""
        if self._json:
            self._write({"time": now(), "level": "info", "event": "note", "message": text}, sys.stdout)
        else:
            print(paint(text, "dim", colour=self._colour), flush=True)

    def _write(self, record: dict[str, Any], stream: TextIO) -> None:
        raw = getattr(stream, "raw_stream", stream)
        raw.write(json_line(record) + "\n")
        raw.flush()
