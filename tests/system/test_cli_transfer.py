"""`perdure export`, `import`, `delete`, `verify` and `backup`: on a running server, and on a folder where nothing runs."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys

import pytest
from cli_process import Perdure, eventually, in_thread
from operators import Site, environment


@pytest.fixture(scope="module", params=["server", "folder"])
def site(request, tmp_path_factory):
    """One project for all tests; each uses objects of its own."""
    site = Site(tmp_path_factory.mktemp(request.param))
    with Perdure("serve", "--port", "0", cwd=site.folder) as server:
        assert server.url
        if request.param == "server":
            site.server = server
            yield site
            return
        server.process.terminate()
        server.wait()
    yield site


def rows(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT id, name, body FROM item").fetchall()
    finally:
        database.close()


ROWS = [(1, "first", None), (2, "se\ncond", b"\0\xff")]


# --- export ---------------------------------------------------------------------------------------------


def test_an_export_is_a_database_for_every_sqlite_program(site, tmp_path):
    """With the object's last confirmed state, and nothing beside it."""
    site.ok("call", "Counter", "out", "fill")
    said = site.ok("export", "Counter", "out", "-o", tmp_path / "out.sqlite")
    assert said.startswith("Counter(out) is in ")
    assert rows(tmp_path / "out.sqlite") == ROWS
    assert os.listdir(tmp_path) == ["out.sqlite"]


def test_an_export_as_text_makes_the_same_database(site, tmp_path):
    """By name, or to standard output."""
    site.ok("call", "Counter", "text", "fill")
    site.ok("export", "Counter", "text", "-o", tmp_path / "out.sql")
    text = (tmp_path / "out.sql").read_text()
    assert site.ok("export", "Counter", "text", "-o", "-") == text
    database = sqlite3.connect(tmp_path / "again.sqlite")
    database.executescript(text)
    database.close()
    assert rows(tmp_path / "again.sqlite") == ROWS
    assert sorted(os.listdir(tmp_path)) == ["again.sqlite", "out.sql"]
    assert not list((site.folder / ".perdure").glob("exported-*"))


@pytest.mark.foreign
def test_an_export_opens_in_the_sqlite3_shell(site, tmp_path):
    """What an operator has at hand."""
    site.ok("call", "Counter", "shell", "fill")
    site.ok("export", "Counter", "shell", "-o", tmp_path / "out.sqlite")
    done = subprocess.run(
        ["sqlite3", tmp_path / "out.sqlite", "SELECT count(*) FROM item"], capture_output=True, text=True
    )
    assert done.stdout == "2\n"


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        (None, 2, "where to? Give -o FILE"),
        ("missing/out.sqlite", 1, "error[cli/unwritable]"),
        ("missing/out.sql", 1, "error[cli/unwritable]"),
        (".perdure/out.sqlite", 1, "is inside the data folder"),
    ],
)
def test_an_export_that_cannot_be_written_is_told(site, output, code, words):
    """And leaves nothing."""
    site.ok("call", "Counter", "nowhere", "hit")
    arguments = [] if output is None else ["-o", output]
    assert words in site.refused("export", "Counter", "nowhere", *arguments, code=code)


def test_exporting_an_object_that_is_not_there_makes_no_file(site, tmp_path):
    """Nor the object."""
    assert "error[object/not-found]" in site.refused(
        "export", "Counter", "nobody", "-o", tmp_path / "f.sqlite"
    )
    assert os.listdir(tmp_path) == []


# --- import ---------------------------------------------------------------------------------------------


def made(
    path, text="CREATE TABLE item (id, name, body); INSERT INTO item VALUES (7, 'made elsewhere', NULL)"
):
    database = sqlite3.connect(path)
    database.executescript(text)
    database.close()
    return path


def test_an_export_is_imported_into_another_object(site, tmp_path):
    """Tables, keys and values."""
    site.ok("call", "Counter", "from", "fill")
    site.ok("call", "Counter", "from", "hit", "3")
    site.ok("export", "Counter", "from", "-o", tmp_path / "f.sqlite")
    said = site.ok("import", "Counter", "into", tmp_path / "f.sqlite")
    assert said.startswith("Counter(into) has what is in ")
    assert site.json("sql", "Counter", "into", "SELECT count(*) AS n FROM item") == [{"n": 2}]
    assert site.ok("call", "Counter", "into", "hit") == "4\n"
    assert [one["name"] for one in site.json("objects", "--prefix", "into")["objects"]] == ["into"]


