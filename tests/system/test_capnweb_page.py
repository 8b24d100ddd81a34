"""The examples of docs/topics/capnweb.md do what they say."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path

from http_serving import run
from websocket_serving import playing

from perdure.client import connect

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "capnweb.md"


def test_the_examples_of_the_page_run(capsys):
    """The application is served; the three Python clients talk to it, over a WebSocket, over HTTP and from a thread."""
    app, lasting, batch, sync = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {"asyncio": asyncio, "connect": connect}
    exec(app, names)  # as a reader would try it

    def here(example, port):
        return re.sub(r'"(ws|http)s://example.com/"', rf'"\1://127.0.0.1:{port}/"', example)

    async def main():
        async with playing(names["Room"], worker=names["Default"]) as server:
            for example in (lasting, batch):
                exec(f"async def use():\n{textwrap.indent(here(example, server.port), '    ')}", names)
                await names["use"]()
            requests = len(server.lines)
            await asyncio.to_thread(exec, here(sync, server.port), names)
            assert requests == 2  # the session and one batch
        assert capsys.readouterr().out == "Ada: hello\nhello\n"

    run(main())
