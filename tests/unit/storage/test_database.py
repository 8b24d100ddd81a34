"""database: one SQLite connection, opened the one way."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from perdure._base import limits
from perdure._storage.database import Database, Error, empty_image, is_critical, own, translate
from perdure._storage.files import RealDisk
from perdure._storage.wal_frames import WalFrames
from perdure.errors import DataFolderError, SqlError

FRAME_BYTES = limits.FRAME_HEADER_BYTES + limits.PAGE_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new store file."""
    path = tmp_path / "store"
    path.write_bytes(empty_image())
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(str(path))
    yield database
    database.close()


def write(database: Database, *statements: str) -> None:
    database.begin()
    for statement in statements:
        database.run(own(statement))
    database.commit()


# --- opening -----------------------------------------------------------------------------------------


def test_an_empty_image_is_one_page_of_an_empty_database(path: Path) -> None:
    """A new store is a database that holds nothing, in WAL mode, made without asking SQLite (SQL-33)."""
    assert len(empty_image()) == limits.PAGE_BYTES
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchall() == [(0,)]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_opening_makes_no_shared_memory_file(database: Database, path: Path) -> None:
    """In exclusive mode SQLite keeps the index of its WAL in memory: no `-shm` beside the store."""
    write(database, "CREATE TABLE t (n)")
    assert sorted(other.name for other in path.parent.iterdir()) == ["store", "store-wal"]


def test_nobody_else_can_open_it(database: Database, path: Path) -> None:
    """The connection holds the file exclusively."""
    other = apsw.Connection(str(path))
    with pytest.raises(apsw.BusyError):
        other.execute("SELECT * FROM sqlite_schema").fetchall()
    other.close()


