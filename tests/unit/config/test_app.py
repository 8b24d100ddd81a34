"""Importing the user's application."""

from __future__ import annotations

import pathlib
import sys

import pytest

from perdure._config.app import load_app
from perdure._config.load import load_project
from perdure._config.problem import ProblemsFound, render


class DurableObject:
    """Stands for perdure's: this layer is given the base classes."""


class WorkerEntrypoint:
    """The other one."""


HEAD = "from test_app_bases import DurableObject, WorkerEntrypoint\n"
WORKER = "class Default(WorkerEntrypoint): pass\n"


@pytest.fixture(autouse=True)
def _an_import_system_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    bases = type(sys)("test_app_bases")
    bases.DurableObject, bases.WorkerEntrypoint = DurableObject, WorkerEntrypoint
    before = set(sys.modules)
    monkeypatch.setitem(sys.modules, "test_app_bases", bases)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def load(text: str | None = None, *, main="the_app.py", config: str | None = None, **files):
    if text is not None:
        pathlib.Path(main).write_text(text)
    for name, content in files.items():
        pathlib.Path(f"{name}.py").write_text(content)
    if config is not None:
        pathlib.Path("wrangler.jsonc").write_text(config)
    project = load_project(main if config is None else ".")
    return load_app(project, object_base=DurableObject, worker_base=WorkerEntrypoint)


def problem_of(*args, **more):
    with pytest.raises(ProblemsFound) as raised:
        load(*args, **more)
    (problem,) = raised.value.problems
    return problem


def configured(*classes, **more):
    import json

    bindings = [{"name": f"B{index}", "class_name": name} for index, name in enumerate(classes)]
    return json.dumps({"main": "the_app.py", "durable_objects": {"bindings": bindings}, **more}, indent=1)


def test_every_class_of_a_bare_file_is_bound():
    """Under its name in UPPER_SNAKE_CASE."""
    app = load(HEAD + WORKER + "class ChatRoom(DurableObject): pass\nclass Hall(DurableObject): pass\n")
    assert {name: cls.__name__ for name, cls in app.bindings.items()} == {
        "CHAT_ROOM": "ChatRoom",
        "HALL": "Hall",
    }
    assert app.worker is app.module.Default
    assert app.problems == ()


def test_classes_of_the_applications_other_modules_are_bound_too():
    """Those of libraries and private ones are not."""
    install_library()
    app = load(
        HEAD + WORKER + "from my_rooms import Room\nfrom test_app_library import Base\n"
        "class _Private(DurableObject): pass\nAlias = Room\n",
        my_rooms=HEAD + "class Room(DurableObject): pass\n",
    )
    assert list(app.bindings) == ["ROOM"]
    assert set(app.modules) == {"the_app", "my_rooms"}


def install_library():
    module = type(sys)("test_app_library")
    module.__file__ = "/usr/lib/python3/dist-packages/library.py"
    module.Base = type("Base", (DurableObject,), {"__module__": "test_app_library"})
    sys.modules["test_app_library"] = module


def test_a_configuration_says_which_classes_are_bound():
    """And under which names; the others stay known."""
    app = load(
        HEAD + WORKER + "class A(DurableObject): pass\nclass B(DurableObject): pass\n", config=configured("B")
    )
    assert {name: cls.__name__ for name, cls in app.bindings.items()} == {"B0": "B"}
    assert set(app.classes) == {"A", "B"}


def test_a_class_bound_under_a_second_name_is_a_class_of_its_own():
    """As an alias export is: both names have objects."""
    app = load(HEAD + WORKER + "class A(DurableObject): pass\nB = A\n", config=configured("A", "B"))
    assert [cls.__name__ for cls in app.bindings.values()] == ["A", "B"]
    assert issubclass(app.bindings["B1"], app.bindings["B0"])


