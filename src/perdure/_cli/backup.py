"""`perdure backup`: everything into another folder, while it is in use. (edge)"""

from __future__ import annotations

import pathlib

from perdure._admin.operations import Backup
from perdure._cli import exits, reach
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text
from perdure._cli.progress import Progress
from perdure._cli.table import size_text


def backup(options: RunOptions, target: str, *, full: bool, as_json: bool) -> int:
    """Copy, and tell what was done; return the exit code."""
    with Progress() as progress:
        answer = reach.run(options, Backup(path=str(pathlib.Path(target).absolute()), full=full), progress)
    if as_json:
        print(json_text(answer))
        return exits.OK
    copied = f"{answer['copied']:,} copied ({size_text(answer['copied_bytes'])})"
    removed = f", {answer['removed']:,} removed" if answer["removed"] else ""
    print(f"{counted(answer['objects'], 'object')} in {target}: {copied}{removed}, {answer['seconds']:.1f} s")
    return exits.OK
