"""`workers`: what projects for Cloudflare's Python Workers import first. (cooperative)"""

from __future__ import annotations

from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint, WorkflowEntrypoint
from perdure.web import Request, Response

__all__ = ["DurableObject", "Request", "Response", "WorkerEntrypoint", "WorkflowEntrypoint"]