@pytest.mark.rows("MIG-02")
def test_a_bound_class_that_is_not_defined_is_told_with_the_nearest():
    """At its place in the configuration."""
    problem = problem_of(HEAD + WORKER + "class Rooms(DurableObject): pass\n", config=configured("Room"))
    assert problem.code == "config/missing-class"
    assert problem.hint == 'did you mean "Rooms"?'
    assert (problem.file, problem.line) == ("wrangler.jsonc", 7)


def test_a_bound_class_that_is_no_durable_object_is_told():
    """It would fail at its first call."""
    problem = problem_of(HEAD + WORKER + "class Room: pass\n", config=configured("Room"))
    assert problem.code == "config/not-a-durable-object"


def test_all_wrong_classes_are_told_at_once():
    """Not one a run."""
    with pytest.raises(ProblemsFound) as raised:
        load(HEAD + "class Default: pass\nclass Room: pass\n", config=configured("Room", "Hall"))
    assert [problem.code for problem in raised.value.problems] == [
        "config/not-a-durable-object",
        "config/missing-class",
        "app/not-a-worker",
    ]


def test_a_worker_that_does_not_extend_its_base_is_told_at_its_class():
    """With the caret under its name."""
    problem = problem_of(HEAD + "\nclass Default:\n    pass\n")
    assert problem.code == "app/not-a-worker"
    assert (problem.line, problem.column, problem.length) == (3, 7, 7)


def test_an_application_without_a_worker_is_a_warning():
    """It may have objects for another program; the nearest candidate is named."""
    (problem,) = load(HEAD + "class Main(WorkerEntrypoint): pass\n").problems
    assert (problem.severity, problem.code) == ("warning", "app/no-worker")
    assert '"Main"' in problem.hint


def test_two_classes_with_one_binding_name_are_told():
    """`ChatRoom` and `Chat_Room` in one file."""
    text = HEAD + WORKER + "class ChatRoom(DurableObject): pass\nclass Chat_Room(DurableObject): pass\n"
    assert problem_of(text).code == "app/duplicate-binding"


def test_the_folder_of_the_main_file_is_the_import_root():
    """Also when the configuration stands above it."""
    pathlib.Path("src").mkdir()
    pathlib.Path("src/helper_of_app.py").write_text("x = 1\n")
    pathlib.Path("src/the_app.py").write_text(HEAD + WORKER + "import helper_of_app\n")
    pathlib.Path("wrangler.toml").write_text('main = "src/the_app.py"')
    project = load_project(".")
    load_app(project, object_base=DurableObject, worker_base=WorkerEntrypoint)
    assert sys.path[0] == str(pathlib.Path("src").resolve())


@pytest.mark.parametrize("main", ["json.py", "asyncio.py", "pytest.py"])
def test_a_main_file_named_like_another_module_is_refused(main):
    """The imports of everybody else would get it."""
    assert problem_of(HEAD + WORKER, main=main).code == "app/module-name-taken"


# --- what goes wrong in the user's code -----------------------------------------------------------------


def test_a_syntax_error_is_shown_with_its_caret():
    """In the file it is in."""
    problem = problem_of(HEAD + "def f(:\n    pass\n")
    assert problem.code == "app/syntax-error"
    assert (problem.file, problem.line, problem.column) == ("the_app.py", 2, 7)
    assert "def f(:" in render(problem)


def test_an_exception_is_shown_at_the_users_line():
    """With the caret under what failed, and no frame of ours."""
    problem = problem_of(HEAD + "a = 1\nb = a + missing_name\n")
    assert problem.code == "app/import-failed"
    assert problem.message.startswith("NameError: name 'missing_name'")
    assert (problem.line, problem.column, problem.length) == (3, 9, 12)
    assert "_config" not in render(problem)


def test_an_exception_deep_in_the_users_modules_shows_the_way_there():
    """The user's frames only, outermost first."""
    problem = problem_of(HEAD + "import broken_one\n", broken_one="def f():\n    1 / 0\nf()\n")
    assert (problem.file, problem.line) == ("broken_one.py", 2)
    assert problem.trace == (
        "called from, outermost first:",
        "  the_app.py:2  import broken_one",
        "  broken_one.py:3  f()",
    )


