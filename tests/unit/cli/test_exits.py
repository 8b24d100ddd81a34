"""Exit codes."""

from __future__ import annotations

import pytest

from perdure._cli.exits import EXITS, exit_code
from perdure._config.problem import Problem


@pytest.mark.parametrize(
    ("codes", "severity", "code"),
    [
        ([], "error", 0),
        (["config/syntax"], "error", 1),
        (["usage/var"], "error", 2),
        (["data/unusable", "storage/failed"], "error", 74),
        (["config/unknown-key"], "warning", 0),
        (["config/stale-tombstone"], "info", 0),
    ],
)
def test_the_worst_problem_decides(codes, severity, code):
    """Warnings and information are no failure."""
    assert exit_code(Problem(name, "m", severity) for name in codes) == code
    assert code in EXITS
