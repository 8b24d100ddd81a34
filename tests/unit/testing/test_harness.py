"""A runtime for one test: what it starts from, how it is talked to, and what may happen to it."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.inside import attempt, until
from support.kit_app import Counter, Default, Room

from perdure import (
    ConfigError,
    Disconnected,
    DurableObject,
    PerdureError,
    Response,
    WorkerEntrypoint,
    testing,
)


def an_app(**options: Any) -> testing.Perdure:
    return testing.runtime(Counter, Room, Default, **options)


# --- what it starts from -----------------------------------------------------------------------------------


@pytest.mark.rows("TEST-09")
async def test_each_runtime_has_storage_of_its_own_that_goes_with_it():
    """Each test starts from clean storage (TEST-09)."""
    folders = []
    for _ in range(2):
        async with an_app() as app:
            assert await app.env.COUNTER.get_by_name("a").hit() == 1
            folders.append(app.folder)
    assert folders[0] != folders[1]
    assert not any(os.path.exists(folder) for folder in folders)


async def test_two_test_runtimes_at_a_time_know_nothing_of_each_other():
    async with an_app() as one, an_app() as other:
        one.outbound.get("https://api.example.com/price").respond(body="1")
        other.outbound.get("https://api.example.com/price").respond(body="2")
        assert await one.env.COUNTER.get_by_name("a").hit() == 1
        assert await one.env.COUNTER.get_by_name("a").hit() == 2
        assert await other.env.COUNTER.get_by_name("a").hit() == 1
        assert await one.env.COUNTER.get_by_name("a").price() == (200, "1")
        assert await other.env.COUNTER.get_by_name("a").price() == (200, "2")


async def test_variables_and_other_options_reach_the_application():
    async with an_app(vars={"GREETING": "hi"}, bindings={"CLICKS": Counter, "ROOM": Room}) as app:
        assert app.env.GREETING == "hi"
        assert await app.env.CLICKS.get_by_name("a").hit() == 1


async def test_a_data_folder_to_begin_with_is_copied(tmp_path: Path):
    async with an_app(keep_in=tmp_path) as app:
        await app.env.COUNTER.get_by_name("a").hit()
        kept = app.folder
    for _ in range(2):
        async with an_app(data=kept) as app:
            assert await app.env.COUNTER.get_by_name("a").hit() == 2


async def test_a_configuration_file_says_what_the_application_is(tmp_path: Path):
    (tmp_path / "kit_configured.py").write_text(
        "from perdure import DurableObject, Response, WorkerEntrypoint\n"
        "class Shelf(DurableObject):\n"
        "    async def put(self, book):\n"
        "        self.ctx.storage.kv.put('book', book)\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response(self.env.OWNER + self.env.CITY)\n"
    )
    config = tmp_path / "wrangler.jsonc"
    config.write_text(
        '{"name": "kit", "main": "kit_configured.py", "vars": {"OWNER": "me", "CITY": "Rome"},'
        ' "durable_objects": {"bindings": [{"name": "BOOKS", "class_name": "Shelf"}]},'
        ' "migrations": [{"tag": "v1", "new_sqlite_classes": ["Shelf"]}]}'
    )
    classes = set()
    for given in (config, tmp_path, tmp_path / "kit_configured.py"):
        async with testing.runtime(config=given, vars={"CITY": "Oslo"}) as app:
            assert await (await app.fetch("/")).text() == "meOslo"
            await app.env.BOOKS.get_by_name("a").put("Middlemarch")
            classes.add(
                await testing.run_in_durable_object(app.env.BOOKS.get_by_name("a"), lambda i, _: type(i))
            )
    assert len(classes) == 1, "the module is imported once, so that a test may import it too"


async def test_the_worker_is_the_only_one_or_that_named_default():
    class Front(WorkerEntrypoint):
        async def fetch(self, request: Any) -> Response:
            return Response("front")

    async with testing.runtime(Counter, Front) as app:
        assert await (await app.fetch("/")).text() == "front"
    async with testing.runtime(Counter, Room, Front, Default) as app:
        assert (await (await app.fetch("/")).json())["method"] == "GET"
        assert await (await app.exports.Front.fetch("http://x/")).text() == "front"


async def test_what_cannot_be_an_application_is_refused():
    class Nothing:
        pass

    with pytest.raises(TypeError, match="Nothing is neither a DurableObject nor a WorkerEntrypoint"):
        testing.runtime(Nothing)
    with pytest.raises(TypeError, match="is made from classes; got 'app.py'"):
        testing.runtime("app.py")
    with pytest.raises(ConfigError, match="from classes or from a configuration"):
        testing.runtime(Counter, config="app.py")
    with pytest.raises(ConfigError, match=r"nowhere\.py"):
        testing.runtime(config="nowhere.py")


async def test_used_before_its_start_or_after_its_end_it_says_how_to_start_it():
    app = an_app()
    for use in (lambda: app.env, lambda: app.exports, lambda: app.namespace(Counter)):
        with pytest.raises(PerdureError, match="use `async with`"):
            use()
    async with app:
        pass
    with pytest.raises(PerdureError, match="The test runtime is not running"):
        await app.fetch("/")


async def test_entered_twice_it_stops_when_the_last_one_leaves():
    """So a fixture can start it for the test."""
    app = an_app()
    await app.start()
    async with app:
        async with app:
            await app.env.COUNTER.get_by_name("a").hit()
        assert await app.env.COUNTER.get_by_name("a").hit() == 2
    assert not app.is_running


# --- requests ----------------------------------------------------------------------------------------------


@pytest.mark.rows("TEST-04")
async def test_a_request_reaches_the_worker_without_a_port():
    """`exports.default.fetch(...)` is the integration path (TEST-04)."""
    async with an_app() as app:
        assert await (await app.fetch("/hit")).json() == {"n": 1}
        assert await (await app.exports.Default.fetch("http://localhost/hit")).json() == {"n": 2}
        assert await app.exports.Counter.get_by_name("web").hit() == 3
        assert await app.namespace(Counter).get_by_name("web").hit() == 4


async def test_a_body_makes_it_a_post_and_json_says_so():
    async with an_app() as app:
        assert await (await app.fetch("/a?b=c")).json() == {
            "method": "GET",
            "url": "http://localhost/a?b=c",
            "type": None,
            "body": "",
        }
        sent = await (await app.fetch("https://example.com/", json={"a": 1})).json()
        assert sent == {
            "method": "POST",
            "url": "https://example.com/",
            "type": "application/json",
            "body": '{"a":1}',
        }
        sent = await (await app.fetch("/", method="PUT", body="text", headers={"content-type": "x/y"})).json()
        assert (sent["method"], sent["type"], sent["body"]) == ("PUT", "x/y", "text")
        with pytest.raises(TypeError, match="json or body, not both"):
            await app.fetch("/", json=1, body="1")


async def test_what_the_worker_raises_reaches_the_test():
    async with an_app() as app:
        with pytest.raises(LookupError, match="no such page"):
            await app.fetch("/fail")


async def test_files_of_assets_are_served_in_front_of_the_worker(tmp_path: Path):
    """As the server does, whether a configuration or an argument names their folder."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "page.txt").write_text("a page")
    (tmp_path / "kit_with_files.py").write_text(
        "from perdure import Response, WorkerEntrypoint\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response('the worker')\n"
    )
    (tmp_path / "wrangler.json").write_text(
        '{"name": "kit", "main": "kit_with_files.py", "assets": {"directory": "public"}}'
    )
    for app in (testing.runtime(config=tmp_path), an_app(assets=tmp_path / "public")):
        async with app:
            assert await (await app.fetch("/page.txt")).text() == "a page"
            head = await app.fetch("/page.txt", method="HEAD")
            assert (head.status, head.body) == (200, None)
            assert await (await app.fetch("/nothing.txt")).text() != "a page"


