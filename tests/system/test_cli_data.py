"""`perdure sql`, `kv` and `call`: on a running server, and on a folder where nothing runs."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from cli_process import Perdure
from operators import Site


@pytest.fixture(scope="module", params=["server", "folder"])
def site(request, tmp_path_factory):
    """One project for all tests; each uses objects of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    site = Site(folder)
    if request.param == "folder":
        site.ok("call", "Counter", "filled", "fill", "--data", _made(site))
        yield site
        return
    with Perdure("serve", "--port", "0", cwd=folder) as server:
        assert server.url
        site.server = server
        site.ok("call", "Counter", "filled", "fill")
        yield site


def _made(site):
    """A data folder is made by the first start."""
    with Perdure("serve", "--port", "0", cwd=site.folder) as server:
        assert server.url
        server.process.terminate()
        server.wait()
    return ".perdure"


# --- objects --------------------------------------------------------------------------------------------


def test_objects_are_listed_with_what_they_store(site):
    """Of one class, or of all; by name."""
    for name in ("list a", "list b", "other"):
        site.ok("call", "Counter", name, "hit")
    listed = site.json("objects", "Counter", "--prefix", "list ")
    assert [one["name"] for one in listed["objects"]] == ["list a", "list b"]
    assert not listed["more"]
    one = listed["objects"][0]
    assert one["class"] == "Counter"
    assert one["size_bytes"] >= 4096
    assert one["live"] == (site.server is not None)
    assert one["first_used"] <= one["last_used"]
    assert site.ok("sql", "--id", "Counter", one["id"], "SELECT 1 AS a") == "a\n1\n"
    site.ok("call", "Broken", "fine", "hello")
    assert {one["class"] for one in site.json("objects")["objects"]} == {"Broken", "Counter"}


def test_a_list_of_objects_has_a_limit_that_is_told(site):
    """Over the bounds of classes too."""
    site.ok("call", "Broken", "fine", "hello")
    whole = site.json("objects")["objects"]
    ids = [found["id"] for found in whole]
    for limit in range(1, len(whole) + 1):
        part = site.json("objects", "--limit", limit)
        assert [found["id"] for found in part["objects"]] == ids[:limit]
        assert part["more"] == (limit < len(whole))
    done = site.perdure("objects", "Counter", "--limit", "1")
    head, line = done.stdout.splitlines()
    assert head.split() == ["name", "size", "last", "used", "(UTC)", "live", "id"]
    assert whole[1]["id"] in line or whole[0]["id"] in line
    assert "and more" in done.stderr


# --- call -----------------------------------------------------------------------------------------------


def test_a_call_prints_the_result_and_its_writes_are_durable(site):
    """The next one, by a process of its own, sees them."""
    assert site.ok("call", "Counter", "calls", "hit") == "1\n"
    assert site.ok("call", "Counter", "calls", "hit", "5") == "6\n"
    assert site.ok("call", "Counter", "calls", "hit", "--kw", "by=4") == "10\n"


def test_an_argument_is_json_if_it_can_be_and_else_a_text(site):
    """Positional and keyword alike."""
    shown = site.ok(
        "call", "Counter", "echo", "echo", "3", '"3"', "home", "[1,null]", "--kw", "when=now", "--", "-1"
    )
    assert json.loads(shown) == [[3, "3", "home", [1, None], -1], {"when": "now"}]


def test_values_that_json_has_no_word_for_go_both_ways(site):
    """By the same tags."""
    value = {"$bytes": "AP8="}
    assert site.json("call", "Counter", "echo", "echo", json.dumps(value)) == [[value], {}]
    assert site.json("call", "Counter", "echo", "seat") == {"$class": "app:Seat", "row": 1, "taken": True}


def test_a_result_of_none_prints_nothing_but_as_json(site):
    """What the application prints is not mixed with the result."""
    assert site.ok("call", "Counter", "echo", "nothing") == ""
    assert site.ok("call", "Counter", "echo", "nothing", "--json") == "null\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Counter", "x", "fail"], "error[call/failed]: LookupError: no such seat"),
        (["Counter", "x", "nope"], 'does not implement the method "nope"'),
        (["Counter", "x", "_private"], "does not implement the method"),
        (["Counter", "x", "fetch"], "reserved method"),
        (["Counter", "x", "hit", "1", "2", "3"], "error[call/failed]: TypeError"),
        (["Count", "x", "hit"], 'did you mean "Counter"?'),
        (["Broken", "x", "hello"], "error[call/failed]: RuntimeError: cannot be made"),
    ],
)
def test_what_fails_is_exit_code_1_in_the_one_form(site, arguments, words):
    """Never a traceback."""
    assert words in site.refused("call", *arguments)


