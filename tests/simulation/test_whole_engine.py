"""A hundred stories of the whole engine, each with its own accidents, and nothing of what must hold is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from simulation import soak
from simulation.story import Report, play

SEEDS = int(os.environ.get("PERDURE_SEEDS", 100))
AT_A_TIME = 10


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_nothing_is_broken_whatever_happens(first):
    """The rules are those of `watch.py`. More seeds: `PERDURE_SEEDS=2000`, or `make soak`."""
    for seed in range(first, first + AT_A_TIME):
        report = play(seed)
        assert not report.violations, f"replay it with `make soak SEED={seed}`\n" + "\n".join(
            report.violations
        )


@pytest.mark.parametrize("seed", [4, 9, 27])
def test_a_seed_is_the_same_story_again(seed):
    """Every step, answer and moment of it."""
    assert play(seed) == play(seed)


def test_stories_have_crashes_and_enough_to_lose():
    """Else nothing would be shown."""
    reports = [play(seed) for seed in range(10)]
    assert sum(report.crashes for report in reports) >= 5
    assert sum(report.answers for report in reports) >= 300


def test_the_soak_ends_with_how_many_seeds_and_violations():
    """And with exit code 0 when there are none."""
    tests = Path(__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, "-m", "simulation.soak", "--seconds", "0.5", "--first", "1"],
        cwd=tests,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert re.fullmatch(r"seeds [1-9]\d*, violations 0", ran.stdout.splitlines()[-1]), ran.stdout + ran.stderr
    assert ran.returncode == 0


def test_the_soak_tells_how_far_it_has_come(monkeypatch, capsys):
    """One that runs for hours is not silent until its end."""
    monkeypatch.setattr(soak, "play", lambda seed: Report(seed, [], 1, 1, 0))
    monkeypatch.setattr(soak, "TELLS_EVERY_S", 0)
    assert soak.main(["--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("after 0 s: seeds 1, violations 0\n")


def test_the_soak_tells_a_violation_and_how_to_replay_it(monkeypatch, capsys):
    """With exit code 1."""
    monkeypatch.setattr(soak, "play", lambda seed: Report(seed, ["a row is gone"], 1, 1, 0))
    assert soak.main(["--seed", "5"]) == 1
    told = capsys.readouterr().out
    assert "seed 5: a row is gone\n  replay it: make soak SEED=5\n" in told
    assert told.endswith("seeds 1, violations 1\n")
