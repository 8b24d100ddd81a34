"""`Namespace.list`: the objects that store something, by name. Perdure's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from support.inside import Unsynced, inside

from perdure import DurableObject, Request, Response, Runtime, WorkerEntrypoint
from perdure._config.project import Declared, Migration, Rename
from perdure.errors import PerdureError
from perdure.testing import evict_all_durable_objects


class Room(DurableObject):
    async def write(self):
        self.ctx.storage.kv["written"] = self.ctx.storage.kv.get("written", 0) + 1

    async def read(self):
        return self.ctx.storage.kv.get("written")

    async def erase(self):
        await self.ctx.storage.delete_all()


class Other(DurableObject):
    async def write(self):
        self.ctx.storage.kv["written"] = True


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json([info.name for info in self.env.ROOM.list()])


def a_runtime(**options):
    return Runtime([Room, Other], worker=Default, **{"disk": Unsynced(), **options})


def names(listed) -> list[str | None]:
    return [info.name for info in listed]


async def test_it_lists_objects_that_store_something_in_the_order_of_their_names():
    """Reading stores nothing; what another class has is not in it."""
    async with a_runtime() as runtime:
        rooms = runtime.env.ROOM
        for name in ("b", "c", "a"):
            await rooms.get_by_name(name).write()
        await rooms.get_by_name("reads").read()
        await runtime.env.OTHER.get_by_name("other").write()
        assert names(rooms.list()) == ["a", "b", "c"]
        assert names(runtime.namespace(Room).list(prefix="b")) == ["b"]


async def test_an_object_whose_write_was_confirmed_is_in_it_at_once():
    """Nothing has to be waited for: it is no coroutine."""
    async with a_runtime() as runtime:
        for number in range(20):
            await runtime.env.ROOM.get_by_name(f"{number:02}").write()
            assert len(runtime.env.ROOM.list()) == number + 1


async def test_objects_without_a_name_come_last_by_id():
    async with a_runtime() as runtime:
        rooms = runtime.env.ROOM
        ids = sorted([rooms.new_unique_id() for _ in range(3)], key=str)
        for id in ids:
            await rooms.get(id).write()
        await rooms.get_by_name("named").write()
        listed = rooms.list().objects
        assert [info.id for info in listed] == [rooms.id_from_name("named"), *ids]
        assert names(listed) == ["named", None, None, None]
        assert names(rooms.list(prefix="")) == ["named"]


async def test_delete_all_takes_an_object_from_it():
    """Until it writes again."""
    async with a_runtime() as runtime:
        room = runtime.env.ROOM.get_by_name("a")
        await room.write()
        await room.erase()
        assert names(runtime.env.ROOM.list()) == []
        await room.write()
        assert names(runtime.env.ROOM.list()) == ["a"]


async def test_a_cursor_goes_on_behind_the_last_object():
    async with a_runtime() as runtime:
        rooms = runtime.env.ROOM
        for number in range(5):
            await rooms.get_by_name(f"n{number}").write()
        await rooms.get(rooms.new_unique_id()).write()
        seen, cursor, pages = [], None, 0
        while True:
            page = rooms.list(limit=2, cursor=cursor)
            seen += names(page)
            cursor = page.cursor
            pages += 1
            if cursor is None:
                break
        assert (seen, pages) == (["n0", "n1", "n2", "n3", "n4", None], 3)
        page = rooms.list(prefix="n", limit=3)
        assert names(rooms.list(prefix="n", cursor=page.cursor)) == ["n3", "n4"]


async def test_async_for_goes_through_all_objects():
    async with a_runtime() as runtime:
        for number in range(1005):
            room = runtime.env.ROOM.get_by_name(f"{number:04}")
            await (asyncio.gather(*writes) if len(writes := [room.write()]) > 50 else writes[0])
        found = [info.name async for info in runtime.env.ROOM]
        assert found == [f"{number:04}" for number in range(1005)]


async def test_what_is_listed_gives_a_stub():
    async with a_runtime() as runtime:
        await runtime.env.ROOM.get_by_name("a").write()
        [info] = runtime.env.ROOM.list()
        assert await runtime.env.ROOM.get(info.id).read() == 1


async def test_objects_and_workers_may_list():
    """Also of their own class."""
    async with a_runtime() as runtime:
        room = runtime.env.ROOM.get_by_name("a")
        await room.write()
        assert await inside(room, lambda instance: names(instance.env.ROOM.list())) == ["a"]
        assert await (await runtime.handle(Request("http://host/"))).json() == ["a"]


async def test_it_tells_when_an_object_was_used():
    """Of one in memory: now."""
    async with a_runtime() as runtime:
        before = datetime.now(UTC) - timedelta(seconds=1)
        room = runtime.env.ROOM.get_by_name("a")
        await room.write()
        [info] = runtime.env.ROOM.list()
        assert before < info.first_used <= info.last_used <= datetime.now(UTC) + timedelta(seconds=1)
        await evict_all_durable_objects(runtime)
        [gone] = runtime.env.ROOM.list()
        assert gone.first_used == info.first_used <= gone.last_used <= info.last_used


async def test_the_objects_of_a_class_stay_with_it_through_migrations(tmp_path):
    """Renamed they are listed under the new name; deleted they are gone, also from a class of that name."""

    def declared(*migrations, classes):
        return Runtime(
            classes, data=tmp_path, disk=Unsynced(), declared=Declared(migrations=tuple(migrations))
        )

    made = Migration("v1", new_sqlite_classes=("Room",))
    renamed = Migration("v2", renamed_classes=(Rename("Room", "Other"),))
    deleted = Migration("v3", deleted_classes=("Other",))
    made_again = Migration("v4", new_sqlite_classes=("Other",))
    async with declared(made, classes=[Room]) as runtime:
        await runtime.env.ROOM.get_by_name("a").write()
    async with declared(made, renamed, classes=[Other]) as runtime:
        assert names(runtime.env.OTHER.list()) == ["a"]
    async with declared(made, renamed, deleted, made_again, classes=[Other]) as runtime:
        assert names(runtime.env.OTHER.list()) == []


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"limit": 0}, ValueError, "between 1 and 1,000"),
        ({"limit": 1001}, ValueError, "between 1 and 1,000"),
        ({"limit": True}, TypeError, "limit must be an int, not bool"),
        ({"prefix": b"a"}, TypeError, "prefix must be a str, not bytes"),
        ({"cursor": 5}, TypeError, "cursor must be a str, not int"),
        ({"cursor": "what"}, ValueError, "'what' is not a cursor"),
        ({"cursor": "ä"}, ValueError, "is not a cursor"),
        ({"cursor": ""}, ValueError, "is not a cursor"),
    ],
)
async def test_a_wrong_argument_says_what_is_right(options, error, text):
    async with a_runtime() as runtime:
        with pytest.raises(error, match=text):
            runtime.env.ROOM.list(**options)


async def test_it_needs_a_running_runtime_and_its_thread():
    runtime = a_runtime()
    with pytest.raises(PerdureError, match="not running"):
        runtime.namespace(Room).list()
    async with runtime:
        with pytest.raises(RuntimeError, match="thread"):
            await asyncio.to_thread(runtime.env.ROOM.list)
