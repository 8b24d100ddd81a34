"""What a start has to do to a data folder, or why it refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._config import jsonc
from perdure._config.plan import plan
from perdure._config.project import Binding, Declared
from perdure._config.record import Record, RecordedClass, dumps, loads
from perdure._config.schema import read_project
from perdure._config.state import Create, Delete, Rename
from perdure.errors import DataFolderError


def declared(**keys) -> Declared:
    """What a file with these keys declares; its places are kept."""
    text = json.dumps({"name": "app", "main": "app.py", **keys}, indent=1)
    value, source, _ = jsonc.parse(text, "wrangler.jsonc")
    import pathlib

    return read_project(value, source, pathlib.Path("/"))[0].declared


def recorded(*classes, tags=(), mode="migrations") -> Record:
    return Record(mode, tags, {name: RecordedClass(f"app-{name}") for name in classes})


def planned(configuration, record, defined, bound=None, **more):
    bindings = [Binding(name.upper(), name) for name in (defined if bound is None else bound)]
    return plan(configuration, record, name="app", defined=defined, bindings=bindings, file="app.py", **more)


def codes(result):
    assert not result.errors or result.steps == ()
    return [problem.code.removeprefix("config/") for problem in result.problems]


V1 = {"tag": "v1", "new_sqlite_classes": ["Room"]}


# --- without migrations and exports ---------------------------------------------------------------------


def test_without_any_declaration_bound_classes_are_created():
    """The bare Python file."""
    result = planned(Declared(), Record(), ["Counter", "Room"])
    assert result.steps == (
        Create("Counter", "app-Counter", "sqlite"),
        Create("Room", "app-Room", "sqlite"),
    )
    assert result.record == recorded("Counter", "Room", mode="implicit")


def test_classes_that_exist_need_nothing():
    """The second start changes nothing."""
    before = recorded("Counter", mode="implicit")
    result = planned(Declared(), before, ["Counter"])
    assert (result.steps, result.record, result.problems) == ((), before, ())


def test_a_class_that_vanished_is_refused_with_the_nearest_new_one():
    """Its objects would be orphans; the help shows both ways to say what became of it."""
    result = planned(Declared(), recorded("ChatRoom"), ["ChatRooms"])
    assert codes(result) == ["class-vanished"]
    (problem,) = result.problems
    assert problem.hint == 'did you mean "ChatRooms"?'
    assert '"renamed_classes": [{"from": "ChatRoom", "to": "ChatRooms"}]' in problem.help
    assert '"deleted_classes": ["ChatRoom"]' in problem.help
    assert result.record == recorded("ChatRoom")


def test_a_class_without_objects_may_vanish():
    """Nothing is lost with it."""
    result = planned(Declared(), recorded("Old", mode="implicit"), ["New"], empty=["Old"])
    assert set(result.record.classes) == {"New"}


def test_a_class_that_is_defined_but_not_bound_any_more_keeps_its_objects():
    """A binding is only a name."""
    result = planned(Declared(), recorded("A", "B"), ["A", "B"], bound=["A"])
    assert result.steps == ()
    assert set(result.record.classes) == {"A", "B"}


# --- migrations -----------------------------------------------------------------------------------------


@pytest.mark.rows("MIG-03")
def test_a_fresh_folder_gets_the_whole_list():
    """Create, rename and delete in order; a renamed class keeps its first unique key."""
    configuration = declared(
        migrations=[
            {"tag": "v1", "new_sqlite_classes": ["A", "B"]},
            {"tag": "v2", "renamed_classes": [{"from": "A", "to": "C"}]},
            {"tag": "v3", "deleted_classes": ["B"]},
        ]
    )
    result = planned(configuration, Record(), ["C"])
    assert result.steps == (
        Create("A", "app-A", "sqlite"),
        Create("B", "app-B", "sqlite"),
        Rename("A", "C", "app-A"),
        Delete("B", "app-B"),
    )
    assert result.record == Record("migrations", ("v1", "v2", "v3"), {"C": RecordedClass("app-A")})


@pytest.mark.rows("MIG-03")
def test_only_entries_after_the_last_applied_tag_run():
    """Each runs once."""
    configuration = declared(migrations=[V1, {"tag": "v2", "new_sqlite_classes": ["Hall"]}])
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Room", "Hall"])
    assert result.steps == (Create("Hall", "app-Hall", "sqlite"),)
    assert result.record.tags == ("v1", "v2")


@pytest.mark.rows("MIG-05")
def test_a_rename_moves_the_unique_key():
    """Ids hang on it, so they stay valid."""
    configuration = declared(
        migrations=[V1, {"tag": "v2", "renamed_classes": [{"from": "Room", "to": "Hall"}]}]
    )
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Hall"])
    assert result.steps == (Rename("Room", "Hall", "app-Room"),)
    assert result.record.classes == {"Hall": RecordedClass("app-Room")}


@pytest.mark.rows("MIG-05")
def test_a_new_class_with_the_name_of_a_renamed_one_gets_a_key_of_its_own():
    """Its ids are not those of the old objects."""
    configuration = declared(
        migrations=[
            V1,
            {"tag": "v2", "renamed_classes": [{"from": "Room", "to": "Hall"}]},
            {"tag": "v3", "new_sqlite_classes": ["Room"]},
        ]
    )
    result = planned(configuration, Record(), ["Room", "Hall"])
    assert result.record.classes == {"Hall": RecordedClass("app-Room"), "Room": RecordedClass("app-Room-2")}


@pytest.mark.rows("MIG-05")
def test_a_rename_onto_an_existing_class_is_refused():
    """Two classes' objects would be mixed."""
    configuration = declared(
        migrations=[
            {"tag": "v1", "new_sqlite_classes": ["Room", "Hall"]},
            {"tag": "v2", "renamed_classes": [{"from": "Room", "to": "Hall"}]},
        ]
    )
    assert codes(planned(configuration, recorded("Room", "Hall", tags=("v1",)), ["Hall"]))[0] == (
        "rename-onto-existing"
    )


