"""The examples of docs/testing.md about simulations do what they say."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_examples_of_simulations_run():
    """Each is a test of its own that passes; the last one finds both balances that a crash may leave."""
    section = PAGE.read_text().partition("## Time, orders and accidents")[2]
    names: dict = {}
    for example in re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL):
        exec(example, names)  # as a reader would try it
    tests = [name for name in names if name.startswith("test_")]
    assert len(tests) == 3
    for name in tests:
        names[name]()
    assert names["balances"] == {100, 110}
    run_state_machine_as_test(names["BasketMachine"], settings=settings(max_examples=8))
