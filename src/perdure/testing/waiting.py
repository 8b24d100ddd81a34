"""Who waits for what: every task of a loop with its object and stack, and who holds which gate. (cooperative)"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from perdure._base.current import current
from perdure._engine.turn import drive, section
from perdure._gates.input import effective

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure.testing.loop import SimulatedLoop

_OURS: Final = str(Path(__file__).resolve().parent.parent)


def describe(loop: SimulatedLoop, what: str) -> str:
    """Return *what* with a list of the tasks of *loop* and of the gates of their objects."""
    tasks = sorted(asyncio.all_tasks(loop), key=hash)
    lines = [f"{what}."]
    lives: dict[Live, None] = {}
    for task in tasks:
        context = loop.contexts.get(task)
        live = None if context is None else context.get(current)
        if live is not None:
            lives[live] = None
        where = "outside of objects" if live is None else f"in {live.label}"
        stack = list(_stack(task.get_coro()))
        waits = ", waits for the input gate" if any(at_gate for _, at_gate in stack) else ""
        lines.append(f"  {task.get_name()}, {where}{waits}:")
        frames = [frame for frame, _ in stack]
        theirs = [frame for frame in frames if not frame.f_code.co_filename.startswith(_OURS)]
        lines += [
            f"    {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
            for frame in theirs or frames
        ]
    for live in lives:
        lines += [f"  {live.label}: {line}" for line in _gates(live, tasks, loop)]
    return "\n".join(lines)


def _stack(coro: Any) -> Iterator[tuple[FrameType, bool]]:
    """Go through the frames of a suspended coroutine, outermost first; and whether its driver waits for the gate there."""
    while coro is not None:
        frame = (
            getattr(coro, "cr_frame", None)
            or getattr(coro, "gi_frame", None)
            or getattr(coro, "ag_frame", None)
        )
        if frame is None:
            return
        inner = (
            getattr(coro, "cr_await", None)
            or getattr(coro, "gi_yieldfrom", None)
            or getattr(coro, "ag_await", None)
        )
        is_driver = frame.f_code is drive.__code__
        yield frame, is_driver and inner is not None
        coro = frame.f_locals["coro"] if is_driver else inner


def _gates(live: Live, tasks: list[asyncio.Task[Any]], loop: SimulatedLoop) -> Iterator[str]:
    active = live.gate.active
    if active is not None:
        holders = [
            task.get_name()
            for task in tasks
            if (context := loop.contexts.get(task)) is not None
            and context.get(current) is live
            and effective(context.get(section)) is active
        ]
        who = ", ".join(holders) or "nobody that is left"
        yield f"its input gate is held by a critical section of {who}; {len(live.gate._waiting)} wait for it"
    store = live.used_store
    if store is not None and not store.gate.is_open:
        yield (
            f"its output gate holds what leaves until commit {store.gate.issued} is durable; "
            f"{store.gate.released} is"
        )
    if live.crowded:
        yield "its next step waits for room in the journal"
