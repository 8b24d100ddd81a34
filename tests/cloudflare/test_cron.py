"""The project `cron`: a worker whose `scheduled` runs."""

from __future__ import annotations

import pytest
from cli_process import eventually


@pytest.mark.members(
    "WorkerEntrypoint.scheduled",
    "ScheduledController.cron",
    "ScheduledController.scheduledTime",
    "ExecutionContext.waitUntil",
    "workers.wait_until",
)
def test_scheduled_gets_the_real_env_and_ctx(project):
    """`scheduled(self, controller, env, ctx)` gets all three, and what it leaves in the background is done."""
    answer = project.get("/cdn-cgi/handler/scheduled?cron=0+3+*+*+1&time=1745856238000")
    assert answer.status_code == 200
    lines = eventually(
        lambda: (lines := project.get("/").json()) and len(lines) == 3 and lines, "three lines in the journal"
    )
    assert lines[0] == "0 3 * * 1 at 1745856238000 (int)"
    assert sorted(lines[1:]) == ["from ctx.waitUntil", "from wait_until"]
