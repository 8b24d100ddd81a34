"""The modules `workers`, `js`, `pyodide` and `asgi`, for the projects that are written for them. (edge)

They are modules of this package under their own names, put in by a finder on `sys.meta_path`: behind the project's own
files, which may have a `workers` of their own, and ahead of site-packages, where Cloudflare's SDK may lie, which
works nowhere but in WebAssembly.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import time
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Final

from perdure._cloudflare import bridge

HOMES: Final = {
    "workers": "perdure._cloudflare.workers",
    "asgi": "perdure._cloudflare.workers.asgi",
    "js": "perdure._cloudflare.js",
    "pyodide": "perdure._cloudflare.pyodide",
    "_pyodide_entrypoint_helper": "perdure._cloudflare.entrypoint_helper",
    "_cloudflare_compat_flags": "perdure._cloudflare.compat_flags",
}
"""Name of a module → where it is; what is below a name is below its home."""
TIME_ZONE: Final = "UTC"
"""There, naive datetimes are UTC."""


def home_of(name: str) -> str | None:
    """Return where the module *name* is, or None if it is none of ours."""
    if name in HOMES:
        return HOMES[name]
    parent, _, child = name.rpartition(".")
    home = home_of(parent) if parent else None
    return None if home is None else f"{home}.{child}"


class Finder(MetaPathFinder):
    """Finds Cloudflare's modules, unless the project has one of the same name in *folder*."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how *fullname* is loaded, None for every other module."""
        home = home_of(fullname)
        if home is None or self._is_of_project(fullname.partition(".")[0]):
            return None
        try:
            found = importlib.util.find_spec(home)
        except ModuleNotFoundError:  # it has no such parent
            found = None
        if found is None:
            return None
        return ModuleSpec(fullname, _Alias(home), origin=found.origin, is_package=_is_package(found))

    def _is_of_project(self, top: str) -> bool:
        found = PathFinder.find_spec(top, [self.folder])
        # A folder without a Python file in it is no module of anybody's.
        return found is not None and found.origin is not None


class _Alias(Loader):
    """Gives a module that has another name: the same object under both."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(self._home)
        self._own = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """It has run already; the import machinery has given it the other name's spec."""
        module.__spec__ = self._own


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None


_installed: Finder | None = None
_vendored: str | None = None
"""The project's `python_modules`, while that is on `sys.path`."""
_time_zone_before: str | None = None


def install(project_root: pathlib.Path, main_folder: pathlib.Path) -> None:
    """
    Let this process import Cloudflare's modules, as the project at *project_root* does; a second time is harmless.

    Args:
        project_root: where `python_modules` is, in which Cloudflare's tool puts what a project needs. It comes last on
            `sys.path`: compiled packages in it are for WebAssembly.
        main_folder: the folder of the main module, from which the project imports.
    """
    global _installed, _time_zone_before
    folder = str(main_folder.resolve())
    if _installed is None:
        _installed = Finder(folder)
        sys.meta_path.insert(0, _installed)
        _time_zone_before = os.environ.get("TZ")
        _set_time_zone(TIME_ZONE)
    _installed.folder = folder
    _forget_others()
    _put_last(project_root / "python_modules")
    importlib.invalidate_caches()


def uninstall() -> None:
    """Take the modules out again, for tests."""
    global _installed
    if _installed is None:
        return
    bridge.turn_off()
    sys.meta_path.remove(_installed)
    _installed = None
    for name in [name for name in sys.modules if home_of(name) is not None]:
        del sys.modules[name]
    _put_last(None)
    _set_time_zone(_time_zone_before)


def _put_last(folder: pathlib.Path | None) -> None:
    """Let *folder*, if there is one, be last on `sys.path`, in the place of that of the project before."""
    global _vendored
    if _vendored in sys.path:
        sys.path.remove(_vendored)
    _vendored = str(folder.resolve()) if folder is not None and folder.is_dir() else None
    if _vendored is not None and _vendored not in sys.path:
        sys.path.append(_vendored)


def _forget_others() -> None:
    """Remove modules of these names that were imported before from elsewhere: an SDK in site-packages."""
    for name, module in list(sys.modules.items()):
        if home_of(name) is not None and not module.__name__.startswith("perdure."):
            file = getattr(module, "__file__", None) or ""
            if "site-packages" in file or "dist-packages" in file:
                del sys.modules[name]


def _set_time_zone(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()
