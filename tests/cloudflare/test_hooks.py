"""Cloudflare's modules are there for a project, and for nobody else."""

from __future__ import annotations

import importlib
import sys

import pytest

from perdure._cloudflare import hooks


@pytest.fixture
def project_folder(tmp_path, monkeypatch):
    """A project's folder, with the hooks installed for it."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), *sys.path])
    (tmp_path / "src").mkdir()
    hooks.install(tmp_path, tmp_path / "src")
    yield tmp_path
    hooks.uninstall()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_a_module_is_the_same_object_under_both_names(project_folder):
    """`workers` is `perdure._cloudflare.workers`, and so is what is below it."""
    assert importlib.import_module("workers") is sys.modules["perdure._cloudflare.workers"]
    below = importlib.import_module("workers.entrypoints")
    assert below is sys.modules["perdure._cloudflare.workers.entrypoints"]
    assert below.__spec__.name == "perdure._cloudflare.workers.entrypoints"


def test_a_module_of_the_project_comes_first(project_folder):
    """A project that has a `workers.py` beside its main module means that."""
    (project_folder / "src/workers.py").write_text("WHOSE = 'the project'\n")
    assert importlib.import_module("workers").WHOSE == "the project"


def test_an_empty_folder_is_no_module(project_folder):
    """A folder `workers` without Python in it hides nothing."""
    (project_folder / "src/workers").mkdir()
    assert importlib.import_module("workers").DurableObject


def test_what_python_modules_has_vendored_of_these_is_not_used(project_folder):
    """`python_modules/workers` is Cloudflare's SDK for WebAssembly; other packages there are used."""
    vendored = project_folder / "python_modules"
    (vendored / "workers").mkdir(parents=True)
    (vendored / "workers/__init__.py").write_text("raise RuntimeError('not here')\n")
    (vendored / "vendored_library.py").write_text("VALUE = 1\n")
    hooks.install(project_folder, project_folder / "src")
    assert importlib.import_module("workers").DurableObject
    assert importlib.import_module("vendored_library").VALUE == 1


def test_a_module_that_is_not_there_is_not_found(project_folder):
    """What does not exist below `workers` raises the usual error."""
    with pytest.raises(ModuleNotFoundError, match="workers.nothing"):
        importlib.import_module("workers.nothing")


def test_uninstall_takes_the_modules_out(project_folder):
    """Afterwards there is no `pyodide` any more."""
    importlib.import_module("pyodide")
    hooks.uninstall()
    assert "pyodide" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pyodide")


def test_the_next_project_finds_nothing_of_the_one_before(project_folder):
    """Its `python_modules` is on the path in the place of the other's; afterwards none is."""
    folders = [project_folder / name for name in ("one", "other")]
    for folder in folders:
        (folder / "python_modules").mkdir(parents=True)
        (folder / "src" / "workers").mkdir(parents=True)
    (folders[0] / "src" / "workers" / "__init__.py").write_text("")
    seen = []
    for folder in folders:
        hooks.install(folder, folder / "src")
        seen.append([path for path in sys.path if path.endswith("python_modules")])
        assert hooks._installed.folder == str(folder / "src")
    hooks.uninstall()
    assert seen == [[str(folder / "python_modules")] for folder in folders]
    assert not [path for path in sys.path if path.endswith("python_modules")]
