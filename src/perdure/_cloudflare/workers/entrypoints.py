"""`workers.entrypoints`: the classes that a project extends; plain ones, which an adapter runs. (pure)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from perdure._cloudflare.context_view import StateView
from perdure._engine.turn import Aborted

F = TypeVar("F", bound=Callable[..., Any])

HANDLER_MARK: Final = "__perdure_handler__"

DurableObjectAbort = Aborted
"""What `ctx.abort()` raises: no `Exception`."""
DurableObjectContext = StateView


class _Entrypoint:
    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env

    def __init_subclass__(cls, **options: Any) -> None:
        """Take any keyword, as Cloudflare's own does."""


class DurableObject(_Entrypoint):
    """Base of a project's durable objects."""


class WorkerEntrypoint(_Entrypoint):
    """Base of a project's workers: an instance for each request or call."""


class WorkflowEntrypoint(_Entrypoint):
    """Base of a project's workflows, which need Cloudflare's platform to run."""


def handler(function: F) -> F:
    """Mark a handler outside of a class, such as `on_fetch`: it gets a `workers.Request`, others JavaScript's."""
    function.__dict__[HANDLER_MARK] = True
    return function
