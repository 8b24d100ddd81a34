"""Fixtures for the examples: servers that end with their test. (edge)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .browsing import Windows, chromium
from .serving import Served, perdure_serve


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that serves an example with the given `--var` settings, each on its own data."""
    started: list[Served] = []

    def start(example: str, *settings: str) -> Served:
        served = perdure_serve(example, tmp_path / f"data{len(started)}", *settings)
        started.append(served)
        served.start()
        return served

    yield start
    for served in started:
        served.stop()


@pytest.fixture(scope="module")
def box_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a box office that the tests of a module share; each test has seats of its own."""
    served = perdure_serve("booking", tmp_path_factory.mktemp("booking"))
    served.start()
    yield served.url
    served.stop()


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Chat rooms that the tests of a module share; each test has rooms of its own."""
    served = perdure_serve("chat", tmp_path_factory.mktemp("chat"))
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; for a module, because playwright keeps an event loop in this thread as long as it runs."""
    with chromium(pytest.importorskip("playwright.sync_api", reason="pip install playwright")) as browser:
        yield browser


@pytest.fixture
def visitor(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a visitor: a browser window with cookies of its own."""
    windows = Windows(browser)
    yield windows.open
    windows.close()
