"""
`perdure serve bench/_lib/app.py` without its line for each request, and with an idle time of one's choice.

`python serve.py PORT DATA [IDLE_S]`: the same server, limits and runtime, in the same order.
"""

from __future__ import annotations

import sys

from perdure._cli.host import ease_collector, tune

tune()  # before anything opens a connection

from app import Default, Item, Plain  # noqa: E402

from perdure import Runtime  # noqa: E402
from perdure._base.limits import IDLE_EVICTION_S  # noqa: E402
from perdure._http.responder import Responder  # noqa: E402
from perdure._http.server import Server, bind, run  # noqa: E402


async def main(port: int, data: str, idle_s: float) -> None:
    sockets = bind("127.0.0.1", port)
    runtime = Runtime([Plain, Item], worker=Default, data=data, idle_s=idle_s)
    server = Server(Responder(runtime.handle), sockets=sockets, drain_s=5.0)
    await runtime.start()
    ease_collector()
    try:
        await server.run()
    finally:
        await runtime.stop(drain_s=5.0)


if __name__ == "__main__":
    port, data, *idle = sys.argv[1:]
    run(main(int(port), data, float(idle[0]) if idle else IDLE_EVICTION_S))
