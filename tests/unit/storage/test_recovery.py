"""What a start makes of the log that a crash left behind."""

from __future__ import annotations

import os
import random
import sqlite3
import struct

import pytest
from support.log import Heard, frame, key, open_journal

from perdure._base.limits import PAGE_BYTES
from perdure._storage.journal.record import FRAME_BYTES, Fields
from perdure._storage.journal.recovery import RecoveryReport, recover
from perdure._storage.layout import PROVISIONAL_MODE, SYNCED_MODE, Layout
from perdure.errors import DataFolderError, StorageReset
from perdure.testing.disk import PowerCut, SimulatedDisk


class Log:
    """Writes a log, then leaves it as a crash would."""

    def __init__(self, root: str) -> None:
        self.disk = SimulatedDisk(root)
        self.layout = Layout(root)
        self.disk.make_folder(self.layout.objects)
        self.journal = open_journal(self.disk, self.layout)
        self.stores = [Heard(number) for number in range(4)]

    async def commit(self, store: int, pages: dict[int, int], size: int, **options) -> None:
        """Append a commit, durable on its own: page number to content, and the database's size."""
        source = self.stores[store]
        source.number += 1
        last = max(pages)
        frames = [
            frame(page, content, size if page == last else 0) for page, content in sorted(pages.items())
        ]
        self.journal.append(source, source.number, frames, **options)
        await self.journal.flush()

    async def commit_cut_off(self, store: int) -> None:
        """Append a commit of which the disk, full then, takes the first pieces; the store goes on before it."""
        self.disk.space_bytes = 6 * FRAME_BYTES
        with pytest.raises(StorageReset):
            await self.commit(store, dict.fromkeys(range(1, 12), 99), 11)
        self.disk.space_bytes = None

    def recover(self) -> RecoveryReport:
        return recover(self.disk, self.layout)

    def path(self, store: int) -> str:
        return self.layout.store(key(store))

    def pages(self, store: int) -> list[int]:
        """First byte of each page of a store's file."""
        with open(self.path(store), "rb") as file:
            data = file.read()
        assert len(data) % PAGE_BYTES == 0
        return list(data[::PAGE_BYTES])

    def segment(self, number: int) -> str:
        return self.layout.segment(number)

    def spoil(self, number: int, offset: int, data: bytes = b"\xff" * 16) -> None:
        with open(self.segment(number), "r+b") as file:
            file.seek(offset)
            file.write(data)
            self.disk._file(os.fstat(file.fileno()).st_ino).synced[offset : offset + len(data)] = data

    def files(self) -> dict[str, bytes]:
        found = {}
        for folder, _, names in os.walk(self.layout.root):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = file.read()
        return found


@pytest.fixture
def log(tmp_path):
    return Log(str(tmp_path))


def test_without_a_log_there_is_nothing_to_do(log):
    assert log.recover() == RecoveryReport()


async def test_every_durable_commit_is_in_its_store(log):
    await log.journal.start()
    await log.commit(0, {1: 1, 2: 2}, 2)
    await log.commit(1, {1: 5}, 1)
    await log.commit(0, {2: 3, 3: 4}, 3)
    report = log.recover()
    assert log.pages(0) == [1, 3, 4]
    assert log.pages(1) == [5]
    assert (report.stores, report.commits, report.torn) == (2, 3, False)


async def test_the_newest_form_of_a_page_wins(log):
    """Also over many segments."""
    await log.journal.start()
    for content in range(1, 30):
        await log.commit(0, {1: content, 2 + content % 3: content}, 4)
    log.recover()
    assert log.pages(0) == [29, 27, 28, 29]


async def test_a_store_is_cut_to_the_size_of_its_last_commit(log):
    await log.journal.start()
    await log.commit(0, {1: 1, 2: 2, 3: 3, 4: 4}, 4)
    await log.commit(0, {1: 9}, 2)
    log.recover()
    assert log.pages(0) == [9, 2]


async def test_pages_of_the_file_that_the_log_does_not_have_stay(log):
    """They are what the last checkpoint synced."""
    await log.journal.start()
    log.disk.make_folder(os.path.dirname(log.path(0)))
    with open(log.path(0), "wb") as file:
        file.write(b"".join(bytes([page]) * PAGE_BYTES for page in (11, 12, 13, 14)))
    await log.commit(0, {2: 1}, 3)
    log.recover()
    assert log.pages(0) == [11, 1, 13]


