"""`perdure serve`, and `perdure dev` without reload: everything in this process. (edge)"""

from __future__ import annotations

import os
import signal
import socket

from perdure._cli import exits
from perdure._cli.announce import Announcer, facts
from perdure._cli.console import marked_output
from perdure._cli.host import run_here, tune
from perdure._cli.listen import close, listen
from perdure._cli.options import RunOptions
from perdure._cli.prepare import prepare
from perdure._cli.systemd import given_sockets
from perdure._config.problem import ProblemsFound


def run(options: RunOptions) -> int:
    """Serve until told to stop; return the exit code."""
    with marked_output(log_level=options.log_level, log_format=options.log_format):
        say = Announcer(options)
        sockets: list[socket.socket] = []
        if os.getpid() == 1:
            # Of a container: the system lets a signal without a handler not reach its first process. Once the server
            # runs it has handlers of its own.
            signal.signal(signal.SIGTERM, lambda number, frame: os._exit(exits.TERMINATED))
        try:
            tune()
            prepared = prepare(options)
            sockets = given_sockets(os.environ) or listen(options)
            say.start(facts(prepared), prepared.warnings)
            return run_here(prepared, options, sockets, on_ready=lambda: say.ready(sockets))
        except ProblemsFound as error:
            say.problems(error.problems)
            return exits.exit_code(error.problems)
        finally:
            close(sockets)
