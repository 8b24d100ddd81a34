"""What SQL of users may not do (SQL-19…25, SQL-31)."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import an_object, in_object, inside

from perdure._storage import authorizer
from perdure.errors import SqlError
from perdure.testing import evict_durable_object

TRANSACTION_TEXT = (
    "To execute a transaction, please use the state.storage.transaction() or state.storage.transaction_sync() APIs "
    "instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The Python API is safer because it will "
    "automatically roll back on exceptions, and because it interacts correctly with Durable Objects' automatic "
    "atomic write coalescing."
)
AUTH = r"^not authorized: SQLITE_AUTH$"
SETUP = "CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, 'a')"


async def refusal(query: str, *, setup: str = SETUP, keys: bool = True) -> str:
    """The text with which *query* is refused; each time, and the object goes on."""

    def work(storage: Any) -> Any:
        if keys:
            storage.kv.put("k", 1)
        storage.sql.exec(setup)
        texts = set()
        for _ in range(2):
            with pytest.raises(SqlError) as caught:
                storage.sql.exec(query).to_list()
            texts.add(str(caught.value))
        assert storage.kv.get("k") == (1 if keys else None)
        assert storage.sql.exec("SELECT count(*) AS n FROM t").one().n == 1
        return texts

    [text] = await in_object(work)
    return text


async def accepted(query: str, *, setup: str = SETUP) -> list[tuple[Any, ...]]:
    def work(storage: Any) -> Any:
        storage.sql.exec(setup)
        return storage.sql.exec(query).raw().to_list()

    return await in_object(work)


# --- transactions ------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-19")
@pytest.mark.parametrize(
    "query",
    [
        "BEGIN",
        "begin immediate",
        "COMMIT",
        "END TRANSACTION",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "ROLLBACK TO a",
        "/* c */ BEGIN",
        "SELECT 1; COMMIT",
    ],
)
async def test_transactions_are_not_made_by_sql(query: str) -> None:
    """Each statement that begins or ends a transaction is refused with the way to do it (SQL-19)."""
    assert await refusal(query) == TRANSACTION_TEXT


# --- reserved names ----------------------------------------------------------------------------------


@pytest.mark.rows("SQL-20")
@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE _cf_x (n)",
        "CREATE TABLE _CF_x (n)",
        'CREATE TABLE "_Cf_x" (n)',
        "CREATE TABLE main._cf_x (n)",
        "CREATE TABLE _cf_x AS SELECT 1",
        "CREATE INDEX _cf_i ON t (s)",
        "CREATE VIEW _cf_v AS SELECT 1",
        "CREATE TRIGGER _cf_g AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE _cf_f USING fts5 (body)",
        "ALTER TABLE t RENAME TO _cf_x",
        "ALTER TABLE t RENAME TO _CF_X",
        "DROP TABLE _cf_KV",
        "DELETE FROM _cf_KV",
        "INSERT INTO _cf_KV VALUES ('a', 1)",
        "REPLACE INTO _cf_KV VALUES ('a', 1)",
        "ALTER TABLE _cf_KV RENAME TO mine",
        "ALTER TABLE _cf_KV ADD COLUMN x",
        "CREATE INDEX i ON _cf_KV (value)",
        "CREATE TRIGGER g AFTER INSERT ON _cf_KV BEGIN SELECT 1; END",
    ],
)
async def test_names_of_the_runtime_cannot_be_used(query: str) -> None:
    """Anything whose name begins with `_cf_`, in any case of letters, is denied (SQL-20)."""
    assert "not authorized" in await refusal(query) or "prohibited" in await refusal(query)


@pytest.mark.rows("SQL-20")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM _cf_KV",
        "SELECT key FROM _CF_KV",
        "SELECT k.value FROM _cf_KV k JOIN t ON 1",
        "INSERT INTO t SELECT 2, key FROM _cf_KV",
    ],
)
async def test_hidden_tables_cannot_be_read(query: str) -> None:
    """A column of a hidden table is prohibited (SQL-20)."""
    assert "access to _cf_KV." in await refusal(query)


@pytest.mark.rows("SQL-20")
async def test_a_view_or_trigger_is_no_way_around() -> None:
    """A view on a hidden table cannot be read, a trigger cannot write to it (SQL-20)."""
    assert "prohibited" in await refusal(
        "SELECT * FROM v", setup=f"{SETUP}; CREATE VIEW v AS SELECT key FROM _cf_KV"
    )
    assert "not authorized" in await refusal(
        "INSERT INTO t VALUES (2, 'b')",
        setup=f"{SETUP}; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM _cf_KV; END",
    )


@pytest.mark.rows("SQL-20")
async def test_a_name_with_the_prefix_inside_is_free() -> None:
    """Only the beginning of a name is reserved (SQL-20)."""
    assert await accepted("SELECT * FROM x_cf_", setup="CREATE TABLE x_cf_ (n)") == []


@pytest.mark.rows("SQL-20")
async def test_a_column_may_have_any_name() -> None:
    """Columns are not reserved (SQL-20)."""
    assert await accepted("SELECT _cf_c FROM x", setup="CREATE TABLE x (_cf_c)") == []


# --- statements --------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-21")
@pytest.mark.parametrize(
    "query",
    [
        "ATTACH 'x' AS y",
        "ATTACH ':memory:' AS y",
        "DETACH main",
        "CREATE TEMP TABLE x (n)",
        "CREATE TEMPORARY VIEW v AS SELECT 1",
        "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TABLE temp.x (n)",
        "VACUUM INTO 'copy'",
    ],
)
async def test_only_the_main_database_is_there(query: str) -> None:
    """ATTACH, DETACH, temporary things and copies by VACUUM are denied (SQL-21)."""
    text = await refusal(query)
    assert "not authorized" in text or "cannot VACUUM" in text


@pytest.mark.rows("SQL-21")
async def test_vacuum_is_refused() -> None:
    """VACUUM runs inside the turn's transaction, where SQLite cannot do it (SQL-21)."""
    assert await refusal("VACUUM") == "cannot VACUUM from within a transaction: SQLITE_ERROR"


