"""A class that vanished from the code, with objects that only the journal knows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from perdure import ConfigError, DurableObject, Runtime


class One(DurableObject):
    async def put(self) -> None:
        await self.ctx.storage.put("k", 1)


class Other(DurableObject):
    pass


@pytest.mark.rows("MIG-13")
async def test_objects_that_only_the_journal_knows_keep_their_class(tmp_path: Path):
    """After a power loss the files of new objects may be gone; their class may still not vanish."""
    lived, lost = tmp_path / "lived", tmp_path / "lost"
    async with Runtime([One], data=lived) as rt:
        await rt.namespace(One).get_by_name("a").put()
        shutil.copytree(lived, lost, ignore=shutil.ignore_patterns("LOCK", "app-One-*"))
    with pytest.raises(ConfigError, match='objects of class "One"'):
        await Runtime([Other], data=lost).start()
    async with Runtime([One], data=lost):
        pass
