"""Commands of operators on a KV namespace: its object is one like others, on a running server and on a folder."""

from __future__ import annotations

import asyncio
import json

import pytest
from cli_process import Perdure
from operators import Site

from perdure import Runtime

SESSIONS = "06779da6"


@pytest.fixture(scope="module", params=["server", "folder"])
def site(request, tmp_path_factory):
    """A project with a namespace of two keys; nothing runs on the folder, or a server that binds it no more."""
    folder = tmp_path_factory.mktemp(request.param)
    site = Site(folder)

    async def fill():
        async with Runtime(kv_namespaces={"SESSIONS": SESSIONS}, data=folder / ".perdure") as rt:
            await rt.env.SESSIONS.put("a", "one", metadata={"n": 1})
            await rt.env.SESSIONS.put("b", b"\xff")

    asyncio.run(fill())
    if request.param == "folder":
        yield site
        return
    with Perdure("serve", "--port", "0", cwd=folder) as server:
        assert server.url
        site.server = server
        yield site


def test_the_namespace_is_listed(site):
    """Among all objects, and by its class."""
    for arguments in (["objects"], ["objects", "perdure:kv"]):
        (one,) = site.json(*arguments)["objects"]
        assert (one["class"], one["name"]) == ("perdure:kv", SESSIONS)


def test_its_keys_are_rows(site):
    """A text is shown as one."""
    rows = site.ok(
        "sql", "perdure:kv", SESSIONS, "SELECT key, value, metadata FROM entries ORDER BY key", "--csv"
    )
    assert rows.splitlines()[1] == 'a,one,"{""n"":1}"'


def test_it_is_exported_and_imported(site, tmp_path):
    """Under another id it is another namespace."""
    file = tmp_path / "sessions.sqlite"
    site.ok("export", "perdure:kv", SESSIONS, "-o", file)
    site.ok("import", "perdure:kv", "copy", file)
    assert "one" in site.ok("sql", "perdure:kv", "copy", "SELECT value FROM entries WHERE key = 'a'")
    site.ok("delete", "perdure:kv", "copy", "--yes")
    assert [one["name"] for one in site.json("objects")["objects"]] == [SESSIONS]


def test_it_is_verified_and_backed_up(site, tmp_path):
    """And is there in the backup."""
    assert json.loads(site.ok("verify", "--json"))["checked"] >= 1
    site.ok("backup", tmp_path / "backup")

    async def read():
        async with Runtime(kv_namespaces={"SESSIONS": SESSIONS}, data=tmp_path / "backup") as rt:
            return await rt.env.SESSIONS.get_with_metadata("a")

    assert asyncio.run(read()) == ("one", {"n": 1})


def test_an_unknown_class_is_told_with_those_there_are(site):
    """Perdure's own among them."""
    assert '"perdure:kv"' in site.refused("sql", "perdure:kvs", SESSIONS, "SELECT 1")
