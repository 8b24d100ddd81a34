"""`pyodide.webloop`: names that programs import; the event loop here is asyncio's own. (cooperative)"""

from __future__ import annotations

import asyncio

PyodideFuture = asyncio.Future
PyodideTask = asyncio.Task


class WebLoop(asyncio.SelectorEventLoop):
    """Pyodide's event loop, to be named or patched; nothing runs on it here."""