@pytest.mark.rows("SQL-22")
@pytest.mark.parametrize("module", ["fts3", "fts4", "dbstat", "geopoly", "csv", "nosuch"])
async def test_other_virtual_tables_are_denied(module: str) -> None:
    """Modules that are not on the list cannot be used (SQL-21, SQL-22)."""
    assert await refusal(f"CREATE VIRTUAL TABLE v USING {module} (a)") == "not authorized: SQLITE_AUTH"


@pytest.mark.rows("SQL-22")
@pytest.mark.parametrize(
    ("create", "fill", "query", "expected"),
    [
        (
            "fts5 (body)",
            "('hello world'), ('good bye')",
            "SELECT body FROM v WHERE v MATCH 'world'",
            [("hello world",)],
        ),
        (
            "FTS5 (body)",
            "('hello')",
            "SELECT highlight(v, 0, '<', '>') FROM v WHERE v MATCH 'hello'",
            [("<hello>",)],
        ),
        ("rtree (id, a, b)", "(1, 0, 10), (2, 5, 6)", "SELECT id FROM v WHERE a >= 4", [(2,)]),
        ("rtree_i32 (id, a, b)", "(1, 0, 10)", "SELECT a, b FROM v", [(0, 10)]),
    ],
)
async def test_full_text_and_r_trees_are_there(create: str, fill: str, query: str, expected: Any) -> None:
    """`fts5`, `rtree` and `rtree_i32` may be made, whatever the case of the letters (SQL-22)."""
    setup = f"CREATE VIRTUAL TABLE v USING {create}; INSERT INTO v VALUES {fill}"
    assert await accepted(query, setup=setup) == expected


@pytest.mark.rows("SQL-22")
async def test_the_vocabulary_of_a_full_text_table_is_there() -> None:
    """`fts5vocab` may be made, too (SQL-22)."""
    setup = "CREATE VIRTUAL TABLE f USING fts5 (body); INSERT INTO f VALUES ('a b a'); CREATE VIRTUAL TABLE v USING fts5vocab (f, 'row')"
    assert await accepted("SELECT term, cnt FROM v", setup=setup) == [("a", 2), ("b", 1)]


@pytest.mark.rows("SQL-21")
@pytest.mark.parametrize("table", ["dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"])
async def test_tables_about_the_file_itself_are_not_there(table: str) -> None:
    """Tables that SQLite makes up of its own inside do not exist here, as in workerd (SQL-21)."""
    assert await refusal(f"SELECT * FROM {table}") == f"no such table: {table}: SQLITE_ERROR"


@pytest.mark.rows("SQL-31")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("UPDATE sqlite_master SET name = 'x'", "table sqlite_master may not be modified"),
        ("DELETE FROM sqlite_schema", "table sqlite_master may not be modified"),
        ("INSERT INTO f_data VALUES (1, 2)", "table f_data may not be modified"),
        ("DROP TABLE f_data", "may not be dropped"),
        ("PRAGMA writable_schema = 1", "not authorized"),
    ],
)
async def test_the_schema_and_shadow_tables_are_not_written(query: str, text: str) -> None:
    """Defensive mode: neither `sqlite_master` nor what is behind a virtual table can be changed (SQL-31)."""
    assert text in await refusal(query, setup=f"{SETUP}; CREATE VIRTUAL TABLE f USING fts5 (body)")