@pytest.mark.rows("MIG-03")
def test_a_tag_that_was_removed_is_refused():
    """The list is a history."""
    configuration = declared(migrations=[{"tag": "rooms-1", "new_sqlite_classes": ["Hall"]}])
    result = planned(configuration, recorded("Room", tags=("rooms1",)), ["Room", "Hall"])
    assert codes(result) == ["migration-removed"]
    assert result.problems[0].hint == 'did you mean "rooms-1"?'


@pytest.mark.rows("MIG-03")
def test_a_list_that_was_removed_is_refused():
    """All of it, too."""
    assert codes(planned(Declared(), recorded("Room", tags=("v1",)), ["Room"])) == ["migration-removed"]


@pytest.mark.rows("MIG-03")
@pytest.mark.parametrize("order", [["v2", "v1"], ["v1", "v1b", "v2"]])
def test_a_tag_that_changed_its_place_is_refused(order):
    """Also when a new one was put between applied ones."""
    configuration = declared(migrations=[{"tag": tag} for tag in order])
    result = planned(configuration, recorded("Room", tags=("v1", "v2")), ["Room"])
    assert codes(result) == ["migration-order"]
    assert result.problems[0].line is not None


@pytest.mark.rows("MIG-03")
def test_tags_are_unique():
    """Else nobody knows which one was applied."""
    configuration = declared(migrations=[V1, {"tag": "v1", "new_sqlite_classes": ["Hall"]}])
    assert codes(planned(configuration, Record(), ["Room", "Hall"])) == ["migration-duplicate-tag"]


@pytest.mark.rows("MIG-07")
def test_a_deleted_class_must_not_be_bound():
    """In Cloudflare's words, at the binding."""
    configuration = declared(migrations=[V1, {"tag": "v2", "deleted_classes": ["Room"]}])
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Room"])
    assert codes(result) == ["deleted-class-is-bound"]
    assert result.problems[0].message == (
        "Cannot apply --delete-class migration to class Room without also removing the binding that references it"
    )


@pytest.mark.rows("MIG-07")
def test_a_deleted_class_may_stay_in_the_code():
    """Only its binding has to go."""
    configuration = declared(migrations=[V1, {"tag": "v2", "deleted_classes": ["Room"]}])
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Room"], bound=[])
    assert result.steps == (Delete("Room", "app-Room"),)
    assert result.record.classes == {}


