"""
`perdure serve bench/_lib/app.py` without its line for each request: the same server, limits and runtime, in the same
order.

`python serve.py PORT DATA [--idle SECONDS] [--keep-journal] [--project FOLDER]`
"""

from __future__ import annotations

import argparse
import sys

from perdure._cli.host import ease_collector, tune

tune()  # before anything opens a connection

from app import Default, Item, Plain, Room, Waking  # noqa: E402

from perdure import Runtime, application  # noqa: E402
from perdure._base.limits import IDLE_EVICTION_S  # noqa: E402
from perdure._config.load import load_project  # noqa: E402
from perdure._http.responder import Responder  # noqa: E402
from perdure._http.server import Server, bind, run  # noqa: E402


async def main(asked: argparse.Namespace) -> None:
    sockets = bind("127.0.0.1", asked.port)
    given = {"data": asked.data, "idle_s": asked.idle}
    if asked.project is None:
        runtime = Runtime([Plain, Item, Room, Waking], worker=Default, **given)
    else:
        project = load_project(asked.project)
        runtime = application.runtime_of(project, application.load(project), **given)
    server = Server(Responder(runtime.handle), sockets=sockets, drain_s=5.0)
    await runtime.start()
    if asked.keep_journal:
        keep_journal(runtime)
    ease_collector()
    try:
        await server.run()
    finally:
        await runtime.stop(drain_s=5.0)


def keep_journal(runtime: Runtime) -> None:
    """Let no checkpoint take anything out of the journal, so that a kill finds it full."""
    assert runtime._host is not None
    storage = runtime._host.storage
    storage.journal.on_pressure = None
    storage.checkpoint_frames = sys.maxsize


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("data")
    parser.add_argument("--idle", type=float, default=IDLE_EVICTION_S)
    parser.add_argument("--keep-journal", action="store_true")
    parser.add_argument("--project", metavar="FOLDER", help="serve this application instead")
    run(main(parser.parse_args()))
