"""The same scenarios on the testing kit's runtime, in this process: as `perdure serve` answers, but without HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure import testing

from .differences import NOT_YET
from .in_memory import InMemoryPlayer, is_of_the_wire
from .mapping import folded, same
from .server import application
from .test_oracle import PLAYABLE, PORTS, compared, recorded, report, wanted

SERVER_ALONE: dict[tuple[str, int], str] = {
    ("130-fetch-passing", 8): "the server sends no body in answer to HEAD",
    ("144-restart", 4): "a global variable goes with its process",
    ("144-restart", 8): "the same",
    ("169-ws-handler-errors", 24): "the size of a message is a limit of the server",
    ("169-ws-handler-errors", 25): "the same",
    ("169-ws-handler-errors", 27): "the same",
}
"""Steps that only a real server can answer as workerd does, and why."""


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", PLAYABLE)
def test_the_answers_are_those_of_workerd(name: str, tmp_path: Path) -> None:
    """Each step answers as recorded, or as the differences on purpose say."""
    scenario = recorded(name)
    app = application(scenario, PORTS[name], tmp_path / "app")
    left_out = {i for i, step in enumerate(scenario["steps"]) if step.get("js") or is_of_the_wire(step)}
    steps = [{"do": "sleep", "ms": 0} if i in left_out else s for i, s in enumerate(scenario["steps"])]
    answers = testing.run_simulation(
        lambda sim: InMemoryPlayer(sim).play(scenario | {"steps": steps}),
        seed=None,
        config=app / "wrangler.json",
        debug=False,
    )
    wrong = [
        report(index, step, want, got)
        for index, step in compared(name)
        if index not in left_out and not {(name, index)} & {*NOT_YET, *SERVER_ALONE}
        if not same(want := wanted(name, index, step["answer"]), got := folded(answers[index]))
    ]
    assert not wrong, f"{name}\n" + "\n".join(wrong)


def test_what_only_a_server_can_answer_is_compared_there() -> None:
    """An entry of SERVER_ALONE names a step that the real process answers."""
    for name, index in SERVER_ALONE:
        assert index in dict(compared(name))
