"""The layer table of docs/architecture.md holds, and modules say what kind they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/perdure"
PAGE = (ROOT / "docs/architecture.md").read_text()
MODULES = sorted(SOURCE.rglob("*.py"))


def _between(name: str) -> str:
    return PAGE.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]


def _table() -> dict[str, set[str]]:
    """Return package → what it may import, in the order of the page."""
    allowed: dict[str, set[str]] = {}
    for line in _between("layers").strip().splitlines()[2:]:
        _, package, may, _, _ = (part.strip() for part in line.split("|"))
        below = set(allowed) if may == "everything below" else set(re.findall(r"`(\w+)`", may))
        allowed[package.strip("`")] = below
    return allowed


def _imports(path: Path) -> set[str]:
    """Return the top packages of ours that the module imports when it runs."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(a.name for a in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: imports are absolute"
                found.add(child.module or "")
                if child.module == "perdure":
                    found.update(f"perdure.{a.name}" for a in child.names)
            visit(child)

    visit(ast.parse(path.read_text()))
    return {name.split(".")[1] for name in found if name.startswith("perdure.")}


def test_the_table_has_every_package():
    """Nothing of the package stands outside of the layers."""
    tops = {
        p.name.removesuffix(".py")
        for p in SOURCE.iterdir()
        if (p.suffix == ".py" or p.is_dir()) and not p.name.startswith(".")
    }
    assert tops - {"__init__", "__main__", "__pycache__", "py", "py.typed"} == set(_table())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down(path: Path):
    """A module imports only from the packages below its own."""
    top = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if top in ("__init__", "__main__"):
        return
    wrong = _imports(path) - _table()[top] - {top}
    assert not wrong, f"{path} imports {sorted(wrong)}; see the layer table in docs/architecture.md"


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if p.name not in ("__init__.py", "__main__.py")],
    ids=lambda p: str(p.relative_to(SOURCE)),
)
def test_a_module_says_its_kind(path: Path):
    """The first line of a module's docstring ends with (pure), (cooperative) or (edge)."""
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert re.search(r"\((pure|cooperative|edge)\)$", first), first


def test_only_database_imports_apsw():
    """SQLite is imported in one file."""
    users = [p.name for p in MODULES if re.search(r"^\s*(import|from) apsw", p.read_text(), re.MULTILINE)]
    assert users == ["database.py"]


def test_nothing_pickles_or_forks():
    """No pickle and no fork, anywhere."""
    for path in MODULES:
        assert not re.search(r"\b(import pickle|os\.fork\()", path.read_text()), path


def test_every_function_of_the_hot_path_exists():
    """The hot path of docs/architecture.md names functions that are there."""
    code = "\n".join(path.read_text() for path in MODULES)
    names = re.findall(r"^\d+\. `(?:\w+\.)?(\w+)`", _between("hot path"), re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert re.search(rf"def {name}\b", code), name
