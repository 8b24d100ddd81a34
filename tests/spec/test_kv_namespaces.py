"""KV namespaces: what is put, read, listed and refused, as Cloudflare documents it for Workers KV."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from perdure import ConfigError, DataCloneError, DurableObject, KvKey, KvValue, Runtime, SqlError, testing
from perdure.testing.clock import ManualClock
from perdure.web import Request

MIB = 1024 * 1024
START = 1_800_000_000


class Room(DurableObject):
    async def put(self, key, value):
        await self.env.KV.put(key, value)

    async def get(self, key):
        return await self.env.KV.get(key)


class Later:
    """The namespace of a test runtime, which starts when the test does."""

    def __init__(self, app):
        self.app = app

    def __getattr__(self, name):
        return getattr(self.app.env.KV, name)

    def __aiter__(self):
        return aiter(self.app.env.KV)


@pytest.fixture(autouse=True)
def clock(request):
    """It stands still at START, for the runtime of the fixture `perdure`."""
    clock = ManualClock(START)
    request.node.add_marker(pytest.mark.perdure(classes=[Room], kv_namespaces=["KV"], clock=clock))
    return clock


@pytest.fixture
def kv(perdure):
    return Later(perdure)


# --- values ---------------------------------------------------------------------------------------------


async def test_a_value_is_read_as_text_unless_told(kv):
    """`get(key)`."""
    await kv.put("a", "Grüße")
    assert await kv.get("a") == "Grüße"


async def test_a_key_that_is_not_there_is_none(kv):
    """Of every type, and its metadata too."""
    for kind in ("text", "json", "bytes", "stream"):
        assert await kv.get("nothing", kind) is None
    assert await kv.get_with_metadata("nothing") == KvValue(None, None)


async def test_a_value_is_read_as_json(kv):
    """`get(key, "json")`."""
    await kv.put("a", json.dumps({"n": [1, None]}))
    assert await kv.get("a", "json") == {"n": [1, None]}


async def test_a_value_that_is_no_json_is_a_value_error(kv):
    """As JSON.parse throws."""
    await kv.put("a", "{")
    with pytest.raises(ValueError, match="Expecting property name"):
        await kv.get("a", "json")


async def test_a_value_is_read_as_bytes_and_as_a_stream(kv):
    """Whatever it was put as."""
    await kv.put("a", "né")
    assert await kv.get("a", "bytes") == "né".encode()
    stream = await kv.get("a", "stream")
    assert b"".join([piece async for piece in stream]) == "né".encode()


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
async def test_bytes_of_each_type_are_values(kv, value):
    """ArrayBuffers and views of them, on Cloudflare."""
    await kv.put("a", value)
    assert await kv.get("a", "bytes") == b"\x00\xff"


async def test_a_stream_is_a_value(kv):
    """An async iterator, and the body of a request."""

    async def pieces():
        yield b"one "
        yield "two"

    await kv.put("a", pieces())
    assert await kv.get("a") == "one two"
    await kv.put("b", Request("http://x/", method="POST", body="sent").body)
    assert await kv.get("b") == "sent"


async def test_an_empty_value_is_there(kv):
    """It is not the same as none."""
    await kv.put("a", "")
    assert await kv.get("a") == ""
    assert await kv.get("a", "bytes") == b""


@pytest.mark.parametrize("size_bytes", [MIB - 1, MIB, MIB + 1, 25 * MIB])
async def test_a_large_value_comes_back_whole(kv, size_bytes):
    """It is kept in pieces; 25 MiB is the limit."""
    value = bytes(range(256)) * (size_bytes // 256) + b"x" * (size_bytes % 256)
    await kv.put("a", value)
    assert await kv.get("a", "bytes") == value


async def test_a_text_in_pieces_comes_back_whole(kv):
    """A character may be cut by them."""
    value = "x" + "é" * MIB
    await kv.put("a", value)
    assert await kv.get("a") == value


async def test_a_value_takes_the_place_of_a_larger_one(kv):
    """Nothing of the old one is left, metadata and expiration neither."""
    await kv.put("a", b"x" * 3 * MIB, metadata=1, expiration_ttl=60)
    await kv.put("a", "new")
    assert await kv.get_with_metadata("a") == KvValue("new", None)
    assert list(await kv.list()) == [KvKey("a")]


async def test_a_value_may_be_no_larger_than_25_mib(kv):
    """The text is Cloudflare's; nothing is stored."""
    with pytest.raises(ValueError, match="413 Value length of 26214401 exceeds limit of 26214400"):
        await kv.put("a", b"x" * (25 * MIB + 1))
    assert await kv.get("a") is None


