"""The project `notes_d1`: an API whose rows are in a D1 database that migrations made."""

from __future__ import annotations

import pytest
from cli_process import Perdure
from cloudflare.projects import FOLDER, Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project on a database that was made before the first start, with some notes."""
    folder, data = FOLDER / "notes_d1", tmp_path_factory.mktemp("data")
    with Perdure("d1", "migrations", "apply", "notes-db", "--local", "--data", data, cwd=folder) as command:
        assert command.wait() == 0, command.output
    with Project(folder, data) as running:
        first = {"slug": "first", "body": "hello", "pinned": True, "score": 2.5, "thumbnail": "00ff"}
        assert running.post("/notes", json=first).json() == {
            "id": 1,
            "changes": 2,
            "ok": True,
            "written": True,
        }
        assert running.post("/notes", json={"slug": "second"}).json()["id"] == 2
        yield running


@pytest.mark.members("D1PreparedStatement.bind", "D1PreparedStatement.all", "D1PreparedStatement.run")
def test_rows_have_items_and_attributes(project):
    """None is NULL, and a bool a number."""
    notes = project.get("/notes").json()
    assert notes[:2] == [
        {"slug": "first", "body": "hello", "pinned": True},
        {"slug": "second", "body": None, "pinned": False},
    ]
    assert [note["slug"] for note in project.get("/notes?pinned=true").json()] == ["first"]


@pytest.mark.members("D1PreparedStatement.first")
def test_a_row_has_whole_numbers_and_blobs_of_bytes(project):
    """A row that is not there is None."""
    assert project.get("/notes/first").json() == {
        "id": 1,
        "slug": "first",
        "body": "hello",
        "pinned": 1,
        "score": 2.5,
        "thumbnail": "00ff",
    }
    assert project.get("/notes/nope").status_code == 404


@pytest.mark.members("D1Database.batch")
def test_a_batch_is_one_transaction(project):
    """A second note of one name undoes the first."""
    refused = project.post("/notes/import", json=[{"slug": "third"}, {"slug": "first"}])
    assert refused.status_code == 409
    assert refused.json()["error"].startswith(
        "D1_ERROR: UNIQUE constraint failed: notes.slug: SQLITE_CONSTRAINT"
    )
    assert project.get("/notes/third").status_code == 404
    assert len(project.post("/notes/import", json=[{"slug": "third"}, {"slug": "fourth"}]).json()["ids"]) == 2
    assert project.get("/notes/fourth").json()["body"] == "fourth!"


def test_changes_are_counted(project):
    """Of an UPDATE and a DELETE."""
    project.post("/notes", json={"slug": "short"})
    assert project.request("PATCH", "/notes/short", json={"score": 1, "body": None}).json() == {"changed": 1}
    assert project.request("DELETE", "/notes/short").json() == {"deleted": 1}
    assert project.request("DELETE", "/notes/short").json() == {"deleted": 0}


@pytest.mark.members("D1Database.withSession", "D1DatabaseSession.getBookmark", "D1PreparedStatement.raw")
def test_numbers_are_real_and_rows_come_as_arrays(project):
    """`raw(columnNames=True)` begins with the names; a number is bound as REAL and read as a whole number."""
    stats = project.get("/stats").json()
    assert stats["types"] == {"n": 7, "kind": "real"}
    assert stats["rows"][:2] == [["slug", "score"], ["first", 2.5]]
    assert stats["total"] == len(stats["rows"]) - 1
    assert stats["has_bookmark"] is True


@pytest.mark.members("D1Database.exec")
def test_exec_runs_a_statement_for_each_line(project):
    """And triggers of a migration work."""
    done = project.get("/maintenance").json()
    assert done["count"] == 2
    assert done["timed"] is True
    assert {"first", "second"} <= set(done["logged"])
