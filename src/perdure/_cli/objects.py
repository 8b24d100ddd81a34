"""`perdure objects`: which there are. (edge)"""

from __future__ import annotations

import datetime
import sys
from typing import Any, Final

from perdure._admin.operations import Objects
from perdure._cli import exits, reach
from perdure._cli.console import has_colour
from perdure._cli.options import RunOptions
from perdure._cli.output import json_text, paint
from perdure._cli.table import aligned, size_text

PAGE: Final = 10_000


def list_objects(
    options: RunOptions, class_name: str | None, *, prefix: str, limit: int, as_json: bool
) -> int:
    """Print the first *limit* of them; return the exit code."""
    found: list[dict[str, Any]] = []
    cursor = None
    wanted = limit + 1  # one more tells whether there are more
    while len(found) < wanted:
        asked = Objects(
            class_name=class_name, prefix=prefix, limit=min(PAGE, wanted - len(found)), cursor=cursor
        )
        answer = reach.run(options, asked)
        found += answer["objects"]
        cursor = None if answer["cursor"] is None else tuple(answer["cursor"])
        if cursor is None:
            break
    more = len(found) > limit
    del found[limit:]
    if as_json:
        print(json_text({"objects": [_as_json(one) for one in found], "more": more}))
        return exits.OK
    columns = ["class", "name", "size", "last used (UTC)", "live", "id"]
    rows = [
        [
            one["class"],
            one["name"] if one["name"] is not None else "",
            size_text(one["size_bytes"]),
            f"{_time(one['last_used_s']):%Y-%m-%d %H:%M}",
            "live" if one["live"] else "",
            one["id"],
        ]
        for one in found
    ]
    if class_name is not None:
        columns, rows = columns[1:], [row[1:] for row in rows]
    head, *lines = aligned(columns, rows, width_max=64)
    print(paint(head, "bold", colour=has_colour(sys.stdout)))
    for line in lines:
        print(line)
    if more:
        print("… and more: --limit shows more of them, --prefix some", file=sys.stderr)
    return exits.OK


def _as_json(one: dict[str, Any]) -> dict[str, Any]:
    times = {
        name: _time(one[f"{name}_s"]).isoformat(timespec="seconds") for name in ("first_used", "last_used")
    }
    kept = {name: value for name, value in one.items() if not name.endswith("_used_s")}
    return {**kept, **times}


def _time(at_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)