async def test_a_stream_is_read_no_further_than_the_limit(kv):
    """A client that sends for ever does not fill the memory."""
    given = 0

    async def pieces():
        nonlocal given
        while True:
            given += 1
            yield b"x" * MIB

    with pytest.raises(ValueError, match="413 Value length"):
        await kv.put("a", pieces())
    assert given == 26


@pytest.mark.parametrize("value", [None, 1, {"a": 1}, ["a"]])
async def test_other_types_are_no_values(kv, value):
    """A dict has to be made JSON of, which the message says."""
    with pytest.raises(TypeError):
        await kv.put("a", value)
    assert await kv.get("a") is None


async def test_a_value_that_cannot_be_stored_leaves_the_old_one():
    """All of a put happens, or nothing."""
    async with Runtime(kv_namespaces=["KV"]) as rt:
        kv = rt.env.KV
        await kv.put("a", b"x" * 2 * MIB, metadata="m")
        keeper = rt._all_namespaces["perdure:kv"].get_by_name("KV")
        full = "CREATE TRIGGER full BEFORE INSERT ON further_pieces BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        await testing.run_in_durable_object(keeper, lambda instance, ctx: ctx.storage.sql.exec(full) and None)
        with pytest.raises(SqlError, match="disk is full"):
            await kv.put("a", b"y" * 2 * MIB)
        assert await kv.get_with_metadata("a", "bytes") == KvValue(b"x" * 2 * MIB, "m")


async def test_an_unknown_type_is_refused(kv):
    """The message has those there are."""
    with pytest.raises(TypeError, match="Unknown response type 'xml'.*'text', 'json', 'bytes', and 'stream'"):
        await kv.get("a", "xml")


# --- metadata -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [{"a": [1]}, "text", 0, False, [None]])
async def test_metadata_comes_with_the_value_and_in_lists(kv, metadata):
    """Anything that JSON can say."""
    await kv.put("a", "1", metadata=metadata)
    value, found = await kv.get_with_metadata("a")
    assert (value, found) == ("1", metadata)
    assert list(await kv.list()) == [KvKey("a", None, metadata)]


async def test_metadata_has_a_limit(kv):
    """1,024 bytes, as JSON in UTF-8."""
    await kv.put("a", "1", metadata="é" * 511)
    with pytest.raises(ValueError, match="413 Metadata length of 1026 exceeds limit of 1024"):
        await kv.put("a", "2", metadata="é" * 512)
    assert await kv.get("a") == "1"


@pytest.mark.parametrize(
    ("metadata", "error"), [({1, 2}, TypeError), (float("nan"), ValueError), ("\ud800", ValueError)]
)
async def test_metadata_that_is_no_json_is_refused(kv, metadata, error):
    """With what is wrong of it."""
    with pytest.raises(error, match="Metadata must be JSON"):
        await kv.put("a", "1", metadata=metadata)


# --- expiration -----------------------------------------------------------------------------------------


async def test_a_key_expires_after_its_time_to_live(kv, clock):
    """It is in no list then, and its value is None."""
    await kv.put("a", "1", expiration_ttl=60)
    await kv.put("b", "2", expiration_ttl=timedelta(minutes=2))
    assert [key.expiration for key in await kv.list()] == [
        datetime.fromtimestamp(START + 60, UTC),
        datetime.fromtimestamp(START + 120, UTC),
    ]
    clock.advance(59)
    assert await kv.get("a") == "1"
    clock.advance(1)
    assert await kv.get("a") is None
    assert await kv.get("b") == "2"
    assert [key.name for key in await kv.list()] == ["b"]


@pytest.mark.parametrize(
    "expiration", [START + 100, float(START + 100), datetime.fromtimestamp(START + 100, UTC)]
)
async def test_a_key_expires_at_a_time(kv, clock, expiration):
    """Seconds since 1970, or a time with its zone."""
    await kv.put("a", "1", expiration=expiration)
    clock.advance(99)
    assert await kv.get("a") == "1"
    clock.advance(1)
    assert await kv.get("a") is None


