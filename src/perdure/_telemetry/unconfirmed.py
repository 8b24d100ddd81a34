"""Warns when an object connects to somewhere by itself while its writes are not durable. For development. (edge)

What leaves by Perdure's own means waits for durability; a socket that an object opens does not. Told once for
each place in the code.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from perdure._base.current import current

log = logging.getLogger("perdure")

_PACKAGE: Final = str(Path(__file__).resolve().parent.parent)
_LIBRARIES: Final = (
    _PACKAGE,
    "site-packages",
    "dist-packages",
    str(Path(asyncio.__file__).parent.parent),
    "<frozen",
)


class ConnectionWatch:
    """Looks at each connection that is about to be opened."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def connecting(self) -> None:
        """Warn if the current object has writes that are not durable yet."""
        live = current.get()
        if live is None or live.used_store is None or live.used_store.gate.is_open:
            return
        place = _application_line(sys._getframe(1))
        if place not in self._told:
            self._told.add(place)
            log.warning(
                "%s opens a connection at %s while writes of it are not durable yet: others may learn of what a "
                "crash would undo. Use perdure.fetch, or `await perdure.confirmed()` first.",
                live.label,
                place,
            )

    def install(self) -> None:
        """Look at sockets that Python code connects, for as long as the process lives."""

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "socket.connect":
                self.connecting()

        sys.addaudithook(hear)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop whose connections are looked at, also those that uvloop makes without Python."""
        try:
            import uvloop
        except ImportError:
            return asyncio.new_event_loop()
        watch = self

        class WatchedLoop(uvloop.Loop):
            async def create_connection(self, *arguments: Any, **options: Any) -> Any:
                watch.connecting()
                return await super().create_connection(*arguments, **options)

        return WatchedLoop()


def _application_line(frame: FrameType | None) -> str:
    """Return file:line of the innermost frame that is the application's own."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not any(part in file for part in _LIBRARIES):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return "a line of a library"
