"""authorizer: which actions SQL from users may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure._storage import authorizer
from perdure._storage.authorizer import DENY, OK, may, pragma_allowed

NAMED = sorted(authorizer._WITH_NAME)
TEMPORARY = [
    authorizer.CREATE_TEMP_INDEX,
    authorizer.CREATE_TEMP_TABLE,
    authorizer.CREATE_TEMP_TRIGGER,
    authorizer.CREATE_TEMP_VIEW,
    authorizer.DROP_TEMP_INDEX,
    authorizer.DROP_TEMP_TABLE,
    authorizer.DROP_TEMP_TRIGGER,
    authorizer.DROP_TEMP_VIEW,
]


@pytest.mark.parametrize("action", NAMED)
def test_things_of_the_main_database_are_free(action: int) -> None:
    """A named thing may be made, dropped, read and written in the main database."""
    assert may(action, "thing", "of", "main") == OK


@pytest.mark.rows("SQL-20")
@pytest.mark.parametrize("action", NAMED)
@pytest.mark.parametrize("name", ["_cf_KV", "_CF_kv", "_Cf_"])
def test_reserved_names_are_not(action: int, name: str) -> None:
    """Whatever the action, a name that begins with `_cf_` is denied (SQL-20)."""
    assert may(action, name, "of", "main") == DENY


@pytest.mark.rows("SQL-20")
@pytest.mark.parametrize("action", [authorizer.CREATE_INDEX, authorizer.CREATE_TRIGGER])
def test_indexes_and_triggers_are_not_put_on_reserved_tables(action: int) -> None:
    """The table that an index or trigger belongs to counts as well (SQL-20)."""
    assert may(action, "mine", "_cf_KV", "main") == DENY


@given(st.text())
def test_reserved_is_a_matter_of_the_first_four_characters(name: str) -> None:
    """Only the beginning of a name, in any case of letters, makes it reserved."""
    assert authorizer.is_reserved("_cf_" + name)
    assert authorizer.is_reserved("_CF_" + name)
    assert authorizer.is_reserved(name) == name.lower().startswith("_cf_")


def test_no_name_is_not_reserved() -> None:
    """SQLite gives None where an action has no name."""
    assert not authorizer.is_reserved(None)


@pytest.mark.rows("SQL-21")
@pytest.mark.parametrize("action", [*TEMPORARY, authorizer.ATTACH, authorizer.DETACH])
def test_temporary_things_and_other_databases_are_denied(action: int) -> None:
    """There is the main database and nothing else (SQL-21)."""
    assert may(action, "x", "y", "temp") == DENY
    assert may(action, "x", "y", None) == DENY


@pytest.mark.rows("SQL-21")
@pytest.mark.parametrize("action", NAMED)
def test_actions_in_another_database_are_denied(action: int) -> None:
    """A database name other than `main` is denied (SQL-21)."""
    assert may(action, "x", None, "other") == DENY


@pytest.mark.rows("SQL-19")
@pytest.mark.parametrize("action", [authorizer.TRANSACTION, authorizer.SAVEPOINT])
def test_transactions_are_denied(action: int) -> None:
    """Should one get here, it is denied all the same (SQL-19)."""
    assert may(action, "BEGIN", None, None) == DENY


@pytest.mark.parametrize("action", [0, 34, 99])
def test_an_action_that_is_not_known_is_denied(action: int) -> None:
    """What a later SQLite may ask is denied until it is on the list."""
    assert may(action, None, None, None) == DENY


@pytest.mark.rows("SQL-24")
@pytest.mark.parametrize(
    "function", ["count", "COUNT", "json_each", "->", "->>", "highlight", "row_number", "pow"]
)
def test_functions_on_the_list_are_allowed(function: str) -> None:
    """The name counts, whatever its case (SQL-24)."""
    assert may(authorizer.FUNCTION, None, function, None) == OK


@pytest.mark.rows("SQL-24")
@pytest.mark.parametrize("function", ["sqlite_version", "sqlite_offset", "json_pretty", "power", "", None])
def test_other_functions_are_denied(function: str | None) -> None:
    """What is not named is denied, as in workerd (SQL-24)."""
    assert may(authorizer.FUNCTION, None, function, None) == DENY


@pytest.mark.rows("SQL-22")
@pytest.mark.parametrize(
    ("module", "answer"), [("fts5", OK), ("FTS5", OK), ("rtree_i32", OK), ("fts4", DENY), (None, DENY)]
)
def test_virtual_tables_are_of_the_modules_on_the_list(module: str | None, answer: int) -> None:
    """The module decides (SQL-22)."""
    assert may(authorizer.CREATE_VTABLE, "t", module, "main") == answer


@pytest.mark.rows("SQL-20", "SQL-22")
def test_a_virtual_table_has_no_reserved_name() -> None:
    """Its name is checked like any other (SQL-20)."""
    assert may(authorizer.CREATE_VTABLE, "_cf_t", "fts5", "main") == DENY


@pytest.mark.rows("SQL-35")
def test_alter_table_names_the_database_first() -> None:
    """ALTER TABLE's arguments are the database and the table (SQL-35)."""
    assert may(authorizer.ALTER_TABLE, "main", "t", None) == OK
    assert may(authorizer.ALTER_TABLE, "main", "_cf_KV", None) == DENY
    assert may(authorizer.ALTER_TABLE, "temp", "t", None) == DENY


@pytest.mark.rows("SQL-23")
@pytest.mark.parametrize("name", sorted(authorizer.PRAGMAS_BOOLEAN))
@pytest.mark.parametrize(
    ("argument", "allowed"),
    [(None, True), ("on", True), ("FALSE", True), ("0", True), ("2", False), ("x", False)],
)
def test_boolean_pragmas_are_read_and_set(name: str, argument: str | None, allowed: bool) -> None:
    """A boolean PRAGMA takes nothing or a boolean (SQL-23)."""
    assert pragma_allowed(name, argument) is allowed


@pytest.mark.rows("SQL-23")
@pytest.mark.parametrize(
    ("name", "argument", "allowed"),
    [
        ("page_size", None, True),
        ("page_size", "512", False),
        ("table_info", "t", True),
        ("table_info", None, False),
        ("table_info", "_cf_KV", False),
        ("foreign_key_check", None, True),
        ("foreign_key_check", "_CF_KV", False),
        ("quick_check", "5", True),
        ("quick_check", "_cf_KV", False),
        ("optimize", None, True),
        ("optimize", "0x10002", True),
        ("optimize", "-1", True),
        ("optimize", "abc", False),
        ("optimize", "0x", False),
        ("table_list", None, True),
        ("table_list", "t", True),
        ("table_list", "_cf_KV", True),
        ("user_version", None, False),
        ("", None, False),
    ],
)
def test_a_pragma_takes_the_arguments_of_its_kind(name: str, argument: str | None, allowed: bool) -> None:
    """Each kind of PRAGMA has its arguments (SQL-23)."""
    assert pragma_allowed(name, argument) is allowed
    assert may(authorizer.PRAGMA, name.upper(), argument, None) == (OK if allowed else DENY)
