"""`workers.wsgi`: WSGI applications behind the `fetch` of a worker or an object."""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from contextlib import asynccontextmanager

import flask
import pytest
from support.inside import until

from perdure import testing
from perdure._cloudflare import bridge
from perdure._cloudflare.adapter import ObjectAdapter, WorkerAdapter, adapt
from perdure._cloudflare.bridge import run_sync
from perdure._cloudflare.workers import wsgi
from perdure._cloudflare.workers.entrypoints import DurableObject, WorkerEntrypoint
from perdure._cloudflare.workers.wsgi.django_cf import keep_storages_apart
from perdure.web import Request


@pytest.fixture(autouse=True)
def _bridge():
    bridge.turn_on()
    yield
    bridge.turn_off()


@asynccontextmanager
async def served(app, **env):
    """A worker that is *app*."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await wsgi.fetch(app, request, self.env)

    async with testing.runtime(adapt(Default, WorkerAdapter), vars=env) as running:
        yield running


def answering(*chunks, status="200 OK", headers=()):
    def app(environ, start_response):
        start_response(status, list(headers))
        return list(chunks)

    return app


# --- requests ----------------------------------------------------------------------------------------------


@pytest.mark.members("workers.wsgi.fetch")
async def test_the_environ_tells_the_request():
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    async with served(app, GREETING="hi") as running:
        headers = [
            ("X-Name", "v"),
            ("X-Name", "w"),
            ("Cookie", "a=1"),
            ("Cookie", "b=2"),
            ("Content-Type", "x/y"),
        ]
        await running.fetch("http://a.example:81/%C3%BC%20?x=%20", method="PUT", body=b"12", headers=headers)
    assert seen["REQUEST_METHOD"] == "PUT"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/ü "
    assert seen["QUERY_STRING"] == "x=%20"
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["wsgi.url_scheme"]) == ("a.example", "81", "http")
    assert (seen["HTTP_X_NAME"], seen["HTTP_COOKIE"], seen["CONTENT_TYPE"]) == ("v,w", "a=1; b=2", "x/y")
    assert seen["CONTENT_LENGTH"] == "2"
    assert seen["workers.env"].GREETING == "hi"


@pytest.mark.parametrize("is_on", [True, False], ids=["as it is sent", "read first"])
async def test_a_streamed_body_is_read_as_a_file(is_on):
    if not is_on:
        bridge.turn_off()
    read = []

    def app(environ, start_response):
        file = environ["wsgi.input"]
        read.extend([file.read(4), file.read(1), file.read(), file.read()])
        start_response("200 OK", [])
        return []

    async def sent():
        yield b"abc"
        await asyncio.sleep(0)
        yield b"defgh"

    async with served(app) as running:
        await running.fetch("/", body=sent())
    assert read == [b"abcd", b"e", b"fgh", b""]


async def test_a_body_that_was_read_before_is_an_error_that_says_what_to_do():
    request = Request("http://a.example/", method="POST", body="x")
    await request.text()
    with pytest.raises(TypeError, match=r"request\.clone\(\)"):
        await wsgi.fetch(answering(), request, {})


@pytest.mark.members("workers.wsgi.build_environ", "workers.wsgi.process_request")
async def test_the_steps_can_be_called_by_themselves():
    request = Request("http://a.example/", method="POST", body="x")
    assert wsgi.build_environ(request, {}, b"abc")["wsgi.input"].read() == b"abc"
    answer = wsgi.process_request(answering(b"there"), request, {}, b"abc")
    assert await answer.text() == "there"


# --- responses ---------------------------------------------------------------------------------------------


async def test_a_response_has_status_reason_and_repeated_headers():
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    async with served(answering(b"a", b"", b"b", status="404 Not Here", headers=cookies)) as running:
        answer = await running.fetch("/")
        assert (answer.status, answer.status_text, await answer.text()) == (404, "Not Here", "ab")
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_a_status_without_a_body_has_none(status):
    async with served(answering(b"ignored", status=status)) as running:
        assert await (await running.fetch("/")).bytes() == b""


async def test_a_generator_is_run_as_the_response_is_read_and_may_wait():
    made, closed = [], []

    class Result:
        def __iter__(self):
            for number in range(3):
                made.append(number)
                yield run_sync(asyncio.sleep(0, b"%d" % number))

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response("200 OK", [])
        return Result()

    async with served(app) as running:
        answer = await running.fetch("/")
        assert made == [0]
        assert await answer.text() == "012"
        assert closed == [True]


async def test_a_response_that_is_given_up_is_closed():
    closed = asyncio.Event()

    class Result:
        def __iter__(self):
            while True:
                yield b"more"

        def close(self):
            closed.set()

    def app(environ, start_response):
        start_response("200 OK", [])
        return Result()

    async with served(app) as running:
        answer = await running.fetch("/")
        del answer
        await until(lambda: gc.collect() is not None and closed.is_set())


async def test_a_failure_in_the_middle_of_a_response_cuts_it_off():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        raise LookupError("no such thing")

    async with served(app) as running:
        read = aiter((await running.fetch("/")).body)
        assert await anext(read) == b"one"
        with pytest.raises(LookupError, match="no such thing"):
            await anext(read)


async def test_a_failure_before_the_response_is_the_workers_and_closes():
    closed = []

    class Result(list):
        def close(self):
            closed.append(True)

    def app(environ, start_response):
        return Result()

    async with served(app) as running:
        with pytest.raises(RuntimeError, match=r"did not call start_response\(\)"):
            await running.fetch("/")
    assert closed == [True]


async def test_a_response_may_begin_with_its_first_piece_and_be_written():
    def app(environ, start_response):
        write = start_response("500 Early", [])
        write(b"written ")
        start_response("200 OK", [], exc_info=(LookupError, LookupError(), None))
        yield b"and yielded"

    async with served(app) as running:
        answer = await running.fetch("/")
        assert (answer.status, await answer.text()) == (200, "written and yielded")


async def test_a_response_that_has_begun_cannot_become_another():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        try:
            raise LookupError("no such thing")
        except LookupError:
            start_response("500 Late", [], exc_info=sys.exc_info())
        yield b"two"

    async with served(app) as running:
        with pytest.raises(LookupError, match="no such thing"):
            await (await running.fetch("/")).bytes()


async def test_a_second_start_without_an_error_is_refused():
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    async with served(app) as running:
        with pytest.raises(AssertionError, match="twice"):
            await running.fetch("/")


async def test_a_flask_application_calls_an_object():
    class Counter(DurableObject):
        async def add(self, number):
            total = (await self.ctx.storage.get("total") or 0) + number
            self.ctx.storage.put("total", total)
            return total

    app = flask.Flask("app")

    @app.post("/add")
    def add():
        counter = flask.request.environ["workers.env"].COUNTER.getByName("c")
        return {"total": run_sync(counter.add(flask.request.get_json()["number"]))}

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return await wsgi.fetch(app, request, self.env)

    counter = adapt(Counter, ObjectAdapter)
    async with testing.runtime(
        counter, adapt(Default, WorkerAdapter), bindings={"COUNTER": counter}
    ) as running:
        await running.fetch("/add", json={"number": 2})
        assert await (await running.fetch("/add", json={"number": 3})).json() == {"total": 5}


@pytest.mark.members("workers.wsgi.entrypoint", "workers.wsgi.Options")
async def test_entrypoint_is_a_worker_by_the_name_default():
    user_class = wsgi.entrypoint(answering(b"there"), options=wsgi.Options(encode_body="manual"))
    assert user_class.__name__ == "Default"
    answer = await user_class(None, {}).fetch(Request("http://a.example/"))
    assert await answer.text() == "there"


# --- django-cf ---------------------------------------------------------------------------------------------


async def test_each_object_sees_its_own_storage_through_django_cf(monkeypatch):
    """The package keeps the storage of the object that was made last, for all."""
    package = types.ModuleType("django_cf")
    module = types.ModuleType("django_cf.db.backends.do.storage")
    exec(
        "storage = None\n"
        "def set_storage(db):\n    global storage\n    storage = db\n"
        "def get_storage():\n    return storage\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "django_cf", package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    keep_storages_apart()
    get_storage = module.get_storage  # as others import it

    class Site(DurableObject):
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            module.set_storage(ctx.storage.sql)

        async def write(self, name):
            get_storage().exec("CREATE TABLE names (name TEXT)")
            get_storage().exec("INSERT INTO names VALUES (?)", name)

        async def read(self):
            return get_storage().exec("SELECT name FROM names").one()["name"]

    async with testing.runtime(adapt(Site, ObjectAdapter)) as running:
        one, other = (running.namespace("Site").get_by_name(name) for name in ("one", "other"))
        await one.write("one")
        await other.write("other")
        assert (await one.read(), await other.read()) == ("one", "other")
        await testing.evict_durable_object(one)
        assert (await other.read(), await one.read()) == ("other", "one")
    with pytest.raises(RuntimeError, match="DjangoCFDurableObject"):
        get_storage().exec("SELECT 1")
