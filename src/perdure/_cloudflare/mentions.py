"""Whether a project's own files mention a word: what is to be turned on before its first event. (edge)"""

from __future__ import annotations

import os
import pathlib
from typing import Final

NOT_ITS_OWN: Final = frozenset({"__pycache__", "node_modules", "python_modules", "site-packages", "venv"})
"""Folders of packages, which a project may have among its files; so are those that begin with a dot."""


def mentions(folder: pathlib.Path, word: str) -> bool:
    """Tell whether a Python file of the project in *folder* has *word* in it; a file that cannot be read has not."""
    wanted = word.encode()
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in NOT_ITS_OWN]
        for name in files:
            if name.endswith(".py") and wanted in _content(os.path.join(where, name)):
                return True
    return False


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
