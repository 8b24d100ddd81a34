"""What every test may use: `async def test_…`, the marker `rows`, and one profile for Hypothesis."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# Many containers say that Python shall write no bytecode. Then each of the hundreds of processes that tests start would
# compile Perdure anew, and pytest each file of tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile(
    "perdure",
    deadline=None,  # machines are noisy
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,  # a failing case is the bug report
)
settings.register_profile("long", settings.get_profile("perdure"), max_examples=10_000)
settings.load_profile("perdure")

LONG = (
    "oracle/test_oracle.py",
    "examples/test_chat.py",
    "system/test_soak.py",
    "typing/test_env.py",
    "typing/test_typing.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that docs/compatibility.md is made from."""
    config.addinivalue_line("markers", "rows(*ids): the rows of the specification that the test answers")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` is: two for each processor, as tests of processes mostly wait."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes seconds a test, most of it waiting: at the end it would keep one process, and the others idle."""
    items.sort(key=lambda item: not str(item.path).endswith(LONG))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests say with `record_property("said", …)`, whichever process they ran in."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(value))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test to its end on a fresh event loop."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run(test(**arguments))
    return True


def run(coroutine: Any) -> Any:
    """Run *coroutine* on a loop of its own, the kind that the command line uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


@pytest.fixture(scope="module", autouse=True)
def cheap_collections() -> None:
    """
    Let the garbage collector pass over what is there already: half a million objects of pytest, Hypothesis and their like.

    For tests that look whether anything of theirs is left, some of them a hundred times.
    """
    gc.collect()
    gc.freeze()
