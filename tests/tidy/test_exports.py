"""What `import perdure` gives: sorted, documented, without side effects."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import perdure


def test_all_is_sorted_and_unique():
    """`__all__` is sorted and names everything once."""
    assert perdure.__all__ == sorted(set(perdure.__all__))


def test_all_names_what_is_public():
    """Every public name of the package that is no module is in `__all__`."""
    public = {
        name
        for name in dir(perdure)
        if not name.startswith("_") and not inspect.ismodule(getattr(perdure, name))
    }
    assert public - {"TYPE_CHECKING", "Any", "annotations"} == set(perdure.__all__)


def test_every_name_is_the_one_that_type_checkers_see():
    """What is loaded at first use is what the imports for type checkers say."""
    tree = ast.parse(inspect.getsource(perdure))
    declared = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("perdure.")
        for alias in node.names
        if alias.asname is None
    }
    loaded = {(f"perdure.{home}", name) for home, names in perdure._HOMES.items() for name in names.split()}
    assert declared == loaded


@pytest.mark.parametrize("name", perdure.__all__)
def test_a_public_name_has_a_docstring(name: str):
    """Each public name says what it is."""
    assert inspect.getdoc(getattr(perdure, name))


@pytest.mark.parametrize("name", [n for n in perdure.__all__ if inspect.isclass(getattr(perdure, n))])
def test_a_public_method_has_a_docstring(name: str):
    """So does each method a public class defines."""
    cls = getattr(perdure, name)
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
