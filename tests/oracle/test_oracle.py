"""The same calls get the same answers from `perdure serve` as from workerd, over real HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .differences import ABSENT, DIFFERENCES, NOT_YET, NOT_YET_SCENARIOS, Difference
from .mapping import expected, folded, same
from .player import Player
from .server import Server, application

HERE = Path(__file__).parent
RECORDED = {path.stem: path for path in sorted((HERE / "recorded").glob("*.json"))}
PORTS = {name: HERE / "scenarios" / f"s{name.replace('-', '_')}.py" for name in RECORDED}
PLAYABLE = [name for name in RECORDED if name not in NOT_YET_SCENARIOS]


@dataclass
class Played:
    answers: list[Any]
    status: int
    output: str


def recorded(name: str) -> dict[str, Any]:
    return json.loads(RECORDED[name].read_text())


def play(name: str, folder: Path) -> Played:
    """Play the scenario's steps, all but those that hang on JavaScript's own rules, on a fresh server."""
    scenario = recorded(name)
    server = Server(application(scenario, PORTS[name], folder / "app"), folder / "data")
    server.start()
    player = Player("127.0.0.1", server.port, restart=server.restart)
    player._evict = lambda cls, object_name: evict(player, cls, object_name)
    steps = [{"do": "sleep", "ms": 0} if step.get("js") else step for step in scenario["steps"]]
    try:
        answers = player.play(scenario | {"steps": steps})
    finally:
        status = server.stop()
    return Played(answers, status, server.text)


def evict(player: Player, cls: str, object_name: str) -> Any:
    answer = player.do_http({"method": "POST", "path": f"/__evict/{cls}/{object_name}", "json": []})
    outcome = answer.get("json", answer)
    return "evicted" if "ok" in outcome else outcome


@pytest.mark.parametrize("name", PLAYABLE)
def test_the_answers_are_those_of_workerd(name: str, tmp_path: Path) -> None:
    """Each step answers as recorded, or as the differences on purpose say."""
    played = play(name, tmp_path)
    wrong, built = [], []
    for index, step in compared(name):
        want, got = wanted(name, index, step["answer"]), folded(played.answers[index])
        if (name, index) in NOT_YET:
            built += [index] if same(want, got) else []
        elif not same(want, got):
            wrong.append(report(index, step, want, got))
    assert not wrong, f"{name}\n" + "\n".join(wrong) + f"\nthe server printed:\n{played.output}"
    assert played.status == 0, f"the server ended with {played.status}\n{played.output}"
    assert not built, f"{name}: steps {built} of NOT_YET are right by now; take them out"


def compared(name: str) -> list[tuple[int, dict[str, Any]]]:
    return [
        (i, step) for i, step in enumerate(recorded(name)["steps"]) if "answer" in step and not step.get("js")
    ]


def wanted(name: str, index: int, answer: Any) -> Any:
    """The recorded answer, with what Perdure gives instead where that differs on purpose."""
    want = expected(answer)
    for difference in DIFFERENCES:
        if (difference.scenario, difference.step) == (name, index):
            want = replaced(want, difference)
    return want


def replaced(answer: Any, difference: Difference) -> Any:
    ours = folded(difference.ours)
    if not difference.at:
        return ours
    whole = deepcopy(answer)
    *way, last = difference.at
    inner = whole
    for key in way:
        inner = inner[key]
    if ours is ABSENT:
        del inner[last]
    else:
        inner[last] = ours
    return whole


def report(index: int, step: dict[str, Any], want: Any, got: Any) -> str:
    asked = {key: value for key, value in step.items() if key != "answer"}
    lines = [
        f"  step {index} {json.dumps(asked)}",
        f"    wanted {json.dumps(want)}",
        f"    got    {json.dumps(got)}",
    ]
    return "\n".join(lines)


def test_every_recorded_scenario_has_a_port() -> None:
    """No scenario is left out in silence, and no port is without its recorded answers."""
    assert sorted(PORTS[name] for name in PLAYABLE) == sorted((HERE / "scenarios").glob("s*.py"))
    assert set(NOT_YET_SCENARIOS) <= set(RECORDED)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d.scenario}-{d.step}")
def test_a_difference_on_purpose_is_one(difference: Difference) -> None:
    """An entry names a step that is compared, and an answer that is not the recorded one."""
    steps = dict(compared(difference.scenario))
    assert difference.step in steps, "no such step, or one that is not compared"
    answer = expected(steps[difference.step]["answer"])
    assert difference.reason
    assert not same(replaced(answer, difference), answer), "this is the recorded answer: take the entry out"


def test_what_is_not_yet_built_is_named_once() -> None:
    """An entry of NOT_YET names a step that is compared and that nothing else speaks of."""
    for name, index in NOT_YET:
        assert index in dict(compared(name))
    assert not set(NOT_YET) & {(d.scenario, d.step) for d in DIFFERENCES}


def test_the_number_of_steps_compared(record_property: Callable[[str, object], None]) -> None:
    """The size of the proof is printed with each run, so that nobody has to guess it."""
    steps = Counter(area for name in PLAYABLE for area in [recorded(name)["area"]] * len(compared(name)))
    areas = ", ".join(f"{area} {count}" for area, count in steps.items())
    record_property(
        "said",
        f"oracle: {len(PLAYABLE)} scenarios, {steps.total()} steps compared ({areas}); "
        f"{len(DIFFERENCES)} differences on purpose, {len(NOT_YET)} steps not yet",
    )
    assert steps.total() > 0
