"""Operations on a running runtime, asked for in its own process."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from support.inside import Unsynced, inside, settled

from perdure import DurableObject, Runtime
from perdure._admin.operations import Export, Import
from perdure.testing.clock import ManualClock


class Woken(DurableObject):
    """Notes under which name its alarm wakes it."""

    names: ClassVar[list[str | None]] = []

    async def alarm(self) -> None:
        self.names.append(self.ctx.id.name)


async def test_an_object_imported_by_its_id_keeps_its_name(tmp_path: Path) -> None:
    """The catalog knows it, and the alarm in the file shall wake the object under it (NS-16)."""
    clock, path = ManualClock(), str(tmp_path / "out.sqlite")
    async with Runtime([Woken], clock=clock, disk=Unsynced(), idle_s=1e9) as runtime:
        stub: Any = runtime.namespace(Woken).get_by_name("lobby")
        await inside(stub, lambda one: one.ctx.storage.set_alarm(timedelta(seconds=5)))
        admin = runtime._admin()
        await admin.run(Export(class_name="Woken", name="lobby", path=path))
        await inside(stub, lambda one: one.ctx.storage.delete_alarm())
        await admin.run(Import(class_name="Woken", id=str(stub.id), path=path, replace=True))
        clock.advance(10)
        await settled(runtime)
    assert Woken.names == ["lobby"]
