"""A streamed body that leaves an object or a worker is made where it belongs; see `_base/handover.py`. (cooperative)"""

from __future__ import annotations

import asyncio

from perdure._base.handover import Handover, Maker, Reader
from perdure._web.body import Body
from perdure._web.message import Message


def relay(message: Message, maker: Maker | None, loop: asyncio.AbstractEventLoop) -> None:
    """Let the body of *message*, if it is a stream, be made in this context; *maker* is the object it belongs to."""
    body = message._body
    if body is not None and body.data is None:
        message._body = Body(source=Reader(Handover(body, maker, loop)))
