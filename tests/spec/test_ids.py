"""Namespaces and ids: NS-01 … NS-19."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from support.inside import Plain, an_object, inside, live_of

from perdure import DataCloneError, DurableObject, Runtime
from perdure.errors import PerdureError


class Room(DurableObject):
    async def my_id(self):
        return str(self.ctx.id), self.ctx.id.name

    async def echo(self, value):
        return value

    async def put(self):
        await self.ctx.storage.put("k", 1)

    async def get(self):
        return await self.ctx.storage.get("k")

    async def erase(self):
        await self.ctx.storage.delete_all()


class Other(DurableObject):
    async def my_id(self):
        return str(self.ctx.id)


@pytest.mark.rows("NS-01")
async def test_a_class_has_one_namespace_whatever_leads_to_it():
    """One namespace per class: every binding of it, and `Runtime.namespace`, reach the same objects."""
    async with Runtime(bindings={"A": Room, "B": Room}) as rt:
        await rt.env.A.get_by_name("x").put()
        assert await rt.env.B.get_by_name("x").get() == 1
        assert await rt.namespace(Room).get_by_name("x").get() == 1
        assert await rt.namespace("Room").get_by_name("x").get() == 1


@pytest.mark.rows("NS-02")
async def test_making_an_id_or_a_stub_creates_nothing():
    """The object is instantiated by the first event delivered to it."""
    async with Runtime(objects=[Room]) as rt:
        space = rt.env.ROOM._space
        stub = rt.env.ROOM.get(rt.env.ROOM.id_from_name("x"))
        rt.env.ROOM.get_by_name("y")
        assert not space.lives
        await stub.my_id()
        assert list(space.lives) == [stub.id._bytes]


@pytest.mark.rows("NS-03", "NS-16")
async def test_a_unique_id_is_fresh_and_has_no_name():
    """Every call gives another one; the object sees no name either."""
    async with Runtime(objects=[Room]) as rt:
        ids = [rt.env.ROOM.new_unique_id() for _ in range(50)]
        assert len({str(id) for id in ids}) == 50
        assert ids[0].name is None
        assert await rt.env.ROOM.get(ids[0]).my_id() == (str(ids[0]), None)


@pytest.mark.rows("NS-03", "NS-04")
async def test_the_second_half_of_an_id_is_a_keyed_hash_of_the_first():
    """16 bytes of chance or of the name's hash, then 16 of a MAC under the namespace's key."""
    async with Runtime(objects=[Room], name="shop") as rt:
        key = hashlib.sha256(b"shop-Room").digest()
        for id in (rt.env.ROOM.new_unique_id(), rt.env.ROOM.id_from_name("x")):
            raw = bytes.fromhex(str(id))
            assert len(raw) == 32
            assert raw[16:] == hmac.digest(key, raw[:16], "sha256")[:16]
        named = bytes.fromhex(str(rt.env.ROOM.id_from_name("x")))
        assert named[:16] == hmac.digest(key, b"x", "sha256")[:16]


@pytest.mark.rows("NS-04")
async def test_a_name_gives_the_same_id_every_time():
    """Deterministic, also over restarts; another class, or another project, has another one."""
    ids = []
    for _ in range(2):
        async with Runtime(objects=[Room, Other]) as rt:
            ids.append(str(rt.env.ROOM.id_from_name("x")))
            assert str(rt.env.ROOM.id_from_name("x")) == ids[0]
            assert str(rt.env.OTHER.id_from_name("x")) != ids[0]
    assert ids[0] == ids[1]
    async with Runtime(objects=[Room], name="elsewhere") as rt:
        assert str(rt.env.ROOM.id_from_name("x")) != ids[0]


@pytest.mark.rows("NS-04", "NS-16")
@pytest.mark.parametrize("name", ["", " ", "ümläut ✓", "a/b\\..", "\0", "x" * 10_000, "\ud800"])
async def test_any_text_is_a_name(name):
    """No length or character is refused; the id remembers the name."""
    async with Runtime(objects=[Room]) as rt:
        id = rt.env.ROOM.id_from_name(name)
        assert id.name == name
        assert await rt.env.ROOM.get(id).echo(1) == 1


@pytest.mark.rows("NS-04", "NS-07")
@pytest.mark.parametrize("name", [None, 1, b"x", ["x"]])
async def test_a_name_that_is_no_text_is_refused(name):
    """A TypeError that tells the method."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(TypeError, match="Failed to execute 'id_from_name'"):
            rt.env.ROOM.id_from_name(name)
        with pytest.raises(TypeError, match="Failed to execute 'get_by_name'"):
            rt.env.ROOM.get_by_name(name)


