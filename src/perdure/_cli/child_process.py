"""The supervisor's side of one server process: pipes, reports, its end. (edge)"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from perdure._cli.options import RunOptions

REPORT_BYTES_MAX = 2**24


class Child:
    """One version of the application, in a process of its own."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        control: int,
        reports: asyncio.StreamReader,
        transport: asyncio.ReadTransport,
    ) -> None:
        self.process = process
        self.stopped = asyncio.Event()
        """The data folder is free again."""
        self._control = control
        self._reports = reports
        self._transport = transport

    @classmethod
    async def start(cls, options: RunOptions, sockets: Sequence[socket.socket]) -> Child:
        """Start a process that imports the application and then waits."""
        control_read, control_write = os.pipe()
        report_read, report_write = os.pipe()
        numbers = [control_read, report_write, *(sock.fileno() for sock in sockets)]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder of the command is no import root, just as for `perdure serve`
                "-m",
                "perdure._cli.child",
                options.to_json(),
                *(str(number) for number in numbers),
                pass_fds=numbers,
            )
        finally:
            os.close(control_read)
            os.close(report_write)
        reader = asyncio.StreamReader(limit=REPORT_BYTES_MAX)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(report_read, "rb")
        )
        return cls(process, control_write, reader, transport)

    async def report(self) -> dict[str, Any] | None:
        """Return the next thing it says, or None when it has ended."""
        line = await self._reports.readline()
        found: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return found

    async def reports(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what it says until it ends."""
        while (found := await self.report()) is not None:
            yield found

    def tell(self, command: str) -> None:
        """Say `go` or `stop`."""
        if self._control >= 0:
            with contextlib.suppress(OSError):
                os.write(self._control, command.encode() + b"\n")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode
        if code is None:
            return "goes on"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def forget(self) -> None:
        """Close our ends of its pipes."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        self._transport.close()
