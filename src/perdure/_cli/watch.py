"""Which changes of files reload an application. (pure)"""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterable

CONFIG_NAMES = frozenset({"wrangler.json", "wrangler.jsonc", "wrangler.toml", "pyproject.toml"})
FOLDERS_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})


def is_watched(
    path: pathlib.Path,
    roots: Iterable[pathlib.Path],
    data: pathlib.Path,
    files: Collection[pathlib.Path] = (),
) -> bool:
    """Tell whether a change of *path* means a reload: code, configuration and variables, never state."""
    if path in files:
        return True
    if path.is_relative_to(data):
        return False
    for root in roots:
        if not path.is_relative_to(root):
            continue
        folders = path.relative_to(root).parts[:-1]
        if any(folder in FOLDERS_LEFT_OUT or folder.startswith(".") for folder in folders):
            continue
        name = path.name
        if path.suffix == ".py" or name in CONFIG_NAMES:
            return True
        if name == ".env" or name == ".dev.vars" or name.startswith((".env.", ".dev.vars.")):
            return True
    return False


def changed_text(paths: Iterable[str]) -> str:
    """Return what changed, in a few words."""
    names = sorted(paths)
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
