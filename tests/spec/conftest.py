"""What the tests of behaviour share; the objects themselves come from `support.inside`."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder to come back to: of the second runtime that opens it, too."""
    return tmp_path / "data"