@pytest.mark.rows("NS-05", "NS-14", "NS-16")
async def test_an_id_makes_the_round_trip_through_its_text():
    """64 lower-case digits; the rebuilt id is equal and has no name."""
    async with Runtime(objects=[Room]) as rt:
        id = rt.env.ROOM.id_from_name("x")
        text = str(id)
        assert len(text) == 64
        assert text == text.lower()
        again = rt.env.ROOM.id_from_string(text)
        assert again == id
        assert again.name is None
        assert rt.env.ROOM.id_from_string(text.upper()) == id


@pytest.mark.rows("NS-05")
@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "0" * 65, "g" * 64, "0" * 62 + "+1", " " + "0" * 63])
async def test_an_id_needs_64_hex_digits(text):
    """Anything else is a TypeError."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(TypeError, match="Invalid Durable Object ID: must be 64 hex digits"):
            rt.env.ROOM.id_from_string(text)


@pytest.mark.rows("NS-05")
async def test_a_forged_id_or_one_of_another_namespace_is_refused():
    """The check does not match."""
    async with Runtime(objects=[Room, Other]) as rt:
        for text in ("0" * 64, str(rt.env.OTHER.id_from_name("x")), str(rt.env.OTHER.new_unique_id())):
            with pytest.raises(TypeError, match="Durable Object ID is not valid for this namespace."):
                rt.env.ROOM.id_from_string(text)


@pytest.mark.rows("NS-05")
async def test_an_id_text_must_be_text():
    """No coercion."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(TypeError, match="parameter 1 is not of type 'string'"):
            rt.env.ROOM.id_from_string(None)


@pytest.mark.rows("NS-06", "NS-07")
async def test_get_and_get_by_name_reach_the_same_object():
    """`get_by_name(name)` is `get(id_from_name(name))`."""
    async with Runtime(objects=[Room]) as rt:
        ns = rt.env.ROOM
        await ns.get_by_name("x").put()
        assert await ns.get(ns.id_from_name("x")).get() == 1
        assert await ns.get(ns.id_from_string(str(ns.id_from_name("x")))).get() == 1


@pytest.mark.rows("NS-06")
async def test_get_takes_ids_and_no_text():
    """A text is a TypeError; an id of another class names an object of this one, as on workerd."""
    async with Runtime(objects=[Room, Other]) as rt:
        with pytest.raises(TypeError, match="parameter 1 is not of type 'DurableObjectId'"):
            rt.env.ROOM.get(str(rt.env.ROOM.id_from_name("x")))
        foreign = rt.env.OTHER.id_from_name("x")
        assert rt.env.ROOM.get(foreign).id == foreign
        assert await rt.env.ROOM.get(foreign).echo("a method of Room") == "a method of Room"


@pytest.mark.rows("NS-06")
async def test_an_id_outlives_the_runtime_that_made_it(tmp_path):
    """It is its bytes: the next start, or another runtime of the same project, takes it."""
    rt = Runtime(objects=[Room], data=tmp_path)
    async with rt:
        id = rt.env.ROOM.id_from_name("x")
        await rt.env.ROOM.get(id).put()
    async with rt:
        stub = rt.env.ROOM.get(id)
        assert await stub.get() == 1
        assert (stub.id, stub.name) == (id, "x")


@pytest.mark.rows("NS-06", "NS-09")
async def test_options_of_get_are_accepted_where_they_mean_nothing_here():
    """A hint, a routing mode, and options nobody knows yet."""
    async with Runtime(objects=[Room]) as rt:
        ns = rt.env.ROOM
        assert await ns.get_by_name("x", location_hint="weur", routing_mode="primary-only").echo(1) == 1
        assert await ns.get(ns.id_from_name("x"), location_hint="?", version={"cohort": "a"}).echo(1) == 1


