"""Leftovers: what a test that has passed may have forgotten. (cooperative)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure._alarms.times import to_datetime
from perdure._storage.layout import split_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure._engine.host import Host
    from perdure.testing.news import News
    from perdure.testing.outbound import Outbound

_SHOWN_MAX: Final = 20


async def leftovers(host: Host, news: News, outbound: Outbound, requests: int) -> list[str]:
    """Return a line for each alarm that has not run, for work in progress, and for failures that nobody awaited."""
    await host.storage.journal.flush()
    lines = [*_alarms(host), *_work(host)]
    if requests:
        lines.append(f"{requests} requests are being answered")
    lines += [f"nobody awaited this failure: {entry}" for entry in news.failures()]
    lines += [f"the network was refused: {what}" for what in outbound.refused]
    return lines


def _alarms(host: Host) -> Iterator[str]:
    for key, due_ms, name in host.storage.catalog.alarms((-1, b""), _SHOWN_MAX):
        folder, id_hex = split_key(key)
        space = host.space_of(folder)
        label = folder if space is None else space.label(bytes.fromhex(id_hex), name)
        yield f"{label} has an alarm at {to_datetime(due_ms).isoformat()} that has not run"


def _work(host: Host) -> Iterator[str]:
    for space in host.spaces.values():
        for live in space.lives.values():
            for event in live.events:
                yield f"{live.label}.{event.method}() has not returned"
            for task in live.tasks:
                yield f"{live.label} has a task that is not done: {task!r}"
    if host.background:
        yield f"{len(host.background)} wait_until() tasks are not done"
