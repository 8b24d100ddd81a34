"""`perdure verify`: is everything on the disk as it should be? (edge)"""

from __future__ import annotations

import sys
from typing import Any

from perdure._admin.operations import Verify
from perdure._cli import exits, prepare, reach
from perdure._cli.console import has_colour
from perdure._cli.options import RunOptions
from perdure._cli.output import counted, json_text, problems_text
from perdure._cli.progress import Progress
from perdure._config.problem import Problem, ProblemsFound


def verify(options: RunOptions, *, as_json: bool) -> int:
    """Look at everything and tell; exit code 1 when something is damaged."""
    try:
        with Progress() as progress:
            answer = reach.run(options, Verify(), progress)
    except ProblemsFound as error:
        if error.problems[0].code != "data/unusable":
            raise
        # A journal or a record so damaged that the folder cannot be opened is what was looked for.
        data = str(prepare.existing_folder(options))
        answer = {"checked": 0, "findings": [{"path": data, "problem": error.problems[0].message}]}
    findings: list[dict[str, Any]] = answer["findings"]
    if as_json:
        print(json_text({"ok": not findings, **answer}))
    elif findings:
        problems = [
            Problem(
                "data/damaged",
                f"{finding['path']}: {finding['problem']}",
                help="restore it from a backup, or move it away",
            )
            for finding in findings
        ]
        print(problems_text(problems, colour=has_colour(sys.stderr)), file=sys.stderr)
    else:
        print(f"{counted(answer['checked'], 'database')} and the journal are intact")
    return exits.PROBLEMS if findings else exits.OK
