"""`perdure import-state`: what `wrangler dev` has kept becomes the state of an application, while it runs or before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wrangler_state as wrangler
from cli_process import Perdure
from operators import Site
from support import npm

from perdure._cli.import_state import _make_namespace
from perdure._config.problem import ProblemsFound

APP = """\
from perdure import DurableObject, Response, WorkerEntrypoint

class Room(DurableObject):
    async def all(self):
        return {**await self.ctx.storage.list(), "alarm": await self.ctx.storage.get_alarm()}

    async def alarm(self):
        pass

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        entry = await self.env.CACHE.get_with_metadata("greeting")
        return Response(f"{entry.value} {entry.metadata}")
"""
CONFIG = {
    "name": "chat",
    "main": "app.py",
    "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}],
    "kv_namespaces": [{"binding": "CACHE", "id": "abc123"}],
    "d1_databases": [{"binding": "DB", "database_name": "shop", "database_id": "1111-2222"}],
}
ALARM = {"$datetime": "2096-10-02T07:06:40+00:00"}


class Project(Site):
    """A project, and the state of wrangler's beside it."""

    def __init__(self, folder: Path, **config: object) -> None:
        super().__init__(folder, app=APP)
        self.state = folder / ".wrangler/state"
        (folder / "wrangler.jsonc").write_text(json.dumps({**CONFIG, **config}))

    def select(self, class_name: str, name: str, query: str) -> list[dict[str, object]]:
        return self.json("sql", class_name, name, query)

    def get(self, key: str) -> object:
        return self.json("kv", "Room", "lobby", "get", key)


@pytest.fixture
def site(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_an_object_comes_with_its_name_its_tables_its_values_and_its_alarm(site: Project) -> None:
    """Before the application ever ran here."""
    wrangler.add_room(site.state)
    assert site.ok("import-state") == "Room: 1 object imported, 16 KiB\n"
    found = site.json("call", "Room", "lobby", "all")
    assert found == {"n": 42, "user": {"name": "ann"}, "alarm": ALARM}
    assert site.select("Room", "lobby", "SELECT * FROM t") == [{"id": 1, "text": "hello"}]


def test_a_server_that_runs_takes_it_in(site: Project) -> None:
    """It answers with it at once."""
    wrangler.add_room(site.state)
    wrangler.add_namespace(site.state, "abc123", {"greeting": (b"hi", {"by": "ann"}, None)})
    with Perdure("serve", "--port", "0", cwd=site.folder) as server:
        assert "imported" in site.ok("import-state")
        assert server.get("/").text == "hi {'by': 'ann'}"
        assert site.json("call", "Room", "lobby", "all")["n"] == 42


def test_keys_of_a_kv_namespace_come_with_metadata_and_expiration(site: Project) -> None:
    """Large values and bytes too."""
    wrangler.add_namespace(
        site.state,
        "abc123",
        {
            "greeting": (b"hi", {"by": "ann"}, wrangler.LATER_MS),
            "bytes": (b"\0\xff", None, None),
            "large": (b"x" * 3_000_000, None, None),
            "empty": (b"", None, None),
        },
    )
    assert "perdure:kv: 1 object imported" in site.ok("import-state")
    query = "SELECT key, size_bytes, metadata, expires_s FROM entries ORDER BY key"
    assert site.select("perdure:kv", "abc123", query) == [
        {"key": "bytes", "size_bytes": 2, "metadata": None, "expires_s": None},
        {"key": "empty", "size_bytes": 0, "metadata": None, "expires_s": None},
        {
            "key": "greeting",
            "size_bytes": 2,
            "metadata": '{"by": "ann"}',
            "expires_s": wrangler.LATER_MS // 1000,
        },
        {"key": "large", "size_bytes": 3_000_000, "metadata": None, "expires_s": None},
    ]
    with Perdure("serve", "--port", "0", cwd=site.folder) as server:
        assert server.get("/").text == "hi {'by': 'ann'}"


def test_a_d1_database_comes_by_its_id(site: Project) -> None:
    """As wrangler knows it, by id."""
    wrangler.add_database(
        site.state,
        "1111-2222",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name)",
        "INSERT INTO users (name) VALUES ('ann')",
    )
    assert "perdure:d1: 1 object imported" in site.ok("import-state")
    assert site.select("perdure:d1", "1111-2222", "SELECT name FROM users") == [{"name": "ann"}]


