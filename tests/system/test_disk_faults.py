"""Disks that fail: a sync that says no, a full disk in every place that writes, bytes that rotted.

What was confirmed is never lost, what was not is never shown, and whoever is concerned hears why.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import Perdure
from support.faulty_disk import FaultyDisk
from support.inside import attempt, live_of, until

import perdure
from perdure import DurableObject, Runtime
from perdure._base.limits import MIB
from perdure._storage.journal.record import HEADER_BYTES, aligned, read_header
from perdure.errors import DataFolderError, StorageFailed, StorageReset


class Counter(DurableObject):
    """Counts, in SQL and by key: both say the same unless something was torn apart."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.kv = ctx.storage.kv
        self.sql.exec("CREATE TABLE IF NOT EXISTS hit (n INTEGER PRIMARY KEY)")

    async def hit(self):
        self.sql.exec("INSERT INTO hit DEFAULT VALUES")
        self.kv["n"] = n = self.kv.get("n", 0) + 1
        return n

    async def count(self):
        assert self.kv.get("n", 0) == self.sql.exec("SELECT count(*) AS n FROM hit").one().n
        return self.kv.get("n", 0)


class Idle(DurableObject):
    """Stores nothing."""

    async def ping(self):
        return "pong"


@pytest.fixture
def disk():
    return FaultyDisk()


def a_runtime(data, **options):
    return Runtime([Counter, Idle], data=data, slow_ms=0, **options)


# --- a sync that fails ---------------------------------------------------------------------------------------


async def test_after_a_sync_failed_every_call_fails(disk, tmp_path):
    """Also to objects that were never touched by it: nothing that they did could be promised to anybody."""
    async with a_runtime(tmp_path, disk=disk) as runtime:
        counter, other, idle = (
            runtime.env.COUNTER.get_by_name("a"),
            runtime.env.COUNTER.get_by_name("b"),
            runtime.env.IDLE.get_by_name("i"),
        )
        assert (await counter.hit(), await other.hit(), await idle.ping()) == (1, 1, "pong")
        disk.broken = True
        calls = [counter.hit(), counter.count(), other.hit()]
        assert {type(await attempt(call)) for call in calls} == {StorageFailed}
        for stub in (
            counter,
            other,
            idle,
            runtime.env.COUNTER.get_by_name("a"),
            runtime.env.IDLE.get_by_name("new"),
        ):
            outcome = await attempt(stub.count() if stub.id._space.class_name == "Counter" else stub.ping())
            assert isinstance(outcome, StorageFailed), stub
            assert "Check the disk" in str(outcome)


async def test_a_sync_that_failed_is_never_tried_again(disk, tmp_path):
    """A second one would say yes, although the system has dropped the bytes."""
    async with a_runtime(tmp_path, disk=disk) as runtime:
        await runtime.env.COUNTER.get_by_name("a").hit()
        disk.broken = True
        await attempt(runtime.env.COUNTER.get_by_name("a").hit())
        disk.broken = False
        received = disk.received
        for name in "abc":
            await attempt(runtime.env.COUNTER.get_by_name(name).hit())
    assert disk.received == received


async def test_the_program_around_is_told_once_and_goes_on(disk, tmp_path):
    """Embedded, the host decides what a broken disk means; the runtime can be stopped, and the folder used again."""
    told = []
    runtime = a_runtime(tmp_path, disk=disk, on_failure=told.append)
    await runtime.start()
    counter = runtime.env.COUNTER.get_by_name("a")
    for _ in range(5):
        await counter.hit()
    disk.broken = True
    await asyncio.gather(*(attempt(counter.hit()) for _ in range(5)))
    await runtime.stop()
    assert [type(error) for error in told] == [StorageFailed]
    disk.broken = False
    async with a_runtime(tmp_path, disk=disk) as runtime:
        assert 5 <= await runtime.env.COUNTER.get_by_name("a").count() <= 10


async def test_a_store_whose_checkpoint_cannot_be_synced_breaks_everything(disk, tmp_path):
    """Pages that the system failed to write may read as if they had been: the journal has them, for the next start."""
    async with a_runtime(tmp_path, disk=disk) as runtime:
        counter = runtime.env.COUNTER.get_by_name("a")
        await counter.hit()
        disk.store_sync_error = errno.EIO
        assert live_of(counter).used_store.try_checkpoint()
        await until(lambda: runtime._host.failed)
        assert isinstance(await attempt(counter.hit()), StorageFailed)
    disk.store_sync_error = None
    async with a_runtime(tmp_path, disk=disk) as runtime:
        assert await runtime.env.COUNTER.get_by_name("a").count() == 1