@pytest.mark.rows("MIG-07")
def test_a_deleted_class_may_be_created_again():
    """By a later migration."""
    configuration = declared(
        migrations=[
            V1,
            {"tag": "v2", "deleted_classes": ["Room"]},
            {"tag": "v3", "new_sqlite_classes": ["Room"]},
        ]
    )
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Room"])
    assert result.steps == (Delete("Room", "app-Room"), Create("Room", "app-Room", "sqlite"))


@pytest.mark.rows("MIG-05")
def test_the_old_name_of_a_renamed_class_must_not_be_bound():
    """Its namespace has another name now."""
    configuration = declared(
        migrations=[V1, {"tag": "v2", "renamed_classes": [{"from": "Room", "to": "Hall"}]}]
    )
    result = planned(configuration, recorded("Room", tags=("v1",)), ["Room", "Hall"])
    assert codes(result) == ["renamed-class-is-bound"]
    assert result.problems[0].hint == 'did you mean "Hall"?'


@pytest.mark.rows("MIG-02")
def test_a_migration_that_creates_a_class_nobody_defines_is_refused():
    """With the nearest class of the code."""
    result = planned(declared(migrations=[V1]), Record(), ["Rooms"], bound=[])
    assert codes(result) == ["missing-class"]
    assert result.problems[0].hint == 'did you mean "Rooms"?'
    assert result.problems[0].line is not None


def test_a_class_is_created_once():
    """Twice is a mistake of the list."""
    configuration = declared(migrations=[V1, {"tag": "v2", "new_sqlite_classes": ["Room"]}])
    assert codes(planned(configuration, Record(), ["Room"])) == ["class-exists"]


def test_a_bound_class_that_no_migration_creates_is_created_with_a_warning():
    """As Cloudflare's local tool does."""
    text = json.dumps({"migrations": [V1], "main": "app.py"}, indent=1)
    value, source, _ = jsonc.parse(text, "f")
    configuration = Declared(declared(migrations=[V1]).migrations, source=source)
    bindings = [Binding("HALL", "Hall", ("migrations", 0)), Binding("ROOM", "Room", ("migrations", 0))]
    result = plan(configuration, Record(), name="app", defined=["Room", "Hall"], bindings=bindings)
    assert codes(result) == ["class-without-migration"]
    assert set(result.record.classes) == {"Room", "Hall"}


def test_migrations_may_begin_after_classes_exist():
    """A class that came without a migration is adopted by the one that creates it."""
    result = planned(declared(migrations=[V1]), recorded("Room", mode="implicit"), ["Room"])
    assert (result.steps, result.problems) == ((), ())
    assert result.record == recorded("Room", tags=("v1",))


@pytest.mark.rows("MIG-04")
def test_the_kind_of_storage_is_chosen_for_ever():
    """A class that exists with SQL cannot become one without."""
    configuration = declared(migrations=[{"tag": "v1", "new_classes": ["Room"]}])
    assert planned(configuration, Record(), ["Room"]).record.classes["Room"].storage == "legacy-kv"
    assert codes(planned(configuration, recorded("Room", mode="implicit"), ["Room"])) == [
        "storage-type-mismatch"
    ]


def test_a_migration_of_a_class_that_never_was_here_is_a_warning():
    """A fresh machine may not know what another one had."""
    configuration = declared(
        migrations=[
            {"tag": "v1", "renamed_classes": [{"from": "Old", "to": "Room"}], "deleted_classes": ["Gone"]}
        ]
    )
    result = planned(configuration, Record(), ["Room"])
    assert codes(result) == ["unknown-class", "unknown-class"]
    assert set(result.record.classes) == {"Room"}


def test_every_refusal_is_told_at_once():
    """One run shows all there is to repair."""
    configuration = declared(
        migrations=[
            {"tag": "v1", "new_sqlite_classes": ["A", "B"]},
            {"tag": "v2", "deleted_classes": ["A"], "renamed_classes": [{"from": "X", "to": "B"}]},
        ],
        unique_keys={"B": "other"},
    )
    result = planned(configuration, recorded("A", "B", "C", tags=("v1",)), ["A", "B"])
    assert codes(result) == [
        "rename-onto-existing",
        "deleted-class-is-bound",
        "class-vanished",
        "unique-key-changed",
    ]


# --- exports --------------------------------------------------------------------------------------------

LIVE = {"type": "durable-object", "storage": "sqlite"}
DELETED = {"type": "durable-object", "state": "deleted"}


def renamed(to):
    return {"type": "durable-object", "state": "renamed", "renamed_to": to}