async def test_the_answer_to_head_has_no_body():
    """As over HTTP, whatever the worker returns."""

    class Page(WorkerEntrypoint):
        async def fetch(self, request: Any) -> Response:
            return Response("the page", status=201, headers={"x-kind": "page"})

    async with testing.runtime(Page) as app:
        response = await app.fetch("/", method="HEAD")
        assert (response.status, response.headers.get("x-kind"), response.body) == (201, "page", None)
        assert await response.text() == ""


async def test_a_redirect_is_not_followed_and_a_stream_can_be_read():
    async with an_app() as app:
        response = await app.fetch("/away")
        assert (response.status, response.headers["location"]) == (302, "http://localhost/hit")
        assert await (await app.fetch("/stream")).text() == "012"


async def test_the_end_of_the_runtime_ends_requests_in_progress():
    async with an_app() as app:
        waiting = asyncio.ensure_future(app.fetch("/wait"))
        await asyncio.sleep(0)
    assert isinstance(await attempt(waiting), Disconnected)


async def test_a_cron_trigger_is_run_by_hand():
    async with an_app() as app:
        controller = await app.scheduled("0 3 * * *", datetime(2030, 1, 1, tzinfo=UTC))
        assert controller.cron == "0 3 * * *"
        assert await app.env.COUNTER.get_by_name("0 3 * * *").hit() == 2


# --- crash and restart -------------------------------------------------------------------------------------


