"""Commands for whoever runs Perdure: the data, the objects, the machine. (edge)"""

from __future__ import annotations

from typing import Any

import click

from perdure._cli.given import settings_of
from perdure._cli.options import RunOptions


@click.command(short_help="Look whether this machine is fit for Perdure.")
@settings_of("doctor")
def doctor(path: str, data: str | None, config: str | None, env: str | None, json: bool) -> int:
    """
    Look at versions, limits, the disk and the clock of this machine, and say what to do about each.

    The exit code is 1 when something keeps Perdure from working safely.
    """
    from perdure._cli import doctor as implementation

    return implementation.doctor(_folder("doctor", path, data, config, env), as_json=json)


def _folder(
    command: str, path: str, data: str | None, config: str | None, env: str | None, **more: Any
) -> RunOptions:
    return RunOptions(path=path, command=command, data=data, config=config, env=env, **more)


COMMANDS = (doctor,)