@pytest.mark.rows("MIG-11")
def test_live_entries_are_created():
    """Declared, not step by step."""
    result = planned(declared(exports={"Room": LIVE}), Record(), ["Room"])
    assert result.steps == (Create("Room", "app-Room", "sqlite"),)
    assert result.record == recorded("Room", mode="exports")


@pytest.mark.rows("MIG-11", "MIG-12")
def test_tombstones_rename_and_delete():
    """The objects of the renamed class keep their key."""
    configuration = declared(exports={"A": renamed("C"), "B": DELETED, "C": LIVE})
    result = planned(configuration, recorded("A", "B", mode="exports"), ["C"])
    assert result.steps == (Rename("A", "C", "app-A"), Delete("B", "app-B"))
    assert result.record.classes == {"C": RecordedClass("app-A")}


def test_a_tombstone_that_did_its_work_is_told_as_safe_to_remove():
    """Information, no warning."""
    configuration = declared(exports={"A": renamed("C"), "B": DELETED, "C": LIVE})
    result = planned(configuration, recorded("C", mode="exports"), ["C"])
    assert [(problem.code, problem.severity) for problem in result.problems] == [
        ("config/stale-tombstone", "info"),
        ("config/stale-tombstone", "info"),
    ]


@pytest.mark.rows("MIG-13")
def test_a_class_only_in_code_is_ignored():
    """It has no namespace until an entry says so."""
    result = planned(declared(exports={"Room": LIVE}), Record(), ["Room", "Helper"], bound=["Room"])
    assert set(result.record.classes) == {"Room"}


@pytest.mark.rows("MIG-13", "MIG-14")
@pytest.mark.parametrize(
    ("exports", "exist", "defined", "bound", "code"),
    [
        ({"Room": LIVE}, [], [], [], "config-export-not-in-code"),
        ({"Room": LIVE}, ["Room", "Hall"], ["Room"], [], "provisioned-class-missing-from-config"),
        ({"Room": LIVE}, [], ["Room", "Hall"], ["Hall"], "config-references-nonexistent-class"),
        ({"Room": DELETED}, ["Room"], ["Room"], [], "tombstone-delete-class-still-in-code"),
        ({"Room": DELETED}, ["Room"], ["Room"], ["Room"], "deleted-class-is-bound"),
        (
            {"Room": renamed("Hall"), "Hall": LIVE},
            ["Room", "Hall"],
            ["Hall"],
            [],
            "tombstone-renamed-to-occupied",
        ),
        ({"Room": {**LIVE, "storage": "legacy-kv"}}, [], ["Room"], [], "storage-type-mismatch"),
        ({"Room": {**LIVE, "storage": "legacy-kv"}}, ["Room"], ["Room"], [], "storage-type-mismatch"),
    ],
)
def test_what_does_not_fit_is_refused(exports, exist, defined, bound, code):
    """Under Cloudflare's tag, once."""
    result = planned(declared(exports=exports), recorded(*exist, mode="exports"), defined, bound)
    assert codes(result) == [code]


@pytest.mark.rows("MIG-13")
def test_all_class_errors_are_reported_together():
    """Four mistakes, four problems."""
    configuration = declared(exports={"A": LIVE, "B": DELETED, "C": renamed("D"), "D": LIVE})
    result = planned(configuration, recorded("B", "C", "D", "E", mode="exports"), ["B", "D"], bound=[])
    assert sorted(codes(result)) == [
        "config-export-not-in-code",
        "provisioned-class-missing-from-config",
        "tombstone-delete-class-still-in-code",
        "tombstone-renamed-to-occupied",
    ]


@pytest.mark.rows("MIG-11")
def test_exports_take_over_from_migrations():
    """The applied tags are not forgotten."""
    result = planned(declared(exports={"Room": LIVE}), recorded("Room", tags=("v1",)), ["Room"])
    assert result.problems == ()
    assert result.record == recorded("Room", tags=("v1",), mode="exports")


@pytest.mark.rows("MIG-11")
def test_there_is_no_way_back_from_exports():
    """Neither to migrations nor to nothing."""
    before = recorded("Room", mode="exports")
    assert codes(planned(declared(migrations=[V1]), before, ["Room"])) == ["exports-removed"]
    assert codes(planned(Declared(), before, ["Room"])) == ["exports-removed"]


