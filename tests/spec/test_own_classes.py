"""Durable objects of Perdure's own: how the data folder, its record and operators know them."""

from __future__ import annotations

import json

import pytest

from perdure import DurableObject, Runtime
from perdure._admin.operations import Call, Objects
from perdure._config.problem import ProblemsFound
from perdure._config.project import Declared, Export


class Room(DurableObject):
    async def put(self, value):
        await self.ctx.storage.put("k", value)


async def _filled(data, **options):
    async with Runtime([Room], kv_namespaces={"KV": "sessions"}, data=data, **options) as rt:
        await rt.env.KV.put("k", "1")


async def _names(rt):
    answer = await rt._admin().run(Objects())
    return [(one["class"], one["name"]) for one in answer["objects"]]


async def test_the_record_lists_own_classes_beside_the_applications(data):
    """A folder in which none was ever bound has no word of it."""
    async with Runtime([Room], data=data):
        assert "own" not in json.loads((data / "classes.json").read_bytes())
    await _filled(data)
    record = json.loads((data / "classes.json").read_bytes())
    assert record["own"] == ["perdure:kv"]
    assert list(record["classes"]) == ["Room"]


async def test_what_is_bound_no_longer_is_kept_and_can_be_looked_at(data):
    """No migration has to say so."""
    await _filled(data)
    async with Runtime([Room], data=data) as rt:
        assert await _names(rt) == [("perdure:kv", "sessions")]
    async with Runtime([Room], kv_namespaces={"OTHER": "sessions"}, data=data) as rt:
        assert await rt.env.OTHER.get("k") == "1"


async def test_own_classes_are_none_of_the_table_of_exports(data):
    """It does not have to mention them."""
    declared = Declared(exports=(Export("Room"),))
    await _filled(data, declared=declared)
    async with Runtime([Room], data=data, declared=declared) as rt:
        assert await _names(rt) == [("perdure:kv", "sessions")]


async def test_own_objects_do_not_hang_on_the_name_of_the_project(data):
    """A project may be renamed, and its data may move to another's folder."""
    await _filled(data, name="one")
    async with Runtime([Room], kv_namespaces={"KV": "sessions"}, data=data, name="two") as rt:
        assert await rt.env.KV.get("k") == "1"


async def test_own_objects_are_looked_at_without_an_application(data):
    """As commands do on a folder where nothing runs; the code of Perdure's own objects is there."""
    await _filled(data)
    async with Runtime(data=data, declared=Declared(as_recorded=True), role="command") as rt:
        assert await _names(rt) == [("perdure:kv", "sessions")]
        asked = Call(class_name="perdure:kv", name="sessions", method="read", args=(["k"], 100))
        answer = await rt._admin().run(asked)
        assert "MQ==" in json.dumps(answer)


async def test_objects_of_a_newer_perdure_are_looked_at_too(data):
    """A class in the record that this version does not have: it has no code, and its objects are there."""
    await _filled(data)
    path = data / "classes.json"
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "own": ["perdure:kv", "perdure:new"]}))
    async with Runtime([Room], data=data) as rt:
        assert await _names(rt) == [("perdure:kv", "sessions")]
    assert json.loads(path.read_bytes())["own"] == ["perdure:kv", "perdure:new"]


async def test_an_application_cannot_have_an_own_unique_key(data):
    """Its objects would lie among those of Perdure."""
    with pytest.raises(ProblemsFound, match="perdure:kv"):
        async with Runtime([Room], unique_keys={"Room": "perdure:kv"}, data=data):
            pass
