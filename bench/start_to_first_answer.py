"""How long from the command to the first answer, on an empty data folder?"""

from __future__ import annotations

from _lib.bench import Bench
from _lib.servers import Server
from _lib.table import Row


def play(bench: Bench) -> list[Row]:
    servers: tuple[Server, ...] = (bench.perdure(command_line=True), bench.workerd())
    for server in servers:  # once for the files' sake: byte code, page cache
        server.start()
        server.stop()

    def measure(server: Server, turn: int) -> float:
        took_s = server.start()
        server.stop()
        return took_s * 1e3

    return [Row("start to first answer", "ms", *bench.in_turns(servers, measure))]
