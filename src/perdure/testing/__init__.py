"""
Tools to test durable objects with: a runtime for each test, Cloudflare's helpers by their names, and what may go wrong.

The names are loaded at first use, as those of `perdure` are: pytest loads the plugin in every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure._base.lazy import lazy as _lazy

if TYPE_CHECKING:
    from perdure.testing.exploring import crash_at_every_point, explore, simulated
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
    from perdure.testing.loop import Deadlock
    from perdure.testing.outbound import NetworkRefused, Outbound
    from perdure.testing.simulation import Simulation, run_simulation
    from perdure.testing.state_machine import DurableObjectStateMachine
    from perdure.testing.websocket import WebSocketClosed, WebSocketPeer, WebSocketRefused

__all__ = [
    "Deadlock",
    "DurableObjectStateMachine",
    "NetworkRefused",
    "Outbound",
    "Perdure",
    "Simulation",
    "WebSocketClosed",
    "WebSocketPeer",
    "WebSocketRefused",
    "abort_all_durable_objects",
    "crash_at_every_point",
    "create_execution_context",
    "create_scheduled_controller",
    "delete_all_durable_objects",
    "evict_all_durable_objects",
    "evict_durable_object",
    "explore",
    "list_durable_object_ids",
    "reset",
    "run_durable_object_alarm",
    "run_in_durable_object",
    "run_simulation",
    "runtime",
    "simulated",
    "wait_on_execution_context",
]

_HOMES = {
    "exploring": "crash_at_every_point explore simulated",
    "loop": "Deadlock",
    "simulation": "Simulation run_simulation",
    "state_machine": "DurableObjectStateMachine",
    "harness": "Perdure runtime",
    "helpers": "abort_all_durable_objects create_execution_context create_scheduled_controller delete_all_durable_objects evict_all_durable_objects evict_durable_object list_durable_object_ids reset run_durable_object_alarm run_in_durable_object wait_on_execution_context",
    "outbound": "NetworkRefused Outbound",
    "websocket": "WebSocketClosed WebSocketPeer WebSocketRefused",
}

__getattr__, __dir__ = _lazy(__name__, _HOMES)
