"""The shared list on a real server, through Cap'n Web: what pages are told and what they may ask for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure import RpcTarget
from perdure.client import connect

from .serving import Served, operate, perdure_serve


@pytest.fixture(scope="module")
def larder(tmp_path_factory):
    """Lists that the tests of a module share; each test has lists of its own."""
    served = perdure_serve("shared_list", tmp_path_factory.mktemp("list"))
    served.start()
    yield served
    served.stop()


class Page(RpcTarget):
    """What a page does with what it is told."""

    def __init__(self) -> None:
        self.list: dict[str, dict[str, Any]] = {}
        self.names: list[str] = []
        self.told = asyncio.Event()
        self.is_let_go = asyncio.Event()

    def dispose(self):
        self.is_let_go.set()

    def shown(self, items):
        self.list = {item["id"]: item for item in items}
        self.told.set()

    def changed(self, item):
        self.list[item["id"]] = item
        self.told.set()

    def removed(self, ids):
        for id in ids:
            self.list.pop(id, None)
        self.told.set()

    def people(self, names):
        self.names = names
        self.told.set()

    async def until(self, condition):
        """Wait until the page shows what is expected."""
        async with asyncio.timeout(10):
            while not condition(self):
                self.told.clear()
                await self.told.wait()

    @property
    def texts(self):
        return [item["text"] for item in self.list.values()]


@asynccontextmanager
async def opened(larder: Served, name: str, who: str = "Ann") -> AsyncIterator[tuple[Any, Page]]:
    """Open a list as a page does; give its seat, and what it shows."""
    async with connect(larder.url.replace("http", "ws", 1) + "/api") as api:
        page = Page()
        seat = await api.open(name).join(who, page)  # a name of its own: who drops it gives the seat up
        yield seat, page


def new_id() -> str:
    return secrets.token_hex(8)


async def test_what_one_adds_everybody_sees(larder):
    """With who it was."""
    async with opened(larder, "two", "Ann") as (ann, hers), opened(larder, "two", "Bob") as (_, his):
        await ann.add(new_id(), "  Rye   bread ")
        for page in (hers, his):
            await page.until(lambda page: page.texts == ["Rye bread"])
        (item,) = his.list.values()
        assert (item["by"], item["done"]) == ("Ann", False)


async def test_an_item_is_ticked_written_anew_and_removed(larder):
    """Each is told to every page."""
    async with opened(larder, "changes", "Ann") as (ann, _), opened(larder, "changes", "Bob") as (bob, page):
        id = new_id()
        await ann.add(id, "Milk")
        await bob.tick(id, True)
        await page.until(lambda page: page.list[id]["done"] is True)
        await bob.edit(id, "Oat milk")
        await page.until(lambda page: page.texts == ["Oat milk"])
        await ann.remove(id)
        await page.until(lambda page: page.texts == [])


async def test_clearing_takes_what_is_done(larder):
    """And nothing else."""
    async with opened(larder, "clear") as (seat, page):
        kept, gone = new_id(), new_id()
        await seat.add(kept, "Salt")
        await seat.add(gone, "Pepper")
        await seat.tick(gone, True)
        assert await seat.clear() == 1
        await page.until(lambda page: page.texts == ["Salt"])


async def test_who_has_the_list_open_is_known_to_all(larder):
    """Until their page is gone."""
    async with opened(larder, "people", "Ann") as (_, page):
        async with opened(larder, "people", "Bob"):
            await page.until(lambda page: page.names == ["Ann", "Bob"])
        await page.until(lambda page: page.names == ["Ann"])


async def test_a_seat_that_is_given_up_is_free(larder):
    """The page need not close for that."""
    async with opened(larder, "seats", "Ann") as (_, page), opened(larder, "seats", "Bob") as (bob, _):
        await page.until(lambda page: page.names == ["Ann", "Bob"])
        bob.dispose()
        await page.until(lambda page: page.names == ["Ann"])


async def test_what_is_asked_twice_is_there_once(larder):
    """A page that heard no answer asks again."""
    async with opened(larder, "twice") as (seat, page):
        id = new_id()
        await seat.add(id, "Eggs")
        await seat.add(id, "Eggs")
        assert page.texts == ["Eggs"]


async def test_a_list_is_there_after_kill_9(tmp_path):
    """What was confirmed is on the disk."""
    larder = perdure_serve("shared_list", tmp_path / "data")
    larder.start()
    try:
        async with opened(larder, "kept") as (seat, _):
            await seat.add(new_id(), "Rice")
            larder.kill()
        larder.start()
        async with opened(larder, "kept") as (_, page):
            assert page.texts == ["Rice"]
    finally:
        larder.stop()


async def test_an_object_that_is_reset_lets_its_pages_go(larder):
    """So they know, and join again."""
    async with opened(larder, "reset") as (seat, page):
        await seat.add(new_id(), "Tea")
        await asyncio.to_thread(operate, larder, "abort", "List", "reset")
        async with asyncio.timeout(10):
            await page.is_let_go.wait()
    async with opened(larder, "reset") as (_, page):
        assert page.texts == ["Tea"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("   ", "at least one character"),
        ("x" * 121, "at most 120 characters, not 121"),
        ("a\0b", "nobody can read"),
    ],
)
async def test_what_cannot_be_on_a_list_is_refused(larder, text, told):
    """With what is wrong; the seat is still good."""
    async with opened(larder, "refused") as (seat, _):
        with pytest.raises(ValueError, match=told):
            await seat.add(new_id(), text)
        assert await seat.clear() == 0


async def test_a_wrong_kind_of_argument_names_the_parameter(larder):
    """Before anything runs."""
    async with opened(larder, "kinds") as (seat, _):
        with pytest.raises(TypeError, match="text"):
            await seat.add(new_id(), 5)


@pytest.mark.parametrize("name", ["", "Two Words", "-", "x" * 33, "../up"])
async def test_a_name_that_is_no_lists_opens_nothing(larder, name):
    """Names would make objects."""
    async with connect(larder.url.replace("http", "ws", 1) + "/api") as api:
        with pytest.raises(ValueError, match="name has up to 32"):
            await api.open(name).join("Ann", Page())


async def test_nothing_else_of_the_object_can_be_reached(larder):
    """`tell` and `leave` are its own."""
    async with connect(larder.url.replace("http", "ws", 1) + "/api") as api:
        place = await api.open("private")
        with pytest.raises(TypeError, match="seats"):
            await place.seats
