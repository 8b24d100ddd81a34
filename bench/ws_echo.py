"""How many messages a second do hibernatable WebSockets echo?"""

from __future__ import annotations

from _lib.bench import Bench, Load
from _lib.servers import Server
from _lib.table import Row

SOCKETS = 64


def play(bench: Bench) -> list[Row]:
    with bench.both() as servers:

        def measure(server: Server, turn: int) -> Load:
            room = f"echo-{turn}"
            return bench.talk(server, what="echo", room=room, rooms=1, sockets=SOCKETS, seconds=bench.seconds)

        for server in servers:
            bench.talk(server, what="echo", room="warm", rooms=1, sockets=SOCKETS, seconds=1)
        return [bench.compare(f"echo over {SOCKETS} sockets", "messages/s", servers, measure, aim=">= 2")]
