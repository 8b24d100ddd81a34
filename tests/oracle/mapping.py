"""What counts as the same answer in two languages, settled once for all scenarios. (pure)

- JavaScript's `undefined` and `null` are both None.
- Its numbers are all floats, and its bigints a kind of their own: a whole number is an int here.
- It has a dozen kinds of bytes: the bytes alone are compared.
- A Map whose keys are text is a dict, as an object is; a set has no order.
- Names of the API in a text are spelt our way.

Errors compare by the class a caller sees: `ERROR_NAMES` in lib.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

BYTES_KINDS = {
    "ArrayBuffer",
    "BigInt64Array",
    "DataView",
    "Float64Array",
    "Int16Array",
    "Uint8Array",
    "Uint8ClampedArray",
}

SPELLINGS = {
    "JavaScript API": "Python API",
    "acceptWebSocket": "accept_websocket",
    "blockConcurrencyWhile": "block_concurrency_while",
    "columnNames": "column_names",
    "deleteAlarm": "delete_alarm",
    "deleteAll": "delete_all",
    "disableReplicas": "disable_replicas",
    "durableObjectReset": "durable_object_reset",
    "ensureReplicas": "ensure_replicas",
    "getAlarm": "get_alarm",
    "getBookmarkForTime": "get_bookmark_for_time",
    "getByName": "get_by_name",
    "getCurrentBookmark": "get_current_bookmark",
    "getExisting": "get_existing",
    "getHibernatableWebSocketEventTimeout": "get_hibernatable_websocket_event_timeout",
    "getTags": "get_tags",
    "getWebSocketAutoResponse": "get_websocket_auto_response",
    "getWebSocketAutoResponseTimestamp": "get_websocket_auto_response_timestamp",
    "getWebSockets": "get_websockets",
    "idFromName": "id_from_name",
    "idFromString": "id_from_string",
    "newUniqueId": "new_unique_id",
    "onNextSessionRestoreBookmark": "on_next_session_restore_bookmark",
    "passThroughOnException": "pass_through_on_exception",
    "routingMode": "routing_mode",
    "rowsRead": "rows_read",
    "rowsWritten": "rows_written",
    "serializeAttachment": "serialize_attachment",
    "deserializeAttachment": "deserialize_attachment",
    "setAlarm": "set_alarm",
    "setHibernatableWebSocketEventTimeout": "set_hibernatable_websocket_event_timeout",
    "setWebSocketAutoResponse": "set_websocket_auto_response",
    "startAfter": "start_after",
    "toArray": "to_list",
    "transactionSync": "transaction_sync",
    "waitForBookmark": "wait_for_bookmark",
    "waitUntil": "wait_until",
}

ERROR_CLASSES = {"InvalidAccessError": "RangeError", "SyntaxError": "RangeError"}
"""Names of a browser's errors, and the built-in one of Python that each is here: a ValueError."""

_SPELT_DIFFERENTLY = re.compile(rf"\b({'|'.join(SPELLINGS)})\b")


def expected(answer: Any) -> Any:
    """The answer that stands for a recorded one here."""
    return _spelt(folded(answer))


def folded(value: Any) -> Any:
    """One of all the forms that an answer may have."""
    match value:
        case {"$": "undefined"}:
            return None
        case {"$": "bigint", "v": digits}:
            return int(digits)
        case {"$": kind, "hex": digits} if kind in BYTES_KINDS:
            return {"$": "bytes", "hex": digits}
        case {"$": "map", "v": pairs} if all(isinstance(key, str) for key, _ in pairs):
            return {key: folded(item) for key, item in pairs}
        case {"$": "set", "v": members}:
            return {"$": "set", "v": sorted((folded(member) for member in members), key=json.dumps)}
        case dict():
            return {key: folded(item) for key, item in value.items()}
        case list():
            return [folded(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two folded answers are the same; as JSON, since in Python `True == 1`."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _spelt(value: Any) -> Any:
    match value:
        case str():
            return _SPELT_DIFFERENTLY.sub(lambda found: SPELLINGS[found[1]], value)
        case {"name": str(name), "message": _} if name in ERROR_CLASSES:
            return {key: _spelt(item) for key, item in value.items()} | {"name": ERROR_CLASSES[name]}
        case dict():
            return {key: _spelt(item) for key, item in value.items()}
        case list():
            return [_spelt(item) for item in value]
    return value
