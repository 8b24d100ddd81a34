"""KvNamespace: keys and values without an object of one's own, as a binding of `env`. (cooperative)

Source: Cloudflare's Workers KV, whose limits and texts of errors these are. One durable object of Perdure's own keeps
it (`_resources/kv.py`), so what was written is read at once and everywhere, and `cache_ttl` has nothing to do.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, overload

from perdure._base import limits
from perdure._base.refusal import stays
from perdure._web.body import Body, BodyInit, make_body

if TYPE_CHECKING:
    from perdure._resources.kv import KvKeeper
    from perdure.namespace import Namespace

ValueType: TypeAlias = Literal["text", "json", "bytes", "stream"]

_CURSOR: Final = b"k"


class KvValue(NamedTuple):
    """A value with its metadata; both are None if the key is not there."""

    value: Any
    metadata: Any


@dataclass(frozen=True, slots=True)
class KvKey:
    """
    A key, as `list` tells of it.

    Attributes:
        name: the key.
        expiration: when it goes; None: never.
        metadata: what was put with it.
    """

    name: str
    expiration: datetime | None = None
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class KvList:
    """
    A part of a namespace's keys; iterate over it, or over `keys`.

    Attributes:
        keys: in the order of their UTF-8 bytes.
        list_complete: these are the last ones.
        cursor: for the next call of `list`; None: there are no more.
    """

    keys: list[KvKey]
    list_complete: bool
    cursor: str | None

    def __iter__(self) -> Iterator[KvKey]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class KvNamespace:
    """
    Keys with values of up to 25 MiB, which may expire; reached as `env.BINDING`.

    ```python
    await self.env.SESSIONS.put(token, json.dumps(session), expiration_ttl=3600)
    session = await self.env.SESSIONS.get(token, "json")
    ```
    """

    __slots__ = ("_id", "_keepers")
    __perdure_cross__ = stays

    def __init__(self, keepers: Namespace[KvKeeper], id: str) -> None:
        self._keepers = keepers
        self._id = id

    @overload
    async def get(
        self, key: str, type: Literal["text"] = "text", *, cache_ttl: float | None = None
    ) -> str | None: ...
    @overload
    async def get(self, key: str, type: Literal["json"], *, cache_ttl: float | None = None) -> Any: ...
    @overload
    async def get(
        self, key: str, type: Literal["bytes"], *, cache_ttl: float | None = None
    ) -> bytes | None: ...
    @overload
    async def get(
        self, key: str, type: Literal["stream"], *, cache_ttl: float | None = None
    ) -> Body | None: ...
    @overload
    async def get(
        self, key: list[str], type: Literal["text", "json"] = "text", *, cache_ttl: float | None = None
    ) -> dict[str, Any]: ...
    async def get(
        self, key: str | list[str], type: ValueType = "text", *, cache_ttl: float | None = None
    ) -> Any:
        """
        Return the value of *key*, or None; of a list of up to 100 keys a dict of all of them.

        Args:
            key: one, or several.
            type: "text", "json", "bytes" or "stream" (an async iterator over bytes); of several keys one of the first two.
            cache_ttl: accepted, and of no effect: nothing is cached.

        Raises:
            ValueError: the key is not one, or the value is not JSON.
        """
        if isinstance(key, str):
            return (await self._one(key, type, cache_ttl)).value
        return {name: found.value for name, found in (await self._many(key, type, cache_ttl)).items()}

    @overload
    async def get_with_metadata(
        self, key: str, type: ValueType = "text", *, cache_ttl: float | None = None
    ) -> KvValue: ...
    @overload
    async def get_with_metadata(
        self, key: list[str], type: Literal["text", "json"] = "text", *, cache_ttl: float | None = None
    ) -> dict[str, KvValue]: ...
    async def get_with_metadata(
        self, key: str | list[str], type: ValueType = "text", *, cache_ttl: float | None = None
    ) -> Any:
        """Return value and metadata: `value, metadata = await kv.get_with_metadata(key)`; else as `get`."""
        if isinstance(key, str):
            return await self._one(key, type, cache_ttl)
        return await self._many(key, type, cache_ttl)

    async def put(
        self,
        key: str,
        value: BodyInit,
        *,
        expiration: datetime | float | None = None,
        expiration_ttl: timedelta | float | None = None,
        metadata: Any = None,
    ) -> None:
        """
        Let *value* be the value of *key*; it is durable when this returns.

        Args:
            key: 1 to 512 bytes of UTF-8.
            value: str, bytes, or a stream of them; 25 MiB at most.
            expiration: when the key goes, as a time or in seconds since 1970; at least 60 seconds from now.
            expiration_ttl: after how many seconds it goes; at least 60. It wins over `expiration`.
            metadata: anything that JSON can say, in 1,024 bytes.

        Raises:
            ValueError: one of these limits.
            TypeError: the value is of another type.
        """
        _check_key(key, "PUT")
        expires_s = self._expires_s(expiration, expiration_ttl)
        noted = None if metadata is None else _metadata_json(metadata)
        data = await _data(value)
        await self._keeper().write(key, data, isinstance(value, str), noted, expires_s)

    async def delete(self, key: str) -> None:
        """Remove *key*; it need not be there."""
        _check_key(key, "DELETE")
        await self._keeper().remove(key)

    async def list(
        self, *, prefix: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> KvList:
        """
        List keys, in the order of their UTF-8 bytes.

        `async for key in kv` goes through all of them.

        Args:
            prefix: only keys that begin so.
            limit: at most so many, up to 1,000; that many if it is None.
            cursor: the one of the list before, to go on behind it; with the same prefix.
        """
        count = limits.KV_LISTED_MAX if limit is None else limit
        if not _is_integer(count) or count < 1:
            raise ValueError(
                f"KV GET failed: 400 Invalid key_count_limit of {count}. Please specify an integer greater than 0."
            )
        if count > limits.KV_LISTED_MAX:
            raise ValueError(
                f"KV GET failed: 400 Invalid key_count_limit of {count}. Please specify an integer less than "
                f"{limits.KV_LISTED_MAX}. For more, call again with the cursor of the list before."
            )
        if prefix is not None and not isinstance(prefix, str):
            raise TypeError(f"list(): prefix must be a str, not {type(prefix).__name__}.")
        _size_bytes(prefix or "", "GET", "prefix")
        # One more tells whether there are more.
        rows = await self._keeper().page(prefix or "", _place(cursor), int(count) + 1)
        more = len(rows) > count
        keys = [
            KvKey(
                name,
                None if expires_s is None else datetime.fromtimestamp(expires_s, UTC),
                _from_json(metadata),
            )
            for name, expires_s, metadata in rows[: int(count)]
        ]
        next_cursor = (
            base64.urlsafe_b64encode(_CURSOR + keys[-1].name.encode()).decode("ascii") if more else None
        )
        return KvList(keys, not more, next_cursor)

    async def __aiter__(self) -> AsyncIterator[KvKey]:
        """Go through all keys as `list` orders them."""
        cursor: str | None = None
        while True:
            page = await self.list(cursor=cursor)
            for key in page:
                yield key
            cursor = page.cursor
            if cursor is None:
                return

    # --- inside ---------------------------------------------------------------------------------------

    def _keeper(self) -> Any:
        return self._keepers.get_by_name(self._id)  # a new stub: an old one may have seen a reset

    async def _one(self, key: str, type: str, cache_ttl: float | None) -> KvValue:
        _check_key(key, "GET")
        if type not in ("text", "json", "bytes", "stream"):
            raise TypeError(
                f"Unknown response type {type!r}. Possible types are 'text', 'json', 'bytes', and 'stream'."
            )
        _check_cache_ttl(cache_ttl)
        (found,) = await self._keeper().read([key], limits.KV_VALUE_BYTES_MAX)
        return _value(found, type)

    async def _many(self, keys: Any, type: str, cache_ttl: float | None) -> dict[str, KvValue]:
        if not isinstance(keys, Iterable) or isinstance(keys, (bytes, bytearray)):
            raise TypeError(f"A key is a str, and several are a list of them; got {keys!r}.")
        names = list(dict.fromkeys(keys))
        if not names:
            raise ValueError("KV GET_BULK failed: 400 You must request a minimum of 1 key")
        if len(names) > limits.KV_KEYS_AT_ONCE_MAX:
            raise ValueError(
                f"KV GET_BULK failed: 400 You can request a maximum of {limits.KV_KEYS_AT_ONCE_MAX} keys; "
                f"got {len(names)}."
            )
        if type not in ("text", "json"):
            raise ValueError(f'KV GET_BULK failed: 400 "{type}" is not a valid type. Use "json" or "text"')
        for name in names:
            _check_key(name, "GET_BULK")
        _check_cache_ttl(cache_ttl)
        found = await self._keeper().read(names, limits.KV_VALUE_BYTES_MAX)
        if not found:
            raise ValueError(
                f"KV GET_BULK failed: 413 Total size of the values exceeds the limit of {limits.KV_VALUE_BYTES_MAX} "
                "bytes. Ask for fewer keys at once."
            )
        try:
            return {name: _value(one, type) for name, one in zip(names, found, strict=True)}
        except json.JSONDecodeError as error:
            raise ValueError(
                f"KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value: {error}"
            ) from None

    def _expires_s(
        self, expiration: datetime | float | None, expiration_ttl: timedelta | float | None
    ) -> int | None:
        now_s = int(self._keepers._space.host.clock.time_s())
        least_s = limits.KV_EXPIRATION_S_MIN
        if expiration_ttl is not None:
            ttl = expiration_ttl.total_seconds() if isinstance(expiration_ttl, timedelta) else expiration_ttl
            wrong = f"KV PUT failed: 400 Invalid expiration_ttl of {ttl}."
            if not _is_integer(ttl) or ttl <= 0:
                raise ValueError(f"{wrong} Please specify integer greater than 0.")
            if ttl < least_s:
                raise ValueError(f"{wrong} Expiration TTL must be at least {least_s}.")
            return min(now_s + int(ttl), limits.KV_EXPIRES_S_MAX)
        if expiration is None:
            return None
        time = expiration
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise ValueError(
                    f"put(): expiration {time!r} has no time zone: give it one, for instance tzinfo=datetime.UTC."
                )
            time = int(time.timestamp())
        wrong = f"KV PUT failed: 400 Invalid expiration of {time}."
        if not _is_integer(time) or time <= now_s:
            raise ValueError(
                f"{wrong} Please specify integer greater than the current number of seconds since the UNIX epoch."
            )
        if time < now_s + least_s:
            raise ValueError(f"{wrong} Expiration times must be at least {least_s} seconds in the future.")
        return min(int(time), limits.KV_EXPIRES_S_MAX)

    def __repr__(self) -> str:
        return f"<KvNamespace {self._id!r}>"


def _check_key(key: Any, verb: str) -> None:
    if not isinstance(key, str):
        raise TypeError(f"A key of a KV namespace is a str; got {type(key).__name__}.")
    if not key:
        raise TypeError("Key name cannot be empty.")
    if key in (".", ".."):
        raise TypeError(f'"{key}" is not allowed as a key name.')
    size_bytes = _size_bytes(key, verb, "key")
    if size_bytes > limits.KV_KEY_BYTES_MAX:
        raise ValueError(
            f"KV {verb} failed: 414 UTF-8 encoded length of {size_bytes} exceeds key length limit of "
            f"{limits.KV_KEY_BYTES_MAX}."
        )


def _size_bytes(text: str, verb: str, noun: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"KV {verb} failed: 400 The {noun} {text!r} is no Unicode text: it has half a surrogate pair."
        ) from None


def _check_cache_ttl(cache_ttl: Any) -> None:
    if cache_ttl is None:
        return
    if not _is_integer(cache_ttl) or cache_ttl < limits.KV_CACHE_TTL_S_MIN:
        raise ValueError(
            f"KV GET failed: 400 Invalid cache_ttl of {cache_ttl}. Cache TTL must be at least "
            f"{limits.KV_CACHE_TTL_S_MIN}."
        )


def _is_integer(value: Any) -> bool:
    """Whether it is a whole number, of whatever type; infinity is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value % 1 == 0


