"""The examples of docs/topics/rpc.md do what they say."""

from __future__ import annotations

import re
from pathlib import Path

from support.inside import an_object, live_of, until

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "rpc.md"


async def test_the_examples_of_the_page_run():
    """A room with members, callbacks, a stream and a call on a result that is not there yet."""
    names: dict = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(example, names)  # as a reader would try it
    async with an_object(names["Room"]) as stub:
        assert await names["use"](stub) == ["Ann: hello", "Bob: one round trip"]
        live = live_of(stub)
        await until(lambda: not live.handles)
        assert not live.instance.members
