"""Finding the files of a project, and what they come to."""

from __future__ import annotations

import json
import pathlib

import pytest

from perdure._config.load import load_project, read_record
from perdure._config.problem import ProblemsFound
from perdure._config.record import Record
from perdure.errors import DataFolderError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(files: dict[str, object]) -> None:
    for name, content in files.items():
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def problem_of(*args, **more):
    with pytest.raises(ProblemsFound) as raised:
        load_project(*args, **more)
    (problem,) = raised.value.problems
    return problem


def test_a_python_file_needs_no_configuration():
    """Its stem is the project's name; every class is bound."""
    write({"my_shop.py": ""})
    project = load_project("my_shop.py")
    assert (project.name, project.bindings) == ("my-shop", None)
    assert project.main == pathlib.Path.cwd() / "my_shop.py"
    assert project.default_data == pathlib.Path.cwd() / ".perdure"


def test_a_file_that_the_configuration_beside_it_names_is_run_with_it():
    """Else the bindings would silently be others."""
    write({"app.py": "", "other.py": "", "wrangler.json": {"name": "shop", "main": "app.py"}})
    assert load_project("app.py").name == "shop"
    assert load_project("other.py").name == "other"


def test_a_broken_configuration_beside_a_file_that_does_not_need_it_is_no_matter():
    """A bare file is run without it."""
    write({"app.py": "", "wrangler.json": "{"})
    assert load_project("app.py").name == "app"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wrangler.jsonc", '// x\n{"name": "shop", "main": "src/app.py",}'),
        ("wrangler.json", {"name": "shop", "main": "src/app.py"}),
        ("wrangler.toml", 'name = "shop"\nmain = "src/app.py"'),
        ("pyproject.toml", '[project]\nname = "x"\n[tool.perdure]\nname = "shop"\nmain = "src/app.py"'),
    ],
)
def test_a_folder_is_run_by_its_configuration(name, content):
    """Four kinds of file with the same keys; the folder may be any."""
    write({f"p/{name}": content, "p/src/app.py": ""})
    for given in ("p", f"p/{name}"):
        project = load_project(given)
        assert project.name == "shop"
        assert project.main == pathlib.Path.cwd() / "p/src/app.py"
        assert project.root == pathlib.Path.cwd() / "p"


def test_a_pyproject_gives_the_name_of_the_package():
    """When `[tool.perdure]` has none."""
    write({"pyproject.toml": '[project]\nname = "pack"\n[tool.perdure]\nmain = "app.py"', "app.py": ""})
    assert load_project(".").name == "pack"


def test_a_folder_without_configuration_is_run_by_its_app_py():
    """Or main.py."""
    write(
        {"a/main.py": "", "b/main.py": "", "b/app.py": "", "b/pyproject.toml": "[project]\nname = 'perdure'"}
    )
    assert load_project("a").main.name == "main.py"
    assert load_project("b").main.name == "app.py"


def test_an_empty_folder_is_told_what_to_do():
    """Name the file, or begin one."""
    pathlib.Path("x").mkdir()
    assert "perdure init" in problem_of("x").help
    write({"x/server.py": ""})
    problem = problem_of("x")
    assert problem.code == "config/nothing-to-run"
    assert problem.help == "name the file: x/server.py"


def test_of_several_configurations_one_counts_and_the_others_are_told():
    """In the order of Cloudflare's tool."""
    write({"wrangler.toml": 'name = "t"\nmain = "app.py"', "wrangler.json": {"name": "j", "main": "app.py"}})
    write({"app.py": ""})
    project = load_project(".")
    assert project.name == "j"
    assert [problem.code for problem in project.warnings] == ["config/several-files"]


def test_a_configuration_can_be_named():
    """Its own folder is what its paths are relative to."""
    write({"conf/a.jsonc": {"name": "a", "main": "../app.py"}, "app.py": "", "wrangler.json": {}})
    project = load_project(".", config="conf/a.jsonc")
    assert project.name == "a"
    assert project.main.resolve() == pathlib.Path.cwd() / "app.py"


@pytest.mark.parametrize(
    ("given", "code", "hint"),
    [
        ("ap.py", "config/missing-file", 'did you mean "app.py"?'),
        ("nowhere", "config/missing-file", None),
        ("notes.txt", "config/not-python", None),
        ("wrangler.yml", "config/missing-file", 'did you mean "wrangler.toml"?'),
    ],
)
def test_a_path_that_names_nothing_is_told(given, code, hint):
    """With the nearest file there is."""
    write({"app.py": "", "notes.txt": "", "wrangler.toml": ""})
    problem = problem_of(given)
    assert (problem.code, problem.hint) == (code, hint)


def test_a_named_configuration_that_is_not_there_is_told():
    """Not silently another one."""
    write({"app.py": ""})
    assert problem_of(".", config="x.toml").code == "config/missing-file"


def test_a_main_file_that_is_not_there_is_told_at_its_key():
    """With the nearest file beside it."""
    write({"wrangler.jsonc": '{\n  "main": "ap.py"\n}', "app.py": ""})
    problem = problem_of(".")
    assert (problem.file, problem.line, problem.column) == ("wrangler.jsonc", 2, 11)
    assert problem.hint == 'did you mean "app.py"?'


def test_an_environments_own_key_is_what_is_pointed_at():
    """Not the inherited one."""
    write({"wrangler.toml": 'main = "app.py"\n[env.x]\nmain = "no.py"\n', "app.py": ""})
    problem = problem_of(".", environment="x")
    assert (problem.line, problem.column) == (3, 8)


