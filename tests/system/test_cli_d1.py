"""`perdure d1`: on a running server, and on a folder where nothing runs."""

from __future__ import annotations

import json
import sqlite3

import pytest
from cli_process import Perdure
from operators import Site

CONFIG = {
    "name": "shop",
    "main": "app.py",
    "d1_databases": [
        {"binding": "DB", "database_name": "shop", "database_id": "f00"},
        {"binding": "OTHER", "migrations_dir": "sql/other", "migrations_table": "done it's"},
    ],
}


@pytest.fixture(params=["server", "folder"])
def site(request, tmp_path):
    site = Site(tmp_path)
    (tmp_path / "wrangler.json").write_text(json.dumps(CONFIG))
    if request.param == "folder":
        yield site
        return
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.url
        site.server = server
        yield site


def migration(site, name, text, folder="migrations"):
    path = site.folder / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# --- execute --------------------------------------------------------------------------------------------


def test_statements_run_as_one_transaction_and_tell_their_rows(site):
    """By the binding, the name and the id; the first of them makes the database."""
    told = site.ok(
        "d1", "execute", "DB", "--command", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, NULL)"
    )
    assert told == "2 statements run, 2 rows changed\n"
    assert (
        site.ok("d1", "execute", "shop", "--local", "--command", "SELECT a, b FROM t")
        == "a  b\n1  x\n2  NULL\n"
    )
    failed = site.refused("d1", "execute", "f00", "--command", "DELETE FROM t; INSERT INTO nope VALUES (1)")
    assert "error[d1/failed]: no such table: nope" in failed
    assert "nothing of it has happened; it failed in: INSERT INTO nope VALUES (1)" in failed
    assert site.ok("d1", "execute", "f00", "--command", "SELECT count(*) AS n FROM t") == "n\n2\n"


def test_json_has_a_result_for_each_statement(site):
    """In the shape of D1's results; blobs are tagged."""
    results = site.json(
        "d1", "execute", "DB", "--command", "CREATE TABLE t (a); SELECT x'00ff' AS a; SELECT 1 AS b"
    )
    assert [result["results"] for result in results] == [[], [{"a": {"$bytes": "AP8="}}], [{"b": 1}]]
    assert all(result["success"] is True for result in results)
    assert {
        "changes",
        "changed_db",
        "duration",
        "last_row_id",
        "rows_read",
        "rows_written",
        "size_after",
    } <= set(results[0]["meta"])


def test_a_file_may_be_a_dump_of_another_database(site, tmp_path):
    """With its BEGIN and COMMIT, triggers and comments, and longer than one statement may be."""
    source = sqlite3.connect(":memory:")
    source.executescript(
        "CREATE TABLE t (a); CREATE TABLE log (a); CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); "
        "SELECT 1; END;"
    )
    source.executemany("INSERT INTO t VALUES (?)", [(f"it's; {number:0600}",) for number in range(200)])
    source.commit()
    (tmp_path / "dump.sql").write_text(
        "\ufeff-- of a shop\n" + "\n".join(source.iterdump()) + "\n-- that was all", encoding="utf-8"
    )
    site.ok("d1", "execute", "DB", "--file", "dump.sql")
    assert site.ok("d1", "execute", "DB", "--command", "SELECT count(*) AS n FROM log").split() == [
        "n",
        "200",
    ]
    assert (
        site.ok("d1", "execute", "DB", "--file", "-", input="SELECT max(a) AS m FROM t")
        .splitlines()[1]
        .endswith("199")
    )


