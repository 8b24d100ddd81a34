"""`perdure types`: what is written of `env` and of classes, and when it is stale."""

from __future__ import annotations

import ast
import pathlib
import shutil
import sys
import typing

import pytest
from support import typed_app

from perdure._cli.env_types import env_types
from perdure._cli.main import run_command
from perdure._cli.types import _is_target, _reach
from perdure._cli.typescript import typescript

CONFIG = """{
  "name": "hall", "main": "app.py",
  "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]},
  "services": [{"binding": "AUTH", "service": "hall", "entrypoint": "Auth"}],
  "vars": {"GREETING": "hi", "SIZE": 3, "RATES": [1, 0.5], "TABLE": {"a": 1}, "my-var": true},
  "env": {"test": {"vars": {"ONLY_HERE": "x"}}}
}
"""


@pytest.fixture(autouse=True)
def application(tmp_path, monkeypatch):
    """The folder of an application, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    shutil.copyfile(typed_app.__file__, "app.py")
    pathlib.Path("wrangler.jsonc").write_text(CONFIG)
    before = set(sys.modules)
    yield tmp_path
    forget(before)


def forget(before):
    for name in set(sys.modules) - before:
        if name == "app":
            del sys.modules[name]


def run(*arguments):
    """One command, as in a process of its own."""
    before = set(sys.modules)
    try:
        return run_command(["types", *arguments])
    finally:
        forget(before)


# --- env ------------------------------------------------------------------------------------------------


def test_env_has_every_binding_and_variable(capsys):
    """Objects are namespaces, services the class, variables their type; no value is in the file."""
    assert run("-o", "-") == 0
    text = capsys.readouterr().out
    assert text == (
        '"""What `env` holds, for type checkers. Written by `perdure types` from wrangler.jsonc: run it again when that changes."""\n'
        """
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from perdure import Namespace

    import app


class Env(Protocol):
    \"\"\"Bindings and variables.\"\"\"

    ROOM: Namespace[app.Room]
    AUTH: app.Auth
    GREETING: str
    SIZE: int
    RATES: list[float | int]
    TABLE: dict[str, Any]
    # env['my-var']: bool
"""
    )


def test_an_environment_has_its_own(capsys):
    """As everywhere, bindings and variables are not inherited."""
    assert run("--env", "test", "--var", "SECRET:x", "-o", "-") == 0
    text = capsys.readouterr().out
    assert "    ONLY_HERE: str\n    SECRET: str\n" in text
    assert "GREETING" not in text


def test_without_a_configuration_each_class_is_bound(capsys):
    """And the origin is the application's file."""
    pathlib.Path("wrangler.jsonc").unlink()
    assert run("app.py", "-o", "-") == 0
    text = capsys.readouterr().out
    assert "from app.py: run it" in text
    assert "    ROOM: Namespace[app.Room]\n" in text


def test_variables_of_files_are_in_it(capsys):
    """Secrets of `.dev.vars` by name and type."""
    pathlib.Path(".dev.vars").write_text("TOKEN=secret\n")
    assert run("-o", "-") == 0
    text = capsys.readouterr().out
    assert "    TOKEN: str\n" in text
    assert "secret" not in text


def written(**more):
    given = {"objects": [], "services": [], "variables": {}, **more}
    text = env_types("wrangler.jsonc", given.pop("module", "app"), **given)
    ast.parse(text)
    return text


def test_an_empty_env_is_a_class_too():
    assert written().endswith('    """Bindings and variables."""\n\n    # none\n')


def test_other_bindings_have_the_classes_of_perdure():
    """What nothing is behind here may be anything."""
    text = written(
        objects=[("ROOM", "Room")], own=[("A", "KvNamespace"), ("B", "KvNamespace")], absent=["AI"]
    )
    assert "    from perdure import KvNamespace, Namespace\n" in text
    assert "    ROOM: Namespace[app.Room]\n    A: KvNamespace\n    B: KvNamespace\n    AI: Any\n" in text


def test_a_module_that_cannot_be_imported_by_name_leaves_any():
    """`my-app.py` can be run, and no Python file can import it."""
    text = written(module="my-app", objects=[("ROOM", "Room")], services=[("AUTH", "Auth")])
    assert "    ROOM: Namespace[Any]\n    AUTH: Any\n" in text
    assert "import my-app" not in text


def test_a_binding_may_have_the_name_of_its_class():
    """Inside of the class `Env` the name means the binding, so that the class is told by its module."""
    text = written(objects=[("Room", "Room")])
    holder: dict[str, typing.Any] = {}
    exec(text, holder)
    assert holder["Env"].__annotations__ == {"Room": "Namespace[app.Room]"}


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (None, "None"),
        (True, "bool"),
        ([], "list[Any]"),
        ([[1], "x"], "list[list[int] | str]"),
        (object(), "Any"),
    ],
)
def test_a_variable_has_the_type_of_its_value(value, annotation):
    assert f"    V: {annotation}\n" in written(variables={"V": value})


# --- TypeScript -----------------------------------------------------------------------------------------


def declared(*classes):
    return typescript("app.py", classes, reach=_reach, is_target=_is_target)


ROOM = """
/** A room. */
export interface Room extends RpcTarget {
  /**
   * Say it.
   *
   * Returns how many heard it.
   */
  say(text: string, by?: number | bigint): Promise<number>;
  seats(...names: string[]): Promise<Seat[]>;
  sit(seat: SeatInput, named?: { "**": { at?: Date | null } }): Promise<void>;
  listen(callback: (a0: Seat, a1: number) => void | Promise<void>): Promise<Subscription>;
  point(p: PointInput, o: Options, q: PairInput, mode: "a" | 1): Promise<Record<string, Point>>;
  mixed(): Promise<[number, string, Uint8Array]>;
  stream(): Promise<ReadableStream<Uint8Array>>;
  anything(default_: any, x: any, y?: any): Promise<any>;
  ids(u: string | null, s: (number | bigint)[]): Promise<Pair>;
  tree(t: TreeInput, u: User): Promise<Tree>;
  /** How many are in it. */
  readonly size: number;
}
"""