def test_a_tombstone_of_a_class_still_in_the_code_is_told():
    """The middle of a rename without downtime: both names are there."""
    configuration = declared(exports={"Room": renamed("Hall"), "Hall": LIVE})
    result = planned(configuration, recorded("Room", mode="exports"), ["Room", "Hall"], bound=["Hall"])
    assert codes(result) == ["tombstone-class-still-in-code"]
    assert result.steps == (Rename("Room", "Hall", "app-Room"),)


# --- unique keys ----------------------------------------------------------------------------------------


@pytest.mark.rows("MIG-22")
def test_a_configured_unique_key_is_used_for_a_new_class():
    """For objects whose ids were made elsewhere."""
    result = planned(Declared(unique_keys={"Room": "old-key"}), Record(), ["Room"])
    assert result.record.classes == {"Room": RecordedClass("old-key")}


@pytest.mark.rows("MIG-22")
def test_the_unique_key_of_existing_objects_cannot_change():
    """Their ids would."""
    result = planned(Declared(unique_keys={"Room": "other"}), recorded("Room"), ["Room"])
    assert codes(result) == ["unique-key-changed"]
    assert 'write "app-Room"' in result.problems[0].help


def test_two_classes_cannot_share_a_unique_key():
    """Their objects would be the same files."""
    result = planned(Declared(unique_keys={"Hall": "app-Room"}), recorded("Room"), ["Room", "Hall"])
    assert codes(result) == ["duplicate-unique-key"]


def test_a_unique_key_for_a_class_that_does_not_exist_is_a_warning():
    """Most likely a typing mistake."""
    result = planned(declared(unique_keys={"Rom": "k"}), Record(), ["Room"])
    assert codes(result) == ["unknown-class"]
    assert result.problems[0].hint == 'did you mean "Room"?'


# --- the record -----------------------------------------------------------------------------------------

RECORDS = st.builds(
    Record,
    st.sampled_from(["implicit", "migrations", "exports"]),
    st.lists(st.text()).map(tuple),
    st.dictionaries(st.text(), st.builds(RecordedClass, st.text(), st.sampled_from(["sqlite", "legacy-kv"]))),
)


def _changed(data, at, by):
    """Return *data* with some bytes in the place of others."""
    at %= len(data)
    return data[:at] + by + data[at + len(by) :]


@given(RECORDS)
def test_a_record_comes_back_as_it_was_written(record):
    """Whatever the names are."""
    assert loads(dumps(record)) == record


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 1, "mode": "x", "tags": [], "classes": {}}',
    ],
)
def test_a_damaged_record_is_an_error_that_says_so(data):
    """Never an empty record: that would orphan every object."""
    with pytest.raises(DataFolderError, match="is damaged"):
        loads(data)


@pytest.mark.fuzz
@given(st.binary() | st.builds(_changed, RECORDS.map(dumps), st.integers(0), st.binary(max_size=3)))
def test_any_bytes_are_a_record_or_the_documented_error(data):
    """Nothing else is raised, however the file was damaged."""
    try:
        loads(data)
    except DataFolderError:
        pass


def test_a_newer_record_is_refused():
    """With both versions."""
    with pytest.raises(DataFolderError, match="version 9"):
        loads(b'{"version": 9}')


@given(st.permutations(["A", "B", "C", "D"]), st.integers(0, 4), st.integers(0, 4))
def test_applying_a_list_in_parts_or_at_once_is_the_same(order, first, second):
    """However often a project is started in between."""
    migrations = [{"tag": f"v{index}", "new_sqlite_classes": [name]} for index, name in enumerate(order)]
    record = Record()
    for end in sorted((first, second)) + [4]:
        names = order[:end]
        configuration = declared(migrations=migrations[:end]) if end else Declared()
        result = planned(configuration, record, names)
        assert result.errors == ()
        record = result.record
    assert record == planned(declared(migrations=migrations), Record(), order).record


@pytest.mark.parametrize("mode", ["implicit", "migrations", "exports"])
def test_for_a_tool_everything_stays_as_it_is_recorded(mode):
    """Whatever made it: there is no application to compare with."""
    record = recorded("Room", "Hall", tags=("v1",), mode=mode)
    result = planned(Declared(as_recorded=True), record, ["Room"])
    assert (result.steps, result.record, result.problems) == ((), record, ())