@pytest.mark.rows("NS-09")
async def test_an_unknown_routing_mode_is_refused():
    """RangeError there, ValueError here."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(ValueError, match="unknown routing_mode: nearest"):
            rt.env.ROOM.get_by_name("x", routing_mode="nearest")
        with pytest.raises(ValueError, match="unknown routing_mode: nearest"):
            rt.env.ROOM.get(rt.env.ROOM.id_from_name("x"), routing_mode="nearest")


@pytest.mark.rows("NS-12", "NS-13", "NS-17")
async def test_a_jurisdiction_is_refused():
    """None gives the namespace itself; an id has none."""
    async with Runtime(objects=[Room]) as rt:
        ns = rt.env.ROOM
        with pytest.raises(PerdureError, match="Jurisdiction restrictions are not implemented in Perdure."):
            ns.jurisdiction("eu")
        with pytest.raises(PerdureError, match="Jurisdiction restrictions"):
            ns.new_unique_id(jurisdiction="eu")
        assert ns.jurisdiction(None).id_from_name("x") == ns.id_from_name("x")
        assert ns.jurisdiction().get(ns.id_from_name("x")).id == ns.id_from_name("x")
        assert ns.id_from_name("x").jurisdiction is None


@pytest.mark.rows("NS-15")
async def test_ids_are_equal_when_their_bytes_are():
    """Name and origin do not matter; equal ids have one hash."""
    async with Runtime(objects=[Room, Other]) as rt:
        ns = rt.env.ROOM
        a, b = ns.id_from_name("x"), ns.id_from_string(str(ns.id_from_name("x")))
        assert a.equals(b)
        assert a == b
        assert len({a, b}) == 1
        assert a != ns.id_from_name("y")
        assert a != rt.env.OTHER.id_from_name("x")
        assert a != str(a)


@pytest.mark.rows("NS-15")
async def test_equals_takes_an_id():
    """Anything else is a TypeError; `==` answers False."""
    async with Runtime(objects=[Room]) as rt:
        with pytest.raises(TypeError, match="not of type 'DurableObjectId'"):
            rt.env.ROOM.id_from_name("x").equals("x")


@pytest.mark.rows("NS-16", "LIM-21")
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("short", True),
        ("x" * 1024, True),
        ("x" * 1025, False),
        ("ü" * 512, True),
        ("ü" * 512 + "x", False),
    ],
)
async def test_the_object_sees_its_name_up_to_1024_bytes(name, seen):
    """A longer one still leads to the object; the caller's id keeps it."""
    async with an_object(Room, name) as stub:
        assert stub.name == name
        assert await stub.my_id() == (str(stub.id), name if seen else None)


@pytest.mark.rows("NS-16")
async def test_the_object_has_no_name_when_it_is_woken_by_an_id_from_text():
    """The id from the text knows none."""
    async with Runtime(objects=[Room]) as rt:
        ns = rt.env.ROOM
        assert await ns.get(ns.id_from_string(str(ns.id_from_name("x")))).my_id() == (
            str(ns.id_from_name("x")),
            None,
        )


@pytest.mark.rows("NS-18")
async def test_an_id_is_neither_sent_nor_stored():
    """Send `str(id)` and rebuild it on the far side."""
    async with an_object(Room) as stub:
        with pytest.raises(DataCloneError, match="DurableObjectId"):
            await stub.echo(stub.id)
        with pytest.raises(DataCloneError, match="DurableObjectId"):
            await inside(stub, lambda room: room.ctx.storage.put("id", room.ctx.id))


@pytest.mark.rows("NS-19")
async def test_an_object_that_never_used_its_storage_leaves_nothing_on_disk(tmp_path):
    """Its life was in memory only."""
    async with Runtime(objects=[Room], data=tmp_path) as rt:
        stub = rt.env.ROOM.get_by_name("x")
        await stub.my_id()
    assert not [path for path in tmp_path.rglob("*") if str(stub.id) in path.name]


@pytest.mark.rows("NS-19")
async def test_an_object_exists_until_delete_all(tmp_path):
    """Afterwards the next instance finds nothing, also after a restart."""
    async with Runtime(objects=[Room], data=tmp_path) as rt:
        await rt.env.ROOM.get_by_name("x").put()
    async with Runtime(objects=[Room], data=tmp_path) as rt:
        assert await rt.env.ROOM.get_by_name("x").get() == 1
        await rt.env.ROOM.get_by_name("x").erase()
    async with Runtime(objects=[Room], data=tmp_path) as rt:
        assert await rt.env.ROOM.get_by_name("x").get() is None


async def test_an_id_shows_what_it_is():
    """For people who print it."""
    async with Runtime(objects=[Room]) as rt:
        id = rt.env.ROOM.id_from_name("x")
        assert repr(id) == f"<DurableObjectId {id} name='x'>"
        assert repr(rt.env.ROOM) == "<Namespace of Room>"


async def test_a_live_object_is_the_one_of_its_id():
    """Two stubs of a name share one instance."""
    async with an_object(Plain) as stub:
        again = live_of(stub)
        assert await inside(stub, id) == await inside(stub, id)
        assert live_of(stub) is again
