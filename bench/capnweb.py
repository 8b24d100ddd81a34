"""How many Cap'n Web calls a second does one WebSocket carry? Beside npm's server on Node, whose client asks both."""

from __future__ import annotations

import json
from pathlib import Path

from _lib import tools
from _lib.bench import Bench, Load
from _lib.servers import HERE, Server
from _lib.table import Row

IN_FLIGHT = (1, 64)


class NodeServer(Server):
    """The npm server on Node: the same target."""

    name = "Node"
    probe = "/"

    def __init__(self, folder: Path, core: int | None, node: Path) -> None:
        super().__init__(folder, core)
        self._node = node

    def command(self) -> list[str]:
        return [str(self._node / ".bin" / "node"), str(self._node.parent / "server.mjs"), str(self.port)]


def play(bench: Bench) -> list[Row]:
    node = tools.capnweb()
    for script in ("server.mjs", "loader.mjs"):  # Node looks for packages beside the script
        (node.parent / script).write_text((HERE / f"capnweb_{script}").read_text())
    load = [str(node / ".bin" / "node"), str(node.parent / "loader.mjs")]
    with bench.running(bench.perdure(), NodeServer(bench.place(), bench.server_core, node)) as servers:
        rows = []
        for in_flight in IN_FLIGHT:

            def measure(server: Server, turn: int, in_flight: int = in_flight) -> Load:
                asked = {"port": server.port, "in_flight": in_flight, "seconds": bench.seconds}
                return bench.play(server, load, json.dumps(asked), "capnweb")

            for server in servers:
                measure(server, 0)
            name = (
                f"Cap'n Web calls, {in_flight} in flight, beside Node"
                if in_flight > 1
                else "Cap'n Web calls one after the other, beside Node"
            )
            rows.append(bench.compare(name, "calls/s", servers, measure, aim=">= 0.5"))
    return rows