async def test_the_time_to_live_wins_over_the_time(kv):
    """Where both are given."""
    await kv.put("a", "1", expiration=START + 1000, expiration_ttl=100)
    assert [key.expiration.timestamp() for key in await kv.list()] == [START + 100]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"expiration_ttl": 59}, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
        ({"expiration_ttl": 0}, "Invalid expiration_ttl of 0. Please specify integer greater than 0."),
        ({"expiration_ttl": 90.5}, "Invalid expiration_ttl of 90.5. Please specify integer greater than 0."),
        ({"expiration_ttl": float("inf")}, "Invalid expiration_ttl of inf. Please specify integer"),
        ({"expiration_ttl": "60"}, "Invalid expiration_ttl of 60. Please specify integer greater than 0."),
        (
            {"expiration": START + 59},
            f"Invalid expiration of {START + 59}. Expiration times must be at least 60 seconds in the future.",
        ),
        (
            {"expiration": START},
            f"Invalid expiration of {START}. Please specify integer greater than the current",
        ),
        ({"expiration": datetime(2030, 1, 1)}, "has no time zone"),
    ],
)
async def test_a_time_that_is_too_near_is_refused(kv, options, text):
    """The texts are Cloudflare's; nothing is stored."""
    with pytest.raises(ValueError) as caught:
        await kv.put("a", "1", **options)
    assert text in str(caught.value)
    assert await kv.get("a") is None


@pytest.mark.parametrize(
    "options", [{"expiration_ttl": 10**19}, {"expiration_ttl": 10**12}, {"expiration": START * 1000}]
)
async def test_a_time_after_the_year_9999_is_its_end(kv, options):
    """Milliseconds in the place of seconds are a usual mistake: the list can be read all the same."""
    await kv.put("a", "1", **options)
    assert [key.expiration for key in await kv.list()] == [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]
    assert await kv.get("a") == "1"


async def test_what_expired_is_removed_by_later_writes(clock):
    """Nothing grows for ever, and nothing has to wake up for it: no alarm is set."""
    async with Runtime(kv_namespaces=["KV"], clock=clock) as rt:
        kv = rt.env.KV
        for number in range(3):
            await kv.put(f"old {number}", b"x" * 2 * MIB, expiration_ttl=60)
        clock.advance(60)
        await kv.put("new", "1")
        keeper = rt._all_namespaces["perdure:kv"].get_by_name("KV")

        def counts(instance, ctx):
            return [
                ctx.storage.sql.exec(f"SELECT count(*) AS n FROM {table}").one().n
                for table in ("entries", "further_pieces")
            ]

        assert await testing.run_in_durable_object(keeper, counts) == [1, 0]


# --- keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("", TypeError, "Key name cannot be empty."),
        (".", TypeError, '"." is not allowed as a key name.'),
        ("..", TypeError, '".." is not allowed as a key name.'),
        (b"a", TypeError, "is a str; got bytes"),
        ("é" * 257, ValueError, "414 UTF-8 encoded length of 514 exceeds key length limit of 512."),
        ("\ud800", ValueError, "half a surrogate pair"),
    ],
)
async def test_what_is_no_key_is_refused_by_put_and_delete(kv, key, error, text):
    """And by get, which takes bytes for a list."""
    for attempt in (lambda: kv.put(key, "1"), lambda: kv.delete(key), lambda: kv.get(key)):
        with pytest.raises(error) as caught:
            await attempt()
        assert text in str(caught.value) or isinstance(key, bytes)


@pytest.mark.parametrize("key", ["é" * 256, " ", "a/b?c", "\x00", "\U0001f600", "..."])
async def test_any_other_text_is_a_key(kv, key):
    """Up to 512 bytes."""
    await kv.put(key, "1")
    assert await kv.get(key) == "1"
    assert [found.name for found in await kv.list()] == [key]


async def test_a_deleted_key_is_gone(kv):
    """To delete it again is no error."""
    await kv.put("a", "1")
    await kv.delete("a")
    await kv.delete("a")
    assert await kv.get("a") is None
    assert list(await kv.list()) == []


