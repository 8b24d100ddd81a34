"""What `import perdure` and `import perdure.testing` give: sorted, documented, without side effects."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import perdure
import perdure.testing

MODULES = (perdure, perdure.testing)
NAMES = [(module, name) for module in MODULES for name in module.__all__]


@pytest.mark.parametrize("module", MODULES)
def test_all_is_sorted_and_unique(module):
    """`__all__` is sorted and names everything once."""
    assert module.__all__ == sorted(set(module.__all__))


@pytest.mark.parametrize("module", MODULES)
def test_all_names_what_is_public(module):
    """Every public name of the package that is no module is in `__all__`."""
    public = {
        name
        for name in dir(module)
        if not name.startswith("_") and not inspect.ismodule(getattr(module, name))
    }
    assert public - {"TYPE_CHECKING", "Any", "annotations"} == set(module.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_the_one_that_type_checkers_see(module):
    """What is loaded at first use is what the imports for type checkers say."""
    tree = ast.parse(inspect.getsource(module))
    declared = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("perdure.")
        for alias in node.names
        if alias.asname is None
    }
    loaded = {
        (f"{module.__name__}.{home}", name) for home, names in module._HOMES.items() for name in names.split()
    }
    assert declared == loaded


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_public_name_has_a_docstring(module, name: str):
    """Each public name says what it is."""
    assert inspect.getdoc(getattr(module, name))


@pytest.mark.parametrize(("module", "name"), [n for n in NAMES if inspect.isclass(getattr(*n))])
def test_a_public_method_has_a_docstring(module, name: str):
    """So does each method a public class defines."""
    cls = getattr(module, name)
    for member, thing in vars(cls).items():
        if not member.startswith("_") and inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{name}.{member}"


def test_import_has_no_side_effects():
    """Importing starts no thread, no loop, no signal handler, and writes nothing."""
    code = """
import signal, sys, threading, tempfile, os, asyncio
before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
policy = asyncio.get_event_loop_policy()
import perdure
assert threading.active_count() == 1
assert before == {s: signal.getsignal(s) for s in before}
assert asyncio.get_event_loop_policy() is policy
assert 'pydantic' not in sys.modules and 'rich' not in sys.modules and 'click' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