async def test_a_crash_keeps_what_was_confirmed_and_loses_the_memory():
    async with an_app() as app:
        assert await app.env.COUNTER.get_by_name("a").hit() == 1
        await app.crash()
        assert await app.env.COUNTER.get_by_name("a").hits_in_memory() == 0
        assert await app.env.COUNTER.get_by_name("a").hit() == 2
        await app.crash()
        assert await app.env.COUNTER.get_by_name("a").hit() == 3


async def test_a_crash_fails_what_is_in_progress_and_breaks_connections_off():
    async with an_app() as app:
        call = asyncio.ensure_future(app.env.COUNTER.get_by_name("a").write_and_wait())
        request = asyncio.ensure_future(app.fetch("/wait"))
        ws = await app.websocket("/room/a")
        hibernating = await app.websocket("/room/b")
        await testing.evict_durable_object(app.env.ROOM.get_by_name("b"))
        await app.crash()
        for ended in (call, request):
            assert isinstance(await attempt(ended), Disconnected)
        assert ws.close_code == hibernating.close_code == 1006


async def test_nothing_of_a_killed_process_goes_on():
    ran: list[str] = []

    class Late(DurableObject):
        async def begin(self) -> None:
            try:
                await asyncio.sleep(0.01)
                ran.append("the code after")
            finally:
                self.env.LATE.get_by_name("b").store()

        async def store(self) -> None:
            self.ctx.storage.kv.put("n", 1)

    async with testing.runtime(Late) as app:
        call = asyncio.ensure_future(app.env.LATE.get_by_name("a").begin())
        await asyncio.sleep(0)
        await app.crash()
        await attempt(call)
        await asyncio.sleep(0.02)
        assert ran == []
        assert testing.list_durable_object_ids(app.env.LATE) == []


async def test_an_alarm_survives_a_crash():
    async with an_app() as app:
        await app.env.COUNTER.get_by_name("a").set_alarm(0.0)
        await app.crash()
        stub = app.env.COUNTER.get_by_name("a")
        async with asyncio.timeout(5):
            while not await testing.run_in_durable_object(stub, lambda _, ctx: ctx.storage.kv.get("alarmed")):
                await asyncio.sleep(0)


async def test_a_restart_stops_in_an_orderly_way_and_begins_on_the_same_data():
    async with an_app() as app:
        await app.env.COUNTER.get_by_name("a").hit()
        ws = await app.websocket("/room/a")
        await app.restart()
        assert (await ws.wait_closed())[0] == 1012
        assert await app.env.COUNTER.get_by_name("a").hit() == 2


# --- what is left ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leave", "told"),
    [
        (
            lambda app: app.env.COUNTER.get_by_name("a").set_alarm(),
            r"Counter\(a\) has an alarm at 20.* not run",
        ),
        (lambda app: app.env.COUNTER.get_by_name("a").background(3600), r"Counter\(a\) has a task"),
        (
            lambda app: app.env.COUNTER.get_by_name("a").fail_later(),
            r"nobody awaited this failure: .*ValueError",
        ),
        (
            lambda app: attempt(app.env.COUNTER.get_by_name("a").price()),
            r"network was refused: GET https://api",
        ),
        (lambda app: _begun(app.fetch("/wait")), "1 requests are being answered"),
        (
            lambda app: _begun(app.env.COUNTER.get_by_name("a").write_and_wait()),
            r"a\)\.write_and_wait\(\) has not",
        ),
    ],
)
async def test_a_strict_runtime_fails_the_test_that_leaves_something(leave: Any, told: str):
    async def test(app: testing.Perdure) -> None:
        async with app:
            await leave(app)
            await asyncio.sleep(0)

    with pytest.raises(AssertionError, match=told):
        await test(an_app(strict=True))
    await test(an_app())


async def _begun(awaitable: Any) -> None:
    task = asyncio.ensure_future(awaitable)
    task.add_done_callback(lambda task: task.exception())
    await asyncio.sleep(0)


async def test_a_strict_runtime_leaves_a_failure_of_the_test_alone():
    async def test() -> None:
        async with an_app(strict=True) as app:
            await app.env.COUNTER.get_by_name("a").set_alarm()
            raise KeyError

    with pytest.raises(KeyError):
        await test()


async def test_logs_have_what_the_runtime_told():
    async with an_app() as app:
        await app.env.COUNTER.get_by_name("a").fail_later()
        await until(lambda: app.logs)
        await testing.evict_all_durable_objects()
        failed, evicted = app.logs
        assert (failed.event, failed.label, type(failed.error)) == (
            "background_failed",
            "Counter(a)",
            ValueError,
        )
        assert str(failed) == "background failed Counter(a): ValueError: nobody hears this"
        assert (evicted.event, evicted.label, evicted.error) == ("object_evicted", "Counter(a)", None)
