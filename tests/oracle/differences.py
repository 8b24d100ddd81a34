"""Where Perdure answers otherwise than workerd, on purpose, with the answer it gives instead. (pure)

A step that is listed here is tested too: Perdure must give `ours`. What JavaScript and Python merely spell
differently is not here but in mapping.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Absent:
    """Stands for a part of the recorded answer that ours does not have."""

    def __repr__(self) -> str:
        return "(nothing)"


ABSENT = Absent()


@dataclass(frozen=True)
class Difference:
    """One place in one answer of a scenario."""

    scenario: str
    step: int
    """Counts from 0, as in the recorded file."""
    reason: str
    ours: Any
    at: tuple[str | int, ...] = ()
    """Where in the answer; the rest of it is as recorded."""


def each(
    scenario: str, reason: str, ours: dict[int, Any], at: tuple[str | int, ...] = ()
) -> Iterable[Difference]:
    """Several steps of a scenario that differ in the same place for the same reason."""
    return [Difference(scenario, step, reason, value, at) for step, value in ours.items()]


MESSAGE = ("err", "message")
OK = ("ok",)
INNER_OK = ("ok", "ok")
INNER_MESSAGE = ("ok", "err", "message")


def missing(call: str, argument: str) -> str:
    """Python's own words for a call without an argument it needs."""
    return f"{call}() missing 1 required positional argument: '{argument}'"


def not_sent(kind: str) -> dict[str, Any]:
    """What is said of a message that is neither text nor bytes."""
    text = (
        "Failed to execute 'send' on 'WebSocket': parameter 1 is not of type 'str, bytes, bytearray or memoryview'; "
        f"got {kind}. For JSON send json.dumps(value)."
    )
    return {"err": {"name": "TypeError", "message": text}}


def large(size: int, stored: int) -> list[Any]:
    """What is said of an attachment that is too large."""
    text = f"A WebSocket 'attachment' cannot be larger than 16384 bytes.'attachment' was {stored} bytes."
    return [size, {"err": {"name": "Error", "message": text}}]


def unknown_class(where: str = "") -> str:
    """What is said of a value of a class that cannot be stored."""
    return (
        f'Could not serialize object of type "Unknown". This type does not support serialization.{where} '
        "Make it a dataclass, a msgspec.Struct, a NamedTuple or a dict."
    )


MISSING_ARGUMENT = "A call without an argument it needs gets Python's own TypeError."
JURISDICTION = "There is one machine and so no jurisdiction; the text names the program that says it."
FUNCTION = "A function is shown by its name, JavaScript shows its source."
HASHABLE = (
    "A key of a dict and a member of a set must be hashable: a tuple stands where JavaScript has an object."
)
ONE_KEY = "A key of `kv` is text; JavaScript makes text of a list."
BINDS_INT = "A Python int is bound as INTEGER, not as REAL."
EXACT = "A Python int is exact: 64-bit integers come back with all their digits."
INVALID_TEXT = (
    "Text that is not UTF-8 is an error that says how to read it; JavaScript silently replaces bytes."
)
KNOWN_FUNCTION = "Our SQLite has the function, and it is refused as any other that workerd does not know."
NO_DELETE_LIMIT = (
    "Our SQLite is built without ORDER BY and LIMIT on DELETE and UPDATE; "
    "`DELETE … WHERE rowid IN (SELECT … LIMIT n)` does the same."
)
ROW_STAYED = "The row that the refused DELETE … LIMIT should have removed is still there."
RUN_TO_THE_END = (
    "A writing statement with RETURNING runs to its end at once and its rows are kept, read or not; "
    "workerd cannot commit while they are unread, and resets the object."
)
ASYNC_CALLBACK = (
    "Nothing of an async callback runs before it is awaited, so it would never be in the transaction."
)
ASYNC_CALLBACK_TEXT = (
    "transaction_sync() takes a plain function; this one is async, and nothing of it would run inside the "
    "transaction. Use `await ctx.storage.transaction(closure)`."
)
BLOCK = "Without a callback the transaction is a `with` block."
ABORT_REASON = "A reason for an abort becomes text as Python writes it."
ROUNDED_UP = "A part of a millisecond is rounded up: rounded down, the alarm could be early."
DROPPED = "An alarm that is dropped is cleared too; in workerd get_alarm() goes on telling a time at which nothing runs."
KEYWORDS = "Options are keyword arguments."
UNKNOWN_CLASS = (
    "Of an object of an unknown class the text tells the class, where it is, and what can be stored."
)
WORKERD_INTERNAL = "workerd ends with an internal error; the text says what is wrong."
TELLS_VALUE = "The text also shows the value, and what can be done."
EXPORTS = "The entrypoint is exported under the name that its class has."
NO_COERCION = "A message that is neither text nor bytes is refused; JavaScript makes text of it."
COUNTED = "Python disposes a stub when its last reference goes; JavaScript only when its code says so, or at the end."
ANYBODYS = "Whoever in the program holds a storage, stub or socket of another object or request can use it."
BYTES = "There is one kind of bytes, and no switch between kinds."