def test_what_an_object_stores_is_never_replaced_silently(site, tmp_path):
    """--yes says that it shall; then all of it is."""
    path = made(tmp_path / "f.sqlite")
    site.ok("call", "Counter", "there", "hit", "9")
    assert "replace all that Counter(there) stores" in site.refused(
        "import", "Counter", "there", path, code=2
    )
    assert site.ok("kv", "Counter", "there", "get", "n") == "9\n"
    site.ok("import", "Counter", "there", path, "--yes")
    assert site.json("sql", "Counter", "there", "SELECT id FROM item") == [{"id": 7}]
    assert site.ok("call", "Counter", "there", "hit") == "1\n"


def test_a_file_that_cannot_be_imported_is_told_and_changes_nothing(site, tmp_path):
    """Damaged, no database, or not there."""
    site.ok("call", "Counter", "sure", "hit")
    (tmp_path / "text.sqlite").write_text("no database at all, however long it is" * 100)
    (tmp_path / "empty.sqlite").write_text("")
    made(tmp_path / "hidden.sqlite", "CREATE TABLE _cf_other (a)")
    for name in ("text", "empty", "hidden"):
        said = site.refused("import", "Counter", "sure", tmp_path / f"{name}.sqlite", "--yes")
        assert "error[object/not-importable]" in said
    said = site.refused("import", "Counter", "sure", tmp_path / "hiden.sqlite", "--yes")
    assert 'did you mean "hidden.sqlite"?' in said
    assert site.ok("kv", "Counter", "sure", "get", "n") == "1\n"


# --- delete ---------------------------------------------------------------------------------------------


def test_a_deleted_object_begins_anew(site):
    """It is in no list any more."""
    site.ok("call", "Counter", "away", "hit", "5")
    assert site.ok("delete", "Counter", "away", "--yes") == "Counter(away) is deleted\n"
    assert "error[object/not-found]" in site.refused("kv", "Counter", "away", "list")
    assert site.json("objects", "Counter", "--prefix", "away")["objects"] == []
    assert site.ok("call", "Counter", "away", "hit") == "1\n"


def test_nothing_is_deleted_when_nobody_can_be_asked(site):
    """--yes says that it shall."""
    site.ok("call", "Counter", "kept", "hit")
    assert "add --yes" in site.refused("delete", "Counter", "kept", code=2)
    assert site.ok("kv", "Counter", "kept", "get", "n") == "1\n"


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 0)])
def test_on_a_terminal_it_asks_first(site, answer, code):
    """No is the default."""
    site.ok("call", "Counter", "asked", "hit")
    main, other = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-P", "-m", "perdure", "delete", "Counter", "asked"],
        cwd=site.folder,
        env=environment(),
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    seen = ""

    def is_asked():
        nonlocal seen
        seen += os.read(main, 1000).decode()
        return "[y/N]" in seen

    eventually(is_asked, "the question")
    assert "Delete Counter(asked) and everything it stored? [y/N]" in seen
    os.write(main, answer.encode() + b"\n")
    assert command.wait(30) == code
    os.close(main)
    assert (site.perdure("kv", "Counter", "asked", "get", "n").returncode == 0) == (code == 1)


def test_deleting_what_is_not_there_is_told(site):
    """A mistyped name."""
    assert "error[object/not-found]" in site.refused("delete", "Counter", "nobody", "--yes")


