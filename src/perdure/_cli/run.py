"""`perdure serve`, and `perdure dev` without reload: everything in this process. (edge)"""

from __future__ import annotations

from perdure._cli.announce import Announcer, facts
from perdure._cli.console import marked_output
from perdure._cli.host import run_here, tune
from perdure._cli.listen import close, listen
from perdure._cli.options import RunOptions
from perdure._cli.prepare import prepare


def run(options: RunOptions) -> int:
    """
    Serve until told to stop; return the exit code.

    Raises:
        ProblemsFound: nothing was started.
    """
    with marked_output(log_level=options.log_level, log_format=options.log_format):
        tune()
        prepared = prepare(options)
        sockets = listen(options.host, options.port)
        try:
            say = Announcer(options)
            say.start(facts(prepared), prepared.warnings)
            return run_here(prepared, options, sockets, on_ready=lambda: say.ready(sockets))
        finally:
            close(sockets)