def test_what_is_here_already_stays_unless_told(site: Project) -> None:
    """A second import changes nothing; --yes replaces."""
    wrangler.add_room(site.state)
    site.ok("import-state")
    site.ok("kv", "Room", "lobby", "put", "n", "1")
    assert "Room: 1 object left alone, as there is one of that id here; --yes replaces" in site.ok(
        "import-state"
    )
    assert site.get("n") == 1
    site.ok("import-state", "--yes")
    assert site.get("n") == 42


def test_what_is_read_is_not_changed(site: Project) -> None:
    """`wrangler dev` goes on with it."""
    path = wrangler.add_room(site.state)
    before = path.read_bytes()
    site.ok("import-state")
    assert path.read_bytes() == before


def test_objects_of_a_class_by_another_name_are_told_with_what_to_write(site: Project) -> None:
    """The project had another name there; what is known is imported all the same."""
    wrangler.add_room(site.state)
    wrangler.add_room(site.state, "old-Room")
    wrong = site.refused("import-state")
    assert site.get("n") == 42
    assert 'no class here has the unique key "old-Room" of 1 object' in wrong
    assert '"unique_keys": {"CLASS": "old-Room"}' in wrong


def test_with_its_unique_key_a_class_finds_its_objects(tmp_path: Path) -> None:
    """What the message says to write works."""
    site = Project(tmp_path, unique_keys={"Room": "old-Room"})
    wrangler.add_room(site.state, "old-Room")
    site.ok("import-state")
    assert site.json("call", "Room", "lobby", "all")["n"] == 42


def test_a_namespace_and_a_database_without_binding_are_told(site: Project) -> None:
    """Nobody could reach them."""
    wrangler.add_namespace(site.state, "other", {})
    wrangler.add_database(site.state, "another")
    wrong = site.refused("import-state")
    assert "is a KV namespace, and no binding here has its id" in wrong
    assert "is a D1 database, and no binding here has its id" in wrong


def test_a_missing_value_stops_its_namespace_alone(site: Project) -> None:
    """The key is named; the rest is imported."""
    wrangler.add_room(site.state)
    wrangler.add_namespace(site.state, "abc123", {"greeting": (b"hi", None, None)})
    (site.state / "v3/kv/abc123/blobs/blob0").unlink()
    wrong = site.refused("import-state")
    assert site.get("n") == 42
    assert "what belongs to the key 'greeting' of" in wrong


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("blob_id = '../../../../../secret'", "its value is missing"),
        ("blob_id = 'blob0' || char(0)", "its value is missing"),
        ("blob_id = x'00'", "its value is missing"),
        ("key = x'00'", "it is no text"),
        ("expiration = 'soon'", "its expiration is 'soon'"),
        ("metadata = '{'", "its metadata is no JSON"),
    ],
)
def test_an_entry_that_is_damaged_stops_its_namespace_alone(site: Project, change: str, text: str) -> None:
    """No other file is read for it, and nothing gets in that the namespace itself would refuse."""
    wrangler.add_room(site.state)
    (site.folder / "secret").write_text("it lies outside")
    path = wrangler.add_namespace(site.state, "abc123", {"greeting": (b"hi", None, None)})
    wrangler.database(path, f"UPDATE _mf_entries SET {change}")
    wrong = site.refused("import-state")
    assert "error[state/unreadable]" in wrong
    assert text in wrong
    assert site.get("n") == 42


@pytest.mark.parametrize("contents", [b"x" * 9000, b""], ids=["no database", "empty"])
def test_a_file_of_keys_that_is_damaged_stops_its_namespace_alone(site: Project, contents: bytes) -> None:
    """It is named, and the rest is imported."""
    wrangler.add_room(site.state)
    path = wrangler.add_namespace(site.state, "abc123", {})
    path.write_bytes(contents)
    wrong = site.refused("import-state")
    assert "error[state/unreadable]" in wrong
    assert "holds no keys that can be read" in wrong
    assert site.get("n") == 42


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    """With the file that cannot be written, and the one that it is of."""
    source = wrangler.add_namespace(tmp_path, "abc123", {})
    with pytest.raises(ProblemsFound, match=r"missing/kv.sqlite, to which .* is copied, cannot be written"):
        _make_namespace(source, None, tmp_path / "missing/kv.sqlite")


