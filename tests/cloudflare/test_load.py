"""How a project is loaded: its exports, old handlers, and what is said of mistakes."""

from __future__ import annotations

import json
import sys

import pytest

from perdure import testing
from perdure._cloudflare import hooks
from perdure._config.problem import ProblemsFound, errors

CONFIG = {
    "name": "made",
    "main": "src/made_entry.py",
    "compatibility_date": "2026-01-20",
    "compatibility_flags": ["python_workers"],
}
OBJECTS = {
    "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]},
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}],
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return what makes a project's folder: `made(text, **configuration)`, or with further files."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def make(text, files=(), **config):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "wrangler.json").write_text(json.dumps({**CONFIG, **config}))
        (tmp_path / "src/made_entry.py").write_text(text)
        for name, content in dict(files).items():
            (tmp_path / "src" / name).write_text(content)
        return tmp_path

    yield make
    hooks.uninstall()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def problems(folder):
    """Return the text of each mistake in the project in *folder*."""
    with pytest.raises(ProblemsFound) as caught:
        testing.runtime(config=folder)
    return [
        " ".join(filter(None, (found.message, found.hint, found.help)))
        for found in errors(caught.value.problems)
    ]


async def answer(folder, path="/"):
    async with testing.runtime(config=folder) as app:
        return await (await app.fetch(path)).text()


async def test_a_class_of_another_module_is_exported(made):
    """`from room import Room` in the main module is enough; the main module's folder is the import root."""
    folder = made(
        "from workers import WorkerEntrypoint, Response\nfrom made_room import Room\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response(await self.env.ROOM.getByName('a').who())\n",
        {
            "made_room.py": "from workers import DurableObject\n"
            "class Room(DurableObject):\n    async def who(self):\n        return self.ctx.id.name\n"
        },
        **OBJECTS,
    )
    assert await answer(folder) == "a"


async def test_env_is_read_at_the_top_of_a_module(made):
    """Variables have their values there; a default stands for what is missing."""
    folder = made(
        "from workers import WorkerEntrypoint, Response, env\n"
        "WORD = env.WORD\nOTHER = getattr(env, 'OTHER', 'none')\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n        return Response(WORD + OTHER)\n",
        vars={"WORD": "early "},
    )
    assert await answer(folder) == "early none"


@pytest.mark.parametrize(
    ("date", "flags", "warned"),
    [
        ("2025-01-01", [], False),
        ("2026-01-01", ["disable_python_no_global_handlers"], False),
        ("2026-01-01", [], True),
    ],
)
async def test_functions_were_workers_once(made, date, flags, warned):
    """`on_fetch(request, env, ctx)` answers; where Cloudflare would not call it any more, that is a warning."""
    from perdure import application
    from perdure._config.load import load_project

    folder = made(
        "from workers import Response, handler\n"
        "@handler\nasync def on_fetch(request, env):\n    return Response(f'{request.method} {env.WORD}')\n"
        "async def on_scheduled(controller, env, ctx):\n    print(controller.cron)\n",
        vars={"WORD": "hello"},
        compatibility_date=date,
        compatibility_flags=["python_workers", *flags],
    )
    assert await answer(folder) == "GET hello"
    app = application.load(load_project(str(folder)))
    assert [found.code for found in app.problems] == (["app/global-handlers"] if warned else [])


@pytest.mark.members("workers.handler")
@pytest.mark.parametrize(
    ("decorator", "expression", "seen"),
    [("", "(await request.json()).name", "ann"), ("@handler\n", '(await request.json())["name"]', "ann")],
)
async def test_an_old_function_gets_javascripts_request_unless_it_is_marked(
    made, decorator, expression, seen
):
    """`@handler` makes the request one of the SDK's."""
    folder = made(
        "from workers import Response, Request, handler\n"
        f"{decorator}async def on_fetch(request):\n"
        f"    return Response(f'{{isinstance(request, Request)}} {{{expression}}}')\n",
        compatibility_date="2025-01-01",
    )
    async with testing.runtime(config=folder) as app:
        response = await app.fetch("/", json={"name": "ann"})
        assert await response.text() == f"{bool(decorator)} {seen}"


async def test_a_class_comes_before_functions(made):
    """With `Default` there, `on_fetch` is a function like any other."""
    folder = made(
        "from workers import Response, WorkerEntrypoint\n"
        "def on_fetch(request):\n    return Response('function')\n"
        "class Default(WorkerEntrypoint):\n    def fetch(self):\n        return Response('class')\n"
    )
    assert await answer(folder) == "class"


