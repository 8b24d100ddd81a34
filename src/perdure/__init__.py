"""Durable objects for Python: stateful classes with a name, a SQLite database each, alive in exactly one place."""

from perdure._base.registry import value
from perdure.context import DurableObjectState, ExecutionContext, confirmed
from perdure.durable_object import DurableObject, WorkerEntrypoint
from perdure.environment import env
from perdure.errors import (
    ConfigError,
    DataCloneError,
    DataFolderError,
    DataFolderInUse,
    Disconnected,
    ObjectReset,
    Overloaded,
    PerdureError,
    RemoteError,
    SqlError,
    StorageError,
    StorageFailed,
    StorageReset,
)
from perdure.namespace import DurableObjectId, DurableObjectStub, Namespace
from perdure.outgoing import fetch
from perdure.runtime import Runtime
from perdure.sql import Row, SqlCursor, SqlStorage
from perdure.storage import DurableObjectStorage, DurableObjectTransaction, SyncKvStorage
from perdure.web import Headers, Request, Response

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataCloneError",
    "DataFolderError",
    "DataFolderInUse",
    "Disconnected",
    "DurableObject",
    "DurableObjectId",
    "DurableObjectState",
    "DurableObjectStorage",
    "DurableObjectStub",
    "DurableObjectTransaction",
    "ExecutionContext",
    "Headers",
    "Namespace",
    "ObjectReset",
    "Overloaded",
    "PerdureError",
    "RemoteError",
    "Request",
    "Response",
    "Row",
    "Runtime",
    "SqlCursor",
    "SqlError",
    "SqlStorage",
    "StorageError",
    "StorageFailed",
    "StorageReset",
    "SyncKvStorage",
    "WorkerEntrypoint",
    "confirmed",
    "env",
    "fetch",
    "value",
]