# --- many keys ------------------------------------------------------------------------------------------


async def test_several_keys_are_read_at_once(kv):
    """A dict of all that were asked for, in their order."""
    await kv.put("a", "1", metadata="m")
    await kv.put("b", "[2]")
    assert await kv.get(["b", "x", "a"]) == {"b": "[2]", "x": None, "a": "1"}
    assert await kv.get(["b", "a"], "json") == {"b": [2], "a": 1}
    assert await kv.get_with_metadata(["a", "x"]) == {"a": KvValue("1", "m"), "x": KvValue(None, None)}


async def test_no_key_at_all_is_refused(kv):
    """As by Cloudflare."""
    with pytest.raises(ValueError, match="You must request a minimum of 1 key"):
        await kv.get([])


async def test_several_values_are_all_json_or_none_is_read(kv):
    """The error is Cloudflare's."""
    await kv.put("a", "1")
    await kv.put("b", "{")
    with pytest.raises(
        ValueError, match="At least one of the requested keys corresponds to a non-json value"
    ):
        await kv.get(["a", "b"], "json")


async def test_at_most_a_hundred_keys_are_read_at_once(kv):
    """The same key twice counts once."""
    assert len(await kv.get([str(n) for n in range(100)] * 2)) == 100
    with pytest.raises(ValueError, match="You can request a maximum of 100 keys; got 101"):
        await kv.get([str(n) for n in range(101)])


async def test_several_keys_are_texts_or_json(kv):
    """No bytes, no streams."""
    with pytest.raises(ValueError, match='"bytes" is not a valid type'):
        await kv.get(["a"], "bytes")


async def test_several_values_have_a_limit_together(kv):
    """25 MiB."""
    for name in "ab":
        await kv.put(name, b"x" * 13 * MIB)
    with pytest.raises(ValueError, match="413 Total size of the values exceeds the limit of 26214400 bytes"):
        await kv.get(["a", "b"])


@pytest.mark.parametrize(
    ("cache_ttl", "text"),
    [(29, "must be at least 30"), (0, "must be at least 30"), ("60", "Invalid cache_ttl of 60")],
)
async def test_a_cache_ttl_is_checked_and_has_no_effect(kv, cache_ttl, text):
    """What would fail on Cloudflare fails here."""
    await kv.put("a", "1")
    assert await kv.get("a", cache_ttl=30) == "1"
    with pytest.raises(ValueError, match=text):
        await kv.get("a", cache_ttl=cache_ttl)


# --- lists ----------------------------------------------------------------------------------------------


async def test_keys_are_listed_in_the_order_of_their_bytes(kv):
    """UTF-8, not UTF-16."""
    names = ["B", "a", "\uffff", "\U0001f600", "é"]
    for name in names:
        await kv.put(name, "1")
    assert [key.name for key in await kv.list()] == sorted(names, key=str.encode)


async def test_a_list_has_a_prefix(kv):
    """Of which `%` and `_` are ordinary characters."""
    for name in ("a%1", "a%2", "ab", "a"):
        await kv.put(name, "1")
    assert [key.name for key in await kv.list(prefix="a%")] == ["a%1", "a%2"]


async def test_a_list_goes_on_with_its_cursor(kv):
    """Until it is complete; then there is no cursor."""
    for number in range(5):
        await kv.put(f"k{number}", "1")
    await kv.put("z", "1")
    first = await kv.list(prefix="k", limit=2)
    assert ([key.name for key in first], first.list_complete) == (["k0", "k1"], False)
    second = await kv.list(prefix="k", limit=3, cursor=first.cursor)
    assert ([key.name for key in second], second.list_complete, second.cursor) == (
        ["k2", "k3", "k4"],
        True,
        None,
    )


