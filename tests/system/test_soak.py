"""A real server is killed over and over under load, and nothing that it confirmed is missing; a short run of `make soak-processes`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parent / "soak"


def soak(*options):
    """Run it on a seed; return its exit code and its last line."""
    done = subprocess.run(
        [sys.executable, SOAK, "--seed", "7", *options], capture_output=True, text=True, timeout=100
    )
    assert done.stdout, done.stderr
    return done.returncode, done.stdout.splitlines()[-1]


def test_kills_at_moments_of_chance_lose_nothing_that_was_confirmed(record_property):
    """Over HTTP, WebSockets and by alarms: all of it is there, once, in order, and not early."""
    code, last = soak("--seconds", "5")
    record_property("said", last)
    assert code == 0, last
    figures = re.fullmatch(
        r"seed 7, operations confirmed ([\d,]+), alarms run ([\d,]+), kills (\d+), restarts (\d+), violations 0",
        last,
    )
    assert figures is not None, last
    assert all(int(figure.replace(",", "")) > 0 for figure in figures.groups())


def test_a_server_that_confirms_what_it_did_not_write_is_found_out():
    """Else a run without violations would say nothing."""
    code, last = soak("--seconds", "30", "--forgets", "20")
    assert code == 1
    assert "violations 0" not in last