def test_a_file_that_a_server_does_not_take_is_told_before_anything_happens(site, tmp_path):
    """17 MiB; where no server runs there is no such limit."""
    statement = "INSERT INTO t VALUES (1); -- " + "x" * 90_000 + "\n"
    (tmp_path / "large.sql").write_text("CREATE TABLE t (a);\n" + statement * 200)
    done = site.perdure("d1", "execute", "DB", "--file", "large.sql")
    if site.server is None:
        assert done.stdout == "201 statements run, 200 rows changed\n"
    else:
        assert done.returncode == 1
        assert "error[control/too-large]" in done.stderr
        assert "no such table" in site.refused("d1", "execute", "DB", "--command", "SELECT * FROM t")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("execute", "shpo", "--command", "SELECT 1"),
            ["d1/unknown-database", 'did you mean "shop"?', '"DB"'],
        ),
        (("execute", "DB"), ["usage/argument", "--command SQL or --file FILE"]),
        (("execute", "DB", "--command", "x", "--file", "y"), ["usage/argument"]),
        (("execute", "DB", "--file", "nope.sql"), ["cli/unreadable", "nope.sql"]),
        (("execute", "DB", "--command", " -- nothing"), ["d1/failed", "No SQL statements detected"]),
        (
            ("execute", "DB", "--command", "SAVEPOINT a"),
            ["d1/failed", "all of it is one transaction already"],
        ),
        (("execute", "DB", "--remote", "--command", "SELECT 1"), ["usage/argument", "npx wrangler d1"]),
        (("migrations", "applie", "DB"), ["usage/argument", 'did you mean "migrations apply"?']),
        (("migrations", "create", "DB"), ["usage/argument", "not the arguments that it takes"]),
        (("migrations", "create", "DB", "//"), ["usage/argument", "no word"]),
    ],
)
def test_what_is_wrong_is_told_in_the_one_form(tmp_path, arguments, words):
    """Before anything is made."""
    site = Site(tmp_path)
    (tmp_path / "wrangler.json").write_text(json.dumps(CONFIG))
    done = site.perdure("d1", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_what_was_made_before_the_first_start_is_there_after_it(tmp_path):
    """The data folder that `d1` makes is one that an application with migrations of classes starts from."""
    site = Site(tmp_path)
    classes = {"durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]}}
    classes["migrations"] = [{"tag": "v1", "new_sqlite_classes": ["Counter"]}]
    (tmp_path / "wrangler.json").write_text(json.dumps({**CONFIG, **classes}))
    site.ok("d1", "execute", "DB", "--command", "CREATE TABLE t (a)")
    with Perdure("serve", "--port", "0", cwd=tmp_path) as server:
        assert server.get("home").text == "1"
        assert site.ok("d1", "execute", "DB", "--command", "SELECT count(*) AS n FROM t") == "n\n0\n"


# --- migrations -----------------------------------------------------------------------------------------


def test_a_migration_is_made_with_the_next_number(site):
    """In the folder of the database, which is made; nothing else is."""
    migration(site, "0041_first.sql", "SELECT 1")
    told = site.ok("d1", "migrations", "create", "shop", "add orders & more")
    assert told.startswith("migrations/0042_add_orders_more.sql is made")
    assert (
        (site.folder / "migrations/0042_add_orders_more.sql")
        .read_text()
        .startswith("-- Migration number: 0042 \t 20")
    )
    site.ok("d1", "migrations", "create", "OTHER", "init")
    assert (site.folder / "sql/other/0001_init.sql").is_file()


def test_migrations_are_applied_once_in_the_order_of_their_numbers(site):
    """And told before and after."""
    migration(site, "0002_more.sql", "ALTER TABLE t ADD COLUMN b")
    migration(site, "0001_init.sql", "CREATE TABLE t (a);")
    migration(site, "10_last.sql", "INSERT INTO t VALUES (1, 2); -- done")
    assert (
        site.ok("d1", "migrations", "list", "DB")
        == "3 migrations to be applied:\n0001_init.sql\n0002_more.sql\n10_last.sql\n"
    )
    assert (
        site.ok("d1", "migrations", "apply", "DB")
        == "3 migrations applied:\n0001_init.sql\n0002_more.sql\n10_last.sql\n"
    )
    assert site.ok("d1", "migrations", "apply", "DB") == "no migration was to be applied\n"
    assert site.ok("d1", "migrations", "list", "DB") == "no migration is to be applied\n"
    assert site.json("d1", "migrations", "list", "DB") == {
        "applied": ["0001_init.sql", "0002_more.sql", "10_last.sql"],
        "unapplied": [],
    }
    assert site.ok("d1", "execute", "DB", "--command", "SELECT id, name FROM d1_migrations LIMIT 1") == (
        "id  name\n 1  0001_init.sql\n"
    )


def test_a_migration_that_fails_has_not_happened_and_stops_the_rest(site):
    """Those before it stay; it is told by its name, and applied when it has been put right."""
    migration(site, "0001_init.sql", "CREATE TABLE t (a)")
    migration(site, "0002_wrong.sql", "INSERT INTO t VALUES (1); INSERT INTO nope VALUES (1)")
    migration(site, "0003_last.sql", "INSERT INTO t VALUES (3)")
    done = site.perdure("d1", "migrations", "apply", "DB")
    assert done.returncode == 1
    assert done.stdout == "1 migration applied:\n0001_init.sql\n"
    assert "error[d1/failed]: migration 0002_wrong.sql: no such table: nope" in done.stderr
    assert site.ok("d1", "execute", "DB", "--command", "SELECT count(*) AS n FROM t") == "n\n0\n"
    migration(site, "0002_wrong.sql", "INSERT INTO t VALUES (2)")
    assert site.json("d1", "migrations", "apply", "DB") == {"applied": ["0002_wrong.sql", "0003_last.sql"]}


def test_a_comment_that_is_open_at_the_end_does_not_hide_that_a_migration_was_applied(site):
    """The row is not part of the file's text. Names are quoted."""
    migration(site, "0001_it's.sql", "CREATE TABLE t (a); /* open", "sql/other")
    site.ok("d1", "migrations", "apply", "OTHER")
    assert site.json("d1", "migrations", "list", "OTHER")["applied"] == ["0001_it's.sql"]


def test_a_migration_without_statements_is_applied(site):
    """Somebody thought better of it, and those after it come."""
    migration(site, "0001_gone.sql", "-- no longer needed")
    migration(site, "0002_init.sql", "CREATE TABLE t (a)")
    assert site.json("d1", "migrations", "apply", "DB") == {"applied": ["0001_gone.sql", "0002_init.sql"]}


def test_a_list_makes_no_data_folder(tmp_path):
    """It only looks."""
    site = Site(tmp_path)
    (tmp_path / "wrangler.json").write_text(json.dumps(CONFIG))
    migration(site, "0001_init.sql", "CREATE TABLE t (a)")
    assert site.json("d1", "migrations", "list", "DB") == {"applied": [], "unapplied": ["0001_init.sql"]}
    assert not (tmp_path / ".perdure").exists()
