"""`workers`: what projects for Cloudflare's Python Workers import first. (cooperative)"""

from __future__ import annotations

from perdure._base.lazy import lazy as _lazy

__all__ = [
    "Blob",
    "BlobEnding",
    "BlobValue",
    "Body",
    "Context",
    "DurableObject",
    "FetchKwargs",
    "FetchResponse",
    "File",
    "FormData",
    "FormDataValue",
    "Headers",
    "JSBody",
    "Request",
    "RequestInitCfProperties",
    "Response",
    "WorkerEntrypoint",
    "WorkflowEntrypoint",
    "env",
    "fetch",
    "handler",
    "import_from_javascript",
    "patch_env",
    "python_from_rpc",
    "python_to_rpc",
    "waitUntil",
    "wait_until",
]

# Loaded at first use: modules below this one are used by others of ours, which these use again.
_HOMES = {
    "blob": "Blob BlobEnding BlobValue File",
    "entrypoints": "DurableObject WorkerEntrypoint WorkflowEntrypoint handler",
    "fetching": "fetch",
    "formdata": "FormData FormDataValue",
    "request": "Request",
    "response": "FetchResponse Response",
    "rpc": "python_from_rpc python_to_rpc",
    "types": "Body Context FetchKwargs Headers JSBody RequestInitCfProperties",
    "utils": "env import_from_javascript patch_env waitUntil wait_until",
}

__getattr__, __dir__ = _lazy(__name__, _HOMES)