def test_a_value_that_only_javascript_can_read_is_named(site: Project) -> None:
    """With --leave-out the rest comes."""
    wrangler.add_object(
        site.state,
        "chat-Room",
        "lobby",
        wrangler.KV_TABLE,
        "INSERT INTO _cf_KV VALUES ('n', x'ff0f4954'), ('stub', x'ff0f5c01')",
    )
    assert "'stub'" in site.refused("import-state")
    assert "left out: 'stub' of Room" in site.ok("import-state", "--leave-out")
    assert site.get("n") == 42


def test_json_says_the_same_to_programs(site: Project) -> None:
    """What was imported, what was there, what is missing."""
    wrangler.add_room(site.state)
    site.ok("import-state")
    wrangler.add_room(site.state, name="hall")
    assert site.json("import-state") == {
        "imported": {"Room": 1},
        "existing": {"Room": 1},
        "left_out": [],
    }


@pytest.mark.parametrize(
    "folder", [".wrangler", ".wrangler/state", ".wrangler/state/v3", ".wrangler/state/v3/do"]
)
def test_the_folder_may_be_given_from_any_level(site: Project, folder: str) -> None:
    """Also as workerd alone has it."""
    wrangler.add_room(site.state)
    assert "1 object imported" in site.ok("import-state", folder)


def test_a_folder_that_is_not_there_is_told(site: Project) -> None:
    """With the place where wrangler keeps it."""
    wrong = site.refused("import-state")
    assert "error[state/missing]: there is no folder" in wrong
    assert ".wrangler/state" in wrong


def test_a_folder_with_nothing_of_wranglers_is_told(site: Project) -> None:
    """With the form of what was looked for."""
    assert "error[state/empty]" in site.refused("import-state", ".")


MINIFLARE = """
import { Miniflare } from "miniflare";
const script = `
import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject {
  alarm() {}
  async fetch() {
    const { storage } = this.ctx;
    storage.sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, text)");
    storage.sql.exec("INSERT INTO t (text) VALUES ('hello')");
    await storage.put({ n: 42, user: { name: "ann" } });
    await storage.setAlarm(4e12);
    return new Response();
  }
}
export default { async fetch(request, env) {
  await env.ROOM.get(env.ROOM.idFromName("lobby")).fetch(request);
  await env.CACHE.put("greeting", "hi", { metadata: { by: "ann" }, expirationTtl: 1e9 });
  await env.DB.prepare("CREATE TABLE users (id INTEGER PRIMARY KEY, name)").run();
  await env.DB.prepare("INSERT INTO users (name) VALUES (?)").bind("ann").run();
  return new Response();
} };`;
const miniflare = new Miniflare({
  name: "chat", modules: true, script, compatibilityDate: "2026-04-01", defaultPersistRoot: process.argv[2],
  durableObjects: { ROOM: { className: "Room", useSQLite: true } },
  kvNamespaces: { CACHE: "abc123" }, d1Databases: { DB: "1111-2222" },
});
console.log((await miniflare.dispatchFetch("http://localhost/")).status);
await miniflare.dispose();
"""


@pytest.mark.foreign
def test_what_miniflare_and_workerd_left_comes_whole(
    site: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cloudflare's own programs made it, a moment ago."""
    node = npm.install(tmp_path_factory.mktemp("node"), "miniflare@4")
    (node / "make.mjs").write_text(MINIFLARE)
    assert npm.run(node, "make.mjs", site.state / "v3") == "200\n"
    said = site.ok("import-state")
    assert [line.split(" imported")[0] for line in said.splitlines()] == [
        "Room: 1 object",
        "perdure:d1: 1 object",
        "perdure:kv: 1 object",
    ]
    found = site.json("call", "Room", "lobby", "all")
    assert found == {"n": 42, "user": {"name": "ann"}, "alarm": ALARM}
    assert site.select("Room", "lobby", "SELECT text FROM t") == [{"text": "hello"}]
    assert site.select("perdure:d1", "1111-2222", "SELECT name FROM users") == [{"name": "ann"}]
    with Perdure("serve", "--port", "0", cwd=site.folder) as server:
        assert server.get("/").text == "hi {'by': 'ann'}"
