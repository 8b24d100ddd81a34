"""Cron triggers on the command line: checked, run by hand while developing, run at their times."""

from __future__ import annotations

import json

import pytest
from cli_process import Perdure

WORKER = """
from perdure import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("fetched")

    async def scheduled(self, controller):
        if controller.cron == "fails":
            secret = 1 / 0
        controller.no_retry()
        print(f"ran <{controller.cron}> at {controller.scheduled_time.isoformat()}", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    """A project whose worker has a trigger that comes once a year."""
    (tmp_path / "app.py").write_text(WORKER)
    write(tmp_path, ["0 0 29 2 *"])
    return tmp_path


def write(folder, crons):
    settings = {"name": "x", "main": "app.py", "triggers": {"crons": crons}}
    (folder / "wrangler.json").write_text(json.dumps(settings, indent=1))


@pytest.mark.rows("EP-03")
def test_dev_runs_the_handler_by_hand(folder):
    """With the expression and the time of the query; the first expression and now without them."""
    with Perdure("dev", "--no-reload", "--port", 0, cwd=folder) as process:
        path = "cdn-cgi/handler/scheduled"
        assert process.get(path).text == "ok"
        process.wait_for("ran <0 0 29 2 .> at 20")
        for time in ("1800000000", "1800000000000", "2027-01-15T08:00:00Z"):
            assert process.get(path, params={"cron": "*/5 * * * *", "time": time}).text == "ok"
        process.wait_for(r"ran <\*/5 \* \* \* \*> at 2027-01-15T08:00:00\+00:00", times=3)
        assert process.get(path, params={"format": "json"}).json() == {"outcome": "ok", "noRetry": True}
        answer = process.get(path, params={"time": "soon"})
        assert (answer.status_code, answer.text) == (
            400,
            "time=soon is no time: write seconds since the epoch.\n",
        )
        assert process.get(path, params={"cron": "fails"}).status_code == 500
        process.wait_for("ZeroDivisionError")
        assert process.get("cdn-cgi/handler/other").text == "fetched"


def test_serve_has_no_such_path(folder):
    """There the worker answers, as for any path."""
    with Perdure("serve", "--port", 0, cwd=folder) as process:
        assert process.get("cdn-cgi/handler/scheduled").text == "fetched"


def test_a_wrong_expression_is_pointed_at(folder):
    """By `check`, and by every start."""
    write(folder, ["*/5 * * * *", "0 25 * * MON"])
    with Perdure("check", cwd=folder) as process:
        assert process.wait() == 1
        assert "error[config/invalid-cron]" in process.output
        lines = process.output.splitlines()
        (caret,) = [line for line in lines if set(line.strip(" |")) == {"^"}]
        source = lines[lines.index(caret) - 1]
        assert source[caret.index("^") : caret.rindex("^") + 1] == "25"


def test_triggers_without_a_handler_are_a_warning(folder):
    """Nothing would run."""
    (folder / "app.py").write_text(WORKER.replace("scheduled(self", "planned(self"))
    with Perdure("check", cwd=folder) as process:
        assert process.wait() == 0
        assert "warning[app/no-scheduled]" in process.output
