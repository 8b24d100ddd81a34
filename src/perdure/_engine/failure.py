"""What a failure looks like to a caller: a copy with its flags. (pure)"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

from perdure._base.exceptions import remote_error
from perdure._base.registry import Registry
from perdure._base.values import copy_exception

_PACKAGE: Final = str(Path(__file__).resolve().parent.parent) + "/"


def for_caller(error: BaseException, registry: Registry | None = None) -> BaseException:
    """
    Return the copy of *error* that one caller gets.

    SystemExit, KeyboardInterrupt, CancelledError and their like would end the caller's task or the whole
    process, which a failed handler must not: they arrive as a `RemoteError` that names them.
    """
    if not isinstance(error, Exception):
        return remote_error(error)
    return copy_exception(error, registry)


def reset_error(error: BaseException, registry: Registry | None = None) -> BaseException:
    """Return a copy of *error* marked as one that reset the object (ERR-04)."""
    answer = for_caller(error, registry)
    answer.durable_object_reset = True  # type: ignore[attr-defined]
    return answer


def add_trace(answer: BaseException, error: BaseException, where: str) -> None:
    """Note on *answer* where in the object's own code *error* was raised; for development only."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "<"))
    ]
    if frames:
        answer.add_note(f"raised in {where}:\n" + "".join(traceback.format_list(frames)).rstrip())
