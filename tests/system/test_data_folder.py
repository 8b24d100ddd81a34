"""One runtime owns a data folder: who comes second is refused with the reason, and nothing is touched."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from cli_process import Perdure

import perdure
from perdure import DurableObject, Runtime
from perdure.errors import DataFolderError, DataFolderInUse

APP = """\
import os
from perdure import DurableObject, Response, Runtime, WorkerEntrypoint

class Counter(DurableObject):
    async def hit(self):
        kv = self.ctx.storage.kv
        kv["n"] = kv.get("n", 0) + 1
        return kv["n"]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json({"n": await self.env.COUNTER.get_by_name("home").hit(), "pid": os.getpid()})
"""
EMBEDDED = APP + 'app = Runtime([Counter], worker=Default, data="data").asgi\n'
SERVE = ("serve", "app.py", "--port", "0", "--data", "data")


class Counter(DurableObject):
    async def hit(self):
        kv = self.ctx.storage.kv
        kv["n"] = kv.get("n", 0) + 1
        return kv["n"]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def a_runtime(data):
    return Runtime([Counter], data=data, slow_ms=0)


# --- who has it ------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused_and_told_which_one_has_the_folder(project):
    """The first goes on as if nothing had happened."""
    with Perdure(*SERVE, cwd=project) as first:
        assert first.get("").json()["n"] == 1
        with Perdure(*SERVE, cwd=project) as second:
            assert second.wait() == 1
            assert f"in use by process {first.process.pid}" in second.output
            assert "Traceback" not in second.output
        assert first.get("").json()["n"] == 2


async def test_an_embedding_program_is_refused_too(project):
    """With the same reason, as an exception."""
    with Perdure(*SERVE, cwd=project) as first:
        await asyncio.to_thread(first.get, "")
        with pytest.raises(DataFolderInUse, match=f"in use by process {first.process.pid}"):
            await a_runtime(project / "data").start()
        assert (await asyncio.to_thread(first.get, "")).json()["n"] == 2


@pytest.mark.parametrize("spelling", ["data", "elsewhere/../data", "link"])
async def test_a_second_runtime_in_one_process_is_refused(tmp_path, spelling):
    """However the folder is spelled."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    async with a_runtime(tmp_path / "data") as runtime:
        with pytest.raises(DataFolderInUse, match="in use by another runtime in this process"):
            await a_runtime(tmp_path / spelling).start()
        assert await runtime.env.COUNTER.get_by_name("home").hit() == 1


async def test_runtimes_on_folders_of_their_own_live_side_by_side(tmp_path):
    """In one process, with objects of the same name."""
    async with (
        a_runtime(tmp_path / "one") as one,
        a_runtime(tmp_path / "two") as two,
        a_runtime(None) as three,
    ):
        for runtime in (one, two, three):
            assert await runtime.env.COUNTER.get_by_name("home").hit() == 1


async def test_a_stopped_runtime_gives_the_folder_back(tmp_path):
    """Also when it never came to start."""
    for n in (1, 2, 3):
        async with a_runtime(tmp_path) as runtime:
            assert await runtime.env.COUNTER.get_by_name("home").hit() == n


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_folder_of_a_process_that_ended_is_free_at_once(project, number):
    """In whatever way it ended; and what it had answered is there."""
    for n in (1, 2, 3):
        with Perdure(*SERVE, cwd=project) as process:
            assert process.get("").json()["n"] == n
            process.signal(number)
            assert process.wait() == (0 if number == signal.SIGTERM else -signal.SIGKILL)


