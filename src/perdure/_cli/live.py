"""`perdure evict` and `perdure abort`: objects leave memory. (edge)"""

from __future__ import annotations

from typing import Literal

from perdure._admin.operations import Abort, Evict
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import counted
from perdure._config.problem import listed, refused


def run_live(
    options: RunOptions,
    what: Literal["evict", "abort"],
    class_name: str | None,
    name: str | None,
    *,
    is_id: bool,
    all: bool,
) -> int:
    """Do it and say to how many; exit code 1 when some are still busy."""
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
    if busy := answer.get("busy"):
        raise refused(
            "object/busy",
            f"{listed(busy[:5])}{' and others' if len(busy) > 5 else ''} did not come to an end",
            help="`perdure abort` drops objects in the middle of what they do",
        )
    return exits.OK
