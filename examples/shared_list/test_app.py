"""The list's tests: run `pytest`. A page is whatever has the methods that the list calls."""

import asyncio

import pytest

from perdure import RpcTarget

EGGS, MILK = "0" * 16, "1" * 16


class Page(RpcTarget):
    """What a page does with what it is told."""

    def __init__(self):
        self.items = {}
        self.names = []
        self.told = asyncio.Event()

    def shown(self, items):
        self.items = {item["id"]: item for item in items}
        self.told.set()

    def changed(self, item):
        self.items[item["id"]] = item
        self.told.set()

    def removed(self, ids):
        for id in ids:
            self.items.pop(id, None)
        self.told.set()

    def people(self, names):
        self.names = names
        self.told.set()

    async def until(self, is_so):
        """Wait until the page shows what is expected: the list calls it in its own time."""
        async with asyncio.timeout(5):
            while not is_so(self):
                self.told.clear()
                await self.told.wait()


async def test_what_one_adds_the_other_sees(perdure):
    home = perdure.env.LIST.get_by_name("home")
    page = Page()
    ann, bob = await home.join("Ann", Page()), await home.join("Bob", page)
    await ann.add(EGGS, "Eggs")
    await page.until(lambda page: page.items.get(EGGS, {}).get("text") == "Eggs")
    await bob.tick(EGGS, True)
    assert await ann.clear() == 1


async def test_who_drops_the_seat_leaves(perdure):
    home = perdure.env.LIST.get_by_name("home")
    page = Page()
    seats = [await home.join("Ann", page), await home.join("Bob", Page())]
    await page.until(lambda page: page.names == ["Ann", "Bob"])
    seats.pop().dispose()
    await page.until(lambda page: page.names == ["Ann"])


async def test_what_is_on_the_list_outlives_a_crash(perdure):
    seat = await perdure.env.LIST.get_by_name("home").join("Ann", Page())
    await seat.add(MILK, "Milk")
    await perdure.crash()
    assert [item["text"] for item in await perdure.env.LIST.get_by_name("home").items()] == ["Milk"]


async def test_an_item_nobody_can_read_is_refused(perdure):
    seat = await perdure.env.LIST.get_by_name("home").join("Ann", Page())
    with pytest.raises(ValueError, match="at least one character"):
        await seat.add(EGGS, "  ")
    with pytest.raises(TypeError, match="text"):
        await seat.add(EGGS, 5)