def test_an_exception_inside_of_a_library_is_shown_at_the_users_call():
    """The library's frames help nobody."""
    problem = problem_of("import json\nx = json.loads('{')\n")
    assert (problem.file, problem.line) == ("the_app.py", 2)
    assert problem.message.startswith("JSONDecodeError: ")


def test_a_module_that_cannot_be_found_has_a_hint_and_a_help():
    """A near file beside it, or this Python to install into."""
    problem = problem_of("import helpr\n", helper="")
    assert problem.hint == 'did you mean "helper"?'
    assert sys.executable in problem.help


def test_packages_that_are_declared_and_not_installed_are_a_warning():
    """What is imported late would fail only then."""
    pathlib.Path("pyproject.toml").write_text('[project]\ndependencies = ["no-such-package"]\n')
    app = load(HEAD + WORKER)
    assert [problem.code for problem in app.problems] == ["app/missing-packages"]


@pytest.mark.parametrize(
    "text", ["raise SystemExit(3)", "import sys\nsys.exit()", "class E(BaseException): pass\nraise E"]
)
def test_a_module_that_ends_the_program_does_not_end_ours(text):
    """`SystemExit` and other `BaseException`s are failed imports."""
    assert problem_of(text).code == "app/import-failed"


def test_columns_are_counted_in_characters():
    """Tracebacks count bytes."""
    problem = problem_of('x = "äöü" + nope\n')
    assert (problem.column, problem.length) == (13, 4)


def test_a_failed_import_can_be_tried_again():
    """Nothing of the first try stays behind."""
    problem_of("1 / 0\n")
    assert load(HEAD + WORKER).worker is not None


def test_a_class_whose_binding_name_is_a_variable_is_told():
    """`env` can hold one of them."""
    pathlib.Path(".env").write_text("ROOM=x")
    problem = problem_of(HEAD + WORKER + "class Room(DurableObject): pass\n")
    assert problem.code == "app/duplicate-binding"
    assert (problem.line, problem.column) == (3, 7)


# --- services -------------------------------------------------------------------------------------------


def serving(entrypoint, **more):
    service = {"binding": "AUTH", "service": "shop", "entrypoint": entrypoint, **more}
    return configured(name="shop", services=[service])


AUTH = "class Auth(WorkerEntrypoint): pass\n"


@pytest.mark.rows("EP-09")
def test_the_worker_classes_of_the_main_file_are_its_entrypoints():
    """`Default` is one of them; the base and other names of a class are not."""
    app = load(HEAD + WORKER + AUTH + "Also = Auth\n")
    assert app.entrypoints == {"Default": app.module.Default, "Auth": app.module.Auth}


@pytest.mark.rows("EP-09")
def test_a_service_names_a_worker_class_of_the_main_file():
    """That is all it needs."""
    assert load(HEAD + WORKER + AUTH, config=serving("Auth")).problems == ()


@pytest.mark.rows("EP-09")
def test_a_service_whose_class_is_not_defined_is_told_with_the_nearest():
    """At its place in the configuration."""
    problem = problem_of(HEAD + WORKER + AUTH, config=serving("Aut"))
    assert problem.code == "config/missing-class"
    assert problem.hint == 'did you mean "Auth"?'
    assert '"entrypoint": "Aut"' in problem.source


@pytest.mark.rows("EP-01")
def test_a_service_that_names_an_object_class_is_told_where_it_belongs():
    """A service is stateless."""
    problem = problem_of(HEAD + WORKER + "class Room(DurableObject): pass\n", config=serving("Room"))
    assert problem.code == "config/not-a-worker"
    assert problem.help == 'bind it under "durable_objects"'


def test_a_service_that_names_another_class_is_told_what_to_extend():
    """As for `Default`."""
    problem = problem_of(HEAD + WORKER + "class Auth: pass\n", config=serving("Auth"))
    assert problem.help == "write `class Auth(WorkerEntrypoint)` in the_app.py"