# --- pragmas -----------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-23")
@pytest.mark.parametrize(
    "pragma",
    [
        "data_version",
        "page_size",
        "case_sensitive_like = ON",
        "foreign_keys",
        "foreign_keys = ON",
        "defer_foreign_keys = true",
        "ignore_check_constraints = 0",
        "legacy_alter_table = no",
        "recursive_triggers = 1",
        "reverse_unordered_selects = off",
        "foreign_key_list (t)",
        "index_info (i)",
        "index_list (t)",
        "index_xinfo (i)",
        "table_info (t)",
        "table_xinfo (t)",
        "foreign_key_check",
        "foreign_key_check (t)",
        "quick_check",
        "quick_check (t)",
        "quick_check (5)",
        "optimize",
        "optimize (0x02)",
        "optimize (-1)",
        "table_list",
        "table_list (t)",
        "table_list (_cf_KV)",
        "TABLE_INFO (t)",
    ],
)
async def test_pragmas_on_the_list_are_allowed(pragma: str) -> None:
    """The PRAGMAs that Cloudflare allows work, with the arguments that it allows (SQL-23)."""
    await accepted(f"PRAGMA {pragma}", setup=f"{SETUP}; CREATE INDEX i ON t (s)")


@pytest.mark.rows("SQL-23")
@pytest.mark.parametrize(
    "pragma",
    [
        "user_version",
        "user_version = 3",
        "journal_mode",
        "journal_mode = DELETE",
        "max_page_count",
        "page_size = 512",
        "data_version = 1",
        "foreign_keys = maybe",
        "optimize (abc)",
        "table_info",
        "table_info (_cf_KV)",
        "index_list (_CF_kv)",
        "foreign_key_check (_cf_KV)",
        "quick_check (_cf_KV)",
        "integrity_check",
        "synchronous = OFF",
        "locking_mode = NORMAL",
        "wal_checkpoint",
        "cache_size = 1",
        "database_list",
        "function_list",
        "temp_store = 2",
        "secure_delete",
        "nosuch",
        "main.user_version",
    ],
)
async def test_other_pragmas_are_not_authorized(pragma: str) -> None:
    """What is not on the list is denied, and what is, with another argument, too (SQL-23)."""
    assert await refusal(f"PRAGMA {pragma}") == "not authorized: SQLITE_AUTH"


@pytest.mark.rows("SQL-23")
async def test_the_table_form_of_a_pragma_follows_the_same_list() -> None:
    """`pragma_table_info(…)` works, `pragma_user_version` does not (SQL-23)."""
    assert await accepted("SELECT name FROM pragma_table_info('t')") == [("n",), ("s",)]
    assert await refusal("SELECT * FROM pragma_user_version") == "not authorized: SQLITE_AUTH"


@pytest.mark.rows("SQL-23", "SQL-25")
async def test_settings_last_as_long_as_the_instance() -> None:
    """What a PRAGMA set is as it was at the beginning for the next instance (SQL-23)."""
    defaults = {"foreign_keys": 1} | dict.fromkeys(
        authorizer.PRAGMAS_BOOLEAN - {"foreign_keys", "case_sensitive_like"}, 0
    )

    def read(instance: Any) -> dict[str, int]:
        sql = instance.ctx.storage.sql
        return {name: sql.exec(f"PRAGMA {name}").one()[name] for name in defaults}

    def change(instance: Any) -> Any:
        sql = instance.ctx.storage.sql
        for name in (*defaults, "case_sensitive_like"):
            sql.exec(f"PRAGMA {name} = {int(not defaults.get(name, 0))}")
        return read(instance), sql.exec("SELECT 'a' LIKE 'A' AS same").one().same

    async with an_object() as stub:
        before = await inside(stub, read)
        changed, same = await inside(stub, change)
        await evict_durable_object(stub)
        after = await inside(stub, read)
        same_after = await inside(
            stub, lambda instance: instance.ctx.storage.sql.exec("SELECT 'a' LIKE 'A' AS same").one().same
        )
    assert before == after == defaults
    assert changed == {name: int(not value) for name, value in defaults.items()}
    assert (same, same_after) == (0, 1)


