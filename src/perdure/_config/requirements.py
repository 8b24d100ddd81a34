"""What an application needs to have installed, what of it is missing, and the command that installs it. (edge)

Packages come from the environment that runs. Nothing is resolved or installed here: that is for pip and uv.
"""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
import shlex
import sys
import tomllib
import traceback
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

from perdure._config.problem import Problem

FILES: Final = ("requirements.txt", "cf-requirements.txt")
"""Where requirements were before pyproject.toml."""
GROUP: Final = "workers"
"""The dependency group of a project for Cloudflare's Python Workers."""
VENDORED: Final = "python_modules"
"""The folder where Cloudflare's tools put packages for WebAssembly."""
SUPPLIED: Final = frozenset(
    {"perdure", "pyodide-py", "pywrangler", "webtypy", "workers-py", "workers-runtime-sdk"}
)
"""Distributions whose modules come from perdure, or that are only for tools."""
ONLY_IN_PYODIDE: Final = frozenset(
    {"_pyodide", "_pyodide_core", "micropip", "piplite", "pyodide_http", "pyodide_js"}
)
"""Modules that work in Pyodide only."""
DISTRIBUTIONS: Final = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "langchain_core": "langchain-core",
    "multipart": "python-multipart",
    "PIL": "pillow",
    "rest_framework": "djangorestframework",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name."""

NOT_NEEDED: Final = SUPPLIED | {name.replace("_", "-") for name in ONLY_IN_PYODIDE}
"""Distributions that nothing is gained by here."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_OPTIONS: Final = re.compile(r"#|(?:^|\s)-|\\$")
"""Where a line of requirements.txt is no requirement any more: a comment, options such as --hash, or a line that goes on."""
_EXTRAS: Final = re.compile(r"\[[^\]]*\]")


def declared(root: pathlib.Path) -> list[str]:
    """Return the requirements of the project at *root* that have a name, as they are written; none of a file that cannot be read."""
    found: list[str] = []
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        project = {}
    for part, key in (("project", "dependencies"), ("dependency-groups", GROUP)):
        table = project.get(part)
        given = table.get(key) if isinstance(table, dict) else None
        found += [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    for file in FILES:
        try:
            lines = (root / file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            continue
        found += [text for line in lines if (text := _OPTIONS.split(line)[0].strip())]
    return [text for text in found if _NAME.match(text) and "://" not in text]


def missing(root: pathlib.Path) -> list[str]:
    """Return the requirements of the project at *root* that are not installed; one with a marker may not be for here."""
    return [
        text
        for text in dict.fromkeys(declared(root))
        if ";" not in text and _normal(text) not in NOT_NEEDED and not _is_installed(_normal(text))
    ]


def missing_packages(root: pathlib.Path) -> list[Problem]:
    """Return the warning that tells of them; what is imported late, or never, need not stop a start."""
    absent = missing(root)
    if not absent:
        return []
    names = ", ".join(_written_name(text) for text in absent)
    return [
        Problem(
            "app/missing-packages",
            f"the project needs {names}, which {sys.executable} does not have",
            "warning",
            help=install_command(absent),
        )
    ]


def install_command(requirements: Iterable[str]) -> str:
    """Return the command that installs *requirements* into the environment that runs."""
    python = shlex.quote(sys.executable)
    # Environments that uv makes have no pip.
    tool = f"{python} -m pip install" if find_spec("pip") else f"uv pip install --python {python}"
    return f"{tool} {shlex.join(requirements)}"


def import_help(error: BaseException, main: pathlib.Path, root: pathlib.Path) -> str | None:
    """Return what to do about *error*, which the import of *main* ended with, if a package is what is missing."""
    if not isinstance(error, ImportError):
        return None
    vendored = _vendored(error, root)
    if vendored is not None:
        return (
            f"{VENDORED}/{vendored} is built for WebAssembly, and cannot be loaded here: "
            f"{install_command([_requirement_of(vendored, root)])}"
        )
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top, _, rest = error.name.partition(".")
    if top in ONLY_IN_PYODIDE or error.name.startswith("pyodide."):
        return f'"{error.name}" is for Pyodide only, and this is CPython: packages come from the environment of {sys.executable}'
    if rest and top in sys.modules:
        return f'"{top}" is there, and has no module "{rest}": is another version of it needed?'
    return f'{install_command([_requirement_of(top, root)])}, or put "{top}.py" beside {main.name}'


def _vendored(error: ImportError, root: pathlib.Path) -> str | None:
    """Return the package in `python_modules` that failed because it is not for this machine."""
    folder = root / VENDORED
    if not folder.is_dir():
        return None
    inside = str(folder.resolve()) + "/"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(inside):
            package = frame.filename.removeprefix(inside).partition("/")[0].removesuffix(".py")
            built = [*folder.glob(f"{package}.*.so"), *(folder / package).rglob("*.so")]
            return package if any("wasm" in path.name for path in built) else None
    return None


def _requirement_of(module: str, root: pathlib.Path) -> str:
    """Return what to install for *module*: as the project writes it, if it does."""
    name = DISTRIBUTIONS.get(module, module)
    return next((text for text in declared(root) if _normal(text) == _normal(name)), name)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _written_name(requirement: str) -> str:
    found = _NAME.match(_EXTRAS.sub("", requirement))
    return requirement if found is None else found.group()


def _normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", _written_name(requirement)).lower()
