"""
Tools to test durable objects with: a runtime for each test, Cloudflare's helpers by their names, and what may go wrong.

The names are loaded at first use, as those of `perdure` are: pytest loads the plugin in every session.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.testing.harness import Perdure, runtime
    from perdure.testing.helpers import (
        abort_all_durable_objects,
        create_execution_context,
        create_scheduled_controller,
        delete_all_durable_objects,
        evict_all_durable_objects,
        evict_durable_object,
        list_durable_object_ids,
        reset,
        run_durable_object_alarm,
        run_in_durable_object,
        wait_on_execution_context,
    )
    from perdure.testing.outbound import NetworkRefused, Outbound
    from perdure.testing.websocket import WebSocketClosed, WebSocketPeer, WebSocketRefused

__all__ = [
    "NetworkRefused",
    "Outbound",
    "Perdure",
    "WebSocketClosed",
    "WebSocketPeer",
    "WebSocketRefused",
    "abort_all_durable_objects",
    "create_execution_context",
    "create_scheduled_controller",
    "delete_all_durable_objects",
    "evict_all_durable_objects",
    "evict_durable_object",
    "list_durable_object_ids",
    "reset",
    "run_durable_object_alarm",
    "run_in_durable_object",
    "runtime",
    "wait_on_execution_context",
]

_HOMES = {
    "harness": "Perdure runtime",
    "helpers": "abort_all_durable_objects create_execution_context create_scheduled_controller delete_all_durable_objects evict_all_durable_objects evict_durable_object list_durable_object_ids reset run_durable_object_alarm run_in_durable_object wait_on_execution_context",
    "outbound": "NetworkRefused Outbound",
    "websocket": "WebSocketClosed WebSocketPeer WebSocketRefused",
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names.split():
            found = getattr(importlib.import_module(f"perdure.testing.{home}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'perdure.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
