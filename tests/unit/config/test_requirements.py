"""What a project needs to have installed, and what is said when it is not."""

from __future__ import annotations

import importlib
import sys

import pytest

from perdure._config import requirements
from perdure._config.requirements import declared, import_help, install_command, missing, missing_packages


@pytest.fixture
def project(tmp_path):
    """Writes files of a project and returns its folder."""

    def write(**files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        return tmp_path

    return write


def test_requirements_come_from_pyproject_its_group_and_older_files(project):
    root = project(
        pyproject_toml='[project]\ndependencies = ["fastapi>=0.100", "pydantic"]\n'
        '[dependency-groups]\nworkers = ["httpx", {include-group = "dev"}]\ndev = ["pytest"]\n',
        requirements_txt="# comment\njinja2==3.1  # for pages\n-r other.txt\n\ngit+https://a.example/x\n./local\n"
        "rich==14.0 \\\n    --hash=sha256:12 \\\n    --hash=sha256:34\nattrs-strict>=1 --hash=sha256:56\n",
    )
    assert declared(root) == [
        *("fastapi>=0.100", "pydantic", "httpx", "jinja2==3.1"),
        *("rich==14.0", "attrs-strict>=1"),
    ]


@pytest.mark.parametrize(
    "text",
    ["no toml [", "[project]\ndependencies = 1\n", "project = 1\n", '[project]\ndependencies = [1, "!"]\n'],
)
def test_what_is_wrong_there_is_nothing_to_fail_for(project, text):
    assert declared(project(pyproject_toml=text)) == []


def test_missing_are_those_that_are_not_installed_here(project):
    root = project(
        pyproject_toml='[project]\ndependencies = ["Click", "no_such.package[x]>=1", "workers-py", "pyodide-http", '
        "\"also-not-there; sys_platform == 'emscripten'\"]\n"
    )
    assert missing(root) == ["no_such.package[x]>=1"]


def test_the_warning_has_the_command_that_installs_them(project):
    root = project(pyproject_toml='[project]\ndependencies = ["no-such-package>=1", "no-other"]\n')
    (problem,) = missing_packages(root)
    assert problem.severity == "warning"
    assert "needs no-such-package, no-other" in problem.message
    assert problem.help == f"{sys.executable} -m pip install 'no-such-package>=1' no-other"
    assert missing_packages(project(pyproject_toml="")) == []


def test_an_environment_of_uv_has_no_pip(monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    assert install_command(["fastapi"]) == f"uv pip install --python {sys.executable} fastapi"


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("fastapi", "pip install 'fastapi[standard]>=0.100'"),
        ("yaml", "pip install pyyaml"),
        ("other", 'pip install other, or put "other.py" beside entry.py'),
    ],
)
def test_a_failed_import_is_answered_with_what_installs_it(project, module, command):
    root = project(pyproject_toml='[project]\ndependencies = ["fastapi[standard]>=0.100"]\n')
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert command in import_help(error, root / "src/entry.py", root)


def test_a_package_that_is_there_without_a_module_is_not_to_be_installed(project):
    """Its other versions may have it."""
    error = ModuleNotFoundError("No module named 'json.lines'", name="json.lines")
    root = project(pyproject_toml="")
    assert import_help(error, root / "entry.py", root).startswith(
        '"json" is there, and has no module "lines"'
    )


@pytest.mark.parametrize("module", ["micropip", "pyodide.console"])
def test_what_is_for_pyodide_only_is_said_to_be(project, module):
    root = project(pyproject_toml="")
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert f'"{module}" is for Pyodide only' in import_help(error, root / "entry.py", root)


def test_a_package_that_is_built_for_webassembly_is_named(project, monkeypatch):
    root = project(pyproject_toml='[project]\ndependencies = ["compiledthing>=2"]\n')
    folder = root / "python_modules/compiledthing"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from compiledthing import _core\n")
    (folder / "_core.cpython-313-wasm32-emscripten.so").write_bytes(b"\0asm")
    monkeypatch.syspath_prepend(root / "python_modules")
    with pytest.raises(ImportError) as raised:
        importlib.import_module("compiledthing")
    help = import_help(raised.value, root / "entry.py", root)
    assert help.startswith("python_modules/compiledthing is built for WebAssembly")
    assert help.endswith("pip install 'compiledthing>=2'")


def test_other_errors_are_not_about_packages(project):
    root = project(pyproject_toml="")
    assert import_help(ValueError("x"), root / "entry.py", root) is None
    assert import_help(ImportError("cannot import name 'x'"), root / "entry.py", root) is None