async def test_what_sqlite_left_beside_a_store_is_removed(log):
    """Its WAL may hold commits that never reached the journal, and would be laid over the recovered pages."""
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    os.makedirs(os.path.dirname(log.path(0)))
    for end in ("-wal", "-journal", "-shm"):
        with open(log.path(0) + end, "wb") as file:
            file.write(b"x")
    log.recover()
    assert os.listdir(os.path.dirname(log.path(0))) == [os.path.basename(log.path(0))]


async def test_a_recovered_store_is_marked_as_synced(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    log.disk.make_folder(os.path.dirname(log.path(0)))
    log.disk.close(log.disk.open(log.path(0), create=True, mode=PROVISIONAL_MODE))
    log.recover()
    assert log.disk.mode(log.path(0)) == SYNCED_MODE


async def test_a_store_without_records_is_not_touched(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    os.makedirs(os.path.dirname(log.path(1)), exist_ok=True)
    for end in ("", "-wal"):
        with open(log.path(1) + end, "wb") as file:
            file.write(b"mine")
    log.recover()
    assert log.disk.read(log.path(1)) == log.disk.read(log.path(1) + "-wal") == b"mine"


async def test_the_log_is_gone_afterwards(log):
    await log.journal.start()
    for content in range(1, 20):
        await log.commit(0, {1: content}, 1)
    log.recover()
    assert log.disk.list(log.layout.journal) == []
    assert log.recover() == RecoveryReport()
    await open_journal(log.disk, log.layout).start()


async def test_a_commit_without_its_last_piece_is_dropped(log):
    await log.journal.start()
    await log.commit(0, {1: 1, 2: 1}, 2)
    await log.commit_cut_off(0)
    log.recover()
    assert log.pages(0) == [1, 1]


async def test_a_commit_in_pieces_counts_when_it_is_whole(log):
    await log.journal.start()
    await log.commit(0, {page: page for page in range(1, 12)}, 11)
    log.recover()
    assert log.pages(0) == [*range(1, 12)]


async def test_a_commit_after_an_unfinished_one_does_not_finish_it(log):
    """A full disk cut the first one off; its store was reset and went on."""
    await log.journal.start()
    await log.commit(0, {1: 1, 2: 1, 3: 1}, 3)
    await log.commit_cut_off(0)
    await log.commit(0, {3: 3}, 3)
    log.recover()
    assert log.pages(0) == [1, 1, 3]


async def test_an_alarm_alone_makes_no_file(log):
    await log.journal.start()
    log.journal.append(log.stores[0], 1, [], fields=Fields(alarm_ms=5))
    await log.journal.flush()
    assert log.recover().stores == 0
    assert not os.path.exists(log.path(0))


async def test_what_will_be_written_is_told_before_it_is(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    await log.commit(1, {1: 5}, 1)
    told = []
    report = recover(log.disk, log.layout, lambda *news: told.append((*news, os.path.exists(log.path(0)))))
    assert told == [(2, report.bytes, False)]


async def test_pages_that_follow_one_another_in_the_store_but_not_in_the_log(log):
    """Runs are read at once: they end where the log, or the store, goes on elsewhere."""
    await log.journal.start()
    await log.commit(0, {page: page for page in range(1, 9)}, 8)
    await log.commit(0, {3: 30, 4: 40, 7: 70}, 8)
    await log.commit(0, {11: 110, 12: 120}, 12)
    log.recover()
    assert log.pages(0) == [1, 2, 30, 40, 5, 6, 70, 8, 0, 0, 110, 120]


async def test_a_store_of_more_pages_than_are_read_at_once(log, monkeypatch):
    monkeypatch.setattr("perdure._storage.journal.recovery._PAGES_AT_A_TIME", 3)
    await log.journal.start()
    await log.commit(0, {page: page for page in range(1, 5)}, 4)
    await log.commit(0, {page: page for page in range(5, 9)}, 8)
    log.recover()
    assert log.pages(0) == [1, 2, 3, 4, 5, 6, 7, 8]


# --- the end of the log ----------------------------------------------------------------------------------


async def test_a_torn_tail_is_dropped(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    await log.commit(0, {1: 2}, 1)
    log.spoil(1, 4608 + 2000)
    report = log.recover()
    assert report.torn
    assert log.pages(0) == [1]


async def test_a_batch_that_was_only_begun_is_dropped(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    await log.commit(0, {1: 2}, 1)
    log.spoil(1, 4608 + 512, bytes(4096))
    assert log.recover().torn
    assert log.pages(0) == [1]


async def test_old_batches_in_a_segment_that_is_used_again_do_not_count(log):
    """They name another segment. Here the new log is shorter than the old one was."""
    await log.journal.start()
    for content in range(1, 25):
        await log.commit(0, {1: content}, 1)
        log.journal.checkpointed(log.stores[0], content)
    assert log.disk.list(log.layout.journal)[0] != "00000001.seg"
    report = log.recover()
    assert log.pages(0) == [24]
    assert not report.torn


# --- damage ----------------------------------------------------------------------------------------------


async def damaged(log: Log) -> str:
    """Recover, which must be refused and touch nothing; give the text."""
    before = log.files()
    with pytest.raises(DataFolderError) as caught:
        log.recover()
    assert log.files() == before
    return str(caught.value)


async def test_damage_to_a_durable_batch_is_refused(log):
    """A wrong checksum in the middle is not a torn tail: the text names the file and the byte."""
    await log.journal.start()
    for content in range(1, 5):
        await log.commit(0, {1: content}, 1)
    log.spoil(1, 4608 + 2000)
    assert f"{log.segment(1)} is damaged at byte 4,608" in await damaged(log)


async def test_damage_to_the_first_batch_of_all_is_refused(log):
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    await log.commit(0, {1: 2}, 1)
    log.spoil(1, 0)
    assert f"{log.segment(1)} is damaged at byte 0" in await damaged(log)


async def test_damage_at_the_end_of_an_older_segment_is_refused(log):
    await log.journal.start()
    for content in range(1, 10):
        await log.commit(0, {1: content}, 1)
    log.spoil(1, 6 * 4608)
    assert f"{log.segment(1)} is damaged at byte 27,648" in await damaged(log)


async def test_a_segment_that_was_taken_away_is_refused(log):
    await log.journal.start()
    for content in range(1, 20):
        await log.commit(0, {1: content}, 1)
    os.unlink(log.segment(2))
    assert f"{log.segment(2)} is damaged at byte 0" in await damaged(log)


async def test_a_segment_that_was_cut_off_is_refused(log):
    await log.journal.start()
    for content in range(1, 20):
        await log.commit(0, {1: content}, 1)
    os.truncate(log.segment(2), 1000)
    assert f"{log.segment(2)} is damaged at byte 0" in await damaged(log)


async def test_a_segment_of_zeros_among_others_is_refused(log):
    await log.journal.start()
    for content in range(1, 20):
        await log.commit(0, {1: content}, 1)
    log.spoil(1, 0, bytes(os.path.getsize(log.segment(1))))
    assert f"{log.segment(1)} is damaged at byte 0" in await damaged(log)


async def test_a_store_file_that_was_taken_away_is_refused(log):
    """The log holds later commits only: what they build on was in the file."""
    await log.journal.start()
    await log.commit(0, {2: 1}, 2)
    assert f"{log.path(0)} is missing" in await damaged(log)


async def test_a_batch_of_a_newer_format_is_refused(log, monkeypatch):
    monkeypatch.setattr("perdure._storage.journal.record.VERSION", 2)
    await log.journal.start()
    await log.commit(0, {1: 1}, 1)
    assert "format version 2" in await damaged(log)


async def test_a_key_that_reaches_outside_the_folder_is_refused(log):
    await log.journal.start()
    log.stores[0].key = b"../../../etc/" + b"a" * 64
    await log.commit(0, {1: 1}, 1)
    assert "not the key of a store" in await damaged(log)


# --- the order of things ---------------------------------------------------------------------------------


async def test_segments_go_only_when_every_store_is_synced(log):
    await log.journal.start()
    for store in range(4):
        await log.commit(store, {1: store + 1}, 1)
    unlink = log.disk.unlink
    checked = []

    def watch(path: str) -> None:
        if path.endswith(".seg"):
            for store in range(4):
                file = log.disk._names[log.path(store)]
                assert bytes(file.synced) == bytes([store + 1]) * PAGE_BYTES
                assert file.mode == SYNCED_MODE
            checked.append(path)
        unlink(path)

    log.disk.unlink = watch
    log.recover()
    assert checked


async def test_recovery_that_is_interrupted_anywhere_comes_to_the_same_end(tmp_path):
    """The power goes after each single step, once; the next start finds what it needs."""
    chance = random.Random(1)
    step = 0
    finished = False
    while not finished:
        log = Log(str(tmp_path / f"{step}"))
        await log.journal.start()
        for content in range(1, 12):
            await log.commit(content % 3, {1: content, 2: content, 3: content}, 3)
            if content == 4:
                await log.commit(1, {1: 40}, 2)
        log.disk.steps_left = step
        try:
            log.recover()
            finished = True
        except PowerCut:
            pass
        after = log.disk.after_power_loss(str(tmp_path / f"{step}-after"), chance)
        log.disk, log.layout = after, Layout(after.root)
        log.recover()
        assert [log.pages(store) for store in range(3)] == [[9, 9, 9], [10, 10, 10], [11, 11, 11]]
        assert log.disk.list(log.layout.journal) == []
        step += 1
    assert step > 30


async def test_a_log_that_a_killed_process_never_synced_is_synced_before_stores_are_written_from_it(tmp_path):
    """Else the power may go in the middle of recovery and take the log, when half of a commit is in a store's file."""
    chance = random.Random(2)
    step = 0
    finished = False
    seen = set()
    while not finished:
        log = Log(str(tmp_path / f"{step}"))
        await log.journal.start()
        await log.commit(0, {1: 1, 2: 1, 3: 1}, 3)
        log.recover()
        log.journal = open_journal(log.disk, log.layout)
        await log.journal.start()
        log.disk.datasync = lambda fd: None  # the process is killed before
        await log.commit(0, {1: 2, 2: 2, 3: 2}, 3)
        killed = log.disk.after_kill(str(tmp_path / f"{step}-killed"))
        killed.steps_left = step
        try:
            recover(killed, Layout(killed.root))
            finished = True
        except PowerCut:
            pass
        for attempt in range(10):
            target = str(tmp_path / f"{step}-after-{attempt}")
            log.disk = killed.after_power_loss(target, chance, lives_on=True)
            log.layout = Layout(target)
            log.recover()
            assert log.pages(0) in ([1, 1, 1], [2, 2, 2])
            seen.add(log.pages(0)[0])
        step += 1
    assert seen == {1, 2}


async def test_batches_behind_a_torn_one_never_come_back(tmp_path):
    """
    One sync covered batches in three segments; the power went, and of the second of them a sector is missing.

    The third is intact and does not count; also not when recovery is interrupted while it removes segments.
    """
    chance = random.Random(3)
    step = 0
    finished = False
    while not finished:
        log = Log(str(tmp_path / f"{step}"))
        await log.journal.start()
        await log.commit(0, {1: 100}, 1)
        source = log.stores[0]
        for content in range(1, 19):
            log.journal.append(source, 1 + content, [frame(1, content, pages=1)])
        await log.journal.flush()
        log.spoil(2, 5000)
        log.disk.steps_left = step
        try:
            log.recover()
            finished = True
        except PowerCut:
            pass
        after = log.disk.after_power_loss(str(tmp_path / f"{step}-after"), chance)
        log.disk, log.layout = after, Layout(after.root)
        log.recover()
        assert log.pages(0) == [6]
        step += 1


async def test_frames_of_sqlite_make_a_database_again(log, tmp_path):
    """The frames of a real WAL, laid out as recovery does it, pass SQLite's own integrity check."""
    await log.journal.start()
    path = str(tmp_path / "source.db")
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    chance = random.Random(2)
    journaled = 0
    for _ in range(30):
        database.execute("BEGIN")
        for _ in range(3):
            row = (chance.randrange(40), chance.randbytes(chance.choice([10, 3000, 9000])))
            database.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", row)
            database.execute("DELETE FROM t WHERE id = ?", (chance.randrange(40),))
        database.execute("COMMIT")
        with open(path + "-wal", "rb") as wal:
            (page_size,) = struct.unpack(">8xI", wal.read(12))
            assert page_size == PAGE_BYTES
            wal.seek(32 + journaled * FRAME_BYTES)
            frames = wal.read()
        journaled += len(frames) // FRAME_BYTES
        source = log.stores[0]
        source.number += 1
        log.journal.append(source, source.number, [frames])
    expected = database.execute("SELECT * FROM t ORDER BY id").fetchall()
    await log.journal.flush()
    database.close()
    log.recover()
    copy = sqlite3.connect(log.path(0))
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert copy.execute("SELECT * FROM t ORDER BY id").fetchall() == expected
    copy.close()
