"""The control socket of a running runtime: who may ask, one operation a connection. (edge)

The file is for the owner alone (0600, in a folder of 0700), and the kernel says who connects: the same user, or
root. Whoever holds the data folder's lock owns the socket, so one that is there already was left by a process
that died. Whatever a client sends, or does not, concerns its own connection only.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import perdure
from perdure._admin import protocol
from perdure._base import limits
from perdure._base.portrait import leaf
from perdure._base.private_socket import PrivateSocket, may_connect
from perdure._config.problem import ProblemsFound, as_json, refused

if TYPE_CHECKING:
    from perdure._admin.admin import Admin

log = logging.getLogger("perdure")

_BACKLOG: Final = 32
_PROGRESS_S: Final = 0.1
_LAST_STEPS_S: Final = 0.1
"""From the end of what was asked of an object to the end of the operation there are a few steps of the loop."""


class ControlSocket:
    """Listens from `open` to `close`."""

    def __init__(self, admin: Callable[[], Admin], folder: str) -> None:
        self._admin = functools.cache(admin)  # the first operation imports all of them
        self._folder = folder
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.Task[Any] | None] = {}
        """Each connection, with the operation that may be broken off."""
        self._listening: PrivateSocket | None = None

    async def open(self) -> None:
        """Listen; an OSError if that cannot be."""
        self._listening = PrivateSocket(self._folder, protocol.NAME, _BACKLOG)
        self._server = await asyncio.start_unix_server(self._connected, sock=self._listening.socket)

    async def stop_accepting(self) -> None:
        """Take no more connections; operations go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            assert self._listening is not None, "the server listens there"
            self._listening.remove()

    async def close(self) -> None:
        """Break off what may be, and wait for the rest, so that nothing uses the runtime after this."""
        await self.stop_accepting()
        under_way = {work for work in self._clients.values() if work is not None}
        if under_way:  # what the object has done already is answered
            _, under_way = await asyncio.wait(under_way, timeout=_LAST_STEPS_S)
        for work in under_way:
            work.cancel()
        if self._clients:
            _, late = await asyncio.wait(self._clients, timeout=limits.CONTROL_STOP_S)
            for client in late:
                client.cancel()
            if late:
                await asyncio.wait(late)

    # --- one connection -------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        crowded = len(self._clients) >= limits.CONTROL_CLIENTS_MAX
        self._clients[task] = None
        writer.transport.set_write_buffer_limits(0)  # `drain` waits until all has left
        try:
            await self._serve(reader, writer, task, crowded)
        except (OSError, EOFError, TimeoutError):
            pass  # the client has gone, or is as good as gone
        except asyncio.CancelledError:
            pass  # the runtime stops
        except Exception:
            log.exception("the control socket failed at a request")
        finally:
            del self._clients[task]
            writer.transport.abort()  # what was to leave has left, or never will

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: asyncio.Task[None],
        crowded: bool,
    ) -> None:
        if not may_connect(writer.get_extra_info("socket")):
            return  # not a word: it is no business of theirs
        if crowded:
            busy = refused("control/busy", f"{limits.CONTROL_CLIENTS_MAX} clients are connected already")
            await _send(writer, _failure(busy))
            return
        await _send(writer, protocol.Hello(perdure.__version__, protocol.VERSION, os.getpid()))
        try:
            async with asyncio.timeout(limits.CONTROL_REQUEST_S):
                head = await reader.readexactly(protocol.LENGTH_BYTES)
                size = protocol.length(head, limits.CONTROL_REQUEST_BYTES_MAX)
                request = protocol.read_request(await reader.readexactly(size))
        except protocol.WrongVersion:
            await _send(writer, _failure(refused("control/version", WRONG_VERSION)))
            return
        except ValueError as error:  # also msgspec's errors
            await _send(writer, _failure(refused("control/bad-request", f"not a request: {error}")))
            return
        if self._server is None:
            await _send(writer, _failure(refused(protocol.STOPPING, "the server stops")))
            return
        await self._answer(request.operation, reader, writer, task)

    async def _answer(
        self,
        operation: Any,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        news: list[protocol.Progress] = []

        def tell(done: int, total: int | None, text: str) -> None:
            news[:] = [protocol.Progress(done, total, text)]  # from any thread; only the latest counts

        work = asyncio.create_task(self._admin().run(operation, tell))
        if operation.may_be_broken_off:
            self._clients[task] = work
        gone = asyncio.create_task(reader.read(1))
        gone.add_done_callback(lambda gone: gone.cancelled() or gone.exception())
        try:
            while not work.done():
                await asyncio.wait({work, gone}, timeout=_PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    if operation.may_be_broken_off:
                        work.cancel()
                    await asyncio.wait({work})
                elif news:
                    await _send(writer, news.pop())
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        await _send(writer, _reply(work))


WRONG_VERSION: Final = (
    f"the server is Perdure {perdure.__version__}, and this command is of another version: use the `perdure` of the "
    "server's environment, or restart the server"
)


def _reply(work: asyncio.Task[Any]) -> protocol.Reply:
    if work.cancelled():
        return _failure(refused("control/broken-off", "the server stops, and broke this off"))
    error = work.exception()
    if error is None:
        return protocol.Answer(work.result())
    if isinstance(error, ProblemsFound):
        return _failure(error)
    log.error("an operation asked for at the control socket failed", exc_info=error)
    return _failure(
        refused("control/failed", f"{type(error).__name__}: {error}", help="the server's log has more")
    )


def _failure(error: ProblemsFound) -> protocol.Failure:
    return protocol.Failure([_sendable(as_json(problem)) for problem in error.problems])


def _sendable(value: Any) -> Any:
    """Return JSON data without the halves of characters that an application's error texts and names may have."""
    if isinstance(value, dict):
        return {key: _sendable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_sendable(item) for item in value]
    return leaf(value)


async def _send(writer: asyncio.StreamWriter, message: protocol.Reply) -> None:
    writer.write(protocol.frame(message))
    async with asyncio.timeout(limits.CONTROL_WRITE_S):
        await writer.drain()