DIFFERENCES: list[Difference] = [
    Difference("001-id-from-name", 13, MISSING_ARGUMENT, missing("Namespace.id_from_name", "name"), MESSAGE),
    Difference(
        "001-id-from-name",
        14,
        "An id has no JSON form; its `repr` tells what it is.",
        "<DurableObjectId df70ee8e767edee35c73de58a5e68aaa12e34561c9078e83c021483dd15db227 name='alpha'>",
        OK,
    ),
    *each(
        "003-unique-ids",
        JURISDICTION,
        dict.fromkeys([2, 4], "Jurisdiction restrictions are not implemented in Perdure."),
        MESSAGE,
    ),
    Difference("004-stubs", 3, MISSING_ARGUMENT, missing("Namespace.get", "id"), MESSAGE),
    Difference("004-stubs", 5, MISSING_ARGUMENT, missing("Namespace.get_by_name", "name"), MESSAGE),
    Difference(
        "011-kv-many-keys",
        19,
        FUNCTION,
        "<function function> could not be cloned.",
        ("ok", "put", *MESSAGE),
    ),
    *[
        Difference("016-kv-value-types", step, reason, ours, ("ok", key))
        for step in [1, 3]
        for key, reason, ours in [
            ("invalidDate", "Python has no invalid date.", ABSENT),
            ("map", HASHABLE, {"$": "map", "v": [["k", 1], [2, "two"], [["o", 1], None]]}),
            ("nested", HASHABLE, {"s": {"$": "set", "v": [["d", {"$": "date", "v": 0}]]}}),
        ]
    ],
    Difference("030-sync-kv", 7, FUNCTION, "<function function> could not be cloned.", ("ok", 1, *MESSAGE)),
    *[
        Difference(
            "030-sync-kv",
            7,
            ONE_KEY,
            {
                "err": {
                    "name": "TypeError",
                    "message": f"Failed to execute '{name}' on 'SyncKvStorage': parameter 1 is not of type 'string'.",
                }
            },
            ("ok", place),
        )
        for place, name in [(4, "get"), (5, "delete")]
    ],
    *each(
        "044-sql-bindings",
        BINDS_INT,
        {
            step: {"v": v, "t": "integer", "l": len(str(v)), "q": str(v)}
            for step, v in [(0, 42), (1, -5), (3, 2**53)]
        },
        INNER_OK,
    ),
    *each("046-sql-values", EXACT, {5: 2**53 + 1, 6: 2**63 - 1, 7: -(2**63)}, INNER_OK),
    Difference(
        "046-sql-values",
        26,
        INVALID_TEXT,
        {
            "err": {
                "name": "Error",
                "message": "a TEXT value of the result is not valid UTF-8; select it as CAST(column AS BLOB): "
                "SQLITE_MISMATCH",
            }
        },
        OK,
    ),
    Difference(
        "049-sql-functions",
        85,
        KNOWN_FUNCTION,
        "not authorized to use function: median at offset 7: SQLITE_ERROR",
        INNER_MESSAGE,
    ),
    Difference(
        "059-sql-language",
        13,
        NO_DELETE_LIMIT,
        {"err": {"name": "Error", "message": 'near "ORDER": syntax error at offset 27: SQLITE_ERROR'}},
        OK,
    ),
    *each(
        "059-sql-language",
        ROW_STAYED,
        {
            14: [{"k": "c"}, {"k": "b"}, {"k": "a"}],
            20: [
                {"k": "a", "n": 11, "twice": 22},
                {"k": "b", "n": 3, "twice": 6},
                {"k": "c", "n": 4, "twice": 8},
            ],
            26: [{"c": 4}],
            28: [{"n": 0}, {"n": 6}, {"n": 8}, {"n": 22}],
        },
        INNER_OK,
    ),
    *each("061-sql-unread-returning", RUN_TO_THE_END, {3: {"ok": "done"}, 5: {"ok": {"n": 5}}}),
    *each(
        "061-sql-unread-returning",
        RUN_TO_THE_END,
        {
            step: {"calls": calls, "rows": list(range(1, last + 1))}
            for step, calls, last in [(4, 1, 4), (6, 2, 7), (8, 3, 8), (10, 4, 8), (12, 5, 9)]
        },
        OK,
    ),
    *each(
        "070-transaction-sync",
        ASYNC_CALLBACK,
        dict.fromkeys([7, 8], {"err": {"name": "TypeError", "message": ASYNC_CALLBACK_TEXT, "remote": True}}),
    ),
    Difference(
        "070-transaction-sync", 10, BLOCK, {"ok": {"$": "object", "class": "SyncTransactionBlock"}}, ("ok", 0)
    ),
    Difference("071-transaction-async", 15, BLOCK, {"ok": {"$": "object", "class": "TransactionBlock"}}, OK),
    Difference(
        "082-block-concurrency-order",
        9,
        MISSING_ARGUMENT,
        missing("DurableObjectState.block_concurrency_while", "callback"),
        INNER_MESSAGE,
    ),
    Difference("090-alarm-set-get", 7, ROUNDED_UP, 1, OK),
    *each("097-alarm-abort", DROPPED, dict.fromkeys([7, 9, 11], False), ("ok", "pending")),
    Difference("141-abort", 3, ABORT_REASON, "Exception: an error", MESSAGE),
    Difference(
        "141-abort",
        6,
        "None means that there is no reason; JavaScript makes text of `null`.",
        "Application called abort() to reset Durable Object.",
        MESSAGE,
    ),
    Difference("141-abort", 8, ABORT_REASON, "{'a': 1}", MESSAGE),
    Difference("141-abort", 13, "Python runs `finally` blocks, also on an abort.", ["finally ran"], OK),
    Difference(
        "141-abort",
        23,
        "The error of an abort has a class of its own, so that it can be caught.",
        "ObjectReset",
        ("ok", "class"),
    ),
    Difference("147-surface", 4, EXPORTS, ["A", "Default"], ("ok", 4)),
    Difference(
        "149-class-forms",
        4,
        MISSING_ARGUMENT,
        "DurableObject.__init__() missing 2 required positional arguments: 'ctx' and 'env'",
        MESSAGE,
    ),
    Difference("150-exports", 1, EXPORTS, ["A", "Default"], ("ok", 1)),
    *[
        Difference(
            "212-kv-refusals",
            step,
            MISSING_ARGUMENT,
            missing(f"DurableObjectStorage.{name}", "key"),
            INNER_MESSAGE,
        )
        for step, name in [(21, "get"), (22, "delete")]
    ],
    Difference(
        "212-kv-refusals",
        23,
        KEYWORDS,
        "put() may only be called with a single key-value pair and optional options as put(key, value, **options) "
        "or with multiple key-value pairs and optional options as put(entries, **options)",
        INNER_MESSAGE,
    ),
    Difference(
        "212-kv-refusals", 24, UNKNOWN_CLASS, unknown_class(' (at value["a"][1]["b"])'), INNER_MESSAGE
    ),
    Difference("212-kv-refusals", 25, UNKNOWN_CLASS, unknown_class(), ("ok", 0, *MESSAGE)),
    Difference(
        "221-delete-all", 18, WORKERD_INTERNAL, "Cannot call delete_all() within a transaction", INNER_MESSAGE
    ),
    Difference(
        "221-delete-all",
        21,
        WORKERD_INTERNAL,
        "SQLite query was canceled because the database was deleted.",
        ("ok", 2, *MESSAGE),
    ),
    Difference("245-sql-arguments", 84, MISSING_ARGUMENT, missing("SqlStorage.exec", "query"), INNER_MESSAGE),
    Difference(
        "248-sql-pragmas",
        93,
        "Our SQLite gathers more statistics at ANALYZE.",
        [["c"], ["p"], ["sqlite_schema"], ["sqlite_stat1"], ["sqlite_stat4"], ["sqlite_temp_schema"]],
        INNER_OK,
    ),
    *each(
        "248-sql-pragmas",
        KNOWN_FUNCTION,
        {
            step: f"not authorized to use function: {name} at offset 7: SQLITE_ERROR"
            for step, name in [(117, "fts3_tokenizer"), (122, "geopoly_area"), (147, "percentile")]
        },
        INNER_MESSAGE,
    ),
    Difference(
        "248-sql-pragmas", 146, "Our SQLite is built so that LIKE never matches a BLOB.", [[0]], INNER_OK
    ),
    Difference(
        "331-fetch-errors",
        26,
        TELLS_VALUE,
        "Fetch API cannot load: ftp://x/y (the scheme must be http or https)",
        ("ok", 2, *MESSAGE),
    ),
    *[
        Difference("331-fetch-errors", 27, TELLS_VALUE, text, ("ok", place, *MESSAGE))
        for place, text in [
            (1, "Invalid HTTP method string: 'not a method'"),
            (2, "Invalid header name: 'bad name'"),
            (
                3,
                "Invalid value of header 'ok': 'bad\\nvalue' (control characters and characters outside Latin-1 "
                "cannot be sent; percent-encode them)",
            ),
            (
                4,
                'Invalid redirect value \'nonsense\', must be one of "follow" or "manual" ("error" makes no sense '
                'on a server; use "manual" and check the response status code).',
            ),
        ]
    ],
    Difference(
        "162-ws-close-arguments", 4, MISSING_ARGUMENT, missing("WebSocket.send", "data"), ("ok", 0, *MESSAGE)
    ),
    *[
        Difference("162-ws-close-arguments", 4, NO_COERCION, refused, ("ok", place))
        for place, refused in [(1, not_sent("int")), (4, not_sent("dict")), (5, not_sent("NoneType"))]
    ],
    Difference(
        "163-ws-hibernation",
        39,
        "A Close that the object does not answer is answered by the runtime after half a second.",
        {"close": {"code": 1000, "reason": "done"}},
    ),
    Difference(
        "165-ws-tags", 21, MISSING_ARGUMENT, missing("DurableObjectState.get_tags", "ws"), ("ok", 2, *MESSAGE)
    ),
    *[
        Difference(
            "166-ws-attachment", 5, "The bytes are those of Perdure's own encoding.", ours, ("ok", place)
        )
        for place, ours in [(5, [16380, 16380]), (6, large(16381, 16385)), (7, large(20000, 20004))]
    ],
    Difference(
        "166-ws-attachment",
        6,
        FUNCTION,
        "<function A.errors.<locals>.<lambda>> could not be cloned.",
        ("ok", 0, *MESSAGE),
    ),
    Difference(
        "166-ws-attachment",
        6,
        MISSING_ARGUMENT,
        missing("WebSocket.serialize_attachment", "value"),
        ("ok", 1, *MESSAGE),
    ),
    Difference("166-ws-attachment", 6, "The bytes are those of Perdure's own encoding.", 16380, ("ok", 2)),
    Difference(
        "168-ws-auto-response",
        42,
        "Python's own words for a property that cannot be set.",
        {
            "err": {
                "name": "Error",
                "message": "property 'request' of 'WebSocketRequestResponsePair' object has no setter",
            }
        },
        ("ok", 2),
    ),
    Difference(
        "171-ws-reset",
        24,
        "A server that stops in good order says so.",
        {"close": {"code": 1012, "reason": "The server is restarting. Connect again."}},
    ),
    Difference("174-ws-worker-client", 5, BYTES, {"$": "bytes", "hex": "0102ff"}, OK),
    Difference("175-ws-protocol-and-timeout", 5, BYTES, "none", ("ok", 3)),
    Difference(
        "110-rpc-values",
        4,
        "A compiled pattern is not sent: its text is.",
        None,
        ("ok", 19),
    ),
    *each(
        "112-rpc-names",
        "A name that begins with an underscore is private in Python.",
        {
            step: {
                "err": {
                    "name": "TypeError",
                    "message": f'The RPC receiver does not implement the method "{name}".',
                    "remote": True,
                }
            }
            for step, name in ((2, "_underscore"), (3, "__double"))
        },
    ),
    *each(
        "113-rpc-plain-class",
        "The text names our base class.",
        dict.fromkeys(
            [1, 2, 3],
            "The receiving Durable Object does not support RPC, because its class was not declared with "
            "`class A(DurableObject)`. In order to enable RPC, make sure your class extends `perdure.DurableObject`.",
        ),
        MESSAGE,
    ),
    *each(
        "118-rpc-uncloneable",
        UNKNOWN_CLASS,
        {
            0: unknown_class().replace("Unknown", "Plain"),
            1: unknown_class(' (at result["deep"][0])').replace("Unknown", "Plain"),
            12: unknown_class(" (at arguments[0])").replace("Unknown", "Plain"),
            19: unknown_class().replace("Unknown", "DurableObjectId"),
            20: unknown_class().replace("Unknown", "DurableObjectState"),
        },
        MESSAGE,
    ),
    Difference(
        "118-rpc-uncloneable",
        5,
        FUNCTION,
        "<generator A.result.<locals>.<genexpr>> could not be cloned. Send list(...) of it.",
        MESSAGE,
    ),
    Difference(
        "118-rpc-uncloneable",
        11,
        FUNCTION,
        'Could not serialize object of type "list_iterator". This type does not support serialization.',
        MESSAGE,
    ),
    *each(
        "122-objects-of-another-context",
        ANYBODYS,
        {1: {"ok": None}, 2: {"ok": [{"one": 1}]}, 4: {"ok": "pong"}, 5: {"ok": None}},
        OK,
    ),
    Difference("122-objects-of-another-context", 10, ANYBODYS, {"ok": "hit"}),
    Difference(
        "315-rpc-ownership",
        2,
        WORKERD_INTERNAL,
        "RPC stub used after being disposed.",
        INNER_MESSAGE,
    ),
    Difference("315-rpc-ownership", 12, COUNTED, ["between disposed"], ("ok", 1)),
    Difference("315-rpc-ownership", 18, COUNTED, ["result disposed"], ("ok", 1)),
    *each(
        "317-rpc-contexts",
        "The text also tells which argument, and what to do.",
        {
            step: f'Could not serialize object of type "{kind}". This type does not support serialization. '
            "(at arguments[0]) Await it first."
            for step, kind in ((19, "RpcProperty"), (20, "RpcPromise"))
        },
        INNER_MESSAGE,
    ),
    Difference(
        "331-fetch-errors", 28, MISSING_ARGUMENT, missing("ServiceStub.fetch", "input"), INNER_MESSAGE
    ),
]

NOT_YET: dict[tuple[str, int], str] = {
    ("147-surface", 0): "facets",
    ("147-surface", 1): "bookmarks",
    ("248-sql-pragmas", 116): "to mend: tables that a module brings along can be read",
}
"""(scenario, step) → what has to be built, or mended, first. Each of these steps fails today."""

NOT_YET_SCENARIOS: dict[str, str] = {
    "195-compatibility-switches": "alarms, and what an early compatibility date changes",
}
"""Recorded scenarios that nothing can be said about before this is built."""
