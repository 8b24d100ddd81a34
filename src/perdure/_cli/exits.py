"""Exit codes of every command. (pure)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from perdure._config.problem import Problem

OK: Final = 0
PROBLEMS: Final = 1
USAGE: Final = 2
STUCK: Final = 70  # EX_SOFTWARE of sysexits.h
STORAGE: Final = 74  # EX_IOERR of sysexits.h
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
TERMINATED: Final = 143  # 128 + SIGTERM

EXITS: dict[int, str] = {
    OK: "Done; `serve` and `dev` ended as asked, by Ctrl-C or SIGTERM.",
    PROBLEMS: "Problems were found: in the configuration, the application, the data folder or the address.",
    USAGE: "The command line itself is wrong.",
    STUCK: "The application kept the event loop beyond the time to drain; what was confirmed is safe.",
    STORAGE: "The disk failed: what was confirmed is safe, nothing more can be made durable.",
    INTERRUPTED: "Ended at once by a second Ctrl-C; what was confirmed is safe.",
    TERMINATED: "Ended by SIGTERM before it served, or after it had stopped serving.",
}


def exit_code(problems: Iterable[Problem]) -> int:
    """Return what a command ends with after these problems."""
    wrong = [problem for problem in problems if problem.severity == "error"]
    if any(problem.code == "storage/failed" for problem in wrong):
        return STORAGE
    if any(problem.code.startswith("usage/") for problem in wrong):
        return USAGE
    return PROBLEMS if wrong else OK