def _answer(url: str) -> dict[str, int]:
    """Ask until an answer comes: uvicorn resets connections that a worker took which then ends."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url, timeout=30).json()
        except httpx.TransportError:
            assert time.monotonic() < deadline


def test_uvicorn_with_several_workers_is_told_to_use_one(tmp_path):
    """One worker has the folder and answers; the others say why they do not start."""
    (tmp_path / "app.py").write_text(EMBEDDED)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "app:app",
            "--port",
            "0",
            "--workers",
            "4",
            "--timeout-worker-healthcheck",
            "60",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(perdure.__file__).parents[1]), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    refused, ready = threading.Event(), threading.Event()

    def read():
        for line in process.stdout:
            lines.append(line)
            if "run a single worker" in line:
                refused.set()
            if "startup complete" in line:
                ready.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        assert refused.wait(30), "".join(lines)
        assert ready.wait(30), "".join(lines)
        port = re.search(r"running on http://127.0.0.1:(\d+)", "".join(lines))[1]
        owner = _answer(f"http://127.0.0.1:{port}/")["pid"]
        assert f"in use by process {owner}" in "".join(lines)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# --- what is in it -----------------------------------------------------------------------------------------------


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "LOCK"
    }


async def a_used_folder(folder):
    async with a_runtime(folder) as runtime:
        await runtime.env.COUNTER.get_by_name("home").hit()


async def test_a_folder_of_a_newer_format_is_refused(tmp_path):
    """Nothing in it is touched, and the text says what would help."""
    await a_used_folder(tmp_path)
    (tmp_path / "FORMAT").write_text("perdure data 99\n")
    before = contents(tmp_path)
    with pytest.raises(DataFolderError, match="has format 99.*Upgrade Perdure"):
        await a_runtime(tmp_path).start()
    assert contents(tmp_path) == before


async def test_serve_refuses_a_folder_of_a_newer_format(project):
    """As a problem with a text, not as a traceback."""
    await a_used_folder(project / "data")
    (project / "data" / "FORMAT").write_text("perdure data 99\n")
    with Perdure(*SERVE, cwd=project) as process:
        assert await asyncio.to_thread(process.wait) == 1
        assert "has format 99" in process.output
        assert "Traceback" not in process.output


async def test_a_refused_folder_is_given_back(tmp_path):
    """Once it is put right it can be used, without a new process."""
    await a_used_folder(tmp_path)
    text = (tmp_path / "FORMAT").read_text()
    (tmp_path / "FORMAT").write_text("perdure data 99\n")
    with pytest.raises(DataFolderError):
        await a_runtime(tmp_path).start()
    (tmp_path / "FORMAT").write_text(text)
    async with a_runtime(tmp_path) as runtime:
        assert await runtime.env.COUNTER.get_by_name("home").hit() == 2


async def test_a_folder_without_its_format_is_not_taken_for_a_new_one(tmp_path):
    """A part of it was taken away: to begin anew would be to hide the rest."""
    await a_used_folder(tmp_path)
    (tmp_path / "FORMAT").unlink()
    before = contents(tmp_path)
    with pytest.raises(DataFolderError, match="no FORMAT file"):
        await a_runtime(tmp_path).start()
    assert contents(tmp_path) == before


async def test_modes_that_somebody_changed_lose_nothing(tmp_path):
    """`chmod -R 755` gives each store the bit that says it was never synced; its size says otherwise."""
    await a_used_folder(tmp_path)
    await a_used_folder(tmp_path)  # the start before the second hit has synced the store
    for folder, _, names in os.walk(tmp_path):
        for path in [folder, *(f"{folder}/{name}" for name in names)]:
            os.chmod(path, 0o755)
    async with a_runtime(tmp_path) as runtime:
        assert await runtime.env.COUNTER.get_by_name("home").hit() == 3
        for path in tmp_path.rglob("*.sqlite"):
            path.chmod(0o755)
    async with a_runtime(tmp_path) as runtime:
        pass  # recovered, and no record of it is left
    for path in tmp_path.rglob("*.sqlite"):
        path.chmod(0o755)
    async with a_runtime(tmp_path) as runtime:
        assert await runtime.env.COUNTER.get_by_name("home").hit() == 4


def test_nothing_is_left_in_the_journal_when_everything_is_in_its_file(project):
    """A start moves what it finds there into the stores; an idle process then needs no journal."""
    with Perdure(*SERVE, cwd=project) as process:
        process.get("")
        process.signal(signal.SIGKILL)
        process.wait()
    assert list((project / "data" / "journal").iterdir())
    with Perdure(*SERVE, cwd=project) as process:
        process.wait_for("Ready on")
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert list((project / "data" / "journal").iterdir()) == []


def test_a_start_does_not_look_at_stores_without_a_record_in_the_journal(project):
    """So that it takes as long with a million of them."""
    with Perdure(*SERVE, cwd=project) as process:
        process.get("")
    objects = next((project / "data" / "objects").iterdir())
    (objects / "00").mkdir(exist_ok=True)
    strangers = [objects / "00" / f"{n:064x}.sqlite" for n in range(10)]
    for path in strangers:
        path.write_bytes(b"opening this would be an error")
    with Perdure(*SERVE, cwd=project) as process:
        assert process.get("").json()["n"] == 2
    assert {path.read_bytes() for path in strangers} == {b"opening this would be an error"}