@pytest.mark.parametrize("command", ["delete", "import"])
def test_a_live_object_is_reset_when_its_data_goes(tmp_path, command):
    """Its callers hear of it."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.get("waiting").text == "1"
        call = in_thread(server.get, "wait")
        server.wait_for("wait began")
        file = [made(tmp_path / "f.sqlite")] if command == "import" else []
        site.ok(command, "Counter", "waiting", *file, "--yes")
        assert call.result(30).status_code == 500
        server.wait_for("The object was deleted|was replaced by an import")
        assert server.get("waiting").text == "1"


# --- verify ---------------------------------------------------------------------------------------------


def test_what_is_intact_is_told(site):
    """For people and for programs."""
    site.ok("call", "Counter", "sound", "fill")
    assert "and the journal are intact" in site.ok("verify")
    report = site.json("verify")
    assert report["ok"]
    assert report["checked"] > 1
    assert report["findings"] == []


def damaged(tmp_path, *, running):
    """A folder of its own with two objects, one of which has a page of rubbish."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        for name in ("good", "bad"):
            assert server.url
            site.ok("call", "Counter", name, "fill")
        server.process.terminate()
        assert server.wait() == 0
    (one,) = site.json("objects", "Counter", "--prefix", "bad")["objects"]
    (path,) = (tmp_path / ".perdure" / "objects").rglob(f"{one['id']}.sqlite")
    data = bytearray(path.read_bytes())
    assert len(data) > 8192
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)
    return site, path


@pytest.mark.parametrize("running", [False, True])
def test_a_damaged_database_is_found_and_is_exit_code_1(tmp_path, running):
    """The others are looked at all the same."""
    site, path = damaged(tmp_path, running=running)
    if running:
        with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
            assert server.url
            said = site.refused("verify")
            report = json.loads(site.perdure("verify", "--json").stdout)
    else:
        said = site.refused("verify")
        report = json.loads(site.perdure("verify", "--json").stdout)
    assert "error[data/damaged]" in said
    assert str(path) in said
    assert not report["ok"]
    assert [finding["path"] for finding in report["findings"]] == [str(path)]
    assert report["checked"] == 3


def test_a_damaged_journal_is_found(tmp_path):
    """The folder cannot be opened, which is the finding."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        for _ in range(5):
            server.get("home")
        server.process.kill()
        server.wait()
    (segment,) = (tmp_path / ".perdure" / "journal").glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[600:700] = os.urandom(100)
    segment.write_bytes(data)
    said = site.refused("verify")
    assert "error[data/damaged]" in said
    report = json.loads(site.perdure("verify", "--json").stdout)
    assert not report["ok"]


# --- backup ---------------------------------------------------------------------------------------------


def test_a_backup_is_a_data_folder_and_the_next_one_copies_what_changed(site, tmp_path):
    """And removes what is gone."""
    for name in ("back a", "back b", "back c"):
        site.ok("call", "Counter", name, "hit")
    first = site.json("backup", tmp_path / "copy")
    assert first["objects"] == first["copied"] >= 3
    site.ok("call", "Counter", "back a", "hit")
    site.ok("delete", "Counter", "back b", "--yes")
    second = site.json("backup", tmp_path / "copy")
    assert (second["objects"], second["copied"], second["removed"]) == (first["objects"] - 1, 1, 1)
    whole = site.ok("backup", tmp_path / "copy", "--full")
    assert whole.startswith(
        f"{second['objects']} objects in {tmp_path / 'copy'}: {second['objects']} copied ("
    )
    assert site.ok("kv", "Counter", "back a", "get", "n", "--data", tmp_path / "copy") == "2\n"
    assert "error[object/not-found]" in site.refused(
        "kv", "Counter", "back b", "list", "--data", tmp_path / "copy"
    )


def test_a_server_starts_from_a_backup(tmp_path):
    """On another machine, as if nothing had happened."""
    site = Site(tmp_path)
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.get("home").text == "1"
        site.ok("backup", tmp_path / "copy")
    with Perdure("serve", "--port", "0", "--data", tmp_path / "copy", cwd=tmp_path) as server:
        assert server.get("home").text == "2"


@pytest.mark.parametrize("target", [".perdure/copy", "taken"])
def test_a_folder_that_cannot_be_a_backup_is_told(site, target):
    """Inside the data, or full of something else."""
    (site.folder / "taken").mkdir(exist_ok=True)
    (site.folder / "taken" / "letter.txt").write_text("mine")
    assert "error[data/no-backup]" in site.refused("backup", target)
    assert os.listdir(site.folder / "taken") == ["letter.txt"]
