"""A class declared with `new_classes` has keys and values, and no SQL."""

from __future__ import annotations

import pytest

from perdure import DurableObject, Runtime, StorageError
from perdure._config.project import Declared, Migration


class Old(DurableObject):
    async def sql(self) -> None:
        self.ctx.storage.sql.exec("SELECT 1")

    async def sync_kv(self) -> None:
        self.ctx.storage.kv.get("k")

    async def keys_and_values(self) -> object:
        await self.ctx.storage.put("k", 1)
        return self.ctx.storage.transaction_sync(lambda: 2), await self.ctx.storage.get("k")


def _runtime() -> Runtime:
    return Runtime([Old], declared=Declared(migrations=(Migration("v1", new_classes=("Old",)),)))


@pytest.mark.rows("SQL-01")
async def test_sql_says_how_to_enable_it():
    """Using `sql` of a class without it is an error that says what to change."""
    async with _runtime() as rt:
        with pytest.raises(StorageError, match=r"^SQL is not enabled for this Durable Object class\."):
            await rt.namespace(Old).get_by_name("a").sql()


@pytest.mark.rows("KVS-01")
async def test_sync_kv_says_how_to_enable_it():
    """Using `kv` of a class without SQL is an error; the property itself can be read."""
    async with _runtime() as rt:
        with pytest.raises(StorageError, match=r"^The storage\.kv \(synchronous KV\) API is only available"):
            await rt.namespace(Old).get_by_name("a").sync_kv()


async def test_keys_and_values_and_transactions_work():
    """The asynchronous methods are there, and `transaction_sync`."""
    async with _runtime() as rt:
        assert await rt.namespace(Old).get_by_name("a").keys_and_values() == (2, 1)
