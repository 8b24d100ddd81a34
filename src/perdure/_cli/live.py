"""`perdure evict` and `perdure abort`: objects leave memory. (edge)"""

from __future__ import annotations

from collections.abc import Sized
from typing import Final, Literal

from perdure._admin.operations import Abort, Evict
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import counted
from perdure._config.problem import Problem, ProblemsFound, listed, refused

_TOLD: Final = 5  # names of so many objects are shown


def run_live(
    options: RunOptions,
    what: Literal["evict", "abort"],
    class_name: str | None,
    name: str | None,
    *,
    is_id: bool,
    all: bool,
) -> int:
    """Do it and say to how many; exit code 1 when some stay."""
    if all == (name is not None) or (class_name is None and not all):
        raise refused(
            "usage/argument",
            "name one object, or give --all",
            help=f"`perdure {what} CLASS NAME`, `perdure {what} CLASS --all`, or `perdure {what} --all`",
        )
    kind = Evict if what == "evict" else Abort
    target = {"id": name} if is_id else {"name": name}
    answer = reach.run(options, kind(class_name=class_name, **target))
    print(f"{counted(len(answer['objects']), 'live object')} {'evicted' if what == 'evict' else 'aborted'}")
    problems = []
    if busy := answer.get("busy"):
        problems.append(
            Problem(
                "object/busy",
                f"{listed(busy[:_TOLD])}{_others(busy)} did not come to an end",
                help="`perdure abort` drops objects in the middle of what they do",
            )
        )
    if held := answer.get("held"):
        told = [f'"{label}" by {holders}' for label, holders in list(held.items())[:_TOLD]]
        problems.append(
            Problem(
                "object/held",
                f"still in use: {', '.join(told)}{_others(held)}",
                help="`perdure abort` drops objects all the same: the stubs break and the WebSockets are cut off",
            )
        )
    if problems:
        raise ProblemsFound(problems)
    return exits.OK


def _others(found: Sized) -> str:
    return " and others" if len(found) > _TOLD else ""
