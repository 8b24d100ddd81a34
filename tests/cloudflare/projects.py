"""Plays a project for Cloudflare's Python Workers from outside, as `perdure dev` runs it. (edge)"""

from __future__ import annotations

from pathlib import Path

import httpx
import websockets.sync.client as websockets
from cli_process import PATIENCE_S, Perdure

FOLDER = Path(__file__).parent / "projects"


class Project(Perdure):
    """A project that runs; use it as a context manager."""

    def __init__(self, folder: Path, data: Path, *options: str, **environment: str) -> None:
        super().__init__("dev", "--port", "0", "--data", data, *options, cwd=folder, **environment)

    def request(self, method: str, path: str, **more: object) -> httpx.Response:
        """Send a request; *path* begins with a slash."""
        return httpx.request(method, self.url + path, timeout=PATIENCE_S, verify=False, **more)  # type: ignore[arg-type]

    def get(self, path: str, **more: object) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: object) -> httpx.Response:
        return self.request("POST", path, **more)

    def websocket(self, path: str, **more: object) -> websockets.ClientConnection:
        """Open a WebSocket; a context manager with `send` and `recv`."""
        return websockets.connect(self.url.replace("http", "ws", 1) + path, open_timeout=PATIENCE_S, **more)