@pytest.mark.parametrize("content", [b"no database at all" * 300, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_database_says_what_to_do(path: Path, content: bytes) -> None:
    """A damaged file is named, with the way out."""
    path.write_bytes(content)
    with pytest.raises(
        DataFolderError, match=re.escape(str(path)) + r" cannot be opened as a database: .*backup"
    ):
        Database(str(path))


def test_the_file_is_never_made(tmp_path: Path) -> None:
    """A store file that is not there is an error: files are made elsewhere, on purpose."""
    with pytest.raises(DataFolderError):
        Database(str(tmp_path / "missing"))


@pytest.mark.rows("SQL-25", "SQL-31")
def test_a_connection_has_the_settings_that_keep_our_promises(database: Database) -> None:
    """No checkpoint and no sync of SQLite's own; foreign keys are on."""
    pragmas = {
        "journal_mode": "wal",
        "locking_mode": "exclusive",
        "synchronous": 0,
        "wal_autocheckpoint": 0,
        "foreign_keys": 1,
    }
    assert {name: database.run(own(f"PRAGMA {name}")).fetchone()[0] for name in pragmas} == pragmas


# --- transactions and frames -------------------------------------------------------------------------


def test_the_hook_counts_the_frames_of_a_commit(database: Database) -> None:
    """`frames` is where the WAL ends after the last commit."""
    counts = [database.frames]
    write(database, "CREATE TABLE t (n)")
    counts.append(database.frames)
    write(database, "INSERT INTO t VALUES (1)")
    counts.append(database.frames)
    assert counts == [0, 2, 3]


def test_a_commit_of_nothing_adds_no_frame(database: Database) -> None:
    """A transaction that wrote nothing leaves the count."""
    write(database, "CREATE TABLE t (n)")
    before = database.frames
    write(database)
    assert database.frames == before


def test_a_rollback_leaves_the_count(database: Database) -> None:
    """Frames of an undone transaction are not the WAL's, wherever the file ends."""
    database.begin()
    database.run(own("CREATE TABLE t (b)"))
    database.run(own("INSERT INTO t VALUES (zeroblob(2000000))"))  # more than the cache holds: it spills
    database.rollback()
    assert (database.frames, database.in_transaction) == (0, False)
    write(database, "CREATE TABLE u (n)")
    assert database.frames == 2


def test_rolling_back_nothing_is_fine(database: Database) -> None:
    """`rollback` outside a transaction does nothing."""
    database.rollback()
    assert not database.in_transaction


def test_frames_can_be_read_after_a_commit(database: Database) -> None:
    """The pieces are the WAL's bytes; the last frame carries the size of the database."""
    write(database, "CREATE TABLE t (n)")
    piece = database.read_frames(0, database.frames)
    assert len(piece) == 2 * FRAME_BYTES
    last = piece[-FRAME_BYTES:]
    assert int.from_bytes(last[4:8], "big") == 2
    assert last[8:16] == database.read_wal_salts()


def test_frames_of_a_large_commit_are_read_in_bounded_pieces(database: Database, path: Path) -> None:
    """It is never in memory as a whole."""
    write(database, "CREATE TABLE t (b)", *["INSERT INTO t VALUES (zeroblob(5000000))"] * 2)
    frames = WalFrames(RealDisk(), f"{path}-wal", 1, database.frames)
    assert all(len(piece) <= limits.WAL_READ_BYTES for piece in frames)
    assert len([*frames]) > 2
    assert b"".join(frames) == database.read_frames(1, database.frames)


def test_a_wal_that_frames_were_to_be_read_from_is_closed_with_them(database: Database, path: Path) -> None:
    """Also when nobody has read them: the journal gives up commits that it never wrote."""
    write(database, "CREATE TABLE t (b)")
    before = os.listdir("/proc/self/fd")
    frames = WalFrames(RealDisk(), f"{path}-wal", 0, 1)
    del frames
    assert os.listdir("/proc/self/fd") == before


def test_a_checkpoint_empties_the_wal(database: Database, path: Path) -> None:
    """Every page is in the file afterwards, and the count starts again."""
    write(database, "CREATE TABLE t (n)")
    assert database.checkpoint()
    assert database.frames == 0
    assert path.with_name("store-wal").stat().st_size == 0
    assert path.stat().st_size == 2 * limits.PAGE_BYTES


def test_an_open_cursor_is_in_the_way_of_a_checkpoint(database: Database) -> None:
    """Then nothing happens, and it can be tried again."""
    write(database, "CREATE TABLE t (n)", "INSERT INTO t VALUES (1), (2)")
    cursor = database.rows(own("SELECT n FROM t"))
    cursor.fetchone()
    assert not database.checkpoint()
    cursor.close(True)
    assert database.checkpoint()


def test_closing_does_not_checkpoint(path: Path) -> None:
    """Commits stay in the WAL: nothing may reach the file that is not durable."""
    database = Database(str(path))
    write(database, "CREATE TABLE t (n)")
    database.close()
    assert path.read_bytes() == empty_image()
    assert path.with_name("store-wal").stat().st_size == limits.WAL_HEADER_BYTES + 2 * FRAME_BYTES


def test_a_connection_goes_on_where_the_one_before_ended(path: Path) -> None:
    """Opened again with its count of frames, the WAL's commits are there and the next ones follow them."""
    first = Database(str(path))
    write(first, "CREATE TABLE t (n)")
    frames = first.frames
    first.close()
    second = Database(str(path), frames)
    assert second.run(own("SELECT count(*) FROM t")).fetchone() == (0,)
    write(second, "INSERT INTO t VALUES (1)")
    assert second.frames == frames + 1
    second.close()


@pytest.mark.rows("KVA-16")
def test_erasing_is_one_commit(database: Database) -> None:
    """An emptied database is one page, by one commit, and user data is gone."""
    write(database, "CREATE TABLE t (b)", "INSERT INTO t VALUES (zeroblob(100000))")
    before = database.frames
    database.erase()
    assert database.frames == before + 1
    assert database.size_bytes() == limits.PAGE_BYTES
    assert database.reserved_names() == frozenset()
    with pytest.raises(apsw.SQLError, match="too many attached databases"):
        database.run(own("ATTACH ':memory:' AS other"))


@pytest.mark.rows("SQL-17")
def test_the_size_counts_pages_in_use(database: Database) -> None:
    """Free pages are not counted."""
    write(database, "CREATE TABLE t (b)", "INSERT INTO t VALUES (zeroblob(100000))")
    large = database.size_bytes()
    write(database, "DELETE FROM t")
    assert large > 100_000
    assert database.size_bytes() == 2 * limits.PAGE_BYTES


def test_integrity_is_ok_for_a_sound_file(database: Database) -> None:
    """`integrity` yields what SQLite finds."""
    assert list(database.integrity()) == ["ok"]


def test_reserved_names_are_found_in_any_case(database: Database) -> None:
    """They are told in lower case."""
    write(database, "CREATE TABLE _CF_x (n)", "CREATE TABLE mine (n)")
    assert database.reserved_names() == {"_cf_x"}


# --- whose statement it is ---------------------------------------------------------------------------


def test_the_authorizer_asks_only_for_users_statements(database: Database) -> None:
    """What the runtime runs passes, what a user prepares is asked for."""
    write(database, "CREATE TABLE _cf_KV (key)")
    database.internal = False
    with pytest.raises(apsw.AuthError):
        database.cursor().execute("DELETE FROM _cf_KV")
    database.internal = True
    database.run(own("DELETE FROM _cf_KV"))


def test_a_users_text_is_never_taken_for_one_of_ours(database: Database) -> None:
    """Our statements carry a secret, so SQLite's cache cannot hand a user one that was not asked about."""
    write(database, "CREATE TABLE _cf_KV (key)")
    database.run(own("SELECT * FROM _cf_KV")).fetchall()
    database.internal = False
    with pytest.raises(apsw.AuthError):
        database.cursor().execute("SELECT * FROM _cf_KV")


@pytest.mark.rows("SQL-19")
@pytest.mark.parametrize("statement", ["BEGIN", "COMMIT", "SAVEPOINT a", "RELEASE a"])
def test_a_refused_transaction_is_told_apart(database: Database, statement: str) -> None:
    """Its refusal has a text of its own, so it is remembered (SQL-19)."""
    database.internal = False
    with pytest.raises(apsw.AuthError):
        database.cursor().execute(statement)
    assert database.refused_transaction


# --- errors ------------------------------------------------------------------------------------------


def failure(database: Database, statement: str) -> Error:
    with pytest.raises(apsw.Error) as caught:
        database.run(statement)
    return caught.value


@pytest.mark.rows("SQL-27")
def test_an_error_is_translated_with_its_codes(database: Database) -> None:
    """Text, place, code and extended code are Cloudflare's form (SQL-27)."""
    write(database, "CREATE TABLE t (n UNIQUE)", "INSERT INTO t VALUES (1)")
    unique = translate(failure(database, own("INSERT INTO t VALUES (1)")))
    assert (
        str(unique) == "UNIQUE constraint failed: t.n: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)"
    )
    assert (unique.code, unique.extended_code, unique.offset) == (
        "SQLITE_CONSTRAINT",
        "SQLITE_CONSTRAINT_UNIQUE",
        -1,
    )
    syntax = translate(failure(database, "SELECT nope"))
    assert str(syntax) == "no such column: nope at offset 7: SQLITE_ERROR"


@pytest.mark.rows("SQL-27")
def test_an_error_that_is_not_sqlites_is_misuse() -> None:
    """Whatever else comes out of a statement has the same form."""
    error = translate(ValueError("odd"))
    assert isinstance(error, SqlError)
    assert str(error) == "odd: SQLITE_MISUSE"


@pytest.mark.rows("SQL-29")
def test_critical_errors_are_those_after_which_sqlite_may_have_rolled_back(database: Database) -> None:
    """A full disk is critical, a constraint is not (SQL-29)."""
    write(database, "CREATE TABLE t (b UNIQUE)", "INSERT INTO t VALUES (1)")
    assert not is_critical(failure(database, own("INSERT INTO t VALUES (1)")))
    database.run(own("PRAGMA max_page_count = 10"))
    assert is_critical(failure(database, own("INSERT INTO t VALUES (zeroblob(1000000))")))
    assert not is_critical(ValueError())