FAILING_APP = """\
import errno, os
from perdure import DurableObject, Response, WorkerEntrypoint
from perdure._storage.files import RealDisk

real = RealDisk.datasync

def datasync(self, fd):
    if os.path.exists(os.environ["BROKEN"]):
        raise OSError(errno.EIO, "Input/output error")
    real(self, fd)

RealDisk.datasync = datasync

class Counter(DurableObject):
    async def hit(self):
        kv = self.ctx.storage.kv
        kv["n"] = kv.get("n", 0) + 1
        return kv["n"]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(await self.env.COUNTER.get_by_name("home").hit()))
"""


def test_serve_exits_74_and_says_why(tmp_path):
    """The process ends, so that whoever watches it sees; what was confirmed is there at the next start."""
    (tmp_path / "app.py").write_text(FAILING_APP)
    broken = tmp_path / "broken"
    serve = ("serve", "app.py", "--port", "0", "--data", "data")
    with Perdure(*serve, cwd=tmp_path, BROKEN=str(broken)) as process:
        assert [process.get("").text for _ in range(3)] == ["1", "2", "3"]
        broken.touch()
        assert process.get("").status_code >= 500
        assert process.wait() == 74
        assert "Input/output error" in process.output
        assert "Check the disk" in process.output
    broken.unlink()
    with Perdure(*serve, cwd=tmp_path, BROKEN=str(broken)) as process:
        assert process.get("").text in ("4", "5")  # the one that failed may have reached the disk


# --- a full disk ---------------------------------------------------------------------------------------------


async def test_what_was_confirmed_on_a_disk_that_is_full_again_and_again_is_there(disk, tmp_path):
    """Every hit that was answered counts, none that was refused does."""
    chance = random.Random(1)
    answered = dict.fromkeys("abcdef", 0)

    async def hit(runtime, name):
        if not isinstance(await attempt(runtime.env.COUNTER.get_by_name(name).hit()), Exception):
            answered[name] += 1

    async with a_runtime(tmp_path, disk=disk, journal_bytes=1 * MIB) as runtime:
        for _ in range(60):
            disk.full = chance.random() < 0.4
            await asyncio.gather(*(hit(runtime, chance.choice("abcdef")) for _ in range(20)))
        disk.full = False
        for name, count in answered.items():
            assert await runtime.env.COUNTER.get_by_name(name).count() == count
    async with a_runtime(tmp_path) as runtime:
        for name, count in answered.items():
            assert await runtime.env.COUNTER.get_by_name(name).count() == count
    assert all(answered.values())


IN_PROCESS = """\
import asyncio, json, resource, sys
sys.path[:0] = json.loads(sys.argv[1])
from perdure import DurableObject, Runtime

class Shelf(DurableObject):
    async def put(self, count, size):
        for n in range(count):
            self.ctx.storage.kv[f"{size}-{n}"] = bytes(size)
        return "stored"

    async def keys(self):
        return len(self.ctx.storage.kv)

async def attempt(call):
    try:
        return await call
    except Exception as error:
        return f"{type(error).__name__}: {error}"

async def main(data, journal_bytes):
    said = {}
    async with Runtime([Shelf], data=data, slow_ms=0, journal_bytes=journal_bytes) as runtime:
        shelf = lambda name: runtime.env.SHELF.get_by_name(name)
        said["before"] = [await attempt(shelf("a").put(3, 100)), await attempt(shelf("b").put(3, 100))]
        make_full()
        said["lost"] = [await attempt(shelf("a").put(count, size)) for count, size in TOO_MUCH]
        said["others"] = [await attempt(shelf("b").keys()), await attempt(shelf("a").keys())]
        make_room()
        said["after"] = [await attempt(shelf("a").put(1, 200)), await attempt(shelf("c").put(1, 200))]
        said["keys"] = [await attempt(shelf(name).keys()) for name in "abc"]
    async with Runtime([Shelf], data=data, slow_ms=0) as runtime:
        said["again"] = [await attempt(runtime.env.SHELF.get_by_name(name).keys()) for name in "abc"]
    print(json.dumps(said))
"""