def test_a_keyword_without_a_value_is_exit_code_2(site):
    """The command line is wrong."""
    assert "NAME=VALUE" in site.refused("call", "Counter", "x", "hit", "--kw", "by", code=2)


# --- sql ------------------------------------------------------------------------------------------------


def test_rows_are_an_aligned_table(site):
    """Line ends of the data do not break it."""
    assert site.ok("sql", "Counter", "filled", "SELECT id, name, body FROM item").splitlines() == [
        "id  name      body",
        " 1  first     NULL",
        " 2  se\\ncond  x'00ff'",
    ]


def test_rows_can_be_json_or_csv(site):
    """With the data as it is."""
    query = "SELECT id, name, body FROM item ORDER BY id"
    rows = site.json("sql", "Counter", "filled", query)
    assert rows == [
        {"id": 1, "name": "first", "body": None},
        {"id": 2, "name": "se\ncond", "body": {"$bytes": "AP8="}},
    ]
    table = list(csv.reader(io.StringIO(site.ok("sql", "Counter", "filled", query, "--csv"))))
    assert table == [["id", "name", "body"], ["1", "first", ""], ["2", "se\ncond", "00ff"]]


def test_the_query_may_come_from_standard_input(site):
    """Several statements; the rows are those of the last."""
    shown = site.ok("sql", "Counter", "filled", input="SELECT 1 AS a; SELECT 2 AS b; -- end\n")
    assert shown == "b\n2\n"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM item",
        "SELECT 1; UPDATE item SET name = 'x'",
        "WITH x AS (SELECT 1) INSERT INTO item SELECT 9, 'x', NULL",
        "CREATE TABLE other (a)",
        "DROP TABLE item",
        "SELECT 1; -- harmless\nDELETE FROM item RETURNING id",
        "PRAGMA optimize; INSERT INTO item DEFAULT VALUES",
    ],
)
def test_without_write_nothing_is_changed(site, query):
    """Whatever the text looks like: SQLite refuses."""
    assert "error[sql/read-only]" in site.refused("sql", "Counter", "filled", query)
    assert site.json("sql", "Counter", "filled", "SELECT count(*) AS n FROM item") == [{"n": 2}]


def test_with_write_all_of_it_happens_or_nothing(site):
    """And is durable."""
    site.ok("call", "Counter", "written", "hit")
    made = site.ok(
        "sql", "Counter", "written", "--write", "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1), (2)"
    )
    assert made == "2 rows changed\n"
    failed = site.refused(
        "sql", "Counter", "written", "--write", "INSERT INTO t VALUES (3); INSERT INTO t VALUES (1)"
    )
    assert "UNIQUE constraint failed: t.a" in failed
    returned = site.ok("sql", "Counter", "written", "--write", "DELETE FROM t WHERE a = 2 RETURNING a")
    assert returned == "a\n2\n"
    assert site.json("sql", "Counter", "written", "SELECT a FROM t") == [{"a": 1}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM _cf_KV", "prohibited"),
        ("BEGIN", "not authorized"),
        ("SELECT ?", "bindings"),
        ("/* nothing */", "did not contain a statement"),
        ("PRAGMA foreign_keys=OFF", "not authorized"),
        ("ATTACH '/etc/passwd' AS x", "not authorized"),
    ],
)
def test_what_sqlite_refuses_is_told_in_its_words(site, query, words):
    """The authorizer of the application's own SQL holds here too."""
    assert words in site.refused("sql", "Counter", "filled", query)


def test_a_query_that_takes_too_long_is_ended(site):
    """A server would answer nobody meanwhile."""
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x"
    assert "took longer than 0.2 s" in site.refused("sql", "Counter", "filled", endless, "--timeout", "0.2")
    assert site.json("sql", "Counter", "filled", "SELECT 1 AS a") == [{"a": 1}]


def test_an_empty_query_is_a_mistake(site):
    """Not an endless wait."""
    assert "there is no SQL" in site.refused("sql", "Counter", "filled", code=2)


def test_an_object_whose_init_fails_can_be_looked_at_and_repaired(site):
    """No code of the application runs."""
    site.ok("call", "Broken", "fine", "hello")
    assert site.ok("kv", "Broken", "fine", "get", "state") == '"half migrated"\n'
    site.ok("sql", "Broken", "fine", "--write", "CREATE TABLE repaired (a)")
    assert site.json("sql", "Broken", "fine", "SELECT name FROM sqlite_schema WHERE name = 'repaired'")


# --- kv -------------------------------------------------------------------------------------------------


