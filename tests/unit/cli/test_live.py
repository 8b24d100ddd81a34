"""`perdure evict` says which objects stay, and why."""

from __future__ import annotations

import pytest

from perdure._cli import live, reach
from perdure._config.problem import ProblemsFound


def test_an_object_that_stays_is_told_with_what_keeps_it(monkeypatch, capsys):
    """All of them in one answer, after how many went."""
    answer = {"objects": ["A(a)"], "busy": ["A(b)"], "held": {"A(c)": "1 WebSocket and 2 stubs"}}
    monkeypatch.setattr(reach, "run", lambda options, operation: answer)
    with pytest.raises(ProblemsFound) as found:
        live.run_live(None, "evict", "A", None, is_id=False, all=True)
    assert capsys.readouterr().out == "1 live object evicted\n"
    busy, held = found.value.problems
    assert busy.message == '"A(b)" did not come to an end'
    assert held.message == 'still in use: "A(c)" by 1 WebSocket and 2 stubs'