# --- functions ---------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-24")
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("abs(-1)", 1),
        ("coalesce(NULL, 2)", 2),
        ("concat_ws('-', 'a', 'b')", "a-b"),
        ("format('%05d', 7)", "00007"),
        ("iif(1, 'y', 'n')", "y"),
        ("unhex('6162')", b"ab"),
        ("date('2026-01-02', '+1 day')", "2026-01-03"),
        ("strftime('%Y', '2026-01-02')", "2026"),
        ("unixepoch('1970-01-02')", 86400),
        ("sqrt(16)", 4.0),
        ("round(pi(), 2)", 3.14),
        ("json_extract('{\"a\":[1,2]}', '$.a[1]')", 2),
        ("'{\"a\":5}' -> '$.a'", "5"),
        ("'{\"a\":5}' ->> '$.a'", 5),
        ("json(jsonb('[1, 2]'))", "[1,2]"),
        ("(SELECT sum(value) FROM json_each('[1,2,3]'))", 6),
        ("(SELECT count(*) FROM json_tree('{\"a\":[1]}'))", 3),
        ("(SELECT group_concat(value, '+') FROM json_each('[1,2]'))", "1+2"),
        ("(SELECT row_number() OVER (ORDER BY n) FROM t)", 1),
        ("'abc' LIKE 'A%'", 1),
        ("'abc' GLOB 'A*'", 0),
        ("length(randomblob(4))", 4),
        ("typeof(current_timestamp)", "text"),
    ],
)
async def test_functions_on_the_list_work(expression: str, value: Any) -> None:
    """Core, date, aggregate, window, math, JSON and full-text functions are there (SQL-24)."""
    assert await accepted(f"SELECT {expression}") == [(value,)]


@pytest.mark.rows("SQL-24")
@pytest.mark.parametrize(
    "function",
    [
        "sqlite_version()",
        "sqlite_source_id()",
        "sqlite_compileoption_used('X')",
        "soundex('a')",
        "sqlite_offset(n)",
        "rtreenode(1, 2)",
        "fts3_tokenizer('x')",
    ],
)
async def test_functions_about_sqlite_itself_are_refused(function: str) -> None:
    """Introspection, and functions workerd does not name, are not authorized or do not exist (SQL-24)."""
    name = function.partition("(")[0]
    text = await refusal(f"SELECT {function} FROM t")
    assert text.startswith((f"not authorized to use function: {name}", f"no such function: {name}"))


@pytest.mark.rows("SQL-24")
async def test_extensions_cannot_be_loaded() -> None:
    """`load_extension` is refused by SQLite (SQL-24)."""
    assert await refusal("SELECT load_extension('x')") == "not authorized: SQLITE_ERROR"


@pytest.mark.rows("SQL-24")
async def test_a_function_inside_a_definition_is_checked_as_well() -> None:
    """A default, a check or a view with a refused function is refused where it would run (SQL-24)."""
    for query in (
        "CREATE TABLE u (a, b AS (sqlite_version()))",
        "CREATE INDEX i ON t (sqlite_version())",
    ):
        text = await refusal(query)
        assert "sqlite_version" in text or "non-deterministic" in text


# --- foreign keys ------------------------------------------------------------------------------------


@pytest.mark.rows("SQL-25")
async def test_foreign_keys_are_checked() -> None:
    """A row without its parent is refused at once (SQL-25)."""
    text = await refusal(
        "INSERT INTO child VALUES (99)", setup=f"{SETUP}; CREATE TABLE child (p REFERENCES t (n))"
    )
    assert text == "FOREIGN KEY constraint failed: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_FOREIGNKEY)"


@pytest.mark.rows("SQL-25")
async def test_checks_can_be_put_off_to_the_end_of_the_turn() -> None:
    """With `defer_foreign_keys` the parent may come after the child, within the turn (SQL-25)."""

    async def work(storage: Any) -> Any:
        storage.sql.exec(
            "CREATE TABLE parent (id PRIMARY KEY); CREATE TABLE child (p REFERENCES parent (id))"
        )
        await storage.sync()
        storage.sql.exec("PRAGMA defer_foreign_keys = ON; INSERT INTO child VALUES (1)")
        storage.sql.exec("INSERT INTO parent VALUES (1)")
        await storage.sync()
        return storage.sql.exec("SELECT count(*) AS n FROM child").one().n

    assert await in_object(work) == 1


@pytest.mark.rows("SQL-25")
async def test_foreign_keys_are_turned_off_only_outside_a_transaction() -> None:
    """Before the turn's first write the PRAGMA works, after it it does nothing (SQL-25)."""

    async def work(storage: Any) -> Any:
        storage.kv.put("k", 1)
        storage.sql.exec("PRAGMA foreign_keys = OFF")
        inside = storage.sql.exec("PRAGMA foreign_keys").one()
        await storage.sync()
        storage.sql.exec("PRAGMA foreign_keys = OFF")
        return inside, storage.sql.exec("PRAGMA foreign_keys").one()

    assert await in_object(work) == ({"foreign_keys": 1}, {"foreign_keys": 0})
