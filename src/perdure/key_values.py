"""Keys and values of one object, as both of its interfaces to them read and write: checked, and by the codec. (cooperative)

Source: KVA-01…14, KVS-02…06.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from perdure._base import codec
from perdure._storage import kv
from perdure._storage.keyrange import KeyRange, key_range
from perdure.transactions import MISSING

if TYPE_CHECKING:
    from perdure._engine.live import Live
    from perdure._storage.store import Store

BOTH_STARTS: Final = "list() cannot be called with both start and start_after values."
LIMIT_NOT_POSITIVE: Final = "List limit must be positive."
PUT_NOTHING: Final = "put() called with undefined value."
PUT_FORMS: Final = (
    "put() may only be called with a single key-value pair and optional options as put(key, value, **options) or "
    "with multiple key-value pairs and optional options as put(entries, **options)"
)


def checked(key: Any, method: str, interface: str) -> str:
    """Return *key* if it is text; *method* and *interface* are for the error."""
    if key.__class__ is str and key.isascii():
        return key
    if isinstance(key, str):
        _check_text(key, method)
        return str.__str__(key)  # of an Enum with text, too, the text
    raise TypeError(f"Failed to execute '{method}' on '{interface}': parameter 1 is not of type 'string'.")


def _check_text(text: str, method: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{method}(): {text!r} holds half a character (surrogates not allowed), which UTF-8 cannot say."
        ) from None


def load(live: Live, key: str, data: bytes, type: Any = None) -> Any:
    """Return the value of *key* that *data* is, converted to *type*; an error says whose it is."""
    try:
        return codec.loads(data, live.host.registry, type)
    except Exception as error:
        error.add_note(f"while reading key {key!r} of {live.label} ({len(data):,} bytes)")
        raise


def read_one(live: Live, key: str, default: Any, type: Any) -> Any:
    """Return the value of a key, or *default*."""
    data = kv.get(live.store(), key)
    return default if data is None else load(live, key, data, type)


def read(live: Live, key: Any, default: Any, type: Any, interface: str) -> Any:
    """Return the value of a key, or a dict of several (KVA-01, KVA-02)."""
    if isinstance(key, str) or not isinstance(key, Iterable) or isinstance(key, (bytes, Mapping)):
        return read_one(live, checked(key, "get", interface), default, type)
    store = live.store()
    found: dict[str, Any] = {}
    for one in sorted({checked(one, "get", interface) for one in key}):
        data = kv.get(store, one)
        if data is not None:
            found[one] = load(live, one, data, type)
    return found


def write(live: Live, key: Any, value: Any, confirmed: bool, interface: str) -> None:
    """Write one pair, or all of a mapping: all or none (KVA-04, KVA-05)."""
    store = live.store()
    registry = live.host.registry
    if isinstance(key, Mapping):
        if value is not MISSING:
            raise TypeError(PUT_FORMS)
        entries = [
            (checked(name, "put", interface), codec.dumps(part, registry)) for name, part in key.items()
        ]
        if entries:
            kv.put_many(store, entries, confirmed=confirmed)
        return
    name = checked(key, "put", interface)
    if value is MISSING:
        raise TypeError(PUT_NOTHING)
    kv.put(store, name, codec.dumps(value, registry), confirmed=confirmed)


def remove(live: Live, key: Any, confirmed: bool, interface: str) -> bool | int:
    """Remove a key, or several; return whether, or how many, there were (KVA-07, KVA-08)."""
    if isinstance(key, str) or not isinstance(key, Iterable) or isinstance(key, (bytes, Mapping)):
        return bool(kv.delete(live.store(), (checked(key, "delete", interface),), confirmed=confirmed))
    return kv.delete(live.store(), [checked(one, "delete", interface) for one in key], confirmed=confirmed)


def checked_range(
    start: str | None, start_after: str | None, end: str | None, prefix: str | None, limit: int | None
) -> KeyRange | None:
    """Return the range that the options of a `list` name; None if nothing can be in it."""
    for name, given in (("start", start), ("start_after", start_after), ("end", end), ("prefix", prefix)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"list(): {name} must be a str, not {type(given).__name__}.")
        if given is not None:
            _check_text(given, "list")
    if start is not None and start_after is not None:
        raise TypeError(BOTH_STARTS)
    if limit is not None:
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise TypeError(f"list(): limit must be an int, not {type(limit).__name__}.")
        if limit <= 0:
            raise TypeError(LIMIT_NOT_POSITIVE)
    return key_range(start, start_after, end, prefix)


def read_range(
    live: Live,
    start: str | None,
    start_after: str | None,
    end: str | None,
    prefix: str | None,
    reverse: bool,
    limit: int | None,
) -> dict[str, Any]:
    """Return the pairs of a range, in the order of their keys (KVA-09…11)."""
    span = checked_range(start, start_after, end, prefix, limit)
    store: Store = live.store()
    if span is None:
        return {}
    return {
        key: load(live, key, data) for key, data in kv.rows(store, span, reverse=bool(reverse), limit=limit)
    }
