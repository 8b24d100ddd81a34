"""The same scenarios on the testing kit's runtime, in this process: as `perdure serve` answers, but without HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from .differences import NOT_YET
from .in_memory import answers_of
from .mapping import same
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
    answers = answers_of(scenario, app)
    wrong = [
        report(index, step, want, got)
        for index, step in compared(name)
        if index in answers and not {(name, index)} & {*NOT_YET, *SERVER_ALONE}
        if not same(want := wanted(name, index, step["answer"]), got := answers[index])
    ]
    assert not wrong, f"{name}\n" + "\n".join(wrong)


def test_what_only_a_server_can_answer_is_compared_there() -> None:
    """An entry of SERVER_ALONE names a step that the real process answers."""
    for name, index in SERVER_ALONE:
        assert index in dict(compared(name))
