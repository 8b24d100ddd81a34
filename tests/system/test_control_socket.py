"""The control socket of a running runtime: who may, and that no client harms it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from cli_process import Perdure, eventually, in_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operators import APP, Site

from perdure import DurableObject, RpcTarget, Runtime
from perdure._admin import client, protocol
from perdure._admin.operations import Abort, Call, Evict, KvGet, Objects, Sql
from perdure._admin.protocol import NAME
from perdure._base import limits
from perdure._base.private_socket import address
from perdure._config.problem import ProblemsFound


class Thing(DurableObject):
    async def put(self, value):
        self.ctx.storage.kv["k"] = value
        return value

    async def fail(self, text):
        self.ctx.storage.kv["k"] = "v"
        raise ValueError("half \udcff")

    async def wait(self):
        await asyncio.sleep(600)

    def hand_out(self):
        return Part()


class Part(RpcTarget):
    pass


class Running:
    """A runtime with a control socket on a loop in a thread, so that blocking clients can be played."""

    def __init__(self, data: Path, **options):
        self.data = data
        self.loop = asyncio.new_event_loop()
        self.runtime = Runtime([Thing], data=data, control=True, **options)
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def __enter__(self):
        self.run(self.runtime.start())
        self.run(self._fill())
        return self

    def __exit__(self, *error):
        self.run(self.runtime.stop(drain_s=0))
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _fill(self):
        await self.runtime.namespace(Thing).get_by_name("a").put("v")

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def connect(self):
        connection = client.connect(str(self.data))
        assert connection is not None
        return connection

    def ask(self, operation):
        return client.ask(self.connect(), protocol.frame(protocol.Request(protocol.VERSION, operation)))

    @property
    def clients(self):
        return len(self.runtime._control._clients)

    def works(self):
        return self.ask(KvGet(class_name="Thing", name="a", key="k")) == {"found": True, "value": "v"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("data") / "state") as running:
        yield running


def ended(connection):
    """Read until the server closes; what it said."""
    said = b""
    connection.settimeout(30)
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionError:
        pass
    return said


# --- who may --------------------------------------------------------------------------------------------


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_runtime(tmp_path):
    """No port is open, nothing is left behind."""
    data = tmp_path / "state"
    with Running(data) as running:
        assert stat.S_IMODE((data / NAME).stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert running.works()
    assert not (data / NAME).exists()


def test_an_embedded_runtime_listens_only_when_asked(tmp_path):
    """And a command says what to do about it, with the process that has the folder."""

    async def run():
        async with Runtime([Thing], data=tmp_path / "state"):
            assert not (tmp_path / "state" / NAME).exists()
            done = await asyncio.to_thread(site.perdure, "sql", "Thing", "a", "SELECT 1", "--data", "state")
            assert done.returncode == 1
            assert f"error[data/in-use]: process {os.getpid()} has the data folder state" in done.stderr
            assert "Runtime(control=True)" in done.stderr

    site = Site(tmp_path)
    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="plays another user")
def test_another_user_is_refused_even_if_the_file_lets_him_in(tmp_path):
    """The kernel tells who connects."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        with Running(folder / "state") as running:
            code = f"""
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect({str(folder / "state" / NAME)!r})
except PermissionError:
    sys.exit("no permission")
sys.exit("not a word" if connection.recv(100) == b"" else "heard")
"""
            first = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert first.stderr == "no permission\n"
            (folder / "state").chmod(0o755)
            (folder / "state" / NAME).chmod(0o666)
            second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert second.stderr == "not a word\n"
            assert running.works()
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="plays another user")
def test_root_works_on_a_stopped_folder_as_its_owner():
    """A server of the owner's could not open files of root's."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        site = Site(folder)
        with Perdure("serve", "--port", "0", cwd=folder) as server:
            assert server.get("home").text == "1"
            server.process.terminate()
            server.wait()
        for path in (folder / ".perdure", *(folder / ".perdure").rglob("*")):
            os.chown(path, 65534, 65534)
        assert site.ok("kv", "Counter", "home", "get", "n") == "1\n"
        site.ok("kv", "Counter", "home", "put", "n", "2")
        assert {path.stat().st_uid for path in (folder / ".perdure").rglob("*")} == {65534}
    finally:
        shutil.rmtree(folder)


# --- clients that do wrong ------------------------------------------------------------------------------


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), has_length=st.booleans())
def test_whatever_is_sent_the_runtime_goes_on(running, data, has_length):
    """The connection is answered or closed; the next one works."""
    with running.connect() as connection:
        connection.sendall(struct.pack(">I", len(data)) * has_length + data)
        connection.shutdown(socket.SHUT_WR)
        said = ended(connection)
    assert said[4:].startswith(b"\x84\xa4type\xa5hello")
    assert running.works()


def test_a_length_that_is_too_long_is_refused_at_once(running):
    """Nothing of it is read."""
    with running.connect() as connection:
        connection.sendall(b"\xff\xff\xff\xff")
        assert b"control/bad-request" in ended(connection)


def test_another_version_is_told(running):
    """With what to do."""
    with running.connect() as connection:
        body = protocol._encoder.encode({"protocol": 99, "operation": {"op": "new"}})
        connection.sendall(struct.pack(">I", len(body)) + body)
        assert b"control/version" in ended(connection)


def test_a_client_that_says_nothing_is_let_go(running, monkeypatch):
    """It does not keep its place for ever."""
    monkeypatch.setattr(limits, "CONTROL_REQUEST_S", 0.1)
    with running.connect() as connection:
        connection.sendall(b"\x00")
        ended(connection)
    eventually(lambda: running.clients == 0, "the end of the connection")


def test_a_client_that_vanishes_leaves_nothing(running):
    """In the middle of a request, and before the answer."""
    for sent in (
        b"",
        b"\x00\x00",
        protocol.frame(protocol.Request(1, Call(class_name="Thing", name="w", method="wait"))),
    ):
        with running.connect() as connection:
            connection.sendall(sent)
    eventually(lambda: running.clients == 0, "the end of the connections")
    assert running.works()


def test_a_client_that_does_not_read_holds_up_nobody(running, monkeypatch):
    """The answer is larger than any buffer."""
    monkeypatch.setattr(limits, "CONTROL_WRITE_S", 0.3)
    query = Sql(class_name="Thing", name="a", query="SELECT hex(zeroblob(4000000)), hex(zeroblob(4000000))")
    with running.connect() as connection:
        connection.sendall(protocol.frame(protocol.Request(1, query)))
        assert running.works()
        eventually(lambda: running.clients == 0, "the end of the connection")


def test_many_clients_at_once_are_served(running):
    """Each its own answer."""
    asked = [in_thread(running.works) for _ in range(20)]
    assert all(future.result(30) for future in asked)


def test_too_many_clients_are_told(running):
    """Those that are there already keep their place."""
    held = [running.connect() for _ in range(limits.CONTROL_CLIENTS_MAX)]
    try:
        eventually(lambda: running.clients == limits.CONTROL_CLIENTS_MAX, "all of them")
        with pytest.raises(ProblemsFound, match="control/busy"):
            running.works()
    finally:
        for connection in held:
            connection.close()
    eventually(lambda: running.clients == 0, "the end of the connections")
    assert running.works()


def test_half_a_character_in_a_name_or_an_error_does_not_keep_the_answer(tmp_path):
    """No UTF-8 has it, and a Python program may."""

    async def use():
        with contextlib.suppress(ValueError):
            await running.runtime.namespace(Thing).get_by_name("half \udcff").fail("half \udcff")

    with Running(tmp_path / "state") as running:
        running.run(use())
        with pytest.raises(ProblemsFound, match="half .udcff"):
            running.ask(Call(class_name="Thing", name="a", method="fail", args=("x",)))
        listed = running.ask(Objects(class_name="Thing"))["objects"]
        assert "half \\udcff" in [one["name"] for one in listed]
        assert "Thing(half \\udcff)" in running.ask(Evict(class_name="Thing"))["objects"]


# --- start, stop, and what is in between ----------------------------------------------------------------


def test_what_is_in_progress_is_broken_off_at_a_stop(tmp_path):
    """And said so; the stop does not wait."""
    with Running(tmp_path / "state") as running:
        call = in_thread(running.ask, Call(class_name="Thing", name="w", method="wait"))
        eventually(
            lambda: "w" in {live.name for live in running.runtime._host.spaces["Thing"].lives.values()},
            "the call",
        )
        waiting = in_thread(running.ask, Evict(class_name="Thing", name="w"))
        eventually(lambda: running.clients == 2, "both")
    with pytest.raises(ProblemsFound, match=r"shutting down|control/broken-off"):
        call.result(30)
    error = waiting.exception(30)  # none, if it saw in time that what it waited for has gone
    assert error is None or "the server stops" in str(error)


def test_a_folder_that_takes_no_socket_is_no_reason_not_to_serve(tmp_path, caplog):
    """It is said once."""
    data = tmp_path / "state"
    (data / NAME / "in the way").mkdir(parents=True)
    with Running(data) as running:
        assert running.run(running._fill()) is None
    (record,) = [record for record in caplog.records if "control socket" in record.getMessage()]
    assert record.levelname == "WARNING"


def test_a_path_of_any_length_will_do(tmp_path):
    """A socket's address alone takes about a hundred characters."""
    data = tmp_path.joinpath(*["a folder with a long name " * 4] * 3, "state")
    with Running(data) as running:
        assert len(str(data / NAME)) > 300
        assert running.works()


