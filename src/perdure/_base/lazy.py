"""Names of a package that are loaded at first use. (edge)"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Return the `__getattr__` and `__dir__` of *package* (PEP 562).

    Args:
        package: its name.
        homes: module below it → the names that it has, with blanks between.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}
    module = sys.modules[package]

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{home_of[name]}"), name)
        setattr(module, name, found)
        return found

    return get, lambda: sorted({*vars(module), *home_of})
