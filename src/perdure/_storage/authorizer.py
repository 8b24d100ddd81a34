"""Which actions SQL from users may take. (pure)

The lists are Cloudflare's (SQL-19…24); what is not named is refused. The numbers are SQLite's own action
codes, which never change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

OK: Final = 0
DENY: Final = 1

# SQLite's authorizer action codes (sqlite3.h)
CREATE_INDEX, CREATE_TABLE, CREATE_TEMP_INDEX, CREATE_TEMP_TABLE = 1, 2, 3, 4
CREATE_TEMP_TRIGGER, CREATE_TEMP_VIEW, CREATE_TRIGGER, CREATE_VIEW = 5, 6, 7, 8
DELETE, DROP_INDEX, DROP_TABLE, DROP_TEMP_INDEX, DROP_TEMP_TABLE = 9, 10, 11, 12, 13
DROP_TEMP_TRIGGER, DROP_TEMP_VIEW, DROP_TRIGGER, DROP_VIEW = 14, 15, 16, 17
INSERT, PRAGMA, READ, SELECT, TRANSACTION, UPDATE = 18, 19, 20, 21, 22, 23
ATTACH, DETACH, ALTER_TABLE, REINDEX, ANALYZE = 24, 25, 26, 27, 28
CREATE_VTABLE, DROP_VTABLE, FUNCTION, SAVEPOINT, RECURSIVE = 29, 30, 31, 32, 33

RESERVED_PREFIX: Final = "_cf_"

_WITH_NAME: Final = frozenset(
    {
        CREATE_INDEX,
        CREATE_TABLE,
        CREATE_TRIGGER,
        CREATE_VIEW,
        DELETE,
        DROP_INDEX,
        DROP_TABLE,
        DROP_TRIGGER,
        DROP_VIEW,
        INSERT,
        READ,
        UPDATE,
        DROP_VTABLE,
    }
)
"""Actions on a named thing of the main database; refused when the name is reserved."""

VIRTUAL_TABLES: Final = frozenset({"fts5", "fts5vocab", "rtree", "rtree_i32"})
"""Modules for CREATE VIRTUAL TABLE (SQL-22)."""

PRAGMAS_WITHOUT_ARGUMENT: Final = frozenset({"data_version", "page_size"})
PRAGMAS_BOOLEAN: Final = frozenset(
    [
        "case_sensitive_like",
        "foreign_keys",
        "defer_foreign_keys",
        "ignore_check_constraints",
        "legacy_alter_table",
        "recursive_triggers",
        "reverse_unordered_selects",
    ]
)
PRAGMAS_NAME: Final = frozenset(
    ["foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_xinfo"]
)
PRAGMAS_OPTIONAL_NAME: Final = frozenset({"foreign_key_check"})
PRAGMAS_ANYTHING: Final = frozenset({"table_list"})
"""It shows that hidden tables exist, as `sqlite_schema` does (SQL-20)."""
PRAGMAS_NAME_OR_NUMBER: Final = frozenset({"quick_check"})
PRAGMAS_NUMBER: Final = frozenset({"optimize"})
_NUMBER: Final = re.compile(r"[-+]?(?:0x[0-9a-f]+|[0-9]+)", re.IGNORECASE)
_BOOLEANS: Final = frozenset({"on", "off", "true", "false", "yes", "no", "0", "1"})

FUNCTIONS: Final = frozenset(
    # core scalar functions
    """
    abs changes char coalesce concat concat_ws format glob hex ifnull iif instr last_insert_rowid length like
    likelihood likely load_extension lower ltrim max min nullif octet_length printf quote random randomblob replace
    round rtrim sign substr substring total_changes trim typeof unhex unicode unlikely upper zeroblob
    """
    # date and time
    """
    current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch
    """
    # aggregates and window functions
    """
    avg count group_concat max min string_agg sum total
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    """
    # mathematics
    """
    acos acosh asin asinh atan atan2 atanh ceil cos cosh degrees exp floor ln log log2 mod pi pow radians
    sin sinh sqrt tan tanh trunc
    """
    # JSON
    """
    json json_array json_array_length json_each json_extract json_group_array json_group_object json_insert
    json_object json_patch json_quote json_remove json_replace json_set json_tree json_type json_valid
    jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
    jsonb_remove jsonb_replace jsonb_set -> ->>
    """
    # full text and r-tree; match, regexp are operators that only virtual tables answer
    """
    match regexp highlight bm25 snippet rtreecheck
    """
    # what SQLite itself calls while it runs ALTER TABLE
    """
    sqlite_rename_column sqlite_rename_table sqlite_rename_test sqlite_drop_column sqlite_rename_quotefix
    """.split()
)
"""Functions by name, lower case (SQL-24)."""


def is_reserved(name: str | None) -> bool:
    """Tell whether *name* belongs to the runtime (SQL-20)."""
    return name is not None and name[:4].lower() == RESERVED_PREFIX


@lru_cache(maxsize=1024)  # SQLite asks some ten times for a statement, and each new object says the same ones
def may(action: int, first: str | None, second: str | None, database: str | None) -> int:
    """
    Answer SQLite's question whether a statement of a user may do *action*: OK or DENY.

    The arguments are those of SQLite's authorizer callback. Transaction statements are told apart before
    they get here, since their refusal has a text of its own (SQL-19).
    """
    if action == ALTER_TABLE:  # its arguments are the database, the table, and a column to drop
        return DENY if first != "main" or is_reserved(second) else OK
    if database not in (None, "main"):
        # ALTER TABLE also looks through the list of temporary tables, which is always empty here.
        return OK if first == "sqlite_temp_master" and action in (READ, UPDATE) else DENY
    if action in _WITH_NAME:
        return (
            DENY
            if is_reserved(first) or (action in (CREATE_INDEX, CREATE_TRIGGER) and is_reserved(second))
            else OK
        )
    if action in (SELECT, RECURSIVE, ANALYZE, REINDEX):
        return OK
    if action == FUNCTION:
        return OK if second is not None and second.lower() in FUNCTIONS else DENY
    if action == CREATE_VTABLE:
        return OK if (second or "").lower() in VIRTUAL_TABLES and not is_reserved(first) else DENY
    if action == PRAGMA:
        return OK if pragma_allowed((first or "").lower(), second) else DENY
    return DENY


def pragma_allowed(name: str, argument: str | None) -> bool:
    """Tell whether `PRAGMA name` or `PRAGMA name = argument` is on the list (SQL-23)."""
    if name in PRAGMAS_WITHOUT_ARGUMENT:
        return argument is None
    if name in PRAGMAS_BOOLEAN:
        return argument is None or argument.lower() in _BOOLEANS
    if name in PRAGMAS_NAME:
        return argument is not None and not is_reserved(argument)
    if name in PRAGMAS_OPTIONAL_NAME:
        return argument is None or not is_reserved(argument)
    if name in PRAGMAS_NAME_OR_NUMBER:
        return not is_reserved(argument)
    if name in PRAGMAS_NUMBER:
        return argument is None or _NUMBER.fullmatch(argument) is not None
    return name in PRAGMAS_ANYTHING
