"""What a failure looks like to a caller: a copy with its flags. (pure)"""

from __future__ import annotations

import traceback
from contextlib import suppress
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
    if isinstance(error, StopIteration):  # no future can carry it; a coroutine turns it into this one, too
        return RuntimeError("The object's code raised StopIteration: next() had nothing to return.")
    return copy_exception(error, registry)


def reset_error(error: BaseException, registry: Registry | None = None) -> BaseException:
    """Return a copy of *error* marked as one that reset the object (ERR-04)."""
    return mark(for_caller(error, registry), durable_object_reset=True)


def mark(answer: BaseException, *, durable_object_id: str = "", **flags: bool) -> BaseException:
    """
    Set *flags* on *answer*, the copy that one caller gets; return it.

    The id is that of the object which failed first: an error that is passed on keeps it (ERR-05). A class whose
    instances do not take attributes is shown as a `RemoteError`.
    """
    try:
        for name, value in flags.items():
            setattr(answer, name, value)
        if durable_object_id and getattr(answer, "durable_object_id", None) is None:
            answer.durable_object_id = durable_object_id  # type: ignore[attr-defined]
    except Exception:
        return mark(remote_error(answer), durable_object_id=durable_object_id, **flags)
    return answer


def add_trace(answer: BaseException, error: BaseException, where: str) -> None:
    """Note on *answer* where in the object's own code *error* was raised; for development only."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "<"))
    ]
    if frames:
        with suppress(Exception):  # some class's own `add_note`
            answer.add_note(f"raised in {where}:\n" + "".join(traceback.format_list(frames)).rstrip())