def test_without_proc_the_path_itself_is_the_address(tmp_path, monkeypatch):
    """On other systems than Linux."""
    monkeypatch.setattr("perdure._base.private_socket.os.path.exists", lambda path: False)
    with address(str(tmp_path), NAME) as path:
        assert path == f"{tmp_path}/{NAME}"


def test_after_kill_9_commands_work_and_the_next_server_listens(tmp_path):
    """The dead one's socket is in nobody's way."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.get("home").text == "1"
        server.process.kill()
        server.wait()
    assert (tmp_path / ".perdure" / NAME).exists()
    assert site.ok("kv", "Counter", "home", "get", "n") == "1\n"
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.get("home").text == "2"
        assert site.ok("kv", "Counter", "home", "get", "n") == "2\n"


def test_each_of_two_servers_answers_for_its_own_folder(tmp_path):
    """Found by the folder one stands in."""
    sites = [Site(tmp_path / name) for name in ("one", "two") if not (tmp_path / name).mkdir()]
    with Perdure("serve", "--port", "0", cwd=sites[0].folder) as one:
        with Perdure("serve", "--port", "0", cwd=sites[1].folder) as two:
            assert one.get("home").text == two.get("home").text == "1"
            assert sites[0].ok("call", "Counter", "home", "hit", "10") == "11\n"
            assert sites[1].ok("kv", "Counter", "home", "get", "n") == "1\n"


def test_commands_come_through_while_dev_reloads(tmp_path):
    """Neither side fails: a command waits for the new version, or a new version for the command."""
    site = Site(tmp_path)
    with Perdure("dev", "--port", "0", cwd=tmp_path) as server:
        assert server.get("home").text == "1"
        over = threading.Event()
        failed: list[str] = []
        done: list[str] = []

        def ask():
            while not over.is_set():
                one = site.perdure("call", "Counter", "home", "hit")
                (failed if one.returncode else done).append(one.stdout + one.stderr)

        asking = in_thread(ask)
        for number in range(1, 4):
            new = tmp_path / "new~"
            new.write_text(f"{APP}\n# version {number}\n")
            new.replace(tmp_path / "app.py")
            server.wait_for("Reloaded in", times=number)
        over.set()
        asking.result(30)
        assert not failed
        assert done
        assert "error[" not in server.output
        assert server.get("home").text == str(len(done) + 2)


def test_a_server_that_only_starts_or_stops_is_waited_for(tmp_path):
    """It drains, and has closed its socket already."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", "--drain", "1", cwd=tmp_path) as server:
        assert server.get("home").text == "1"
        in_thread(lambda: pytest.raises(Exception, server.get, "wait"))
        server.wait_for("wait began")
        server.signal(signal.SIGTERM)
        eventually(lambda: not (tmp_path / ".perdure" / NAME).exists(), "the end of the socket")
        assert site.ok("kv", "Counter", "home", "get", "n") == "1\n"
        assert server.wait() == 0


