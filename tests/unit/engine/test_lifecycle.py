"""The table of an object's states."""

from __future__ import annotations

import pytest

from perdure._engine.lifecycle import BROKEN, EVICTED, MOVES, RUNNING, STARTING, move

ALLOWED = {
    (STARTING, RUNNING),
    (STARTING, BROKEN),
    (STARTING, EVICTED),
    (RUNNING, EVICTED),
    (RUNNING, BROKEN),
}


@pytest.mark.rows("LIFE-01")
@pytest.mark.parametrize("to", MOVES)
@pytest.mark.parametrize("state", MOVES)
def test_only_the_moves_of_the_table_are_made(state, to):
    """Nothing leads out of the two ends, and nothing back to the start."""
    if (state, to) in ALLOWED:
        assert move(state, to) == to
    else:
        with pytest.raises(AssertionError, match=f"cannot go from {state} to {to}"):
            move(state, to)
