"""Names made from names. (pure)"""

from __future__ import annotations

import re
from typing import Final

WORKER_NAME: Final = "Default"
"""The class that answers requests."""

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def binding_name(class_name: str) -> str:
    """Return the name under which a class without configuration is bound: `ChatRoom` -> `CHAT_ROOM`."""
    return _WORD_START.sub("_", class_name).upper()


def project_name(stem: str) -> str:
    """Return a project name made from a file's or folder's name: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "app"