# --- objects in memory ----------------------------------------------------------------------------------


def test_evict_and_abort_reach_the_objects_that_are_meant(tmp_path):
    """One, those of a class, or all; the rest stays."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        for name in ("a", "b", "c"):
            server.get(name)
        site.ok("call", "Broken", "fine", "hello")
        assert site.ok("evict", "Counter", "a") == "1 live object evicted\n"
        assert site.ok("abort", "Counter", "b") == "1 live object aborted\n"
        assert site.ok("evict", "Counter", "b") == "0 live objects evicted\n"
        assert site.ok("evict", "Counter", "--all") == "1 live object evicted\n"
        assert site.ok("abort", "--all") == "1 live object aborted\n"
        assert server.get("a").text == "2"
        assert 'did you mean "Counter"?' in site.refused("evict", "Countr", "--all")
        for wrong in (["evict"], ["evict", "Counter"], ["abort", "Counter", "a", "--all"]):
            assert "name one object, or give --all" in site.refused(*wrong, code=2)


def test_looking_at_an_object_does_not_leave_it_in_memory(tmp_path):
    """It was not there before."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        server.get("a")
        site.ok("evict", "--all")
        site.ok("sql", "Counter", "a", "SELECT 1")
        site.ok("kv", "Counter", "a", "put", "n", "5")
        assert site.ok("evict", "--all") == "0 live objects evicted\n"
        assert server.get("a").text == "6"


