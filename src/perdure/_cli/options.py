"""What a run was asked for, in one value that also travels to the process of a reload. (pure)"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from perdure._base import limits


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The settings of `dev` or `serve`."""

    path: str = "."
    command: str = "serve"
    host: str = "127.0.0.1"
    port: int = 8787
    uds: str | None = None
    uds_mode: int = 0o660
    max_connections: int | None = None
    max_requests: int = limits.HTTP_REQUESTS_MAX
    health_path: str = limits.HTTP_HEALTH_PATH
    proxy_headers: bool = True
    forwarded_allow_ips: str = limits.HTTP_PROXIES
    data: str | None = None
    config: str | None = None
    env: str | None = None
    var: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "text"
    drain: float = limits.DRAIN_S
    max_body: int = limits.HTTP_BODY_BYTES_MAX
    max_message: int = limits.WEBSOCKET_MESSAGE_BYTES_MAX
    websocket_buffer: int = limits.WEBSOCKET_BUFFER_BYTES
    websocket_ping: float = 0.0
    websocket_compression: bool = False
    slow_ms: int = limits.SLOW_STEP_MS
    queue_events: int = limits.QUEUED_EVENTS_MAX
    queue_bytes: int = limits.QUEUED_BYTES_MAX
    queue_wait: float = limits.QUEUED_S_MAX
    events_per_10_s: int | None = None
    event_timeout: float | None = None
    ready_prefix: str = ""
    """Stands before `Ready on …`, for programs that wait for that line in another tool's words."""

    @property
    def debug(self) -> bool:
        """Failing requests show what broke; never in production."""
        return self.command == "dev"

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunOptions:
        data: dict[str, Any] = json.loads(text)
        return cls(**{**data, "var": tuple(data["var"])})