def test_a_value_is_shown_as_json_whatever_class_it_is_of(site):
    """Also where the application is not imported."""
    assert json.loads(site.ok("kv", "Counter", "filled", "get", "a")) == {"x": [1, 2.5, None]}
    assert json.loads(site.ok("kv", "Counter", "filled", "get", "seat")) == {
        "$class": "app:Seat",
        "row": 3,
        "taken": False,
    }
    assert json.loads(site.ok("kv", "Counter", "filled", "get", "when")) == {
        "$datetime": "2026-01-02T00:00:00+00:00"
    }


def test_a_value_is_written_and_the_application_sees_it(site):
    """From the command line or standard input."""
    site.ok("call", "Counter", "put", "hit")
    site.ok("kv", "Counter", "put", "put", "n", "41")
    assert site.ok("call", "Counter", "put", "hit") == "42\n"
    site.ok("kv", "Counter", "put", "put", "big", "-", input='{"$int": "0x123456789abcdef0123"}')
    assert site.ok("kv", "Counter", "put", "get", "big") == '{\n  "$int": "0x123456789abcdef0123"\n}\n'


def test_keys_are_listed_in_order_by_prefix_and_limit(site):
    """More than asked for is told."""
    listed = site.json("kv", "Counter", "filled", "list")
    assert list(listed["pairs"]) == ["a", "seat", "when"]
    assert not listed["more"]
    assert list(site.json("kv", "Counter", "filled", "list", "--prefix", "se")["pairs"]) == ["seat"]
    some = site.json("kv", "Counter", "filled", "list", "--limit", "1", "--reverse")
    assert list(some["pairs"]) == ["when"]
    assert some["more"]
    assert (
        site.ok("kv", "Counter", "filled", "list", "--limit", "1")
        == 'key  value\na    {"x": [1, 2.5, null]}\n'
    )


def test_keys_are_deleted(site):
    """Those that were there count."""
    site.ok("call", "Counter", "gone", "hit")
    assert site.ok("kv", "Counter", "gone", "delete", "n", "m") == "1 key deleted\n"
    assert "error[kv/no-key]" in site.refused("kv", "Counter", "gone", "get", "n")


@pytest.mark.parametrize(
    ("rest", "code", "words"),
    [
        (["put", "k", "hello"], 1, "the value is not JSON"),
        (["put", "k", '{"$class": "app:Seat"}'], 1, "only the application"),
        (["put", "k", "NaN"], 1, "NaN is not JSON"),
        (["put", "k"], 2, "KEY VALUE"),
        (["get"], 2, "KEY"),
        (["list", "k"], 2, "no further argument"),
        (["frob"], 2, "'frob' is not one of"),
    ],
)
def test_a_wrong_use_of_kv_is_told(site, rest, code, words):
    """With what is taken instead."""
    assert words in site.refused("kv", "Counter", "filled", *rest, code=code)


# --- which object ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "Counter", "nobody", "SELECT 1"],
        ["kv", "Counter", "nobody", "list"],
        ["sql", "Counter", "nobody", "--write", "CREATE TABLE t (a)"],
    ],
)
def test_looking_at_an_object_that_was_never_used_does_not_make_it(site, command):
    """A mistyped name is told, twice the same."""
    for _ in range(2):
        assert "error[object/not-found]" in site.refused(*command)


def test_a_mistyped_name_is_told_with_a_near_one(site):
    """Of those that there are."""
    assert 'did you mean "filled"?' in site.refused("kv", "Counter", "filed", "list")


def test_an_object_can_be_named_by_its_id(site):
    """An id of another class, or no id at all, is told."""
    (path,) = [
        path
        for path in (site.folder / ".perdure" / "objects").rglob("*.sqlite")
        if "Counter" in str(path)
        and site.perdure("sql", "--id", "Counter", path.stem, "SELECT * FROM item").returncode == 0
    ]
    assert site.json("sql", "--id", "Counter", path.stem, "SELECT count(*) AS n FROM item") == [{"n": 2}]
    assert "error[object/wrong-id]" in site.refused("sql", "--id", "Broken", path.stem, "SELECT 1")
    assert "error[object/wrong-id]" in site.refused("kv", "--id", "Counter", "filled", "list")


def test_the_data_folder_can_be_named_from_anywhere(site, tmp_path):
    """By --data, or by --path as for serve."""
    data = site.folder / ".perdure"
    query = ["sql", "Counter", "filled", "SELECT 1 AS a", "--json"]
    for where in (["--data", data], ["--path", site.folder], ["--path", site.folder / "app.py"]):
        assert json.loads(site.ok(*query, *where, cwd=tmp_path)) == [{"a": 1}]
    assert "error[data/missing]" in site.refused(*query, cwd=tmp_path)
    assert "error[data/missing]" in site.refused(*query, "--data", tmp_path)
    assert os.listdir(tmp_path) == []
