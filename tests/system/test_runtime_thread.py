"""A runtime in a thread of its own, in real programs: how they end, signals, forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import perdure

PROGRAM = """\
import os, signal, sys, threading, time
from perdure import DurableObject, Runtime

class Counter(DurableObject):
    async def hit(self):
        n = self.ctx.storage.kv.get("n", 0) + 1
        self.ctx.storage.put("n", n, allow_unconfirmed=True)
        return n

    async def wait(self):
        import asyncio
        await asyncio.Event().wait()

before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
thread = Runtime(objects=[Counter], data="data").in_thread()
rt = thread.start()
counter = rt.sync().namespace(Counter).get_by_name("x")
print(counter.hit(), flush=True)
assert before == {number: signal.getsignal(number) for number in before}
assert signal.set_wakeup_fd(-1) == -1
"""


def start(tmp_path, end, **more):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + end],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(perdure.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def output(tmp_path, end):
    process = start(tmp_path, end)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "threading.Thread(target=counter.hit).start()"])
def test_a_program_that_does_not_stop_it_ends_as_it_would_and_nothing_is_lost(tmp_path, end):
    """Also writes that nobody has waited for: the runtime is stopped in order."""
    assert output(tmp_path, end) == "1\n"
    assert output(tmp_path, "thread.stop()") == ("3\n" if "hit" in end else "2\n")


def test_a_call_in_progress_does_not_keep_the_program(tmp_path):
    """Two seconds after its end it is given up, and told so."""
    told = output(tmp_path, "threading.Thread(target=counter.wait, daemon=True).start()")
    assert told.rstrip().endswith("Disconnected: The server is shutting down. Retry the request.")


def test_ctrl_c_reaches_a_program_that_waits_for_an_object(tmp_path):
    """As KeyboardInterrupt, in the thread that called."""
    with start(tmp_path, "counter.wait()") as process:
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=30)
        assert text.rstrip().endswith("KeyboardInterrupt")


FORKED = """
child = os.fork()
if child == 0:
    for attempt in (counter.hit, thread.start, thread.stop):
        try:
            attempt()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
    sys.exit(0)  # with the functions of atexit
assert os.waitpid(child, 0)[1] == 0
print(counter.hit(), flush=True)
thread.stop()
"""


def test_a_forked_process_is_told_and_does_no_harm(tmp_path):
    """Celery and gunicorn fork: the loop is not there any more, and the data are the parent's."""
    lines = output(tmp_path, FORKED).splitlines()
    assert lines[0] == "1"
    assert len(lines) == 5
    for line in lines[1:4]:
        assert line.startswith("PerdureError This process was forked from the one in which the runtime runs")
        assert "post_fork" in line
        assert "worker_process_init" in line
    assert lines[4] == "2"
    assert output(tmp_path, "") == "3\n"
