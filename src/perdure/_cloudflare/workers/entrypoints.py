"""`workers.entrypoints`: the classes that a project extends; plain ones, which an adapter runs. (pure)"""

from __future__ import annotations

from typing import Any


class _Entrypoint:
    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class DurableObject(_Entrypoint):
    """Base of a project's durable objects."""


class WorkerEntrypoint(_Entrypoint):
    """Base of a project's workers."""


class WorkflowEntrypoint(_Entrypoint):
    """Base of a project's workflows, which need Cloudflare's platform to run."""