def test_an_object_that_is_busy_is_told_and_aborted(tmp_path, monkeypatch):
    """Its caller gets the error of a reset."""
    monkeypatch.setattr(limits, "EVICTION_WAIT_S", 0.1)
    with Running(tmp_path / "state") as running:
        call = in_thread(running.ask, Call(class_name="Thing", name="w", method="wait"))
        eventually(
            lambda: running.ask(Evict(class_name="Thing", name="w"))["busy"] == ["Thing(w)"], "it is busy"
        )
        assert running.ask(Abort(class_name="Thing", name="w")) == {"objects": ["Thing(w)"]}
        with pytest.raises(ProblemsFound, match="aborted by an operator"):
            call.result(30)


def test_an_object_whose_targets_others_hold_is_told_at_once(tmp_path):
    """Nobody knows when they give them back; when they have, it goes."""
    with Running(tmp_path / "state") as running:

        async def parts():
            stub = running.runtime.namespace(Thing).get_by_name("h")
            return [await stub.hand_out(), await stub.hand_out()]

        held = running.run(parts())
        asked = Evict(class_name="Thing", name="h")
        assert running.ask(asked) == {"objects": [], "busy": [], "held": {"Thing(h)": "2 stubs"}}
        for part in held:
            part.dispose()
        assert running.ask(asked) == {"objects": ["Thing(h)"], "busy": [], "held": {}}


def test_on_a_folder_where_nothing_runs_no_object_is_live(tmp_path):
    """Which is no mistake."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        server.get("a")
    assert site.ok("evict", "--all") == "0 live objects evicted\n"