BY_LIMIT = (
    IN_PROCESS
    + """
TOO_MUCH = [(8, 1_000_000), (6000, 900)]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def make_full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))

def make_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

asyncio.run(main(sys.argv[2], 4 * 2**20))
"""
)

BY_TMPFS = (
    IN_PROCESS
    + """
import os
TOO_MUCH = [(8, 1_000_000), (6000, 900), (1, 3000)]
filler = sys.argv[2] + "/../filler"

def make_full():
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def make_room():
    os.unlink(filler)

asyncio.run(main(sys.argv[2], 2**20))
"""
)


def said_by(script, data):
    paths = json.dumps([str(Path(perdure.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", script, paths, str(data)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_full(said):
    assert said["before"] == ["stored", "stored"]
    assert all(outcome != "stored" for outcome in said["lost"]), said["lost"]
    assert said["others"] == [3, 3]
    assert said["after"] == ["stored", "stored"]
    assert said["keys"] == said["again"] == [4, 3, 1]


def test_a_store_whose_own_log_cannot_grow_loses_its_turn_alone(tmp_path):
    """SQLite's write fails in the middle of a turn: the object is reset to the commit before; others notice nothing."""
    said = said_by(BY_LIMIT, tmp_path / "data")
    check_full(said)
    assert all(outcome.startswith("StorageReset: disk I/O error") for outcome in said["lost"]), said["lost"]


def test_a_full_file_system_loses_nothing_that_was_confirmed(tmp_path):
    """A real one, where SQLite's writes and the journal's fail as they do in life."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        check_full(said_by(BY_TMPFS, folder / "data"))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


FEW_DESCRIPTORS = (
    IN_PROCESS.replace("import asyncio, json, resource, sys", "import asyncio, json, os, resource, sys")
    + """
async def many(data):
    async with Runtime([Shelf], data=data, slow_ms=0) as runtime:
        calls = [runtime.env.SHELF.get_by_name(f"{n}").put(1, 100) for n in range(500)]
        said = [await attempt(call) for call in calls]
        print(json.dumps([said.count("stored"), len(os.listdir("/proc/self/fd"))]))

resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
asyncio.run(many(sys.argv[2]))
"""
)


def test_more_objects_than_the_process_may_have_files(tmp_path):
    """Stores are closed before the limit is reached, and the program around keeps some for itself."""
    stored, descriptors = said_by(FEW_DESCRIPTORS, tmp_path)
    assert stored == 500
    assert descriptors < 220


async def test_a_start_on_a_full_disk_is_refused_and_loses_nothing(disk, tmp_path):
    """Recovery needs space; the journal stays until there is some."""
    data = await crashed(tmp_path)
    before = contents(data / "journal")
    real = disk.pwrite

    def full(fd, buffers, offset):
        if "/objects/" in disk._paths.get(fd, ""):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, buffers, offset)

    disk.pwrite = full
    with pytest.raises(DataFolderError, match="No space left on device"):
        await a_runtime(data, disk=disk).start()
    assert contents(data / "journal") == before
    disk.pwrite = real
    async with a_runtime(data, disk=disk) as runtime:
        assert await runtime.env.COUNTER.get_by_name("a").count() == 30


# --- bytes that rotted ---------------------------------------------------------------------------------------


async def crashed(folder, hits=30):
    """A folder as `kill -9` leaves it, with so many confirmed hits in its journal."""
    async with a_runtime(folder / "alive") as runtime:
        for _ in range(hits):
            await runtime.env.COUNTER.get_by_name("a").hit()
        shutil.copytree(folder / "alive", folder / "data")
    return folder / "data"


def contents(folder):
    """Every file's hash, but for the lock, which says who looked last."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "LOCK"
    }


def batches(segment):
    """Where each batch of a segment begins."""
    data = segment.read_bytes()
    at = 0
    while (header := read_header(data[at : at + HEADER_BYTES])) is not None:
        yield at
        at += aligned(header.size_bytes)


async def rot(folder):
    """Flip one bit in the middle of a batch that was confirmed; return the segment and where the batch begins."""
    (segment,) = (folder / "journal").iterdir()
    at = list(batches(segment))[10]
    data = bytearray(segment.read_bytes())
    data[at + 300] ^= 4
    segment.write_bytes(data)
    return segment, at


async def test_a_damaged_journal_is_refused_and_nothing_is_touched(tmp_path):
    """To start would be to lose confirmed writes in silence; the error names the file and the place."""
    data = await crashed(tmp_path)
    segment, at = await rot(data)
    before = contents(data)
    with pytest.raises(DataFolderError) as caught:
        await a_runtime(data).start()
    assert str(segment) in str(caught.value)
    assert f"{at:,}" in str(caught.value)
    assert contents(data) == before
    with pytest.raises(DataFolderError):  # and the folder was given back
        await a_runtime(data).start()


async def test_serve_refuses_a_damaged_journal(tmp_path):
    """With the same text, no traceback, and an exit code of its own kind."""
    data = await crashed(tmp_path)
    segment, at = await rot(data)
    (tmp_path / "app.py").write_text(FAILING_APP)
    before = contents(data)
    with Perdure(
        "serve", "app.py", "--port", "0", "--data", str(data), cwd=tmp_path, BROKEN="/none"
    ) as process:
        assert await asyncio.to_thread(process.wait) == 1
        assert str(segment) in process.output
        assert f"{at:,}" in process.output
        assert "Traceback" not in process.output
    assert contents(data) == before


async def test_a_damaged_end_of_the_journal_is_a_torn_write(tmp_path):
    """What a crash may have cut off was never confirmed as far as anybody can tell: all before it counts."""
    data = await crashed(tmp_path)
    (segment,) = (data / "journal").iterdir()
    at = list(batches(segment))[-1]
    content = bytearray(segment.read_bytes())
    content[at + 300] ^= 4
    segment.write_bytes(content)
    async with a_runtime(data) as runtime:
        assert await runtime.env.COUNTER.get_by_name("a").count() == 29


async def test_a_store_that_was_cut_short_is_an_error_of_its_object_alone(tmp_path):
    """It was durable once: the error names the file, and nothing is made in its place."""
    data = await crashed(tmp_path)
    async with a_runtime(data) as runtime:
        await runtime.env.COUNTER.get_by_name("b").hit()
    async with a_runtime(data):
        pass  # recovers, so that both stores stand in files of their own
    async with a_runtime(data) as runtime:
        counter = runtime.env.COUNTER.get_by_name("a")
        path = Path(runtime._host.storage._layout.store(counter.id._space.store_key(counter.id._bytes)))
        os.truncate(path, 100)
        outcome = await attempt(counter.count())
        assert isinstance(outcome, DataFolderError)
        assert str(path) in str(outcome)
        assert path.stat().st_size == 100
        assert await runtime.env.COUNTER.get_by_name("b").count() == 1


async def test_a_store_that_cannot_be_checkpointed_is_named_once(tmp_path, caplog):
    """Somebody took its file away: the journal keeps what it has, and says so, but not with every try."""
    async with a_runtime(tmp_path, open_stores=1) as runtime:
        counter = runtime.env.COUNTER.get_by_name("a")
        await counter.hit()
        store = live_of(counter).used_store
        await runtime.env.COUNTER.get_by_name("b").hit()  # closes the first
        Path(store.path).unlink()
        for _ in range(3):
            store.make_way()
        assert await runtime.env.COUNTER.get_by_name("b").hit() == 2
    (warning,) = [record for record in caplog.records if "checkpoint failed" in record.message]
    assert store.path in warning.message
    async with a_runtime(tmp_path) as runtime:
        assert await runtime.env.COUNTER.get_by_name("a").count() == 1


async def test_a_new_store_on_a_full_disk_is_an_error_of_its_object(disk, tmp_path):
    """The file cannot even be made; once there is space again the object is there."""
    async with a_runtime(tmp_path, disk=disk) as runtime:
        await runtime.env.COUNTER.get_by_name("a").hit()
        real = disk.pwrite

        def full(fd, buffers, offset):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        disk.pwrite = full
        outcome = await attempt(runtime.env.COUNTER.get_by_name("new").hit())
        disk.pwrite = real
        assert "No space left on device" in str(outcome)
        assert not isinstance(outcome, StorageReset | OSError)
        assert await runtime.env.COUNTER.get_by_name("new").hit() == 1
