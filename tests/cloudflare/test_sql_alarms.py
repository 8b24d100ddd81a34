"""The project `sql_alarms`: an object with a table, which an alarm works on."""

from __future__ import annotations

import pytest
from cli_process import eventually


@pytest.fixture(scope="module")
def reminded(project):
    """Two reminders, one of which has come due; the other is far away."""
    soon = project.post("/", json={"text": "soon", "in_ms": 50, "weight": 2})
    later = project.post("/", json={"text": "later", "in_ms": 3_600_000, "weight": 0.5})
    assert soon.status_code == later.status_code == 201
    eventually(lambda: project.get("/").json()[0]["done"], "the alarm of the first reminder")
    return soon.json(), later.json()


@pytest.mark.members(
    "SqlStorage.exec", "SqlStorageCursor.toArray", "SqlStorageCursor.one", "DurableObjectStub.fetch"
)
def test_rows_have_items_and_attributes(project, reminded):
    """A row is read as `row["text"]` and as `row.text`; a BLOB is bytes."""
    assert project.get("/").json() == [
        {"id": 1, "text": "soon", "weight": 2, "payload": "soon", "done": True},
        {"id": 2, "text": "later", "weight": 0.5, "payload": "later", "done": False},
    ]


@pytest.mark.members("DurableObjectStorage.setAlarm", "DurableObjectStorage.getAlarm", "DurableObject.alarm")
def test_the_next_alarm_is_that_of_the_later_reminder(project, reminded):
    """Times of alarms are whole milliseconds; `alarm` may be written without its argument."""
    assert project.get("/alarm").json() == {"at": reminded[1]["due"]}


@pytest.mark.members("SqlStorageCursor.raw", "SqlStorageCursor.columnNames", "SqlStorage.databaseSize")
def test_a_number_is_bound_as_real(project, reminded):
    """A number is REAL until a column makes it an INTEGER, as on Cloudflare."""
    stats = project.get("/stats").json()
    assert stats["columns"] == ["id", "text", "due", "weight", "payload", "done"]
    assert stats["types"] == [["real", 1.5, "integer"]]
    assert stats["bytes"] > 0


@pytest.mark.members("SqlStorageCursor.rowsWritten")
def test_what_an_object_prints_is_in_the_log(project, reminded):
    """`print` in an alarm comes out with the name of the object."""
    assert project.wait_for(r"Reminders\(everybody\).*reminded: True")