async def test_a_worker_under_two_names_is_one(made):
    """`Default = Api` makes Api the worker."""
    folder = made(
        "from workers import Response, WorkerEntrypoint\n"
        "class Api(WorkerEntrypoint):\n    def fetch(self):\n        return Response(type(self).__name__)\n"
        "Default = Api\n"
    )
    assert await answer(folder) == "Api"


async def test_a_project_has_no_public_name_of_perdures_in_its_modules(made):
    """Code that looks for Cloudflare finds it: `try: from workers import env`."""
    folder = made(
        "from workers import Response, WorkerEntrypoint\n"
        "try:\n    import js, pyodide, asgi, _pyodide_entrypoint_helper, _cloudflare_compat_flags as flags\nexcept ImportError:\n    js = None\n"
        "class Default(WorkerEntrypoint):\n"
        "    def fetch(self):\n        return Response(f'{js is not None} {flags.python_workers} {flags.other}')\n"
    )
    assert await answer(folder) == "True True False"


# --- mistakes -------------------------------------------------------------------------------------------


def test_a_missing_class_is_named(made):
    """With what is meant, if something looks like it."""
    (text,) = problems(
        made("from workers import DurableObject\nclass Rom(DurableObject):\n    pass\n", **OBJECTS)
    )
    assert 'class "Room" is bound but not defined in' in text
    assert "Rom" in text


def test_a_class_without_the_base_is_named(made):
    """A bound class has to extend DurableObject."""
    (text,) = problems(made("class Room:\n    pass\n", **OBJECTS))
    assert 'class "Room" is bound, but does not extend DurableObject' in text


def test_a_binding_that_is_not_configured_is_named_when_it_is_used(made):
    """The error of a request says what env has."""
    import asyncio

    folder = made(
        "from workers import Response, WorkerEntrypoint\n"
        "class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n        return self.env.ROMO.getByName('a')\n",
        vars={"WORD": "x"},
    )
    with pytest.raises(AttributeError, match="env has no binding or variable 'ROMO'; it has WORD"):
        asyncio.run(answer(folder))


def test_a_name_that_workers_does_not_have_is_named(made):
    """A failing import is told with its line."""
    (text,) = problems(made("from workers import NoSuchThing\n"))
    assert "cannot import name 'NoSuchThing' from 'perdure._cloudflare.workers'" in text


def test_a_module_that_is_not_supplied_is_answered_with_those_that_are(made):
    """The flag is set already, and a file that is called alike is not meant."""
    (text,) = problems(made("import workers.nothing\n", files=[("worker.py", "")]))
    assert "No module named 'workers.nothing'" in text
    assert '"workers" is supplied here with the modules asgi, blob, entrypoints,' in text
    assert "did you mean" not in text


@pytest.mark.members("workers.workflows.NonRetryableError")
async def test_a_project_with_a_workflow_starts(made):
    """What its file imports is there; its binding says at use that workflows need Cloudflare's platform."""
    folder = made(
        "from workers import Response, WorkerEntrypoint, WorkflowEntrypoint\n"
        "from workers.workflows import NonRetryableError\n"
        "class Report(WorkflowEntrypoint):\n"
        "    async def run(self, event, step):\n        raise NonRetryableError('no')\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n        await self.env.REPORT.create()\n",
        workflows=[{"name": "report", "binding": "REPORT", "class_name": "Report"}],
    )
    with pytest.raises(Exception, match="env.REPORT is bound to Workflows, which is not here"):
        await answer(folder)


def test_without_the_flag_the_flag_is_named(made):
    """A project that imports `workers` is told what makes it a project for Python Workers."""
    (text,) = problems(made("from workers import Response\n", compatibility_flags=[]))
    assert '"compatibility_flags": ["python_workers"]' in text


@pytest.mark.parametrize(
    "shown",
    [
        "from made_room import Room as Chat",
        "from made_room import Room as _Room\n__all__ = ['_Room', 'Default']",
    ],
)
async def test_a_class_is_exported_by_its_own_name(made, shown):
    """Whatever the main module calls it."""
    folder = made(
        f"from workers import WorkerEntrypoint, Response\n{shown}\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        return Response(await self.env.ROOM.getByName('a').who())\n",
        {
            "made_room.py": "from workers import DurableObject\n"
            "class Room(DurableObject):\n    async def who(self):\n        return self.ctx.id.name\n"
        },
        **OBJECTS,
    )
    assert await answer(folder) == "a"
