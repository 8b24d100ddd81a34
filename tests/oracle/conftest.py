"""What the plays in this process share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from perdure._cloudflare import hooks


@pytest.fixture
def modules() -> Iterator[None]:
    """Forget what a scenario imports: each has a module `lib` of its own."""
    path, known = list(sys.path), set(sys.modules)
    yield
    hooks.uninstall()
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name.partition(".")[0] != "perdure":
            del sys.modules[name]