def test_a_class_is_what_its_clients_reach():
    """Public methods and properties with their types and docstrings; no handler, nothing private."""
    assert ROOM in declared(typed_app.Room)


@pytest.mark.parametrize(
    "text",
    [
        "/** What may be given for a Seat. */\nexport interface SeatInput {\n  row: string;\n  number?: number;\n  colour?: Colour;\n}\n",
        "/**\n * A place.\n *\n * In a row. *\\/\n */\nexport interface Seat {\n  row: string;\n  number: number;\n  colour: Colour;\n}\n",
        'export type Colour = "r" | "g";\n',
        "export interface PointInput {\n  xAxis: number;\n  seats?: SeatInput[];\n}\n",
        "\nexport interface Options {\n  size?: number;\n}\n",
        "\nexport type Pair = [left: number, right: string];\n",
        "export type PairInput = [left: number, right?: string];\n",
        "\nexport interface User {\n  name: string;\n}\n",
        "export interface TreeInput {\n  children?: TreeInput[];\n}\n",
        "\nexport interface Subscription extends RpcTarget {\n  /** Hear no more. */\n  end(): Promise<void>;\n}\n",
    ],
    ids=lambda text: text.split("export ")[1].split(" ")[1],
)
def test_what_the_methods_mention_comes_along(text):
    """What is given may leave out what has a default; what comes back has all of it."""
    assert text in declared(typed_app.Room)


def test_two_classes_of_one_name_have_two():
    one = type("Hall", (typed_app.Room,), {})
    other = type("Hall", (typed_app.Auth,), {})
    text = declared(one, other)
    assert "interface Hall extends" in text
    assert "interface Hall2 extends" in text


def test_the_application_s_classes_are_declared(capsys):
    """Objects, workers with methods, and targets; a worker that only answers requests is none of them."""
    assert run("--ts", "-o", "-") == 0
    text = capsys.readouterr().out
    assert [name for name in ("Room", "Auth", "Subscription", "Default") if f"interface {name} " in text] == [
        "Room",
        "Auth",
        "Subscription",
    ]


# --- files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "name"), [((), "env.pyi"), (("--ts",), "api.d.ts")])
def test_the_file_is_written_beside_the_application(arguments, name, application, monkeypatch, capsys):
    """Wherever the command is called."""
    (application / "elsewhere").mkdir()
    monkeypatch.chdir(application / "elsewhere")
    assert run("..", *arguments) == 0
    assert "class Env" in (application / name).read_text() or "interface" in (application / name).read_text()
    assert capsys.readouterr().out == f"wrote {application / name}\n"
    assert run("..", *arguments, "--check") == 0


def test_a_file_that_is_there_is_replaced():
    pathlib.Path("other.py").write_text("was here")
    assert run("-o", "other.py") == 0
    assert "was here" not in pathlib.Path("other.py").read_text()
    assert sorted(path.name for path in pathlib.Path().iterdir() if path.is_file()) == [
        "app.py",
        "other.py",
        "wrangler.jsonc",
    ]


def test_check_tells_the_first_line_that_is_stale(capsys):
    """With exit code 1, and nothing is written."""
    run()
    file = pathlib.Path("wrangler.jsonc")
    file.write_text(file.read_text().replace('"SIZE": 3', '"SIZE": "3"'))
    stale = pathlib.Path("env.pyi").read_text()
    capsys.readouterr()
    assert run("--check") == 1
    assert capsys.readouterr().err == (
        "error[types/stale]: env.pyi is not what the application says any more\n"
        "  --> env.pyi:19:5\n"
        "  19 |     SIZE: int\n"
        "     |     ^^^^^^^^^ now: SIZE: str\n"
        "  = help: `perdure types` writes it anew\n"
    )
    assert pathlib.Path("env.pyi").read_text() == stale


@pytest.mark.parametrize(
    ("change", "hint"),
    [(lambda text: text[:-20], "now: "), (lambda text: text + "x = 1\n", "now nothing stands here")],
)
def test_check_sees_a_line_too_few_or_too_many(change, hint, capsys):
    run()
    pathlib.Path("env.pyi").write_text(change(pathlib.Path("env.pyi").read_text()))
    assert run("--check") == 1
    assert hint in capsys.readouterr().err


def test_check_of_a_file_that_is_not_there_says_what_writes_it(capsys):
    assert run("--ts", "--check") == 1
    shown = capsys.readouterr().err
    assert "error[types/missing]: there is no api.d.ts" in shown
    assert "`perdure types --ts` writes it" in shown


@pytest.mark.parametrize(
    ("arguments", "code"), [((), "cli/cannot-write"), (("--check",), "types/unreadable")]
)
def test_a_file_that_cannot_be_used_is_a_problem(arguments, code, capsys):
    """A folder in its place."""
    pathlib.Path("there").mkdir()
    assert run("-o", "there", *arguments) == 1
    assert f"error[{code}]" in capsys.readouterr().err


def test_a_mistake_of_the_configuration_is_told_as_always(capsys):
    pathlib.Path("wrangler.jsonc").write_text(CONFIG.replace('"Room"', '"Rom"'))
    assert run() == 1
    assert 'did you mean "Room"?' in capsys.readouterr().err
    assert not pathlib.Path("env.pyi").exists()