async def test_iteration_goes_through_all_keys(kv, monkeypatch):
    """A thousand at a time."""
    monkeypatch.setattr("perdure._base.limits.KV_LISTED_MAX", 2)
    for number in range(5):
        await kv.put(str(number), "1")
    assert [key.name async for key in kv] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"limit": 0}, ValueError, "Invalid key_count_limit of 0. Please specify an integer greater than 0."),
        (
            {"limit": 1001},
            ValueError,
            "Invalid key_count_limit of 1001. Please specify an integer less than 1000.",
        ),
        ({"limit": "5"}, ValueError, "Invalid key_count_limit of 5."),
        ({"cursor": "no"}, ValueError, "Invalid cursor 'no'"),
        ({"cursor": 5}, ValueError, "Invalid cursor 5"),
        ({"prefix": 5}, TypeError, "prefix must be a str"),
        ({"prefix": "\ud800"}, ValueError, "400 The prefix '\\ud800' is no Unicode text"),
    ],
)
async def test_wrong_options_of_a_list_are_refused(kv, options, error, text):
    """With what was given."""
    with pytest.raises(error) as caught:
        await kv.list(**options)
    assert text in str(caught.value)


# --- as a binding ---------------------------------------------------------------------------------------


async def test_two_bindings_of_one_id_are_one_namespace():
    """And other ids are others."""
    async with Runtime(kv_namespaces={"A": "one", "B": "one", "C": "other"}) as rt:
        await rt.env.A.put("k", "1")
        assert await rt.env.B.get("k") == "1"
        assert await rt.env.C.get("k") is None


async def test_objects_and_workers_have_the_namespace_in_env():
    """What an object has put is read everywhere at once."""
    async with Runtime([Room], kv_namespaces=["KV"]) as rt:
        await rt.namespace(Room).get_by_name("a").put("k", "from a")
        assert await rt.namespace(Room).get_by_name("b").get("k") == "from a"
        assert await rt.env.KV.get("k") == "from a"


async def test_what_was_put_is_there_after_a_restart(data):
    """It is durable when `put` returns."""
    async with Runtime(kv_namespaces=["KV"], data=data) as rt:
        await rt.env.KV.put("k", "1")
    async with Runtime(kv_namespaces=["KV"], data=data) as rt:
        assert await rt.env.KV.get("k") == "1"


async def test_what_was_put_is_there_after_a_crash():
    """`kill -9` takes nothing that was confirmed."""
    async with testing.runtime(kv_namespaces=["KV"]) as app:
        await app.env.KV.put("k", "1")
        await app.crash()
        assert await app.env.KV.get("k") == "1"


async def test_reset_of_a_test_runtime_empties_it():
    """As it empties all objects; the binding goes on."""
    async with testing.runtime(kv_namespaces=["KV"]) as app:
        await app.env.KV.put("k", "1")
        await app.reset()
        assert await app.env.KV.get("k") is None
        await app.env.KV.put("k", "2")
        assert await app.env.KV.get("k") == "2"


async def test_reading_stores_nothing():
    """A namespace nobody has put anything into is no stored object."""
    async with Runtime(kv_namespaces=["KV"]) as rt:
        await rt.env.KV.get("k")
        await rt.env.KV.delete("k")
        assert list(await rt.env.KV.list()) == []
        assert list(rt._all_namespaces["perdure:kv"].list()) == []


async def test_a_namespace_stays_where_it_is():
    """It is no value for a call or for storage."""
    async with Runtime([Room], kv_namespaces=["KV"]) as rt:
        with pytest.raises(DataCloneError, match="KvNamespace"):
            await rt.namespace(Room).get_by_name("a").put("k", rt.env.KV)


async def test_a_name_stands_for_one_thing_in_env():
    """Names of namespaces, objects, services and variables are all of env."""
    with pytest.raises(ConfigError, match="'ROOM' stands for two things in env"):
        Runtime([Room], kv_namespaces=["ROOM"])
    with pytest.raises(ConfigError, match="'KV' stands for two things in env"):
        Runtime([Room], kv_namespaces=["KV"], env={"KV": "1"})


@pytest.mark.parametrize("given", ["KV", [1], {"KV": ""}, {"KV": None}])
def test_names_and_ids_are_texts(given):
    """One text is not a list of letters."""
    with pytest.raises(TypeError, match="kv_namespaces"):
        Runtime(kv_namespaces=given)


async def test_how_often_objects_may_be_called_says_nothing_of_a_namespace():
    """All of an application shares it."""
    async with Runtime([Room], kv_namespaces=["KV"], events_per_10_s=2) as rt:
        for _ in range(5):
            await rt.env.KV.get("k")