def test_a_folder_of_assets_that_is_not_there_is_told():
    """At its key."""
    write({"wrangler.toml": 'main = "app.py"\n[assets]\ndirectory = "public"\n', "app.py": ""})
    problem = problem_of(".")
    assert problem.message == "there is no folder public"
    assert (problem.line, problem.column) == (3, 13)


ASSETS = {"wrangler.jsonc": {"main": "app.py", "assets": {"directory": "public"}}, "app.py": ""}


@pytest.mark.parametrize("name", ["_redirects", "_headers"])
def test_a_line_of_rules_that_is_none_is_a_warning(name):
    """At its place in the file; the application starts."""
    write({**ASSETS, f"public/{name}": "# fine\n\n  nonsense \n"})
    (problem,) = load_project().warnings
    assert (problem.code, problem.severity) == ("config/invalid-rule", "warning")
    assert (problem.file, problem.line, problem.source) == (f"public/{name}", 3, "  nonsense ")


def test_code_among_the_files_that_are_served_is_a_warning():
    """Everybody could read it."""
    write({"wrangler.jsonc": {"main": "app.py", "assets": {"directory": "."}}, "app.py": ""})
    (problem,) = load_project().warnings
    assert problem.code == "config/code-is-served"


def test_a_configuration_that_is_no_table_is_told():
    """A list, for instance."""
    write({"wrangler.json": "[]"})
    assert problem_of(".").message == "a configuration must be a table {…}"


def test_a_configuration_that_is_not_utf8_is_told():
    """No decoder's traceback."""
    pathlib.Path("wrangler.json").write_bytes(b"\xff\xfe{")
    assert problem_of(".").code == "config/syntax"


def test_an_environment_needs_a_configuration():
    """A bare file has none."""
    write({"app.py": ""})
    problem = problem_of("app.py", environment="prod")
    assert problem.code == "config/unknown-environment"


# --- variables ------------------------------------------------------------------------------------------

BASE = {
    "app.py": "",
    "wrangler.json": {"main": "app.py", "vars": {"A": "conf", "B": "conf", "C": "conf", "D": 1}},
}


SECRETS = {"app.py": "", "wrangler.jsonc": {"main": "app.py", "secrets": {"required": ["A", "B"]}}}


def test_required_secrets_come_from_files_then_the_environment(monkeypatch):
    """These and no others: what else the files have stays out."""
    monkeypatch.setenv("A", "process")
    monkeypatch.setenv("B", "process")
    monkeypatch.setenv("C", "process")
    write({**SECRETS, ".dev.vars": "A=file\nC=file"})
    assert load_project().vars == {"A": "file", "B": "process"}


def test_a_required_secret_that_is_not_set_is_a_warning(monkeypatch):
    """It is told with its name; `--var` sets one too."""
    for name in "AB":
        monkeypatch.delenv(name, raising=False)
    write(SECRETS)
    (problem,) = load_project(variables=["A:1"]).warnings
    assert (problem.code, problem.severity) == ("config/missing-secret", "warning")
    assert problem.message == '"B" is required, and not set'
    assert problem.line is not None


def test_variables_come_from_the_command_line_then_dev_vars_then_env_then_the_configuration():
    """The later one wins."""
    write({**BASE, ".env": "A=env\nB=env\nC=env", ".dev.vars": "A=dev\nB=dev"})
    project = load_project(".", variables=["A:given", "E:x:y"])
    assert project.vars == {"A": "given", "B": "dev", "C": "env", "D": 1, "E": "x:y"}


def test_an_environment_has_its_own_files_of_variables():
    """Its `.dev.vars` replaces the common one; its `.env` wins over it."""
    files = {".env": "A=1\nB=1", ".env.prod": "B=2", ".dev.vars": "C=3", ".dev.vars.prod": "D=4"}
    write({"app.py": "", "wrangler.json": {"main": "app.py", "env": {"prod": {}}}, **files})
    assert load_project(".", environment="prod").vars == {"A": "1", "B": "2", "D": "4"}
    assert load_project(".").vars == {"A": "1", "B": "1", "C": "3"}


def test_files_of_variables_are_among_those_that_are_watched():
    """A change of them reloads."""
    write({**BASE, ".env": "A=env"})
    assert {path.name for path in load_project(".").watched} == {"wrangler.json", ".env"}


def test_a_mistake_in_a_file_of_variables_is_told_with_its_place():
    """In the same form as all others."""
    write({**BASE, ".dev.vars": "A=1\noops\n"})
    problem = problem_of(".")
    assert (problem.file, problem.line) == (".dev.vars", 2)


@pytest.mark.parametrize("given", ["A", ":x", ""])
def test_a_variable_of_the_command_line_is_name_colon_value(given):
    """A usage mistake."""
    write(BASE)
    assert problem_of(".", variables=[given]).code == "usage/var"


def test_a_variable_with_the_name_of_a_binding_is_told():
    """Wherever it comes from."""
    write({"app.py": "", "wrangler.json": {"main": "app.py", "durable_objects": {"bindings": []}}})
    bindings = [{"name": "ROOM", "class_name": "Room"}]
    write({"wrangler.json": {"main": "app.py", "durable_objects": {"bindings": bindings}}})
    assert problem_of(".", variables=["ROOM:x"]).code == "config/duplicate-binding"


# --- the record -----------------------------------------------------------------------------------------


def test_a_folder_without_a_record_is_a_fresh_one(tmp_path):
    """And a folder that is not there yet."""
    assert read_record(tmp_path / "classes.json") == Record()
    assert read_record(tmp_path / "none" / "classes.json") == Record()


def test_a_damaged_record_is_not_taken_for_a_fresh_one(tmp_path):
    """Every object would be orphaned."""
    (tmp_path / "classes.json").write_text("{")
    with pytest.raises(DataFolderError):
        read_record(tmp_path / "classes.json")