def _metadata_json(metadata: Any) -> str:
    try:
        text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size_bytes = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"KV PUT failed: 400 Metadata must be JSON: {error}.") from None
    if size_bytes > limits.KV_METADATA_BYTES_MAX:
        raise ValueError(
            f"KV PUT failed: 413 Metadata length of {size_bytes} exceeds limit of {limits.KV_METADATA_BYTES_MAX}."
        )
    return text


def _from_json(metadata: str | None) -> Any:
    return None if metadata is None else json.loads(metadata)


async def _data(value: Any) -> bytes:
    """Return the bytes of a value; a stream is read no further than the limit."""
    body = make_body(value)[0] if value is not None else None
    if body is None:
        raise TypeError(
            "KV put() accepts only str, bytes, bytearray, memoryview, and streams of them as values; "
            f"got {type(value).__name__}. For JSON put json.dumps(value)."
        )
    if body.data is not None:
        data = body.data
    else:
        parts, size_bytes = [], 0
        try:
            async for part in body:
                parts.append(part)
                size_bytes += len(part)
                if size_bytes > limits.KV_VALUE_BYTES_MAX:
                    break
        finally:
            await body.aclose()
        data = b"".join(parts)
    if len(data) > limits.KV_VALUE_BYTES_MAX:
        raise ValueError(
            f"KV PUT failed: 413 Value length of {len(data)} exceeds limit of {limits.KV_VALUE_BYTES_MAX}."
        )
    return data


def _value(found: Any, type: str) -> KvValue:
    if found is None:
        return KvValue(None, None)
    data, metadata = found
    value: Any
    match type:
        case "bytes":
            value = data
        case "stream":
            value = Body(data)
        case "json":
            value = json.loads(data.decode("utf-8", "replace"))
        case _:
            value = data.decode("utf-8", "replace")
    return KvValue(value, _from_json(metadata))


def _place(cursor: Any) -> str | None:
    if cursor is None or cursor == "":
        return None
    try:
        place = base64.b64decode(cursor, b"-_", validate=True)
        if place[:1] == _CURSOR:
            return place[1:].decode()
    except (binascii.Error, ValueError, TypeError):
        pass
    raise ValueError(f"KV GET failed: 400 Invalid cursor {cursor!r}: it is not one that list() returned.")
