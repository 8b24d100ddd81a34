"""Reaches the data of an application: through the server that runs on it, or, if none does, directly. (edge)

Whoever holds the data folder's lock decides. A server has a control socket. Without a holder this process takes the
folder for a moment, with classes known from the folder alone. When it is neither, something starts, stops or reloads
(wait), or a program of the user's own has the folder (say so).
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Final

from perdure._admin import client, protocol
from perdure._admin.operations import Answer, AnyOperation
from perdure._base import limits
from perdure._cli import prepare
from perdure._cli.options import RunOptions
from perdure._config.load import shown
from perdure._config.problem import ProblemsFound, refused
from perdure.errors import DataFolderInUse

_LOOK_S: Final = 0.05
Tell = Callable[[int, int | None, str], None]


def run(
    options: RunOptions,
    operation: AnyOperation,
    tell: Tell = lambda done, total, text: None,
    *,
    may_make: bool = False,
) -> Answer:
    """
    Carry out *operation* on the data folder of *options*; return its answer.

    Without *may_make* it is a problem when there is none yet.

    Raises:
        ProblemsFound: what stands in the way.
    """
    data = prepare.wanted_folder(options) if may_make else prepare.existing_folder(options)
    try:
        request = protocol.frame(protocol.Request(protocol.VERSION, operation))
    except UnicodeEncodeError:
        raise refused("usage/argument", "an argument is no text in UTF-8") from None
    end_s = time.monotonic() + limits.CONTROL_WAIT_S
    while True:
        connection = client.connect(str(data))
        try:
            if connection is None:
                from perdure._cli.directly import directly  # the engine, which a server has already

                return directly(options, data, operation, tell)
            if len(request) > limits.CONTROL_REQUEST_BYTES_MAX:
                connection.close()
                raise _too_large(len(request))
            answer: Answer = client.ask(connection, request, tell)
            return answer
        except client.Gone:
            pass
        except DataFolderInUse as error:
            _explain(error, data, may_wait=time.monotonic() < end_s)
        time.sleep(_LOOK_S)


def _too_large(size_bytes: int) -> ProblemsFound:
    return refused(
        "control/too-large",
        f"what is asked for has {size_bytes:,} bytes, and a server takes {limits.CONTROL_REQUEST_BYTES_MAX:,} at most",
        help="do it in parts, or while no server runs on the data folder",
    )


def _explain(error: DataFolderInUse, data: pathlib.Path, *, may_wait: bool) -> None:
    """Raise the problem of a folder that somebody else has, unless that will pass."""
    holder = f"process {error.pid}" if error.pid is not None else "another process"
    if (error.role or error.pid is None) and may_wait:  # or it has just been taken for the first time
        return
    if error.role == "server":
        raise refused(
            "control/no-answer",
            f"{holder} has the data folder {shown(data)} and does not listen at its control socket",
            help="it is starting or stopping, or could not make the socket: look at what it prints",
        )
    if error.role:
        raise refused(
            "data/in-use", f"another command ({holder}) works on {shown(data)}", help="wait for its end"
        )
    raise refused(
        "data/in-use",
        f"{holder} has the data folder {shown(data)}, and does not listen to commands",
        help="a program that embeds Perdure does so with Runtime(control=True); otherwise stop it first",
    )
