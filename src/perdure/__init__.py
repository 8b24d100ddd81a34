"""Durable objects for Python: stateful classes with a name, a SQLite database each, alive in exactly one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure._base.lazy import lazy as _lazy

if TYPE_CHECKING:
    from perdure._alarms.info import AlarmInfo
    from perdure._assets.settings import Assets
    from perdure._assets.site import AssetsBinding
    from perdure._base.registry import value
    from perdure._resources.d1 import D1Meta
    from perdure.context import DurableObjectState, ExecutionContext, confirmed
    from perdure.d1_database import (
        D1Database,
        D1DatabaseSession,
        D1ExecResult,
        D1PreparedStatement,
        D1Result,
    )
    from perdure.durable_object import DurableObject, WorkerEntrypoint
    from perdure.entrypoint import ScheduledController
    from perdure.environment import env
    from perdure.errors import (
        ConfigError,
        D1Error,
        D1TypeError,
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
        TimedOut,
        WebSocketError,
    )
    from perdure.kv_namespace import KvKey, KvList, KvNamespace, KvValue
    from perdure.namespace import DurableObjectId, Namespace, ObjectInfo, ObjectList
    from perdure.object_stub import DurableObjectStub
    from perdure.outgoing import fetch
    from perdure.outgoing_websockets import connect_websocket
    from perdure.rpc import RpcStub, RpcTarget
    from perdure.runtime import Runtime
    from perdure.runtime_thread import RuntimeThread
    from perdure.schedules import Schedule, ScheduledObject, ScheduleRun, Schedules
    from perdure.sql import Row, SqlCursor, SqlStorage
    from perdure.storage import DurableObjectStorage
    from perdure.sync import SyncNamespace, SyncObjects, SyncStub
    from perdure.sync_kv import SyncKvStorage
    from perdure.transactions import DurableObjectTransaction
    from perdure.web import Blob, File, FormData, Headers, Request, Response
    from perdure.websockets import WebSocket, WebSocketPair, WebSocketRequestResponsePair

__version__ = "0.1.0"

__all__ = [
    "AlarmInfo",
    "Assets",
    "AssetsBinding",
    "Blob",
    "ConfigError",
    "D1Database",
    "D1DatabaseSession",
    "D1Error",
    "D1ExecResult",
    "D1Meta",
    "D1PreparedStatement",
    "D1Result",
    "D1TypeError",
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
    "File",
    "FormData",
    "Headers",
    "KvKey",
    "KvList",
    "KvNamespace",
    "KvValue",
    "Namespace",
    "ObjectInfo",
    "ObjectList",
    "ObjectReset",
    "Overloaded",
    "PerdureError",
    "RemoteError",
    "Request",
    "Response",
    "Row",
    "RpcStub",
    "RpcTarget",
    "Runtime",
    "RuntimeThread",
    "Schedule",
    "ScheduleRun",
    "ScheduledController",
    "ScheduledObject",
    "Schedules",
    "SqlCursor",
    "SqlError",
    "SqlStorage",
    "StorageError",
    "StorageFailed",
    "StorageReset",
    "SyncKvStorage",
    "SyncNamespace",
    "SyncObjects",
    "SyncStub",
    "TimedOut",
    "WebSocket",
    "WebSocketError",
    "WebSocketPair",
    "WebSocketRequestResponsePair",
    "WorkerEntrypoint",
    "confirmed",
    "connect_websocket",
    "env",
    "fetch",
    "value",
]

# Module by module, the names above. They are loaded at first use: `perdure --help`, or a program that needs one
# of them, does not wait for the others.
_HOMES = {
    "_alarms.info": "AlarmInfo",
    "_assets.settings": "Assets",
    "_assets.site": "AssetsBinding",
    "_base.registry": "value",
    "_resources.d1": "D1Meta",
    "context": "DurableObjectState ExecutionContext confirmed",
    "d1_database": "D1Database D1DatabaseSession D1ExecResult D1PreparedStatement D1Result",
    "durable_object": "DurableObject WorkerEntrypoint",
    "entrypoint": "ScheduledController",
    "environment": "env",
    "errors": "ConfigError D1Error D1TypeError DataCloneError DataFolderError DataFolderInUse Disconnected ObjectReset Overloaded PerdureError RemoteError SqlError StorageError StorageFailed StorageReset TimedOut WebSocketError",
    "kv_namespace": "KvKey KvList KvNamespace KvValue",
    "namespace": "DurableObjectId Namespace ObjectInfo ObjectList",
    "object_stub": "DurableObjectStub",
    "outgoing": "fetch",
    "outgoing_websockets": "connect_websocket",
    "rpc": "RpcStub RpcTarget",
    "runtime": "Runtime",
    "runtime_thread": "RuntimeThread",
    "schedules": "Schedule ScheduleRun ScheduledObject Schedules",
    "sql": "Row SqlCursor SqlStorage",
    "storage": "DurableObjectStorage",
    "sync": "SyncNamespace SyncObjects SyncStub",
    "sync_kv": "SyncKvStorage",
    "transactions": "DurableObjectTransaction",
    "web": "Blob File FormData Headers Request Response",
    "websockets": "WebSocket WebSocketPair WebSocketRequestResponsePair",
}

__getattr__, __dir__ = _lazy(__name__, _HOMES)
